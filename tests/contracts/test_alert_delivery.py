"""How alerts travel: each receiver's shape over a real socket, bounded in time, and never a word of an address."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from support import people, write_leads
from system_site import FAST, site

from pipeline.alerts import Alert, Subject
from pipeline.configured import load
from pipeline.errors import ConfigError, JobHeld
from pipeline.settings import Settings
from pipeline.sinks.alerts import Note, Targets, body_of, deliver, kind_of, ping
from pipeline.watching import pinged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # apprise, on Python below 3.13

SECRET = "s3cr3t-path"  # noqa: S105 - a stand-in
NOTE = Note(Alert(Subject.API, 2, "The API <answers> & refuses."), "api default", "2026-11-25T02:00:00Z")


class Receiver:
    """Somebody's webhook: what came, and what it says to it."""

    def __init__(self) -> None:
        self.came: list[tuple[str, str]] = []
        self.status = 200
        self.delay = 0.0
        self.url = ""

    async def _take(self, request: web.Request) -> web.Response:
        self.came.append((request.path_qs, await request.text()))
        await asyncio.sleep(self.delay)
        headers = {"Location": "/elsewhere"} if self.status == 307 else {}
        return web.Response(status=self.status, text=f"no such {SECRET}", headers=headers)

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.came]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", made._take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"
    try:
        yield made
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "slack"),
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://acme.webhook.office.com/webhookb2/x", "teams"),
        ("https://prod-12.westeurope.logic.azure.com:443/workflows/x", "teams"),
        ("https://ab.cd.environment.api.powerplatform.com/x", "teams"),
        ("https://notdiscord.com/x", "json"),
        ("https://hooks.example/hooks.slack.com", "json"),
    ],
)
def test_a_receiver_is_known_by_its_host(url: str, kind: str) -> None:
    """By its domain and not by letters in it."""
    assert kind_of(url) == kind


