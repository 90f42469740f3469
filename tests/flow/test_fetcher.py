"""Where an answer comes from, when a question is tried again, and when it is given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from support import run_virtual, virtual_now

from pipeline.budget import Budget
from pipeline.errors import Ambiguous, NotSent
from pipeline.fetcher import Fetcher
from pipeline.limits import Limits
from pipeline.model import Answer, NoReply, Origin, Outcome, Policy, Stop
from pipeline.protocol import RawReply, verify_question
from pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pipeline.events import Event
    from pipeline.model import Permit, Question

JANE, JOHN = verify_question("jane@acme.com"), verify_question("john@acme.com")
GOOD = RawReply(200, b'{"success":true,"data":{"is_valid":true,"is_deliverable":true}}')
GARBAGE = RawReply(200, b"<html>")
LATE = Ambiguous("no answer in time")


class Run:
    """A run on a state file whose wire takes a second and answers by a script, and then well."""

    def __init__(self, path: Path, script: list[RawReply | Exception], owner: str = "a") -> None:
        self.store = Store.open(path, "api/default", owner=owner, inline=True)
        self.lock = self.store.locks.run(owner)
        assert self.lock.acquire()
        self.events: list[Event] = []
        self.budget = Budget(self.store.ledger, Limits(quota=1000), virtual_now, self.events.append)
        self.fetcher = Fetcher(self.store.ledger, self.budget, self)
        self.sent: list[tuple[int, Question]] = []
        self._script = script
        self._begun = virtual_now()

    async def send(self, permit: Permit) -> RawReply:
        """One permitted question: JANE's go by the script."""
        self.sent.append((round(virtual_now() - self._begun), permit.question))
        await asyncio.sleep(1)
        said = self._script.pop(0) if self._script and permit.question is JANE else GOOD
        if isinstance(said, Exception):
            raise said
        return said

    async def ask(self, question: Question = JANE, after: float = 0.0) -> Answer:
        return await self.fetcher.fetch(question, virtual_now(), Policy(), after)

    def close(self) -> None:
        self.lock.release()
        self.store.close()

    @property
    def janes(self) -> list[int]:
        """The seconds at which JANE was asked."""
        return [second for second, question in self.sent if question is JANE]


def in_a_run(
    path: Path, work: Callable[[Run], Awaitable[None]], *script: RawReply | Exception, at: float = 0
) -> None:
    async def go() -> None:
        run = Run(path / "state.db", list(script))
        try:
            await work(run)
        finally:
            run.close()

    run_virtual(go(), at)


def test_who_asks_at_the_same_moment_shares_one_request(tmp_path: Path) -> None:
    """The second waits for the first; in the next run the answer comes from the journal."""

    async def together(run: Run) -> None:
        one, other = await asyncio.gather(run.ask(), run.ask())
        assert (one.origin, other.origin, run.janes) == (Origin.API, Origin.SHARED, [0])
        assert (await run.ask()).origin is Origin.SHARED

    async def later(run: Run) -> None:
        run.fetcher.expect([JANE])
        assert [(await run.ask()).origin, (await run.ask()).origin, run.sent] == [Origin.CACHE, Origin.CACHE, []]

    in_a_run(tmp_path, together)
    in_a_run(tmp_path, later, at=3600)


def test_failures_are_retried_after_one_two_and_four_seconds(tmp_path: Path) -> None:
    """The guide's waits, whether it was sent or not; each try takes a second until it fails."""

    async def ask(run: Run) -> None:
        answer = await run.ask()
        assert (answer.outcome, answer.origin, answer.inconclusive) == (Outcome.FOUND, Origin.API, 1)
        assert run.janes == [0, 2]
        assert await run.ask(JOHN)

    async def ask_again(run: Run) -> None:
        others = asyncio.ensure_future(well_besides(run))
        answer = await run.ask()
        assert (answer.outcome, run.janes) == (Outcome.FOUND, [0, 2, 5, 10])
        others.cancel()

    in_a_run(tmp_path, ask, NotSent("refused"))
    in_a_run(tmp_path, ask_again, LATE, LATE, LATE, at=1_000_000)


async def well_besides(run: Run) -> None:
    """Others are answered all the time: the API is well."""
    n = 0
    while True:
        n += 1
        await run.ask(verify_question(f"n{n}@acme.com"))


def test_a_question_that_fails_alone_is_given_up_for_this_window(tmp_path: Path) -> None:
    """After three retries, though the API is well; the journal keeps it, with its reason and time."""

    async def ask(run: Run) -> None:
        others = asyncio.ensure_future(well_besides(run))
        answer = await run.ask()
        others.cancel()
        reason = NoReply(reason="no answer (no answer in time)")
        assert (answer.outcome, answer.reply, answer.inconclusive) == (Outcome.GAVE_UP, reason, 1)
        assert len(run.janes) == 4
        (kept,) = run.store.ledger.history(JANE)
        assert (kept.outcome, kept.reply, kept.received_at) == (answer.outcome, reason, answer.received_at)
        assert await run.ask() == kept._replace(origin=Origin.SHARED)

    in_a_run(tmp_path, ask, LATE, LATE, LATE, LATE)


def test_an_answer_that_settled_nothing_is_asked_for_again_only_by_who_wants_a_later_one(tmp_path: Path) -> None:
    """And then both tries are counted."""

    async def ask(run: Run) -> None:
        first = await run.ask()
        assert (first.outcome, first.inconclusive, run.janes) == (Outcome.UNEXPECTED, 1, [0])
        assert (await run.ask(after=first.received_at - 1)).received_at < virtual_now()
        assert run.janes == [0]
        second = await run.ask(after=first.received_at)
        assert (second.outcome, second.inconclusive, len(run.janes)) == (Outcome.UNEXPECTED, 2, 2)
        assert (await run.ask(after=second.received_at + 1)).inconclusive == 2
        assert len(run.janes) == 2

    in_a_run(tmp_path, ask, GARBAGE, GARBAGE)


def test_a_sleep_lasts_as_long_as_was_said_and_ends_with_the_run(tmp_path: Path) -> None:
    """However long: timers may stand still, the clock decides."""

    async def sleep(run: Run) -> None:
        for seconds in (0.4, 61.0, 3600.0):
            begun = virtual_now()
            await run.budget.sleep(seconds)
            assert seconds <= virtual_now() - begun < seconds + 0.01
        begun = virtual_now()
        asyncio.get_running_loop().call_later(5, run.budget.stop, Stop.INTERRUPTED, "stopped")
        await run.budget.sleep(3600)
        assert 5 <= virtual_now() - begun < 5.01

    in_a_run(tmp_path, sleep)
