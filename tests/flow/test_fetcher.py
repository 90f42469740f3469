"""Where an answer comes from, when a question is tried again, and when it is given up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from run_site import GARBAGE, JANE, JOHN, LATE, Run, in_a_run
from support import virtual_now

from pipeline.errors import NotSent
from pipeline.model import NoReply, Origin, Outcome
from pipeline.protocol import verify_question

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("failure", [LATE, NotSent("no answer in time")])
def test_a_question_that_fails_alone_is_given_up_for_this_window(tmp_path: Path, failure: Exception) -> None:
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

    in_a_run(tmp_path, ask, *[failure] * 4)


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
