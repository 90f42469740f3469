"""What flow and promise tests stand on: virtual time, a network made of the sandbox's decisions, and a night."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from pipeline import app
from pipeline.errors import Ambiguous, NotSent
from pipeline.protocol import RawReply
from pipeline.sandbox import Fault, SandboxOptions, World
from pipeline.sandbox.account import Account, read
from pipeline.sandbox.journal import Journal
from pipeline.session import Parts
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
    from pathlib import Path

    from pipeline.events import Event
    from pipeline.model import Permit
    from pipeline.observe.summary import Report
    from pipeline.session import Session

T = TypeVar("T")

START = 1_780_000_000.0
"""The moment at which virtual time begins: 2026-05-28, 20:26:40 UTC."""

KEY = "lc_test_virtual"


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose timers fire at once: when everybody waits, time jumps to the next deadline.

    Time creeps a little at every reading, as it does in life; a limiter that waits for 1e-17 s would otherwise
    never get further.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._virtual = start
        super().__init__()
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None = None) -> Any:
            ready = select(0)
            if not ready and timeout:
                self._virtual += timeout
            return ready

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        self._virtual += 1e-7
        return self._virtual


def run_virtual(coroutine: Coroutine[Any, Any, T], at: float = 0.0) -> T:
    """Run a coroutine in virtual time that begins `at` seconds after START."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(at)) as runner:
        return runner.run(coroutine)


def virtual_now() -> float:
    """The virtual wall clock."""
    return START + asyncio.get_running_loop().time()


class Server:
    """The sandbox without a socket: the same decisions, in virtual time. Lives through restarts of the client."""

    def __init__(self, **options: Any) -> None:
        self.account = Account(SandboxOptions(**options))
        self.journal = Journal(None)
        self.refuses_connections = False
        self.skew = 0.0

    @property
    def log(self) -> list[Any]:
        return self.journal.entries

    def asked_twice(self) -> list[str]:
        """Questions answered more than once, and soundly."""
        times = Counter(entry.question for entry in self.log if entry.good)
        return sorted(question for question, n in times.items() if n > 1)

    def most_in_a_day(self) -> int:
        """The most requests that fall into any 24 hours."""
        times, first, most = sorted(entry.at for entry in self.log), 0, 0
        for last, at in enumerate(times):
            while times[first] <= at - 86_400:
                first += 1
            most = max(most, last - first + 1)
        return most

    async def send(self, permit: Permit) -> RawReply:
        """Answer as the server would; a lost reply is Ambiguous, a closed port NotSent."""
        if self.refuses_connections:
            raise NotSent("ClientConnectorError")
        question = permit.question
        asked = read(
            question.endpoint, f"/v1/contacts/{question.endpoint}", f"Bearer {KEY}", "application/json", question.body
        )
        denied = self.account.denial(asked)
        at = virtual_now() + self.skew
        entry = self.journal.arrived(at, question.endpoint, asked.body, in_flight=1, counted=denied is None)
        reply = self.account.decide(asked, entry, denied)
        entry.credits = self.account.credits.left
        await asyncio.sleep(self.account.latency())
        lost = reply.status == 0 or entry.fault in (Fault.DROP, Fault.DROP_CHARGED, Fault.STALL, Fault.TRUNCATED)
        if lost:
            self._settled(entry)
            raise Ambiguous("ServerDisconnectedError")
        entry.status, entry.answered = reply.status, True
        self._settled(entry)
        return RawReply(
            reply.status,
            reply.body,
            retry_after=reply.headers.get("Retry-After"),
            date=formatdate(int(virtual_now() + self.skew), usegmt=True),
            location=reply.headers.get("Location"),
        )

    def _settled(self, entry: Any) -> None:
        self.account.settle(entry)
        self.journal.settled(entry, virtual_now())


async def inline(function: Callable[..., T], *arguments: Any) -> T:
    """Run what a thread would run, here and now."""
    return function(*arguments)


@dataclass
class Site:
    """A machine on which the program is run night after night: a folder, a server, virtual time."""

    folder: Path
    server: Server
    now: float = 0.0
    name: str = "out.jsonl"
    events: list[Event] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / self.name

    def clock(self) -> Callable[[], float]:
        """Make the clock of a run that begins now."""
        return virtual_now

    @staticmethod
    def clock_at(moment: float) -> float:
        """What the wall clock shows at a virtual time."""
        return START + moment

    def settings(self, **changes: Any) -> Settings:
        return Settings(
            **{
                "api_key": KEY,
                "base_url": "http://127.0.0.1:1/v1",
                "state": self.folder / "state.db",
                "wait_up_to": 3600,
                **changes,
            }
        )

    def night(self, leads: Path | str, *, at: float | None = None, **changes: Any) -> Report:
        """Run `enrich LEADS -o out.jsonl` at a virtual time; the clock goes on from where the run ends."""
        return self._run(lambda parts: app.enrich(parts, str(leads), str(self.out)), at, changes)

    def resume(self, *names: str, at: float | None = None, **changes: Any) -> Report:
        """Run `resume`."""
        return self._run(lambda parts: app.resume(parts, names), at, changes)

    def command(self, work: Callable[[Parts], Awaitable[T]], *, at: float | None = None, **changes: Any) -> T:
        """Run what another command does."""
        return self._run(work, at, changes)

    def _run(self, work: Callable[[Parts], Awaitable[T]], at: float | None, changes: dict[str, Any]) -> T:
        self.now = self.now if at is None else at

        async def go() -> T:
            parts = Parts(
                self.settings(**changes),
                tell=self.events.append,
                say=self.said.append,
                now=self.clock(),
                offload=inline,
                inline_state=True,
                durable_state=False,
                signals=False,
                connect=self._connect,
            )
            try:
                return await work(parts)
            finally:
                self.now = asyncio.get_running_loop().time()

        return run_virtual(go(), self.now)

    @asynccontextmanager
    async def _connect(self, _session: Session, _key: str) -> AsyncIterator[Server]:
        yield self.server

    def lines(self) -> list[dict[str, Any]]:
        """The output's lines."""
        return [orjson.loads(line) for line in self.out.read_bytes().splitlines()]


def write_leads(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    """Write a CSV lead list."""
    import csv  # noqa: PLC0415 - only here

    rows = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def people(companies: int, each: int = 3, *, seed: int = 0, start: int = 0) -> list[dict[str, str]]:
    """Invent a list: for every company a row without a person, `each` people it has, and one nobody knows."""
    world, rows = World(seed), []
    for n in range(start, start + companies):
        name = f"Northwind {n} Robotics"
        rows.append({"First Name": "", "Last Name": "", "Email": "", "Company Name": name})
        for person in world.company(name).people[:each]:
            row = {"First Name": person.first_name, "Last Name": person.last_name, "Email": "", "Company Name": name}
            rows.append(row)
        rows.append({"First Name": "Nobody", "Last Name": f"Known{n}", "Email": "", "Company Name": name})
    return rows
