"""Over a real socket: the key stays in its header, nothing is followed, and no server can exhaust us."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import tracemalloc
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import orjson
import pytest

from pipeline.client import TOO_LONG, Client
from pipeline.errors import Ambiguous, NotSent
from pipeline.model import Endpoint, Outcome, Permit, Questions
from pipeline.protocol import MAX_BODY, RawReply, classify, phones_question, search_question, verify_question
from pipeline.sandbox import Fault, Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pipeline.model import Question

KEY = "lc_live_open_sesame"
SEARCH = search_question("Acme Corp", Questions(), filtered=False)
VERIFY = verify_question("john.doe@acme.com")
PHONES = phones_question(
    email="john.doe@acme.com", first_name="John", last_name="Doe", company="Acme", questions=Questions()
)
PATIENCE = 1.0
"""Seconds; the real setting is 10 to 30."""


def permit(question: Question = SEARCH) -> Permit:
    return Permit(1, question, 0.0, 10)


def client(base_url: str, timeout: float = PATIENCE, connections: int = 4) -> Client:
    return Client(base_url, KEY, timeout=timeout, connections=connections)


async def ask(base_url: str, question: Question = SEARCH) -> RawReply:
    async with client(base_url) as sender:
        return await sender.send(permit(question))


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives everybody the same bytes and keeps what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        heard.append(head + await reader.readexactly(length))
        with closing(writer):
            writer.write(answer)
            await asyncio.wait_for(writer.drain(), 5)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heard


def response(body: bytes, *headers: str) -> bytes:
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


# --- the key and the address --------------------------------------------------------------------------


@pytest.mark.parametrize("question", [SEARCH, VERIFY, PHONES], ids=["search", "verify", "phones"])
async def test_the_key_is_in_the_authorization_header_and_nowhere_else(question: Question) -> None:
    """Not in the path, not in the body, once only (trap T0.1); the body is the canonical one."""
    async with listening(response(b"{}")) as (url, heard):
        await ask(url, question)
    head, _, body = heard[0].partition(b"\r\n\r\n")
    lines = [line for line in heard[0].split(b"\r\n") if KEY.encode() in line]
    assert lines == [b"Authorization: Bearer " + KEY.encode()]
    assert head.startswith(b"POST /v1/contacts/%b HTTP/1.1" % question.endpoint.encode())
    assert body == question.body


@pytest.mark.parametrize("question", [SEARCH, VERIFY, PHONES], ids=["search", "verify", "phones"])
async def test_the_server_understands_each_question(question: Question) -> None:
    """The sandbox, which refuses a misplaced key, answers all three soundly."""
    async with Sandbox(SandboxOptions(key=KEY)) as sandbox:
        told = await ask(sandbox.base_url, question)
    assert classify(question, told, 0.0).outcome is Outcome.FOUND
    assert told.date is not None


@pytest.mark.parametrize("fault", [Fault.REDIRECT_AWAY, Fault.REDIRECT_SAME_HOST])
async def test_a_redirect_is_never_followed(fault: Fault) -> None:
    """Following it would send the person's data again, and to the same host the key too."""
    async with Sandbox() as elsewhere, Sandbox(SandboxOptions(redirect_to=elsewhere.base_url)) as sandbox:
        sandbox.script([fault])
        told = await ask(sandbox.base_url)
        assert (told.status, sandbox.count(), elsewhere.count()) == (307, 1, 0)
    assert told.location is not None
    assert classify(SEARCH, told, 0.0).outcome is Outcome.REDIRECT


async def test_cookies_are_not_kept() -> None:
    """What a server wants remembered is not."""
    answer = response(b"{}", "Set-Cookie: id=7; Path=/")
    async with listening(answer) as (url, heard), client(url.replace("127.0.0.1", "localhost")) as sender:
        for _ in range(2):
            await sender.send(permit())
    assert [b"cookie" in request.lower() for request in heard] == [False, False]


# --- what left and what did not -----------------------------------------------------------------------


async def test_a_refused_connection_was_not_sent() -> None:
    """Nobody listens: nothing left, nothing is spent."""
    async with Sandbox() as sandbox:
        await sandbox.pause_listening()
        with pytest.raises(NotSent, match="connection refused by "):
            await ask(sandbox.base_url)
        assert sandbox.count() == 0


async def test_an_unknown_host_was_not_sent() -> None:
    """A name that cannot be found is as free as a refused connection."""
    with pytest.raises(NotSent, match="has no address"):
        await ask("http://nowhere.invalid/v1")


