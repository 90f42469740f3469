"""A hostile server over a real socket: bounded memory of the real command, every answer classed, a clean end."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pytest
from soak import SOAKING, size
from support import people, write_leads
from system_site import KEY, Machine, Told, ended, site

from pipeline.model import Endpoint
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable, Iterator

MEMORY = 150
"""Megabytes of resident memory that no server can drive a run beyond."""

WORKERS = 50
PLAN = ("--plan", "enterprise", "--daily-quota", "5000", "--wait-up-to", "0", "--timeout", "10s")
ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--summary", "summary.json")
MIB = 1 << 20


class Night(NamedTuple):
    """How a run among enemies went: what it said, its peak of memory in MB, and its summary."""

    told: Told
    peak: float
    summary: dict[str, Any]


async def highest(process: Process) -> float:
    """The most resident memory a process ever had, as its kernel counted it, in MB."""
    most = 0
    while process.returncode is None:
        most = max(most, high_water(process.pid))
        await asyncio.sleep(0.005)
    return most / 1024


def high_water(pid: int) -> int:
    """A process's peak of resident memory so far, in kB; 0 if it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) if found else 0


async def night(machine: Machine, *more: object) -> Night:
    """Run the list and watch its memory; whatever comes, nobody sees a traceback and every row is in one state."""
    process = await machine.start(*ENRICH, *more)
    watching = asyncio.create_task(highest(process))
    told = await ended(process)
    assert "Traceback" not in told.err
    assert "Please report" not in told.err, told.err
    summary = orjson.loads((machine.folder / "summary.json").read_bytes())
    (job,) = summary["jobs"]
    states = ("enriched", "partial", "not_found", "invalid", "failed", "pending")
    assert job["leads"] == sum(job[state] for state in states)
    assert len(machine.rows()) == len(set(machine.rows())) == job["leads"] - job["pending"]
    return Night(told, await watching, summary)


# --- answers without end ------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
START = b'{"success":true,"data":{"contacts":[],"total":0,"pad":"'


def plain(length: int) -> Iterator[bytes]:
    """A body of so many bytes, as announced."""
    yield HEAD + b"Content-Length: %d\r\n\r\n" % length + START
    for _ in range(length >> 16):
        yield b"x" * (1 << 16)


def endless() -> Iterator[bytes]:
    """Chunks for ever."""
    yield HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"x" * (1 << 16) + b"\r\n"


@lru_cache
def bomb(layers: int) -> bytes:
    """256 MiB of one letter, packed once or twice."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    body = b"".join([*(packer.compress(b"x" * MIB) for _ in range(256)), packer.flush()])
    for _ in range(layers - 1):
        body = gzip.compress(body)
    return body


def packed(layers: int) -> Iterator[bytes]:
    """A small body that is not small."""
    body, encodings = bomb(layers), b", ".join([b"gzip"] * layers)
    yield HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encodings, len(body)) + body


def headers() -> Iterator[bytes]:
    """Header after header, for ever, and no body."""
    yield HEAD
    while True:
        yield b"X-Noise: " + b"y" * 4000 + b"\r\n"


def one_long_line() -> Iterator[bytes]:
    """A status line that does not end."""
    yield b"HTTP/1.1 200 "
    while True:
        yield b"O" * (1 << 16)


ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "100 MB": lambda: plain(100 * MIB),
    "endless chunks": endless,
    "gzip bomb": lambda: packed(1),
    "gzip bomb in gzip": lambda: packed(2),
    "endless headers": headers,
    "endless status line": one_long_line,
}


GOOD_FOR = 20
"""Requests that are answered soundly before the floods begin: by then 50 are under way at once."""


def sound(n: int) -> Iterator[bytes]:
    """A company nobody knows, for one credit."""
    body = orjson.dumps({"success": True, "data": {"contacts": [], "total": 0, "credits_remaining": 5_000 - n}})
    yield HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def flooding(kinds: list[Callable[[], Iterator[bytes]]]) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that is sound at first, then gives everybody a flood; says how many bytes of each it got rid of."""
    sent: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
        n = len(sent)
        sent.append(0)
        for piece in sound(n) if n < GOOD_FOR else kinds[n % len(kinds)]():
            writer.write(piece)
            await writer.drain()
            sent[n] += len(piece)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", sent


