"""The client decides one thing: what certainly never left, and what may have been served and charged."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aioresponses import CallbackResult, aioresponses
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pipeline.client import Client
from pipeline.errors import Ambiguous, NotSent
from pipeline.failures import WORDS
from pipeline.model import Permit, Question, Questions
from pipeline.protocol import RawReply, phones_question, search_question, verify_question

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "https://api.leadcontact.example/v1"
KEY = "lc_live_sesame"
VERIFY = f"{BASE}/contacts/verify"
SOCKET = ConnectionKey("h", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
INFO = aiohttp.RequestInfo(URL(VERIFY), "POST", CIMultiDictProxy(CIMultiDict()), URL(VERIFY))
REFUSED = ConnectionRefusedError(111, "refused")


def permit(question: Question | None = None) -> Permit:
    return Permit(1, question or verify_question("jane@acme.com"), 0.0, 1)


@pytest.fixture
def wire() -> Iterator[aioresponses]:
    with aioresponses() as mocked:
        yield mocked


async def send(question: Question | None = None, base: str = BASE) -> RawReply:
    async with Client(base, KEY, timeout=5, connections=1) as client:
        return await client.send(permit(question))


REFUSAL = "connection refused by h"


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 401, 402, 403, 404, 422, 429, 500, 503])
async def test_any_status_is_an_answer(wire: aioresponses, status: int) -> None:
    """The client judges no status: it hands on the number and the bytes as they came."""
    wire.post(VERIFY, status=status, body=b"\xff not json")
    assert await send() == RawReply(status, b"\xff not json")


async def test_a_key_that_the_server_repeats_is_not_handed_on(wire: aioresponses) -> None:
    """It would end in the journal, in an output's reason, and in exports."""
    wire.post(VERIFY, status=400, body=f'{{"error":"bad token Bearer {KEY}"}}')
    assert await send() == RawReply(400, b'{"error":"bad token Bearer [key]"}')


async def test_the_headers_that_matter_are_picked(wire: aioresponses) -> None:
    """Retry-After, Date and Location are handed on, whatever their case; the rest is dropped."""
    headers = {
        "retry-after": "7",
        "DATE": "Wed, 21 Oct 2026 07:28:00 GMT",
        "Location": "http://elsewhere.invalid/",
        "X-Secret": "1",
    }
    wire.post(VERIFY, status=429, body=b"{}", headers=headers)
    told = await send()
    assert told == RawReply(
        429, b"{}", retry_after="7", date="Wed, 21 Oct 2026 07:28:00 GMT", location="http://elsewhere.invalid/"
    )


@pytest.mark.parametrize(
    "question",
    [
        search_question("Acme Corp", Questions(), filtered=False),
        verify_question("jane@acme.com"),
        phones_question(email="a@b.de", first_name=None, last_name=None, company=None, questions=Questions()),
    ],
    ids=lambda question: str(question.endpoint),
)
@pytest.mark.parametrize("base", [BASE, f"{BASE}/"])
async def test_a_question_goes_to_its_endpoint_as_it_is(wire: aioresponses, question: Question, base: str) -> None:
    """The body on the wire is the canonical body whose hash is the question's key."""
    sent: list[dict[str, object]] = []

    def answer(url: URL, **how: object) -> CallbackResult:
        sent.append({"url": str(url), "data": how["data"], "redirects": how["allow_redirects"]})
        return CallbackResult(body=b"{}")

    wire.post(f"{BASE}/contacts/{question.endpoint}", callback=answer)
    await send(question, base)
    assert sent == [{"url": f"{BASE}/contacts/{question.endpoint}", "data": question.body, "redirects": False}]


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (aiohttp.ClientConnectorError(SOCKET, REFUSED), NotSent),
        (aiohttp.ClientConnectorDNSError(SOCKET, OSError(-2, "unknown")), NotSent),
        (aiohttp.ClientConnectorCertificateError(SOCKET, ssl.SSLCertVerificationError("bad")), NotSent),
        (aiohttp.ClientConnectorSSLError(SOCKET, OSError(1, "handshake")), NotSent),
        (aiohttp.ClientProxyConnectionError(SOCKET, REFUSED), NotSent),
        (aiohttp.ClientHttpProxyError(INFO, (), status=407, message="no"), NotSent),
        (aiohttp.ConnectionTimeoutError("no connection"), NotSent),
        (aiohttp.InvalidURL("http://"), NotSent),
        (aiohttp.ServerDisconnectedError(), Ambiguous),
        (aiohttp.ServerTimeoutError("late"), Ambiguous),
        (aiohttp.SocketTimeoutError("late"), Ambiguous),
        (aiohttp.ClientOSError(104, "reset"), Ambiguous),
        (aiohttp.ClientPayloadError("half"), Ambiguous),
        (aiohttp.ClientResponseError(INFO, (), status=400, message="bad header"), Ambiguous),
        (aiohttp.ClientConnectionResetError("closing"), Ambiguous),
        (TimeoutError(), Ambiguous),
        (ConnectionResetError(104, "reset"), Ambiguous),
        (BrokenPipeError(32, "pipe"), Ambiguous),
        (ValueError("chunk"), Ambiguous),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
async def test_a_failure_is_free_only_if_nothing_left(
    wire: aioresponses, error: Exception, means: type[Exception]
) -> None:
    """What failed before the first byte is free; everything else counts as spent (trap T1.1)."""
    wire.post(VERIFY, exception=error)
    with pytest.raises((NotSent, Ambiguous)) as caught:
        await send()
    assert caught.type is means
    assert str(caught.value) in {type(error).__name__, *(words.format(host="h") for _, words in WORDS), REFUSAL}


async def test_errors_name_a_kind_and_no_values(wire: aioresponses) -> None:
    """An error's text may travel into logs and the journal: neither key, address nor URL is in it."""
    wire.post(VERIFY, exception=aiohttp.ClientOSError(f"{KEY} jane@acme.com {VERIFY}"))
    with pytest.raises(Ambiguous, match=r"^ClientOSError$"):
        await send()


async def test_being_cancelled_is_not_a_failure_of_the_wire(wire: aioresponses) -> None:
    """Who is cancelled is cancelled; nothing is concluded about the request."""
    wire.post(VERIFY, exception=asyncio.CancelledError())  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(asyncio.CancelledError):
        await send()