async def test_a_server_without_tls_was_not_sent() -> None:
    """A failed handshake comes before the first byte of the request."""
    async with Sandbox() as sandbox:
        with pytest.raises(NotSent):
            await ask(sandbox.base_url.replace("http:", "https:"))
        assert sandbox.count() == 0


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_what_a_proxy_refused_to_pass_on_was_not_sent(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy answered CONNECT itself: the API never heard of us, and neither key nor question left."""
    heard: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        with closing(writer):
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
        async with Client("https://api.invalid/v1", KEY, timeout=5, connections=1, trust_env=True) as sender:
            with pytest.raises(NotSent, match="ClientHttpProxyError"):
                await sender.send(permit())
    assert [request.partition(b"\r\n")[0] for request in heard] == [b"CONNECT api.invalid:443 HTTP/1.1"]
    assert KEY.encode() not in heard[0]


@pytest.fixture
def unanswered() -> Iterator[str]:
    """A host that takes no more connections: each knock goes unanswered."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)  # noqa: FBT003 - the socket's own signature
            one.connect_ex(server.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        for one in waiting:
            one.close()


async def test_a_connection_that_never_comes_about_was_not_sent(unanswered: str) -> None:
    """A host that is down behind its firewall costs no quota."""
    began = time.monotonic()
    with pytest.raises(NotSent, match="no connection in time"):
        await ask(unanswered)
    assert time.monotonic() - began < PATIENCE + 1


async def test_no_free_connection_was_not_sent() -> None:
    """Who waited in vain for a connection of our own sent nothing."""
    async with Sandbox(SandboxOptions(stall_seconds=5)) as sandbox:
        sandbox.script([Fault.STALL])
        async with client(sandbox.base_url, connections=1) as sender:
            told = await asyncio.gather(*(sender.send(permit()) for _ in range(2)), return_exceptions=True)
        assert [type(one) for one in told] == [Ambiguous, NotSent]
        assert sandbox.count() == 1


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.DROP_CHARGED, Fault.TRUNCATED, Fault.STALL])
async def test_what_was_lost_on_the_way_back_may_be_spent(fault: Fault) -> None:
    """The server had the request: it was perhaps served and charged, and was sent once only."""
    async with Sandbox(SandboxOptions(stall_seconds=5)) as sandbox:
        sandbox.script([fault])
        with pytest.raises(Ambiguous):
            await ask(sandbox.base_url)
        assert sandbox.count() == 1


async def test_a_kept_connection_that_died_is_not_written_to_twice() -> None:
    """A POST on a connection the server has closed meanwhile is reported, not silently sent again."""
    async with Sandbox() as sandbox, client(sandbox.base_url) as sender:
        await sender.send(permit())
        sandbox.script([Fault.DROP])
        with pytest.raises(Ambiguous):
            await sender.send(permit())
        assert sandbox.count() == 2
        assert (await sender.send(permit())).status == 200


# --- servers that are out of their minds --------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.ENDLESS_DRIP])
async def test_patience_ends(fault: Fault) -> None:
    """Whether silent or dripping for ever, an answer has the timeout to come in whole."""
    async with Sandbox(SandboxOptions(stall_seconds=20)) as sandbox:
        sandbox.script([fault])
        began = time.monotonic()
        with pytest.raises(Ambiguous, match="no answer in time"):
            await ask(sandbox.base_url)
        assert PATIENCE - 0.1 <= time.monotonic() - began < PATIENCE + 1


async def test_a_flood_of_headers_is_cut_off() -> None:
    """Two thousand headers are not collected; the request may have been charged."""
    async with Sandbox() as sandbox:
        sandbox.script([Fault.HEADER_FLOOD])
        with pytest.raises(Ambiguous):
            await ask(sandbox.base_url)


@pytest.mark.parametrize("size", [0, 1, MAX_BODY - 1, MAX_BODY, MAX_BODY + 1, 3 * MAX_BODY])
async def test_a_body_is_read_up_to_its_bound(size: int) -> None:
    """Of a larger answer only a note is kept, of any other every byte."""
    body = bytes(size)
    async with listening(response(body)) as (url, _):
        told = await ask(url)
    assert told == RawReply(200, body if size <= MAX_BODY else TOO_LONG)


ASYLUM = """
import asyncio, sys
from pipeline.sandbox import Fault, SandboxOptions, serve
options = SandboxOptions(faults={Fault(sys.argv[1]): 1.0}, bomb_bytes=256 << 20)
asyncio.run(serve(options, port=0, ready=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("fault", [Fault.GZIP_BOMB, Fault.HUGE_BODY, Fault.DEEP_JSON, Fault.HEADER_FLOOD])
async def test_no_answer_takes_more_memory_than_its_bound(fault: Fault) -> None:
    """256 MiB out of a small gzip body, or 64 MiB plain: a few bounds' worth of memory, never the size of it."""
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", ASYLUM, fault, stdout=subprocess.PIPE)
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()
    async with client(url, timeout=20) as sender:
        tracemalloc.start()
        told = (await asyncio.gather(sender.send(permit()), return_exceptions=True))[0]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    server.kill()
    await server.wait()
    assert peak < 12 << 20
    if fault is Fault.HEADER_FLOOD:
        assert isinstance(told, Ambiguous)
        return
    assert isinstance(told, RawReply)
    assert len(told.body) < MAX_BODY
    assert classify(SEARCH, told, 0.0).outcome is Outcome.UNEXPECTED


async def test_what_is_not_json_arrives_as_it_is() -> None:
    """A paid answer is never thrown away over its content type, its bytes or its encoding."""
    async with Sandbox() as sandbox:
        for fault in (Fault.CHALLENGE_PAGE, Fault.NOT_JSON, Fault.INVALID_UTF8, Fault.NAN, Fault.WRONG_CONTENT_TYPE):
            sandbox.script([fault])
            told = await ask(sandbox.base_url)
            assert told.status == 200
            assert told.body
        assert orjson.loads(told.body)["success"] is True
        assert sandbox.count(Endpoint.SEARCH, 200) == 5
