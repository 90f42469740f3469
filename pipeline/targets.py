"""How other systems are reached, with their secrets; and a HubSpot list as the list to enrich."""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import urlsplit

import orjson

from pipeline.errors import ConfigError, UsageError
from pipeline.sinks.hubspot_rules import BATCH
from pipeline.written import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from pydantic import SecretStr

    from pipeline.session import Session
    from pipeline.settings import Settings
    from pipeline.sinks.contacts import Sink
    from pipeline.sinks.hubspot_api import Api
    from pipeline.sinks.hubspot_rules import Record
    from pipeline.sinks.sending import Send

LIST: Final = "hubspot:"
"""What a HubSpot list begins with where a file's name could stand."""

COLUMNS: Final = {
    "firstname": "First Name",
    "lastname": "Last Name",
    "email": "Email",
    "phone": "Phone Number",
    "jobtitle": "Job Title",
    "company": "Company Name",
    "website": "Website URL",
}
"""The properties read of a list's contacts, and their headers, as HubSpot's own exports name them."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to push: the kind of system and its host, as they are noted, and how a session reaches it."""

    name: str
    connect: Callable[[Session], AbstractAsyncContextManager[Sink]]


def target_of(
    settings: Settings, kind: str, send: Callable[..., AbstractAsyncContextManager[Send]] | None = None
) -> Target:
    """Where a push goes, by the settings. Raises ConfigError if something to reach it with is missing.

    `send` makes the socket, from an address and headers.
    """
    if kind == "hubspot":
        _token(settings)
        _refuse_invented_people(settings)
        return Target(f"hubspot {urlsplit(settings.hubspot_url).netloc}", partial(_hubspot, send=send or _socket))
    if settings.webhook_url is None:
        raise ConfigError("There is no webhook to push to.", "Say where it is with --webhook-url URL.")
    place = urlsplit(settings.webhook_url)
    mark = blake2b(settings.webhook_url.encode(), digest_size=4).hexdigest()  # its path may be a secret
    return Target(f"webhook {place.netloc} {mark}", partial(_webhook, send=send or _socket))


def _token(settings: Settings) -> str:
    token = _secret(settings.hubspot_access_token) or ""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "There is no usable HubSpot token." if token else "There is no HubSpot token.",
            "Set HUBSPOT_ACCESS_TOKEN, also in a .env file, to the token of a private app.",
        )
    return token


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value().strip() if value is not None else None


def _refuse_invented_people(settings: Settings) -> None:
    here, there = (urlsplit(url).hostname or "" for url in (settings.base_url, settings.hubspot_url))
    if is_loopback(here) and not is_loopback(there):
        raise ConfigError(
            "The people of a sandbox are invented, and hubspot_url is not a sandbox.",
            "Start leadcontact sandbox --hubspot and set LEADCONTACT_HUBSPOT_URL to what it prints.",
        )


# --- reaching them ------------------------------------------------------------------------------------


def _socket(settings: Settings, url: str, headers: dict[str, str]) -> AbstractAsyncContextManager[Send]:
    from pipeline.sinks.sending import Socket  # noqa: PLC0415 - aiohttp costs 0.2 s

    return Socket(url, headers, trust_env=settings.trust_env)


@asynccontextmanager
async def _portal(opened: Session, send: Callable[..., AbstractAsyncContextManager[Send]]) -> AsyncIterator[Api]:
    from pipeline.sinks.hubspot_api import Api  # noqa: PLC0415 - only where contacts leave

    settings, now = opened.parts.settings, opened.parts.now
    host, limit = urlsplit(settings.hubspot_url).netloc, settings.hubspot_daily_calls

    async def count() -> bool:
        return await opened.store.deliveries.count_call(host, limit, now())

    headers = {"Authorization": f"Bearer {_token(settings)}"}
    async with send(settings, settings.hubspot_url, headers) as sender:
        yield Api(sender, settings.hubspot_version, count)


@asynccontextmanager
async def _hubspot(opened: Session, send: Callable[..., AbstractAsyncContextManager[Send]]) -> AsyncIterator[Sink]:
    from pipeline.sinks.hubspot import HubSpot  # noqa: PLC0415 - as above

    settings = opened.parts.settings
    async with _portal(opened, send) as api:
        yield HubSpot(
            api, settings.hubspot_properties, create=settings.hubspot_create, upsert=settings.hubspot_upsert
        )


@asynccontextmanager
async def _webhook(opened: Session, send: Callable[..., AbstractAsyncContextManager[Send]]) -> AsyncIterator[Sink]:
    from pipeline.sinks.webhook import Webhook  # noqa: PLC0415 - as above

    settings = opened.parts.settings
    secret = _secret(settings.webhook_secret)
    if not secret:
        opened.parts.say("LEADCONTACT_WEBHOOK_SECRET is not set: the batches are not signed.")
    async with send(settings, settings.webhook_url or "", {}) as sender:
        yield Webhook(sender, secret or None, opened.parts.now)


# --- a list of HubSpot's ------------------------------------------------------------------------------


async def hubspot_list(
    opened: Session, leads: str, send: Callable[..., AbstractAsyncContextManager[Send]] | None = None
) -> BinaryIO:
    """The contacts of `hubspot:LIST_ID` as JSONL, in a file that has no name and is gone when it is closed."""
    list_id = leads.removeprefix(LIST)
    if not list_id.isdecimal():
        raise UsageError(
            f"{leads} names no list of HubSpot's.", "Write hubspot: and the list's number, as in hubspot:42."
        )
    with ExitStack() as unless_whole:
        file = cast("BinaryIO", unless_whole.enter_context(TemporaryFile()))
        async with _portal(opened, send or _socket) as api:
            async for ids in api.members(list_id):
                for some in (ids[start : start + BATCH] for start in range(0, len(ids), BATCH)):
                    file.writelines(map(_row, await api.read(some, COLUMNS)))
        file.seek(0)
        unless_whole.pop_all()
    return file


def _row(record: Record) -> bytes:
    told = {header: record.properties.get(name, "") for name, header in COLUMNS.items()}
    return orjson.dumps({"Record ID": record.id, **told}, option=orjson.OPT_APPEND_NEWLINE)
