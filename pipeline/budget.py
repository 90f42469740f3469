"""Who stops the run: every request needs a permit, and only Budget makes permits.

A permit is given when the circuit is closed (or this is its probe), no pause was asked for, the run's own
limits leave room, and the ledger grants a slot of the window and the credits. What cannot be had soon ends
the run: `Halted` carries the reason, the rows stay pending.

The first request of a run goes alone, to compare clocks; so do the first searches, to read the credits and
learn the price. After that permits flow beside each other.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pipeline import halts
from pipeline.circuit import Circuit, State
from pipeline.contract import Contract
from pipeline.events import (
    AccountShut,
    CircuitChanged,
    ClockDiffers,
    CreditsRead,
    Event,
    PermitGiven,
    RequestSettled,
    RunStopped,
    Waiting,
)
from pipeline.lanes import Lanes
from pipeline.limits import PAUSES, Halted, Limits, Spent
from pipeline.model import JOURNALED, UNSENT, Outcome, Permit, Question, SearchReply, Stop, Stopped
from pipeline.pace import Pace
from pipeline.protocol import RawReply, Verdict, server_time
from pipeline.purse import Purse
from pipeline.quota import GUARD, PERMIT_SECONDS
from pipeline.store.ledger import Answered, Claimed, Granted, NoCredits, NoSlot, Reservation, Settled, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.store.ledger import Decision, Ledger

NAP: Final = 60.0
"""The most seconds slept at a time: a timer stands still while the machine sleeps, the clock does not."""

ELSEWHERE: Final = 0.25
"""Seconds between looks at what another process has under way."""

ILL: Final = frozenset({Outcome.AMBIGUOUS, Outcome.NOT_SENT, Outcome.UNEXPECTED})


class Budget:
    """Gives permits, takes their settlements, and halts the run.

    `now` is the machine's clock; `clock()` is the same, corrected by the server's where they differ by more
    than five minutes.
    """

    def __init__(
        self, ledger: Ledger, limits: Limits, now: Callable[[], float], tell: Callable[[Event], None]
    ) -> None:
        self.limits = limits
        self.spent = Spent()
        self._spent_before = 0
        self.stopped: Stopped | None = None
        self.offset = ledger.clock_offset(now())
        self._ledger = ledger
        self._now = now
        self._tell = tell
        self.purse = Purse(limits.ceilings)
        self._circuit = Circuit()
        self._last_ill = 0
        self._limiter = limits.limiter()
        self._pace = Pace(limits, ledger, now())
        self._lanes = Lanes()
        self._stopping = asyncio.Event()
        self._on_wire = 0
        self._in_flight = 0
        self._held = 0
        self._clock_compared = False
        self._pauses = 0
        self._resume_at = 0.0
        self._shut_until = 0.0
        self._waits_end: float | None = None
        self._contract = Contract()

    def clock(self) -> float:
        """Unix seconds by the server's clock where ours is far off, else by ours."""
        return self._now() + self.offset

    def stop(self, why: Stop, sentence: str, next_at: float | None = None) -> None:
        """Give no more permits. What is under way is still settled; the first reason stands."""
        if self.stopped is None:
            self.stopped = Stopped(why, sentence, next_at)
            self._stopping.set()
            self._tell(RunStopped(why, sentence))
            self._lanes.ring()

    def count_on(self, spent: Spent) -> None:
        """Count on from what runs before this one spent together: the user's own limits hold over all of them."""
        self.spent, self._spent_before = spent, spent.requests

    @property
    def in_doubt(self) -> bool:
        """Whether the last answers were refusals."""
        return bool(self._contract.refused)

    def doubts(self, questions: Iterable[bytes]) -> bool:
        """Whether one of these questions was refused and no success has come since."""
        return self._contract.doubts(questions)

    async def forget_doubtful(self) -> None:
        """Drop the refusals of a broken contract from the journal."""
        await self._ledger.forget_answers(self._contract.refused, self._contract.since)

    def raise_if_halted(self) -> None:
        """Raise Halted if the run is over."""
        if self.stopped is not None:
            raise Halted(self.stopped)

    @property
    def well(self) -> bool:
        """Whether the API answers: a question that fails meanwhile fails by itself."""
        return self._circuit.state is State.CLOSED

    def blames(self, question: Question) -> bool:
        """Whether the API answered in this run, and since its last answer nothing but this question failed."""
        return self._circuit.blames(question.key)

    # --- permits ---

    async def permit(self, question: Question, newer_than: float) -> Permit | None:
        """Reserve a request. None: another run is asking or has just asked the same; look again.

        Raises Halted when the run is over.
        """
        lone = await self._lanes.enter(lambda: self._must_go_alone(question))
        try:
            permit = await self._reserve(question, newer_than, lone=lone)
        except BaseException:
            self._lanes.leave(lone=lone)
            raise
        if permit is None:
            self._lanes.leave(lone=lone)
        return permit

    async def _reserve(self, question: Question, newer_than: float, *, lone: bool) -> Permit | None:
        while True:
            await self._until_clear(question)
            probe = self._circuit.start_probe()
            ceiling = self.purse.most(question)
            self._hold(ceiling, 1)
            wish = self._wish(question, ceiling, newer_than)
            decision = await self._ledger.reserve(wish)
            if isinstance(decision, Granted):
                self.spent.by_endpoint[question.endpoint] += 1
                self._tell(PermitGiven(question.endpoint, question.key.hex(), lone, probe))
                return Permit(decision.attempt, question, wish.now, ceiling, lone, probe)
            self._hold(ceiling, -1)
            if probe:
                self._circuit.drop_probe()
            if not await self._refused(decision):
                return None

    def _hold(self, ceiling: int, sign: int) -> None:
        self._in_flight += sign
        self._held += sign * ceiling
        self.spent.requests += sign

    def _wish(self, question: Question, ceiling: int, newer_than: float) -> Reservation:
        limits = self.limits
        return Reservation(
            question=question,
            now=self.clock(),
            window=limits.window,
            quota=max(0, limits.quota - limits.reserve_requests),
            ceiling=ceiling,
            reserve_credits=limits.reserve_credits,
            newer_than=newer_than,
            beyond_reserve=limits.beyond_reserve,
        )

    async def _refused(self, decision: Decision) -> bool:
        """Wait for what may come soon and say whether to try again; halt on what will not."""
        match decision:
            case NoSlot():
                await self._until_slot(decision)
            case NoCredits(under_way=0):
                self.stop(Stop.CREDITS, halts.at_reserve(decision.credits, self.limits))
            case NoCredits():
                await self._lanes.until_change(ELSEWHERE)
            case Claimed():
                await self.sleep(ELSEWHERE)
                return False
            case Answered():
                return False
        return True

    def _must_go_alone(self, question: Question) -> bool:
        if self.stopped is not None:
            return False
        if not self._clock_compared:
            return True
        return self.purse.learns_from(question)

    # --- the wire ---

    async def board(self, permit: Permit) -> bool:
        """Go on the wire, and say whether the permit still holds. Then `alight`."""
        while self._holds(permit) and self._contract.in_doubt(self._on_wire, self.limits.concurrency):
            await self._lanes.until_change(ELSEWHERE)
        self._on_wire += 1
        return self._holds(permit)

    def alight(self) -> None:
        """Make the place free."""
        self._on_wire -= 1

    def _holds(self, permit: Permit) -> bool:
        """Whether nothing has come up against sending since the permit was given."""
        now = self.clock()
        return (
            # a full window ends the run, but its last permits are among those that filled it
            (self.stopped is None or self.stopped.why is Stop.QUOTA)
            and (permit.probe or self.well)
            and now >= max(self._resume_at, self._shut_until)
            and now - permit.reserved_at <= PERMIT_SECONDS
        )

    # --- waiting ---

    async def _until_clear(self, question: Question) -> None:
        """Return when nothing on our side speaks against sending; raise Halted when the run is over."""
        while True:
            while (wait := self._obstacle(question)) is not None:
                await self._lanes.until_change(wait)
            if self._limiter is not None:
                await self._limiter.acquire()
            if self._limiter is None or self._obstacle(question) is None:
                self._pace.went(self.clock(), self.spent)
                return

    def _obstacle(self, question: Question) -> float | None:
        """Seconds after which to look again, or sooner if something settles; None if the way is clear."""
        self._check_own_limits(question)
        self.raise_if_halted()
        now = self.clock()
        if self._limits_reached(question) or self._contract.in_doubt(self._in_flight, self.limits.workers):
            return ELSEWHERE
        if (turn := max(self._resume_at, self._pace.next_at)) > now:
            return min(turn - now, NAP)
        wait = self._circuit.wait(now)
        return ELSEWHERE if wait is None else wait or None

    def _check_own_limits(self, question: Question) -> None:
        why = self._limits_reached(question)
        if self._in_flight or why is None:
            return
        self.stop(why, halts.OWN[why](self.limits))

    def _limits_reached(self, question: Question) -> Stop | None:
        limits, spent = self.limits, self.spent
        if limits.max_requests is not None and spent.requests >= limits.max_requests:
            return Stop.MAX_REQUESTS
        if not self._circuit.pays_for(spent.requests + 1 - self._spent_before, limits.concurrency):
            return Stop.OUTAGE
        if limits.max_credits is None:
            return None
        most = spent.credits + self._held + self.purse.most(question)
        return Stop.MAX_CREDITS if most > limits.max_credits else None

    async def sleep(self, seconds: float) -> None:
        """Sleep, but not through the end of the run."""
        until = self.clock() + seconds
        while self.stopped is None and (left := until - self.clock()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(left, NAP))

    async def _until_slot(self, full: NoSlot) -> None:
        now = self.clock()
        if self._waits_end is None:
            self._waits_end = now + self.limits.wait_up_to
        if full.opens > self._waits_end:
            self.stop(full.shut or Stop.QUOTA, halts.no_slot(self.limits, full.shut), full.opens)
            return
        self._tell(Waiting("shut" if full.shut else "quota", full.opens))
        await self.sleep(max(0.0, full.opens - now) + 0.001)

    # --- settlements ---

    async def settle(self, permit: Permit, verdict: Verdict, raw: RawReply | None) -> None:
        """Note what a permit came to: first durably, with its answer; then draw the consequences."""
        now = self.clock()
        if raw is not None:
            now = await self._compare_clocks(raw, now)
        reply = verdict.reply
        sent = verdict.outcome not in UNSENT
        cost = self.purse.price(permit.question, reply) if sent else 0
        keeps = raw is not None and verdict.outcome in JOURNALED
        settled = await self._ledger.settle(
            Settlement(
                attempt=permit.attempt,
                question=permit.question,
                outcome=verdict.outcome,
                now=now,
                cost=cost,
                status=raw.status if raw else 0,
                body=raw.body if raw and keeps else None,
                reading=reply.credits_remaining if isinstance(reply, SearchReply) else None,
                since=self.purse.since,
            )
        )
        self._count(permit, verdict, raw, cost, settled.credits)
        self._read_credits(permit, verdict, settled)
        await self._consequences(permit, verdict, raw)
        self._lanes.leave(lone=permit.lone)

    async def _compare_clocks(self, raw: RawReply, now: float) -> float:
        server = None if self._clock_compared else server_time(raw)
        if server is None:
            return self.clock()
        if abs(server - now) > GUARD:
            self.offset = server - self._now()
            await self._ledger.note_clock(self.offset)
        if abs(self.offset) > GUARD:
            self._tell(ClockDiffers(self.offset))
        return self.clock()

    def _count(self, permit: Permit, verdict: Verdict, raw: RawReply | None, cost: int, left: int | None) -> None:
        question, status = permit.question, raw.status if raw else None
        self._held -= permit.ceiling
        self._in_flight -= 1
        self.spent.settled(question.endpoint, verdict.outcome, cost)
        self._clock_compared = self._clock_compared or verdict.outcome not in UNSENT
        self._tell(RequestSettled(question.endpoint, question.key.hex(), verdict.outcome, status, cost, left))

    def _read_credits(self, permit: Permit, verdict: Verdict, settled: Settled) -> None:
        self.spent.credits -= self.purse.settled(permit, verdict.reply, settled)
        told = verdict.reply.credits_remaining if isinstance(verdict.reply, SearchReply) else None
        if told is not None:
            self._tell(CreditsRead(told, settled.alone))

    async def _consequences(self, permit: Permit, verdict: Verdict, raw: RawReply | None) -> None:
        outcome = verdict.outcome
        self._health(permit, verdict, raw)
        self._keep_contract(permit, outcome)
        match outcome:
            case Outcome.SLOW_DOWN if self._pauses < PAUSES:
                self._pause(verdict.retry_after or 0.0)
            case Outcome.SLOW_DOWN:
                self.stop(Stop.QUOTA, halts.SLOWED, self.clock() + (verdict.retry_after or 0.0))
            case Outcome.NO_QUOTA:
                await self._shut(Stop.QUOTA, "day's requests are used up", verdict)
            case Outcome.NO_CREDITS:
                await self._shut(Stop.CREDITS, "credits are used up (HTTP 402)", verdict)
            case Outcome.DENIED:
                self.stop(Stop.DENIED, halts.denied(raw))
            case Outcome.REDIRECT:
                self.stop(Stop.REDIRECT, halts.redirected(raw))

    def _pause(self, seconds: float) -> None:
        now = self.clock()
        if now >= self._resume_at:
            self._pauses += 1
        self._resume_at = max(self._resume_at, now + seconds)
        self._tell(Waiting("slow_down", self._resume_at))

    async def _shut(self, why: Stop, said: str, verdict: Verdict) -> None:
        opens = None if verdict.retry_after is None else self.clock() + verdict.retry_after
        self._shut_until = math.inf if opens is None else opens
        if opens is not None:
            await self._ledger.shut(opens, why)
            self._tell(AccountShut(opens))
        if why is Stop.QUOTA and opens is not None:
            return  # the next reservation is told so, and waits if that is soon enough
        self.stop(why, halts.used_up(said, paused=why is Stop.QUOTA), opens)

    def _health(self, permit: Permit, verdict: Verdict, raw: RawReply | None) -> None:
        before, outcome = self._circuit.state, verdict.outcome
        if outcome in ILL:
            self._last_ill = max(self._last_ill, permit.attempt)
            self._circuit.failed(self.clock(), probe=permit.probe, question=permit.question.key)
        elif outcome is not Outcome.WITHDRAWN:
            self._circuit.succeeded(stale=permit.attempt < self._last_ill)
        elif permit.probe:
            self._circuit.drop_probe()
        if self._circuit.state is not before:
            self._tell(CircuitChanged(self._circuit.state))
        if self._circuit.state is State.BROKEN:
            self.stop(Stop.OUTAGE, halts.outage(verdict, raw))

    def _keep_contract(self, permit: Permit, outcome: Outcome) -> None:
        self._contract.note(permit, outcome)
        if self._contract.broken(self.limits.concurrency):
            self.stop(Stop.CONTRACT, halts.contract(len(self._contract.refused)))
