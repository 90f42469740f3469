"""A plain model of an account: what was sent, charged, answered and lost, counted without the store's code."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
from support import Server, Site, VirtualLoop, inline, virtual_now, write_leads

from pipeline import app
from pipeline.errors import Ambiguous, NotSent
from pipeline.events import PermitGiven, RequestSettled, RunStopped
from pipeline.model import Stop
from pipeline.protocol import RawReply
from pipeline.session import Parts, steady_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pipeline.events import Event
    from pipeline.model import Permit
    from pipeline.observe.summary import Report
    from pipeline.session import Session

DAY, FRESH = 86_400.0, 48 * 3_600.0
LIMIT = 5


@dataclass(eq=False)
class Flight:
    """One request on the wire: who sent it when by its own clock, and what the server made of it."""

    process: Process
    permit: Permit
    at: float
    blind: bool
    reply: asyncio.Future[RawReply]
    served: RawReply | None = None
    outcome: str = ""
    dated: float = math.inf

    def end(self, outcome: str) -> None:
        """It came to something: it counts from now, or if its process died from the last moment it can have left."""
        self.outcome = outcome
        self.dated = self.at + 61 if outcome == "lost" else self.process.now_by() + 1

    @property
    def key(self) -> bytes:
        return self.permit.question.key

    @property
    def company(self) -> str:
        return str(orjson.loads(self.permit.question.body)["company"])


@dataclass
class Vendor:
    """The server's side: credits, a price, and everything that came in, in order."""

    price: int | None
    credits: int
    reserve: int
    zone: str | None
    told: bool = False
    flights: list[Flight] = field(default_factory=list)
    promised: set[tuple[int, str]] = field(default_factory=set)
    """Questions that got a permit, by process, and whose request has not come in yet."""

    def arrives(self, flight: Flight, quota: int, taken_in: float) -> None:
        """Hold the promises to account at the very moment something is sent."""
        assert self.in_window(flight.at) < quota, "over the quota"
        assert all(other.key != flight.key for other in self.open()), "one question under way twice"
        paid = [other for other in self.flights if other.key == flight.key and other.outcome in ("found", "refused")]
        assert all(other.at < taken_in - FRESH for other in paid if other.outcome == "found"), "paid twice"
        self.flights.append(flight)

    def in_window(self, now: float) -> int:
        sent = [flight.at for flight in self.flights if flight.outcome != "not_sent"]
        if self.zone is None:
            return sum(at > now - DAY for at in sent)
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(now, zone).date()
        return sum(datetime.fromtimestamp(at, zone).date() == today for at in sent)

    def open(self) -> list[Flight]:
        return [flight for flight in self.flights if not flight.outcome]

    def serve(self, flight: Flight) -> RawReply:
        """Work out the answer and charge it, once."""
        if flight.served is None:
            people = int(flight.company.split()[1]) % (LIMIT + 1)
            cost = people if self.price is None else self.price
            self.credits -= cost
            assert flight.blind or self.credits >= self.reserve or cost == 0, "into the reserve"
            contacts = [{"first_name": "A", "last_name": f"B{n}", "email": f"b{n}@c.com"} for n in range(people)]
            data = {"contacts": contacts, "total": people, "credits_remaining": self.credits}
            flight.served = RawReply(200, orjson.dumps({"success": True, "data": data}))
        return flight.served


class Process(Site):
    """One running program: a job of its own on the shared state, its requests answered when the model says so."""

    def __init__(self, folder: Path, vendor: Vendor, number: int, tell: Callable[[str], float]) -> None:
        super().__init__(folder, Server(), name=f"out{number}.jsonl")
        self.vendor = vendor
        self.number = number
        self.taken_in: dict[str, float] = {}
        self.task: asyncio.Task[Report] | None = None
        self.session: Session | None = None
        self.holds_writes = False
        self.refused = 0
        self.quota = 0
        self._wall = tell

    @property
    def running(self) -> bool:
        return self.task is not None

    def start(self, companies: list[str], **changes: Any) -> None:
        """Run `enrich` on a list of companies, by a clock that begins now."""
        leads = write_leads(self.folder / f"{self.number}.csv", [{"Company Name": name} for name in companies])
        self.refused, self.session, self.quota = 0, None, changes["daily_quota"]
        self.now_by = steady_clock(lambda: self._wall("wall"), virtual_now)
        for name in companies:
            self.taken_in.setdefault(name, self.now_by())
        parts = Parts(
            self.settings(plan="enterprise", concurrency=3, steps="search", limit=LIMIT, wait_up_to=0, **changes),
            tell=self._hear,
            say=self.said.append,
            now=self.now_by,
            offload=self._offload,
            inline_state=True,
            durable_state=False,
            signals=False,
            connect=self._connects,
        )
        self.task = asyncio.get_running_loop().create_task(app.enrich(parts, str(leads), str(self.out)))

    def _hear(self, event: Event) -> None:
        """At the moment a run says that the window is full, it is full by the model's count too.

        That counts the requests that have their permit and are about to be sent.
        """
        if isinstance(event, PermitGiven):
            self.vendor.promised.add((self.number, event.key))
        if isinstance(event, RequestSettled):  # withdrawn before it was sent
            self.vendor.promised.discard((self.number, event.key))
        if not isinstance(event, RunStopped) or event.why != Stop.QUOTA or self.vendor.zone is not None:
            return
        since = self.now_by() - DAY - 1
        counts = [flight for flight in self.vendor.flights if flight.outcome != "not_sent" and flight.dated > since]
        assert len(counts) + len(self.vendor.promised) >= self.quota, "a night is lost needlessly"

    def _connects(self, session: Session, key: str) -> AbstractAsyncContextManager[Any]:
        self.session = session
        return self._sender(session, key)

    def _sender(self, session: Session, key: str) -> AbstractAsyncContextManager[Any]:
        self.server.send = self.send  # type: ignore[method-assign]
        return self._connect(session, key)

    async def _offload(self, function: Callable[..., Any], *arguments: Any) -> Any:
        result = await inline(function, *arguments)
        if self.holds_writes:
            await asyncio.get_running_loop().create_future()
        return result

    async def send(self, permit: Permit) -> RawReply:
        """Put a request on the wire and wait for the model's word."""
        self.vendor.promised.discard((self.number, permit.question.key.hex()))
        reply: asyncio.Future[RawReply] = asyncio.get_running_loop().create_future()
        flight = Flight(self, permit, self.now_by(), not self.vendor.told, reply)
        self.vendor.arrives(flight, self.quota, self.taken_in[flight.company])
        return await reply

    def mine(self) -> list[Flight]:
        return [flight for flight in self.vendor.open() if flight.process is self]

    async def crash(self) -> None:
        """The process is gone at once: nothing more reaches the state, its locks are free."""
        if self.task is None:
            return
        if self.session is not None and not self.task.done():
            self.session.store._committer._db.execute("PRAGMA query_only = ON")
        while not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.01)
        await asyncio.gather(self.task, return_exceptions=True)
        self.task, self.holds_writes = None, False
        self.vendor.promised = {(number, key) for number, key in self.vendor.promised if number != self.number}
        for flight in self.mine():
            flight.end("lost")

    def stop(self) -> None:
        """SIGTERM."""
        if self.session is not None:
            self.session.budget.stop(Stop.TERMINATED, "Interrupted.")

    def finish(self) -> Report | None:
        """Take the report of a run that has ended; raises what it raised."""
        if self.task is None or not self.task.done():
            return None
        report, self.task = self.task.result(), None
        return report


