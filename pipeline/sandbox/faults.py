"""What each fault does. Three tables by what is broken: the whole answer, its content, or its delivery."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web

from pipeline.model import Endpoint
from pipeline.sandbox.answers import contacts_of
from pipeline.sandbox.options import Fault
from pipeline.sandbox.replies import RawReply, json_reply, refusal

if TYPE_CHECKING:
    from pipeline.sandbox.options import SandboxOptions
    from pipeline.sandbox.world import World

Headers = dict[str, str]

_HTML: Final = "text/html; charset=utf-8"
_CHALLENGE: Final = b"<!DOCTYPE html><html><title>Just a moment...</title><body>Checking your browser</body></html>"
_BUSY: Final = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
_DRIP_SECONDS: Final = 0.05
_DEPTH: Final = 100_000
_FLOOD: Final = 2_000
_OTHER_COMPANY: Final = "Globex"
_OTHER_EMAIL: Final = "somebody.else@globex.com"


@dataclass(frozen=True, slots=True)
class Good:
    """A sound answer about to be spoilt: `value` is the whole JSON object, ours to change."""

    endpoint: Endpoint
    value: dict[str, Any]
    world: World
    options: SandboxOptions

    @property
    def data(self) -> dict[str, Any]:
        """The answer's `data` part."""
        found: dict[str, Any] = self.value["data"]
        return found

    @property
    def records(self) -> list[dict[str, Any]]:
        """The contacts or numbers, or the one verdict."""
        if self.endpoint is Endpoint.VERIFY:
            return [self.data]
        found: list[dict[str, Any]] = self.data.get("contacts", self.data.get("phone_numbers", []))
        return found


# --- instead of an answer -----------------------------------------------------------------------------


def _deep() -> bytes:
    return b'{"success":true,"data":' + b"[" * _DEPTH + b"]" * _DEPTH + b"}"


def _padded(size: int) -> bytes:
    return b'{"success":true,"data":{"contacts":[],"total":0,"pad":"' + b"x" * size + b'"}}'


@lru_cache(2)
def _bomb(size: int) -> bytes:
    """Pack so many spaces after a sound empty answer, a mebibyte at a time."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b'{"success":true,"data":{"contacts":[],"total":0}}')]
    chunk = b" " * (1 << 20)
    parts += [packer.compress(chunk[: min(len(chunk), size - done)]) for done in range(0, size, len(chunk))]
    return b"".join([*parts, packer.flush()])


INSTEAD: Final[dict[Fault, Callable[[SandboxOptions, str], RawReply]]] = {
    Fault.SERVER_ERROR: lambda _o, _p: refusal(500, "Something went wrong on our side."),
    Fault.UNAVAILABLE_HTML: lambda _o, _p: RawReply(503, _BUSY, _HTML),
    Fault.SAID_NO: lambda _o, _p: refusal(200, "The lookup could not be completed."),
    Fault.NOT_JSON: lambda _o, _p: RawReply(200, b"OK"),
    Fault.EMPTY_BODY: lambda _o, _p: RawReply(200, b""),
    Fault.CHALLENGE_PAGE: lambda _o, _p: RawReply(200, _CHALLENGE, _HTML),
    Fault.DATA_MISSING: lambda _o, _p: json_reply({"success": True}),
    Fault.SLOW_DOWN: lambda o, _p: refusal(429, "Slow down.", {"Retry-After": str(o.slow_down_seconds)}),
    Fault.TOO_MANY: lambda _o, _p: refusal(429, "Too many requests."),
    Fault.NO_CREDITS: lambda _o, _p: refusal(402, "No credits left."),
    Fault.UNAUTHORISED: lambda _o, _p: refusal(401, "The API key is not valid."),
    Fault.FORBIDDEN: lambda _o, _p: refusal(403, "The account may not do this."),
    Fault.BAD_REQUEST: lambda _o, _p: refusal(400, "The request is not valid."),
    Fault.UNPROCESSABLE: lambda _o, _p: refusal(422, "The request cannot be processed."),
    Fault.NOT_FOUND: lambda _o, _p: refusal(404, "Nothing was found."),
    Fault.REDIRECT_AWAY: lambda o, p: RawReply(307, b"", headers={"Location": o.redirect_to + p}),
    Fault.REDIRECT_SAME_HOST: lambda _o, p: RawReply(307, b"", headers={"Location": p + "?moved=1"}),
    Fault.DEEP_JSON: lambda _o, _p: RawReply(200, _deep()),
    Fault.HUGE_BODY: lambda o, _p: RawReply(200, _padded(o.bomb_bytes // 4)),
    Fault.GZIP_BOMB: lambda o, _p: RawReply(200, _bomb(o.bomb_bytes), headers={"Content-Encoding": "gzip"}),
}
"""Faults that replace the answer; they get the options and the request's path."""


# --- a good answer, spoilt ----------------------------------------------------------------------------


def _data_is_list(good: Good) -> RawReply:
    return json_reply({"success": True, "data": good.records})


def _nan(good: Good) -> RawReply:
    """Python's own json module writes this, and many a server is written in Python."""
    body = orjson.dumps(_each_value(good, lambda value: "@NaN@" if isinstance(value, float) else value))
    spoilt = body.replace(b'"@NaN@"', b"NaN")
    return RawReply(200, spoilt if spoilt != body else b'{"success":true,"data":NaN}')