@pytest.mark.parametrize("case", ["all of them", *(ENDLESS if SOAKING else ())])
async def test_no_flood_drowns_the_run(
    tmp_path: Path, case: str, record_property: Callable[[str, object], None]
) -> None:
    """With 50 at once: less than 150 MB, each flood cut off, and the outage rule ends the run with 75."""
    write_leads(tmp_path / "leads.csv", people(120, 0))
    machine = Machine(tmp_path, {"LEADCONTACT_API_KEY": KEY})
    kinds = [ENDLESS[case]] if case in ENDLESS else list(ENDLESS.values())
    async with flooding(kinds) as (url, sent):
        found = await night(machine, "--base-url", url, "--concurrency", WORKERS)
    floods = sent[GOOD_FOR:]
    assert 20 <= len(floods) <= WORKERS + 6
    assert max(floods) < 100 * MIB
    assert found.peak < MEMORY
    assert (found.told.code, found.summary["stop"]["why"]) == (75, "outage")
    assert found.summary["requests"]["sent"] == len(sent)
    record_property(f"MB at most, {WORKERS} floods at once: {case}", round(found.peak))


# --- answers out of their mind ------------------------------------------------------------------------

ODD = [
    Fault.DEEP_JSON,
    Fault.NAN,
    Fault.NUMBERS_AS_STRINGS,
    Fault.NULL_FIELDS,
    Fault.MISSING_FIELDS,
    Fault.EXTRA_FIELDS,
    Fault.INVALID_UTF8,
    Fault.HEADER_FLOOD,
    Fault.WRONG_CONTENT_TYPE,
    Fault.OTHER_EMAIL,
    Fault.OTHER_COMPANY,
    Fault.TRUNCATED,
    Fault.GZIP_BOMB,
    Fault.HUGE_BODY,
    Fault.DATA_IS_LIST,
]


@pytest.mark.parametrize("seed", range(size(1, 8)))
async def test_a_run_goes_on_among_odd_answers(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Every second answer is odd in one of fifteen ways: all are classed, none costs more memory than it may."""
    write_leads(tmp_path / "leads.csv", people(40, 2, seed=seed))
    faults = dict.fromkeys(ODD, 0.5 / len(ODD))
    async with site(tmp_path, seed=seed, latency=0.02, faults=faults) as (machine, sandbox):
        found = await night(machine, "--concurrency", WORKERS)
        assert found.summary["requests"]["sent"] == sandbox.count()
        again = await night(machine, "--concurrency", WORKERS)
    assert found.told.code in (0, 75), found.told.err
    assert again.told.code in (0, 75), again.told.err
    assert len(machine.rows()) > 40
    assert max(found.peak, again.peak) < MEMORY
    record_property("MB at most among odd answers", round(max(found.peak, again.peak)))


async def test_a_server_that_sends_bombs_costs_no_more_than_a_dead_one(tmp_path: Path) -> None:
    """A sound empty answer and then megabytes of spaces is no answer: nobody is `not_found` by it (promise 7)."""
    write_leads(tmp_path / "leads.csv", people(40, 2))
    async with site(tmp_path, faults={Fault.GZIP_BOMB: 1.0}) as (machine, sandbox):
        found = await night(machine, "--concurrency", 4)
        assert sandbox.count() <= 4 + 6
    assert (found.told.code, found.summary["stop"]["why"]) == (75, "outage")
    assert {len(body) < 100 for (body,) in machine.query("SELECT body FROM answer")} == {True}
    assert machine.lines() == []


async def test_an_answer_about_another_address_confirms_nothing(tmp_path: Path) -> None:
    """Verify echoes somebody else's e-mail, certain and deliverable: no row's own address is called deliverable."""
    rows = [{"Company Name": "Acme Corp", "Email": f"person{n}@acme-example.com"} for n in range(3)]
    write_leads(tmp_path / "leads.csv", rows)
    async with site(tmp_path, faults={Fault.OTHER_EMAIL: 1.0}, fault_endpoint=Endpoint.VERIFY) as (machine, sandbox):
        found = await night(machine, "--concurrency", 2, "--steps", "verify")
        gate = await machine.run("verify", "person0@acme-example.com", *PLAN)
        assert sandbox.count(Endpoint.VERIFY) >= 3
    assert set(found.summary["requests"]["outcomes"]) == {"unexpected"}
    assert [line for line in machine.lines() if line["email"] and line["email"]["deliverable"]] == []
    assert (gate.code, "somebody" in gate.out) == (75, False)


async def test_people_of_another_company_fill_no_row(tmp_path: Path) -> None:
    """The search returns Globex's people for every company: no row takes one, whether it names a person or not."""
    write_leads(tmp_path / "leads.csv", people(4, 2))
    async with site(tmp_path, faults={Fault.OTHER_COMPANY: 1.0}, fault_endpoint=Endpoint.SEARCH) as (
        machine,
        sandbox,
    ):
        await night(machine, "--concurrency", 4, "--steps", "search")
        strangers = sandbox.world.company("Globex").people
    values = {value for person in strangers for value in (person.email, person.phone) if value}
    told = [line[field]["value"] for line in machine.lines() for field in ("email", "phone") if line[field]]
    assert len(machine.lines()) == 16
    assert values.isdisjoint(told)
