"""The socket to another system: one request, its answer's bytes, and two ways to fail. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

import aiohttp

from pipeline import __version__
from pipeline.errors import Ambiguous, NotSent
from pipeline.failures import NEVER_LEFT, read_at_most, told
from pipeline.protocol import RawReply

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANSWER: Final = 8 << 20
"""Bytes: a hundred contacts with many long properties."""

TIMEOUT: Final = 30.0


class Send(Protocol):
    """Sends a request once; raises NotSent or Ambiguous."""

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> RawReply:
        """Send it and read the answer."""
        ...


class Socket:
    """A session with one system; what every request carries goes into `headers`, secrets too."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, trust_env: bool = False) -> None:
        self._base = base_url.rstrip("/")
        agent = f"leadcontact-pipeline/{__version__}"
        self._headers = {"Content-Type": "application/json", "User-Agent": agent, **headers}
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT, connect=TIMEOUT / 2),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> RawReply:
        """Send once; never follows a redirect, which would resend people's data."""
        assert self._session is not None, "the socket is used inside `async with`"  # noqa: S101 - our own slip
        url = f"{self._base}{path}"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                read = await read_at_most(response, MAX_ANSWER)
                return RawReply(response.status, read or b"", retry_after=response.headers.get("Retry-After"))
        except NEVER_LEFT as error:
            raise NotSent(told(error)) from error
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Ambiguous(told(error)) from error
