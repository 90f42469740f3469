"""`make bench`: speed as a ratio to a bare aiohttp loop in the same call, start-up times, memory.

The upstream is nginx, or the sandbox in a process of its own where nginx is not installed; both sides send the same
questions with 50 under way, at 20 ms and at no latency. Throughput of the pipeline is with full durability: every
request reserved and every answer kept, each synced to disk. Medians over ROUNDS paired rounds, each a night of
REQUESTS with its start and its end: a tenth of a second, for the state, the first searches that go alone, and the
output.
"""

from __future__ import annotations

import asyncio
import csv
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
import rivals
from upstream import sandbox, upstream

from pipeline import app
from pipeline.model import Questions
from pipeline.protocol import RawReply, search_question
from pipeline.session import Parts
from pipeline.settings import Settings
from pipeline.store.commit import Committer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pipeline.model import Permit

ROUNDS = 5
REQUESTS = 20_000
HALF = REQUESTS // 2
WORKERS = 50
AGAIN = 100_000
KEY = "lc_test_bench"


def companies(start: int) -> list[str]:
    """Name as many companies as there are requests, different in every round."""
    return [f"Bench {start + n} Works" for n in range(REQUESTS)]


class Took(NamedTuple):
    """What a round took: requests a second, and our process's CPU a request in microseconds."""

    rate: float
    cpu: float


@contextmanager
def measured(requests: int) -> Iterator[list[Took]]:
    """Measure what happens inside."""
    took: list[Took] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    took.append(Took(requests / wall, cpu / requests * 1e6))


async def bare(base: str, names: list[str]) -> Took:
    """Send every question with a plain loop and drop the answers."""
    bodies = iter([search_question(name, Questions(), filtered=True).body for name in names])
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=WORKERS)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def worker() -> None:
            for body in bodies:
                async with session.post(f"{base}/contacts/search", data=body) as response:
                    await response.read()

        with measured(len(names)) as took:
            await asyncio.gather(*(worker() for _ in range(WORKERS)))
    return took[0]


def parts(base: str, folder: Path, **more: Any) -> Parts:
    """The parts of a night on the state in a folder."""
    common: dict[str, Any] = {
        "api_key": KEY,
        "base_url": base,
        "plan": "enterprise",
        "daily_quota": 10_000_000,
        "concurrency": WORKERS,
        "steps": "search",
        "state": folder / "state.db",
    }
    return Parts(Settings(**common, **more), lambda _: None, lambda _: None)


def taken_in(base: str, names: list[str], folder: Path, out: str) -> str:
    """Take a list in without asking; return the job's name."""
    leads = folder / f"{out}.csv"
    with leads.open("w", newline="") as file:
        csv.writer(file).writerows([["Company"], *([name] for name in names)])
    asyncio.run(app.enrich(parts(base, folder, max_requests=0), str(leads), str(folder / out)))
    return str(folder / out)


def ours(base: str, names: list[str], folder: Path) -> Took:
    """Send the same questions through the whole pipeline; the list was taken in before."""
    job = taken_in(base, names, folder, "out.jsonl")
    with measured(len(names)) as took:
        report = asyncio.run(app.resume(parts(base, folder), [job]))
    assert sum(report.requests.values()) == len(names), report
    return took[0]


class Night(NamedTuple):
    """What processes on one state did together: requests a second, and the most memory of one in MB."""

    rate: float
    memory: float


def together(base: str, start: int, processes: int) -> Night:
    """Let so many processes work on one state, each on a list of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lists = [companies(start + n * REQUESTS)[:HALF] for n in range(processes)]
        jobs = [taken_in(base, names, folder, f"{n}.jsonl") for n, names in enumerate(lists)]
        command = [sys.executable, __file__, "--resume", base, name]
        running = [subprocess.Popen([*command, job], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for job in jobs]
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # ready
        begin = time.perf_counter()
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        told = [process.communicate()[0] for process in running]
        rate = HALF * processes / (time.perf_counter() - begin)
        return Night(rate, max(int(most) / 1024 for most in told))


def resume_when_told(base: str, folder: str, job: str) -> None:
    """One of several processes on one state."""
    import pipeline.client  # noqa: F401, PLC0415 - what a process needs once is not measured

    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(app.resume(parts(base, Path(folder)), [job]))
    print(most_memory())


def most_memory() -> int:
    """The most memory this process had, in KiB. `ru_maxrss` would begin with what its parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def seconds_of(*command: str) -> float:
    """Wall time of a command, the best of seven."""
    times = []
    for _ in range(7):
        begin = time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        times.append(time.perf_counter() - begin)
    return min(times)


def start_up(base: str, folder: Path) -> list[tuple[str, float, float]]:
    """Time --help and a run with nothing left to do, over bare Python: what, milliseconds, goal."""
    leads = folder / "few.csv"
    leads.write_text("Company\nAcme Corp\n")
    command = [sys.executable, "-m", "pipeline"]
    enrich = [*command, "enrich", str(leads), "-o", str(folder / "few.jsonl"), "--state", str(folder / "few.db")]
    enrich += ["--base-url", base, "--steps", "search"]
    subprocess.run(enrich, capture_output=True, check=True)
    python = seconds_of(sys.executable, "-c", "pass")
    return [
        ("--help, over bare Python", (seconds_of(*command, "--help") - python) * 1000, 60),
        ("nothing left to do, over bare Python", (seconds_of(*enrich) - python) * 1000, 400),
    ]


def row(what: str, value: str, goal: str, *, met: bool) -> None:
    """Print one row of the table."""
    print(f"{what:<40}{value:>16}   {goal:<12}{'met' if met else 'NOT MET'}")