class Machine:
    """The machine on which processes run: virtual time, a wall clock that can be set, one state file."""

    def __init__(self, folder: Path, vendor: Vendor) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.vendor = vendor
        self.error = 0.0
        self.state = folder / "state.db"
        self.processes = [Process(folder, vendor, number, lambda _: virtual_now() + self.error) for number in (0, 1)]

    def do(self, action: Callable[[], Any], seconds: float = 1.5) -> None:
        """Do something, then let everybody go on until they wait for the world."""

        async def act() -> None:
            result = action()
            if asyncio.iscoroutine(result):
                await result
            await asyncio.sleep(seconds)

        self.runner.run(act())

    def pass_time(self, seconds: float) -> None:
        loop = self.runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        loop._virtual += seconds
        self.do(lambda: None)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self.state)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    # --- what must be true whatever happened ---

    def check_attempts(self) -> None:
        """Every request the model saw is one row, with the outcome the model gave it."""
        kept = dict(self.select("SELECT id, coalesce(outcome, '') FROM attempt WHERE dated IS NULL OR dated > 0"))
        ours = {
            flight.permit.attempt: flight.outcome for flight in self.vendor.flights if flight.outcome != "not_sent"
        }
        assert kept.keys() == ours.keys()
        for attempt, outcome in ours.items():
            # what a crash left open is settled by the next run
            assert kept[attempt] == outcome or (outcome == "lost" and kept[attempt] == "")

    def check_answers(self) -> None:
        """Every answer that arrived is there, byte for byte, and no other."""
        kept = Counter(self.select("SELECT key, status, body FROM answer WHERE status > 0"))
        ours = Counter(
            (flight.key, flight.reply.result().status, flight.reply.result().body)
            for flight in self.vendor.flights
            if flight.outcome in ("found", "refused")
        )
        assert kept == ours

    def check_claims(self) -> None:
        """One open attempt a question."""
        twice = "SELECT key FROM attempt WHERE dated IS NULL GROUP BY key HAVING count(*) > 1"
        assert self.select(twice) == []

    def check_output(self, process: Process) -> None:
        """Exactly one line for every finished row, and every line rests on an answer."""
        if not process.out.exists():
            return
        lines = process.lines()
        rows = [line["row"] for line in lines]
        assert len(rows) == len(set(rows))
        answered = {flight.company for flight in self.vendor.flights if flight.outcome in ("found", "refused")}
        assert {line["input"]["Company Name"] for line in lines if line["status"] != "failed"} <= answered
        states = self.select("SELECT j.output, l.row, l.state FROM lead l JOIN job j ON j.id = l.job")
        finished = [
            row for out, row, state in states if out == str(process.out) and state not in ("ready", "deferred")
        ]
        assert sorted(rows) == sorted(finished)

    def close(self) -> None:
        for process in self.processes:
            self.do(process.crash)
        self.runner.close()


def answer(flight: Flight) -> None:
    """Let the answer arrive; a search tells the credits."""
    flight.end("found")
    flight.process.vendor.told = True
    flight.reply.set_result(flight.process.vendor.serve(flight))


def refuse(flight: Flight) -> None:
    flight.end("refused")
    flight.process.refused += 1
    flight.reply.set_result(RawReply(400, b'{"success":false,"error":"No such field."}'))


def lose(flight: Flight) -> None:
    flight.end("ambiguous")
    flight.reply.set_exception(Ambiguous("ServerDisconnectedError"))


def never_sent(flight: Flight) -> None:
    flight.end("not_sent")
    flight.reply.set_exception(NotSent("ClientConnectorError"))
