"""Why it was free: an answer comes from the journal, from a request under way, or, last, from the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import backoff

from pipeline.errors import Ambiguous, NotSent
from pipeline.model import JOURNALED, Answer, NoReply, Origin, Outcome, Policy, Question
from pipeline.planner import recall, settled
from pipeline.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pipeline.budget import Budget
    from pipeline.protocol import Verdict
    from pipeline.store.ledger import Ledger
    from pipeline.wire import Sender

DELAYS: Final = (1.0, 2.0, 4.0)
"""Seconds before each retry (guide, "Error Handling"); every retry takes a permit of its own."""


FAILURES: Final = (NotSent, Ambiguous)


class SteppedAside(Exception):
    """The question failed until the circuit opened: somebody else's should say whether the API is well."""


class Fetcher:
    """Gets answers. One question is asked once, however many leads ask it at the same moment (promise 4)."""

    def __init__(self, ledger: Ledger, budget: Budget, client: Sender) -> None:
        self._ledger = ledger
        self._budget = budget
        self._wire = Wire(budget, client)
        self._started = budget.clock()
        self._flights: dict[bytes, asyncio.Future[None]] = {}
        self._expected: dict[bytes, list[Answer]] = {}
        self._aside: dict[bytes, Exception] = {}
        self._retried = backoff.on_exception(
            _delays, FAILURES, max_tries=len(DELAYS), giveup=lambda _: not budget.well, jitter=None, logger=None
        )(self._attempt)

    async def close(self) -> None:
        """Leave the wire."""
        await self._wire.close()

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
        verdict = await self._wire.ride(permit)
        if verdict.outcome is Outcome.NOT_SENT:
            raise NotSent(_reason(verdict))
        if verdict.outcome is Outcome.AMBIGUOUS:
            raise Ambiguous(_reason(verdict))
        if verdict.outcome not in JOURNALED:
            return None
        return Answer(question, verdict.outcome, verdict.reply, self._budget.clock(), Origin.API, inconclusive=1)


def _reason(verdict: Verdict) -> str:
    return verdict.reply.reason if isinstance(verdict.reply, NoReply) else verdict.outcome


def _delays() -> Generator[float, Exception, None]:
    """The waits after the first retry, in backoff's protocol: the first value only starts the generator."""
    yield 0.0
    for delay in DELAYS[1:]:  # noqa: UP028 - backoff sends the exception in, which a tuple's iterator cannot take
        yield delay
