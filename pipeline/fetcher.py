"""Why it was free: an answer comes from the journal, from a request under way, or, last, from the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import backoff

from pipeline.contract import WELL
from pipeline.errors import Ambiguous, NotSent
from pipeline.model import JOURNALED, Answer, NoReply, Origin, Outcome, Permit, Policy, Question
from pipeline.planner import recall, settled
from pipeline.protocol import RawReply, Verdict, classify

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pipeline.budget import Budget
    from pipeline.store.ledger import Ledger

DELAYS: Final = (1.0, 2.0, 4.0)
"""Seconds before each retry (guide, "Error Handling"); every retry takes a permit of its own."""


FAILURES: Final = (NotSent, Ambiguous)

WITHDRAWN: Final = Verdict(Outcome.WITHDRAWN, NoReply(reason="given back"))


class SteppedAside(Exception):
    """The question failed until the circuit opened: somebody else's should say whether the API is well."""


class Sender(Protocol):
    """Whatever puts a permitted question on the wire: the client, or a network made of a function."""

    async def send(self, permit: Permit) -> RawReply:
        """Send once. Raises NotSent or Ambiguous."""
        ...


class Fetcher:
    """Gets answers. One question is asked once, however many leads ask it at the same moment (promise 4)."""

    def __init__(self, ledger: Ledger, budget: Budget, client: Sender) -> None:
        self._ledger = ledger
        self._budget = budget
        self._client = client
        self._started = budget.clock()
        self._flights: dict[bytes, asyncio.Future[None]] = {}
        self._expected: dict[bytes, list[Answer]] = {}
        self._aside: dict[bytes, Exception] = {}
        self._retried = backoff.on_exception(
            _delays, FAILURES, max_tries=len(DELAYS), giveup=lambda _: not budget.well, jitter=None, logger=None
        )(self._attempt)

    def expect(self, questions: Iterable[Question]) -> None:
        """Look up at once what will be asked soon: one look at the journal instead of many."""
        self._expected.update(self._ledger.histories(questions))

    async def fetch(
        self,
        question: Question,
        taken_in: float,
        policy: Policy,
        after: float = 0.0,
        replayed_at: float = 0.0,
        fresh_from: float = 0.0,
    ) -> Answer:
        """Answer a question for a row taken in then; an inconclusive answer counts only if it came `after`.

        Raises Halted when it would have to be asked and the run is over, and once SteppedAside: ask for others first.
        """
        shared = False
        while True:
            history = self._expected.pop(question.key, None)
            if history is None:
                history = self._ledger.history(question)
            known = recall(history, taken_in, policy, replayed_at, fresh_from)
            if known is not None and (settled(known) or known.received_at > after):
                origin = Origin.SHARED if shared or known.received_at >= self._started else Origin.CACHE
                return known._replace(origin=origin)
            flight = self._flights.get(question.key)
            if flight is not None:
                await asyncio.shield(flight)
                shared = True
                continue
            self._budget.raise_if_halted()
            answer = await self._fly(question, history[0].received_at if history else 0.0)
            if answer is not None:
                return answer if known is None else answer._replace(inconclusive=1 + known.inconclusive)

    async def _fly(self, question: Question, newest: float) -> Answer | None:
        """Ask while others who want the same wait for us."""
        flight = asyncio.get_running_loop().create_future()
        self._flights[question.key] = flight
        try:
            return await self._ask(question, newest)
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # those who wait raise it themselves; nobody waiting is fine too
            raise
        finally:
            del self._flights[question.key]
            if not flight.done():
                flight.set_result(None)

    async def _ask(self, question: Question, newest: float) -> Answer | None:
        """Send, and after a failure with retries; if all fail though the API is well, the question is given up."""
        before = self._aside.get(question.key)
        if before is not None and self._budget.blames(question):
            return await self._give_up(question, before)
        well = self._budget.well
        try:
            return await self._attempt(question, newest)
        except FAILURES as error:
            if well and before is not None:
                return await self._give_up(question, error)  # others were answered meanwhile
            await asyncio.sleep(DELAYS[0])
        try:
            return await self._retried(question, newest)
        except FAILURES as error:
            if self._budget.well:
                return await self._give_up(question, error)
            if before is not None:
                return None  # the API's failure, not the question's: go on when it is well, or halt
            self._aside[question.key] = error
            raise SteppedAside from error

    async def _give_up(self, question: Question, error: Exception) -> Answer:
        """Write down that the question was asked in vain: one try."""
        now, reason = self._budget.clock(), f"no answer ({error})"
        await self._ledger.note(question, reason, now)
        return Answer(question, Outcome.GAVE_UP, NoReply(reason=reason), now, inconclusive=1)

    async def _attempt(self, question: Question, newest: float) -> Answer | None:
        """Take one permit and settle it; None: look again, something may have changed."""
        permit = await self._budget.permit(question, newest)
        if permit is None:
            return None
        verdict = await self._ride(permit)
        if verdict.outcome is Outcome.NOT_SENT:
            raise NotSent(_reason(verdict))
        if verdict.outcome is Outcome.AMBIGUOUS:
            raise Ambiguous(_reason(verdict))
        if verdict.outcome not in JOURNALED:
            return None
        return Answer(question, verdict.outcome, verdict.reply, self._budget.clock(), Origin.API, inconclusive=1)

    async def _ride(self, permit: Permit) -> Verdict:
        """Send and settle. A good answer frees its place on the wire at once, a bad one after its consequences."""
        holds = await self._budget.board(permit)
        try:
            verdict, raw = await self._send(permit) if holds else (WITHDRAWN, None)
            if verdict.outcome not in WELL:
                await self._budget.settle(permit, verdict, raw)
        finally:
            self._budget.alight()
        if verdict.outcome in WELL:
            await self._budget.settle(permit, verdict, raw)
        return verdict

    async def _send(self, permit: Permit) -> tuple[Verdict, RawReply | None]:
        try:
            raw = await self._client.send(permit)
        except NotSent as error:
            return Verdict(Outcome.NOT_SENT, NoReply(reason=str(error))), None
        except Ambiguous as error:
            return Verdict(Outcome.AMBIGUOUS, NoReply(reason=str(error))), None
        return classify(permit.question, raw, self._budget.clock()), raw


def _reason(verdict: Verdict) -> str:
    return verdict.reply.reason if isinstance(verdict.reply, NoReply) else verdict.outcome


def _delays() -> Generator[float, Exception, None]:
    """The waits after the first retry, in backoff's protocol: the first value only starts the generator."""
    yield 0.0
    for delay in DELAYS[1:]:  # noqa: UP028 - backoff sends the exception in, which a tuple's iterator cannot take
        yield delay
