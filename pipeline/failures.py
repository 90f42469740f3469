"""What a failed connection says: whether anything was sent, and in which words; and answers that are too long."""

from __future__ import annotations

import aiohttp

NEVER_LEFT = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
"""Failures before a byte of the request was written: connect, DNS, TLS, a proxy's no, no free connection."""

WORDS = (
    (aiohttp.ClientConnectorDNSError, "{host} has no address"),
    (aiohttp.ClientSSLError, "no secure connection to {host}"),
    (aiohttp.ClientConnectorError, "no connection to {host}"),
    (aiohttp.ConnectionTimeoutError, "no connection in time"),
    (TimeoutError, "no answer in time"),
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
)
"""What is said of a failure; of any other its kind."""


def told(error: Exception) -> str:
    """Why a request failed, in a few words without anything it held."""
    host = getattr(error, "host", "")
    if isinstance(getattr(error, "os_error", None), ConnectionRefusedError):
        return f"connection refused by {host}"
    return next((words.format(host=host) for kind, words in WORDS if isinstance(error, kind)), type(error).__name__)


async def read_at_most(response: aiohttp.ClientResponse, bound: int) -> bytes | None:
    """Read an answer of at most so many bytes, after decompression; None for a longer one."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > bound:
            response.close()
            return None
    return b"".join(chunks)
