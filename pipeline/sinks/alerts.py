"""Where alerts go: a webhook (Slack, Teams, Discord or plain JSON), whatever apprise knows, and a ping.

The addresses are secrets: what is said of them is a host's name or a scheme, and never what they answered.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pipeline.alerts import Alert

PATIENCE: Final = 10.0
"""The most seconds a delivery may take."""

REDIRECTED: Final = 300
"""From this status on nothing arrived: a redirect is not followed, it would take the note elsewhere."""

SEVERITIES: Final = ("resolved", "warning", "critical")
COLOURS: Final = ("good", "warning", "attention")
APPRISE_KINDS: Final = ("success", "warning", "failure")

HOSTS: Final = {
    "hooks.slack.com": "slack",
    "hooks.slack-gov.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "webhook.office.com": "teams",
    "logic.azure.com": "teams",
    "powerplatform.com": "teams",
}
"""Whose webhooks are known by their host, or by a domain above it."""


class Note(NamedTuple):
    """An alert as it travels: whose account it is about, and when (ISO 8601)."""

    alert: Alert
    account: str
    at: str

    @property
    def severity(self) -> str:
        """One word for how bad it is."""
        return SEVERITIES[min(self.alert.level, 2)]

    @property
    def title(self) -> str:
        """One line that says where it comes from."""
        return f"LeadContact {self.severity}: {self.alert.subject} ({self.account})"


class Targets(NamedTuple):
    """Whom to tell."""

    webhook: str | None = None
    kind: str = "auto"
    apprise: tuple[str, ...] = ()
    trust_env: bool = False

    def __bool__(self) -> bool:
        return self.webhook is not None or bool(self.apprise)

    @property
    def names(self) -> list[str]:
        """The targets without their secrets, in the order of `deliver`."""
        hook = [host_of(self.webhook)] if self.webhook else []
        return [*hook, *(f"{url.partition(':')[0]} (apprise)" for url in self.apprise)]


# --- the shapes ---------------------------------------------------------------------------------------


def kind_of(url: str) -> str:
    """Which shape the receiver of a webhook wants, by its host; plain JSON if that is none we know."""
    labels = host_of(url).split(".")
    domains = (".".join(labels[n:]) for n in range(len(labels)))
    return next((HOSTS[domain] for domain in domains if domain in HOSTS), "json")


def body_of(note: Note, kind: str) -> dict[str, Any]:
    """What is posted to a webhook."""
    return {"slack": _slack, "teams": _teams, "discord": _discord, "json": _json}[kind](note)


def _slack(note: Note) -> dict[str, Any]:
    """Slack, and Mattermost and Rocket.Chat, which take the same; it reads &, < and > as markup."""
    text = f"*{note.title}*\n{note.alert.sentence}"
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _discord(note: Note) -> dict[str, Any]:
    """Discord, where no word may call anybody."""
    return {"content": f"**{note.title}**\n{note.alert.sentence}"[:2000], "allowed_mentions": {"parse": []}}


def _teams(note: Note) -> dict[str, Any]:
    """Teams: an adaptive card, as its workflows and its older connectors take it."""
    title = {"type": "TextBlock", "text": note.title, "weight": "Bolder", "wrap": True}
    title["color"] = COLOURS[min(note.alert.level, 2)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [title, {"type": "TextBlock", "text": note.alert.sentence, "wrap": True}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _json(note: Note) -> dict[str, Any]:
    """For machines (schema_version 1)."""
    return {
        "schema_version": 1,
        "subject": note.alert.subject,
        "severity": note.severity,
        "text": note.alert.sentence,
        "account": note.account,
        "at": note.at,
    }


# --- the way there ------------------------------------------------------------------------------------


async def deliver(targets: Targets, note: Note, patience: float = PATIENCE) -> list[str | None]:
    """Bring a note to every target at once, within `patience` seconds; why it did not arrive, for each, or None."""
    ways: list[Coroutine[Any, Any, str | None]] = []
    if targets.webhook is not None:
        kind = kind_of(targets.webhook) if targets.kind == "auto" else targets.kind
        ways.append(_post(targets.webhook, json=body_of(note, kind), trust_env=targets.trust_env))
    ways += [_by_apprise(url, note) for url in targets.apprise]
    return list(await asyncio.gather(*(_bounded(way, patience) for way in ways)))


async def ping(url: str, sign: str, said: str, *, trust_env: bool = False) -> str | None:
    """Tell a healthchecks-style watcher: `sign` is "start", "fail", or "" for success. Why it failed, or None."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{sign}" if sign else parts.path
    return await _bounded(
        _post(urlunsplit(parts._replace(path=path)), data=said.encode(), trust_env=trust_env), PATIENCE
    )


async def _bounded(way: Coroutine[Any, Any, str | None], patience: float) -> str | None:
    try:
        async with asyncio.timeout(patience):
            return await way
    except TimeoutError:
        return f"no answer within {patience:g} s"
    except Exception as error:  # noqa: BLE001 - whatever happens on the way, the note did not arrive
        from pipeline.failures import told  # noqa: PLC0415 - aiohttp, see _post

        return told(error)


async def _post(url: str, *, trust_env: bool, **content: Any) -> str | None:  # noqa: ANN401 - aiohttp's own
    import aiohttp  # noqa: PLC0415 - 0.2 s, only when there is something to tell

    async with (
        aiohttp.ClientSession(trust_env=trust_env) as session,
        session.post(url, allow_redirects=False, **content) as response,
    ):
        return None if response.status < REDIRECTED else f"HTTP {response.status}"


async def _by_apprise(url: str, note: Note) -> str | None:
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        return "apprise is not installed: pip install 'leadcontact-pipeline[alerts]'"
    notifier = apprise.Apprise()
    if not notifier.add(url):
        return "apprise does not know this address"
    kind = APPRISE_KINDS[min(note.alert.level, 2)]
    arrived = await _in_thread(lambda: notifier.notify(title=note.title, body=note.alert.sentence, notify_type=kind))
    return None if arrived else "apprise could not deliver it"


async def _in_thread(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    """Wait for work in a thread that holds up neither the loop nor, if it hangs, the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any) -> None:  # noqa: ANN401 - as above
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception:  # noqa: BLE001 - whatever a plugin raises, the note did not arrive
            result = None
        with suppress(RuntimeError):  # the loop may be gone by now
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return await done


def host_of(url: str) -> str:
    """The host's name, which may be shown."""
    return urlsplit(url).hostname or "?"
