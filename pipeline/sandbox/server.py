"""The sandbox itself: a socket around the account's decisions, the journal, and controls at run time.

What an answer costs is settled before its latency, so answers overtake each other and carry stale
readings of the credits, as they would on a busy real server.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Self

import orjson
from aiohttp import web
from pydantic import ValidationError

from pipeline.errors import ConfigError
from pipeline.model import Endpoint
from pipeline.sandbox.account import Account, read
from pipeline.sandbox.faults import LOST, Wait
from pipeline.sandbox.hubspot import HubSpotPortal
from pipeline.sandbox.journal import Journal, LogEntry
from pipeline.sandbox.options import Fault, SandboxOptions
from pipeline.sandbox.replies import RawReply, json_reply, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.sandbox.world import World

_BASE_PATH: Final = "/v1"
_HUBSPOT_PATH: Final = "/hubspot"
_ENDPOINTS: Final = {f"{_BASE_PATH}/contacts/{endpoint}": endpoint for endpoint in Endpoint}
_DRAIN_SECONDS: Final = 2.0
_DELIVERABLE: Final = (0, 200)
"""Statuses a fault of delivery can befall; a refusal is always delivered."""


class Sandbox:
    """A LeadContact server on a loopback socket; also an async context manager.

    `log` holds every request to an endpoint. Options change while it runs with `set`.
    """

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.base_url = ""
        self._account = Account(options or SandboxOptions())
        self.hubspot = _furnished(self._account) if self.options.hubspot else None
        self._journal = Journal(self.options.log_path)
        self._in_flight = 0
        self._date = (0, "")
        self._closing = asyncio.Event()
        self._runner: web.ServerRunner | None = None
        self._site: web.TCPSite | None = None
        self._address = ("127.0.0.1", 0)

    async def __aenter__(self) -> Self:
        if self._runner is None:
            await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    # --- life -----------------------------------------------------------------------------------------

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen and tell the base URL; port 0 takes a free one. Raises ConfigError if not on loopback."""
        _refuse_foreign(host)
        server = web.Server(self._request, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_DRAIN_SECONDS)
        await self._runner.setup()
        self._address = (host, port)
        await self.resume_listening()
        self._address = (host, int(self._runner.addresses[0][1]))
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{self._address[1]}{_BASE_PATH}"
        return self.base_url

    async def stop(self) -> None:
        """Stop listening, let answers under way go out for two seconds, end stalls at once."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = self._site = None
        self._journal.close()

    async def pause_listening(self) -> None:
        """Refuse connections from now on and close those there are; answers under way get two seconds."""
        if self._site is not None and self._runner is not None:
            await self._site.stop()
            self._site = None
            if self._runner.server is not None:
                self._runner.server.pre_shutdown()
                await self._runner.server.shutdown(_DRAIN_SECONDS)
            for _ in range(3):  # a client on this very loop must have seen its connections close
                await asyncio.sleep(0)

    async def resume_listening(self) -> None:
        """Accept connections again, on the same port."""
        if self._site is None and self._runner is not None:
            self._site = web.TCPSite(self._runner, *self._address, reuse_address=True)
            await self._site.start()

    # --- what a test or an operator sees and turns ----------------------------------------------------

    @property
    def options(self) -> SandboxOptions:
        """The options in force."""
        return self._account.options

    @property
    def world(self) -> World:
        """The people this sandbox knows."""
        return self._account.world

    @property
    def hubspot_url(self) -> str:
        """Where its HubSpot portal is, if it has one."""
        return self.base_url.removesuffix(_BASE_PATH) + _HUBSPOT_PATH

    @property
    def credits(self) -> int:
        """Credits left."""
        return self._account.credits.left

    @property
    def log(self) -> list[LogEntry]:
        """Every request to an endpoint, by arrival."""
        return self._journal.entries

    def set(self, **changes: object) -> None:
        """Change options from the next request on; `log_path` cannot change.

        Raises pydantic's ValidationError or ConfigError, and then nothing has changed.
        """
        if "log_path" in changes:
            raise ConfigError("log_path is fixed when the sandbox is made.")
        self._account.change(changes)
        if self.hubspot is not None:
            self.hubspot.daily_limit = self.options.hubspot_daily_limit

    def script(self, faults: Iterable[Fault | None]) -> None:
        """Line up what happens to the next requests, one each; None is an ordinary answer."""
        self._account.line_up(faults)

    def count(self, endpoint: Endpoint | None = None, status: int | None = None) -> int:
        """Count requests so far, of one endpoint or with one status if given."""
        return self._journal.count(endpoint, status)

    def answered_twice(self, within: float | None = None) -> list[str]:
        """Questions that got more than one sound 200, in all or within so many seconds of each other."""
        return self._journal.answered_twice(within)

    def max_in_window(self, seconds: float = 86_400.0) -> int:
        """Most requests with an accepted key in any window of this length, refused ones too."""
        return self._journal.max_in_window(seconds)

    def state(self) -> dict[str, Any]:
        """Meters and options as plain data; the key is not among them."""
        return {
            "requests": len(self.log),
            "in_flight": self._in_flight,
            "credits": self.credits,
            "quota_used": self._account.quota.used(self.options, self.options.now()),
            "script": list(self._account.script),
            "options": self.options.model_dump(mode="json"),
        }

    # --- requests -------------------------------------------------------------------------------------

    async def _request(self, request: web.BaseRequest) -> web.StreamResponse:
        endpoint = _ENDPOINTS.get(request.path)
        try:
            if self.hubspot is not None and request.path.startswith(f"{_HUBSPOT_PATH}/"):
                return await self._asked_hubspot(request, self.hubspot)
            if endpoint is None:
                return await self._write(request, await self._control(request))
            if request.method != "POST":
                return await self._write(request, refusal(405, "Use POST.", {"Allow": "POST"}))
            return await self._asked(request, endpoint)
        except ConnectionError:
            return web.Response()  # the client has gone; aiohttp notices when it tries to send this

    async def _asked(self, request: web.BaseRequest, endpoint: Endpoint) -> web.StreamResponse:
        key = request.headers.get("Authorization", "")
        asked = read(endpoint, request.raw_path, key, request.content_type, await request.read())
        denied = self._account.denial(asked)
        self._in_flight += 1
        entry = self._journal.arrived(
            self.options.now(), endpoint, asked.body, in_flight=self._in_flight, counted=denied is None
        )
        try:
            reply = self._account.decide(asked, entry, denied)
            entry.credits = self.credits
            return await self._deliver(request, reply, entry)
        finally:
            self._in_flight -= 1
            self._account.settle(entry)
            self._journal.settled(entry, self.options.now())

    async def _asked_hubspot(self, request: web.BaseRequest, hubspot: HubSpotPortal) -> web.StreamResponse:
        path, token = request.path.removeprefix(_HUBSPOT_PATH), request.headers.get("Authorization", "")
        reply = hubspot.answer(request.method, path, request.query, token, await request.read())
        if reply.status:
            return await self._write(request, reply)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionError

    async def _deliver(self, request: web.BaseRequest, reply: RawReply, entry: LogEntry) -> web.StreamResponse:
        if self.options.latency:
            await asyncio.sleep(self._account.latency())
        if entry.fault in LOST and reply.status in _DELIVERABLE:
            wait = Wait(self._closing, self.options.stall_seconds)
            return await LOST[entry.fault](request, self._headers(reply), reply.body, wait)
        response = await self._write(request, reply)
        entry.status, entry.answered = reply.status, True
        return response

    async def _write(self, request: web.BaseRequest, reply: RawReply) -> web.StreamResponse:
        """Write the response to its end, so that the log can say it was."""
        response = web.Response(status=reply.status, body=reply.body, headers=self._headers(reply))
        await response.prepare(request)
        await response.write_eof()
        return response

    def _headers(self, reply: RawReply) -> dict[str, str]:
        """Add the type and the date; the date by our clock, not by aiohttp's."""
        second = int(self.options.now() + self.options.date_skew)
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True))
        return {"Content-Type": reply.content_type, "Date": self._date[1], **reply.headers}

    # --- /_sandbox ------------------------------------------------------------------------------------

    async def _control(self, request: web.BaseRequest) -> RawReply:
        match request.method, request.path:
            case "GET", "/_sandbox/log":
                since = request.query.get("since", "0")
                return json_reply(self._journal.since(int(since) if since.isdecimal() else 0))
            case "GET", "/_sandbox/state":
                return json_reply(self.state())
            case "GET", "/_sandbox/hubspot" if self.hubspot is not None:
                return json_reply(self.hubspot.state())
            case "POST", "/_sandbox/set":
                return self._set_from(await request.read())
        return refusal(404, "There is no such path.")

    def _set_from(self, raw: bytes) -> RawReply:
        """Take option changes as a JSON object; its `script` lines up faults."""
        try:
            changes = dict(orjson.loads(raw))
            script = [None if fault is None else Fault(fault) for fault in changes.pop("script", [])]
            self.set(**changes)
        except ValidationError as error:
            return refusal(400, f"Not accepted: {', '.join(str(e['loc'][0]) for e in error.errors())}.")
        except ConfigError as error:
            return refusal(400, error.what)
        except (ValueError, TypeError):
            return refusal(400, "Not a JSON object of options, or not a fault.")
        self.script(script)
        return json_reply(self.state())


async def serve(
    options: SandboxOptions,
    host: str = "127.0.0.1",
    port: int = 8765,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Run a sandbox until cancelled; `ready` is told the base URL. Raises ConfigError if not on loopback."""
    sandbox = Sandbox(options)
    try:
        base_url = await sandbox.start(host, port)
        if ready is not None:
            ready(base_url)
        await asyncio.Event().wait()
    finally:
        await sandbox.stop()


def _furnished(account: Account) -> HubSpotPortal:
    portal = HubSpotPortal(account.options.now)
    portal.daily_limit = account.options.hubspot_daily_limit
    portal.furnish(account.world)
    return portal


def _refuse_foreign(host: str) -> None:
    """Keep the sandbox, which trusts whoever can reach it, on this machine."""
    with suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return
    raise ConfigError(f"The sandbox listens on this machine only, not on {host}.", "Use 127.0.0.1.")