def test_each_shape_is_what_its_receiver_takes() -> None:
    """Slack reads markup, Discord would call people, Teams wants a card, machines want fields."""
    assert body_of(NOTE, "slack") == {
        "text": "*LeadContact critical: api (api default)*\nThe API &lt;answers&gt; &amp; refuses."
    }
    discord = body_of(NOTE, "discord")
    assert (discord["allowed_mentions"], len(discord["content"]) <= 2000) == ({"parse": []}, True)
    (attachment,) = body_of(NOTE, "teams")["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in attachment["content"]["body"]] == [NOTE.title, NOTE.alert.sentence]
    assert body_of(NOTE, "json") == {
        "schema_version": 1,
        "subject": "api",
        "severity": "critical",
        "text": "The API <answers> & refuses.",
        "account": "api default",
        "at": "2026-11-25T02:00:00Z",
    }


async def test_a_webhook_and_apprise_get_it_at_once() -> None:
    """Over a socket; apprise by its own json:// scheme."""
    async with receiver() as hook:
        targets = Targets(webhook=hook.url, apprise=(hook.url.replace("http:", "json:"),))
        assert await deliver(targets, NOTE) == [None, None]
    assert sorted(path.strip("/") for path in hook.paths) == [SECRET, SECRET]
    assert all("refuses" in text for _, text in hook.came)


@pytest.mark.parametrize(("status", "words"), [(404, "HTTP 404"), (500, "HTTP 500"), (307, "HTTP 307")])
async def test_what_is_not_taken_is_told_without_what_was_answered(
    status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect is not followed either: it would take the note elsewhere."""
    async with receiver() as hook:
        hook.status = status
        told = await deliver(Targets(webhook=hook.url, apprise=(f"nonesuch://{SECRET}",)), NOTE)
    assert told == [words, "apprise does not know this address"]
    assert SECRET not in caplog.text
    assert len(hook.came) == 1


async def test_a_receiver_that_is_silent_or_gone_holds_nothing_up() -> None:
    """Bounded in time, apprise too."""
    async with receiver() as hook:
        hook.delay = 3.0
        began = time.monotonic()
        told = await deliver(
            Targets(webhook=hook.url, apprise=(hook.url.replace("http:", "json:"),)), NOTE, patience=0.2
        )
        assert time.monotonic() - began < 2
    assert told == ["no answer within 0.2 s"] * 2
    assert await ping("http://127.0.0.1:1/x", "", "") == "connection refused by 127.0.0.1"


def test_no_name_of_a_target_is_a_secret() -> None:
    """Neither a path, nor a password, nor what stands in an apprise address's place of a host."""
    targets = Targets("https://user:pass@hooks.example/path?sig=1", apprise=("tgram://123:token/chat",))
    assert targets.names == ["hooks.example", "tgram (apprise)"]


@pytest.mark.parametrize(("code", "end"), [(0, ""), (75, "/fail"), (77, "/fail")])
async def test_a_watcher_is_told_of_start_and_end(code: int, end: str) -> None:
    """healthchecks: /start, then the address itself or /fail, before any query."""
    async with receiver() as watcher:
        settings = Settings(alert_ping=SecretStr(f"{watcher.url}?rid=1"))

        async def work() -> Any:
            return code

        await pinged(settings, pytest.fail, work, lambda report: int(str(report)))
    assert watcher.paths == [f"/{SECRET}/start?rid=1", f"/{SECRET}{end}?rid=1"]
    assert watcher.came[-1][1] == f"exit code {code}"


async def test_a_run_that_never_began_is_told_as_failed_and_an_intake_only_then() -> None:
    """`--max-requests 0` is no run: its success must not silence the watcher."""
    async with receiver() as watcher:

        async def held() -> Any:
            raise JobHeld("Another run works on it.")

        async def taken_in() -> Any:
            return 0

        intake = Settings(alert_ping=SecretStr(watcher.url), max_requests=0)
        await pinged(intake, pytest.fail, taken_in, lambda _: 0)
        assert watcher.paths == []
        with pytest.raises(JobHeld):
            await pinged(intake, pytest.fail, held, lambda _: 0)
    assert watcher.came == [(f"/{SECRET}/fail", "exit code 75")]


async def test_a_night_tells_its_people_and_its_log_tells_no_address(tmp_path: Path) -> None:
    """The command: alerts from [alerts] in TOML, the ping from the environment, a dead target in the log by host."""
    rows = people(4)
    write_leads(tmp_path / "leads.csv", rows)
    async with receiver() as hook, site(tmp_path) as (machine, _):
        toml = f'metrics_file = "night.prom"\n[alerts]\nwebhook = "{hook.url}"\nquota_percents = [1]\n'
        (tmp_path / "night.toml").write_text(toml, "utf-8")
        machine.environment["LEADCONTACT_ALERT_PING"] = f"http://127.0.0.1:1/{SECRET}"
        night = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST, "--config", "night.toml", "--max-requests", "3")
        first = await machine.run(*night, "--daily-quota", "100", "--log-level", "debug")
        again = await machine.run(*night, "--daily-quota", "100")
        tested = await machine.run("doctor", "--test-alerts", "--config", "night.toml", *FAST[:4])
    assert (first.code, again.code) == (0, 0)
    texts = [text for _, text in hook.came]
    assert [text.count("3 of the day's 100 requests") for text in texts] == [1, 0]
    told = "".join(texts) + (tmp_path / "night.prom").read_text("utf-8")
    assert [row for row in rows if row["Company Name"] in told or (row["Last Name"] or "-?-") in told] == []
    assert "The ping to 127.0.0.1 did not arrive (connection refused by 127.0.0.1)." in first.err
    assert "Alert sent: 3 of the day's 100 requests are used: 3 %." in first.err
    assert SECRET not in first.err + again.err + tested.out + tested.err
    assert "a test reached 127.0.0.1\n" in tested.out
    assert "a test did not reach 127.0.0.1 (ping) (connection refused by 127.0.0.1)" in tested.out
    assert tested.code == 75


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[alerts]\nwebhok = "https://x.example"', r"webhok under \[alerts\] .* Did you mean webhook\?"),
        ('[alerts]\nwebhook = "s3cr3t-path"', "alert_webhook .* is not a web address"),
        ('alerts = "https://s3cr3t-path.example"', r"alerts .* is no table. Write \[alerts\]"),
        ("[alerts]\nquota_percents = [0]", "alert_quota_percents"),
        ('[alerts]\nfinish_by = "late"', "alert_finish_by .* is not a time of day"),
    ],
)
def test_a_wrong_setting_is_told_without_its_value(tmp_path: Path, toml: str, words: str) -> None:
    """Which, where, and what to do; an address is a secret."""
    (tmp_path / "x.toml").write_text(toml, "utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        load({}, tmp_path / "x.toml", {}, cwd=tmp_path)
    assert SECRET not in str(caught.value)
    assert "x.example" not in str(caught.value)
