"""The socket: one POST, its answer's bytes, and two ways to fail. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import aiohttp

from pipeline import __version__
from pipeline.errors import Ambiguous, NotSent
from pipeline.failures import NEVER_LEFT, read_at_most, told
from pipeline.protocol import MAX_BODY, RawReply

if TYPE_CHECKING:
    from pipeline.model import Permit

TOO_LONG = b"an answer longer than %d bytes" % MAX_BODY
"""What is kept of one: no JSON, so that it means nothing, now or when the journal is read again."""


class Client:
    """A session with the API. The key goes into the Authorization header and nowhere else (trap T0.1)."""

    def __init__(self, base_url: str, key: str, *, timeout: float, connections: int, trust_env: bool = False) -> None:
        self._base = base_url.rstrip("/")
        self._key = key.encode()
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": f"leadcontact-pipeline/{__version__}",
        }
        # Half of the time for a connection: past `total` nobody could tell that nothing was sent.
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=timeout / 2)
        self._connections = connections
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, permit: Permit) -> RawReply:
        """Send the permitted question once. Raises NotSent or Ambiguous; never follows a redirect."""
        assert self._session is not None, "the client is used inside `async with`"  # noqa: S101 - our own slip
        question = permit.question
        url = f"{self._base}/contacts/{question.endpoint}"
        try:
            async with self._session.post(url, data=question.body, allow_redirects=False) as response:
                return await _read(response, self._key)
        except NEVER_LEFT as error:
            raise NotSent(told(error)) from error
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Ambiguous(told(error)) from error


async def _read(response: aiohttp.ClientResponse, key: bytes) -> RawReply:
    """Read at most MAX_BODY bytes, after decompression; a larger answer is not kept, and so means nothing.

    A server that repeats the key it was sent does not bring it into the journal.
    """
    body = await read_at_most(response, MAX_BODY)
    if body is not None and key in body:
        body = body.replace(key, b"[key]")
    headers = response.headers
    return RawReply(
        status=response.status,
        body=TOO_LONG if body is None else body,
        retry_after=headers.get("Retry-After"),
        date=headers.get("Date"),
        location=headers.get("Location"),
    )