def _numbers_as_strings(good: Good) -> RawReply:
    changed = _each_value(good, lambda value: str(value) if _is_number(value) else value)
    return json_reply(_each_top_value(changed, lambda value: str(value) if _is_number(value) else value))


def _null_fields(good: Good) -> RawReply:
    return json_reply(_each_value(good, lambda _value: None))


def _missing_fields(good: Good) -> RawReply:
    """Take away every second field of every record, and all counters."""
    for record in good.records:
        for name in list(record)[1::2]:
            del record[name]
    for name in ("total", "credits_remaining"):
        good.data.pop(name, None)
    return json_reply(good.value)


def _extra_fields(good: Good) -> RawReply:
    surprise = {"linkedin": None, "score": {"model": "v7", "values": [1, 2.5]}, "émoji": "🙂"}
    for record in good.records:
        record.update(surprise)
    good.data["next_cursor"] = "abc"
    return json_reply({**good.value, "request_id": "r-1", "warnings": []})


def _invalid_utf8(good: Good) -> RawReply:
    """Break off inside a code point within a string that any answer has."""
    return RawReply(200, orjson.dumps({**good.value, "note": "@"}).replace(b'"@"', b'"\xc3\x28"'))


def _header_flood(good: Good) -> RawReply:
    headers = {f"X-Noise-{number}": "x" * 60 for number in range(_FLOOD)}
    return RawReply(200, orjson.dumps(good.value), headers=headers)


def _wrong_content_type(good: Good) -> RawReply:
    return RawReply(200, orjson.dumps(good.value), "text/plain; charset=utf-8")


def _other_email(good: Good) -> RawReply:
    """Answer about another address; a phones answer names none and goes out as it is."""
    for record in good.records:
        if "email" in record:
            record["email"] = _OTHER_EMAIL
    return json_reply(good.value)


def _other_company(good: Good) -> RawReply:
    """Return the people of another company; verify and phones name none and go out as they are."""
    if good.endpoint is Endpoint.SEARCH:
        good.data["contacts"] = contacts_of(good.world.company(_OTHER_COMPANY))
        good.data["total"] = len(good.data["contacts"])
    return json_reply(good.value)


SPOILT: Final[dict[Fault, Callable[[Good], RawReply]]] = {
    Fault.DATA_IS_LIST: _data_is_list,
    Fault.NAN: _nan,
    Fault.NUMBERS_AS_STRINGS: _numbers_as_strings,
    Fault.NULL_FIELDS: _null_fields,
    Fault.MISSING_FIELDS: _missing_fields,
    Fault.EXTRA_FIELDS: _extra_fields,
    Fault.INVALID_UTF8: _invalid_utf8,
    Fault.HEADER_FLOOD: _header_flood,
    Fault.WRONG_CONTENT_TYPE: _wrong_content_type,
    Fault.OTHER_EMAIL: _other_email,
    Fault.OTHER_COMPANY: _other_company,
}
"""Faults in an answer that was worked out and charged."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _each_value(good: Good, change: Callable[[Any], Any]) -> dict[str, Any]:
    for record in good.records:
        record.update({name: change(value) for name, value in record.items()})
    return good.value


def _each_top_value(value: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    data = {name: change(item) for name, item in value["data"].items()}
    return {**value, "data": data}


# --- a good answer, lost on the way -------------------------------------------------------------------


async def _drop(request: web.BaseRequest, _headers: Headers, _body: bytes, _wait: Wait) -> web.StreamResponse:
    return _hang_up(request)


async def _stall(request: web.BaseRequest, _headers: Headers, _body: bytes, wait: Wait) -> web.StreamResponse:
    await wait(None)
    return _hang_up(request)


async def _drip(request: web.BaseRequest, headers: Headers, _body: bytes, wait: Wait) -> web.StreamResponse:
    """Send a space now and then: no read ever times out, and no answer ever comes."""
    response = web.StreamResponse(headers=headers)
    with suppress(ConnectionError):
        await response.prepare(request)
        while not await wait(_DRIP_SECONDS):
            await response.write(b" ")
    return _hang_up(request, response)


async def _truncate(request: web.BaseRequest, headers: Headers, body: bytes, _wait: Wait) -> web.StreamResponse:
    """Promise the whole body, send half of it, hang up."""
    response = web.StreamResponse(headers=headers)
    response.content_length = len(body)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    return _hang_up(request, response)


def _hang_up(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport:
        request.transport.close()
    return response or web.Response()


class Wait:
    """Lets a fault wait: until the sandbox stops or its patience with faults ends, whichever is first."""

    def __init__(self, closing: asyncio.Event, patience: float) -> None:
        self._closing = closing
        self._ends = asyncio.get_running_loop().time() + patience

    async def __call__(self, seconds: float | None) -> bool:
        """Wait so long (None: to the end); tell whether it is time to end."""
        loop = asyncio.get_running_loop()
        until = self._ends if seconds is None else min(self._ends, loop.time() + seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._closing.wait()
        return self._closing.is_set() or loop.time() >= self._ends


Delivery = Callable[[web.BaseRequest, Headers, bytes, Wait], Awaitable[web.StreamResponse]]

LOST: Final[dict[Fault, Delivery]] = {
    Fault.DROP: _drop,
    Fault.DROP_CHARGED: _drop,
    Fault.STALL: _stall,
    Fault.ENDLESS_DRIP: _drip,
    Fault.TRUNCATED: _truncate,
}
"""Faults of delivery; all but `drop` come after the answer was worked out and charged."""