class Answers:
    """A network that answers every search at once, with one contact."""

    async def send(self, permit: Permit) -> RawReply:
        """Answer from memory."""
        company = orjson.loads(permit.question.body)["company"]
        contact = {"first_name": "Kim", "last_name": "Lee", "email": "kim@acme.com", "email_confidence": 0.95}
        data = {"contacts": [contact | {"company": company}], "total": 1}
        return RawReply(200, orjson.dumps({"success": True, "data": data}))


def again(folder: Path) -> float:
    """Lines a second of a list whose answers are all there, taken in anew, over reading and writing them."""
    leads, first, second = folder / "again.csv", folder / "first.jsonl", folder / "second.jsonl"
    with leads.open("w", newline="") as file:
        csv.writer(file).writerows([["Company"], *([f"Known {n} Works"] for n in range(AGAIN))])

    @asynccontextmanager
    async def connect(_: object, __: str) -> AsyncIterator[Answers]:
        yield Answers()

    def run(out: Path) -> None:
        how: dict[str, Any] = {"plan": "enterprise", "daily_quota": 10**9, "steps": "search", "api_key": KEY}
        settings = Settings(**how, state=folder / "again.db")
        asyncio.run(
            app.enrich(Parts(settings, lambda _: None, lambda _: None, connect=connect), str(leads), str(out))
        )

    run(first)
    with measured(AGAIN) as took:
        run(second)
    begin = time.perf_counter()
    with second.open("rb") as lines, (folder / "plain.jsonl").open("wb") as out:
        for line in lines:
            out.write(orjson.dumps(orjson.loads(line), option=orjson.OPT_APPEND_NEWLINE))
    return took[0].rate * (time.perf_counter() - begin) / AGAIN


def pairs_at(base: str) -> list[tuple[Took, Took]]:
    """Measure both sides in turns."""
    asyncio.run(bare(base, companies(10_000_000)[:HALF]))  # warm the upstream, and ourselves
    pairs = []
    for n in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            plain = asyncio.run(bare(base, companies(2 * n * REQUESTS)))
            pairs.append((plain, ours(base, companies((2 * n + 1) * REQUESTS), Path(folder))))
    return pairs


def speed(base: str, goal: float) -> float:
    """Print the rows of one latency; return the bare loop's requests a second."""
    pairs = pairs_at(base)
    cpu = [statistics.median(pair[side].cpu for pair in pairs) for side in (0, 1)]
    rates = [statistics.median(pair[side].rate for pair in pairs) for side in (0, 1)]
    for what, side in (("bare aiohttp loop", 0), ("pipeline, full durability", 1)):
        print(f"{what:<40}{rates[side]:>10,.0f} req/s   {cpu[side]:.0f} us CPU a request")
    ratios = sorted(full.rate / plain.rate for plain, full in pairs)
    ratio = statistics.median(ratios)
    row("ratio of requests a second", f"{ratio:.2f}", f">= {goal}", met=ratio >= goal)
    print(f"  of the rounds: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    row("ratio of CPU a request", f"{cpu[1] / cpu[0]:.2f}", "<= 1.5", met=cpu[1] <= 1.5 * cpu[0])
    return rates[0]


def compared(base: str, plain: float) -> None:
    """What a user would write, or pick: requests a second, over the bare loop's."""
    for name in rivals.RIVALS:
        rate = rivals.measured(name, base)
        told = (
            "not installed: pip install '.[bench]'" if rate is None else f"{rate:>10,.0f} req/s   {rate / plain:.2f}"
        )
        print(f"{name:<40}{told}")


def main() -> None:
    """Print the table."""
    os.environ["LEADCONTACT_API_KEY"] = KEY
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {REQUESTS:,} requests, {WORKERS} under way")
    made: list[Committer] = []
    begun = Committer.__init__

    def counted(self: Committer, *args: Any, **how: Any) -> None:
        begun(self, *args, **how)
        made.append(self)

    Committer.__init__ = counted  # type: ignore[method-assign]
    with upstream(0.02) as server:
        print(f"--- 20 ms; the upstream is {server.what}")
        plain = speed(server.base, 0.97)
        busiest = max(committer.commits for committer in made) / REQUESTS
        row("commits an answer", f"1/{1 / busiest:.0f}", "<= 1/50", met=busiest <= 1 / 50)
        compared(server.base, plain)
        nights = [together(server.base, 20_000_000 * n, 2 - n % 2) for n in range(1, 7)]
        share = statistics.median(two.rate / alone.rate for alone, two in zip(nights[::2], nights[1::2], strict=True))
        row("two processes on one state, over one", f"{share:.2f}", ">= 1.6", met=share >= 1.6)
        memory = max(night.memory for night in nights)
        row("peak memory of a night", f"{memory:.0f} MB", "< 100 MB", met=memory < 100)
    with upstream(0.0) as server:
        print(f"--- 0 ms; the upstream is {server.what}")
        speed(server.base, 0.80)
    with tempfile.TemporaryDirectory() as folder:
        share = again(Path(folder))
    row(f"{AGAIN:,} leads again, of plain read and write", f"{share:.2f}", ">= 0.10", met=share >= 0.10)
    process, base = sandbox(0.0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            times = start_up(base, Path(folder))
    finally:
        process.terminate()
    for what, value, most in times:
        row(what, f"{value:.0f} ms", f"<= {most:.0f} ms", met=value <= most)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--resume"]:
        resume_when_told(*sys.argv[2:])
    else:
        main()
