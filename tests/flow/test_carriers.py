"""Places on the wire: never more under way than allowed, and no answer lost with the one who waited for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from run_site import GARBAGE, JANE, JOHN, Run, in_a_run

from pipeline.events import WORKING_ON, RequestSettled
from pipeline.limits import Limits
from pipeline.model import Outcome
from pipeline.protocol import verify_question

if TYPE_CHECKING:
    from pathlib import Path


def test_as_many_are_under_way_as_allowed_and_no_more(tmp_path: Path) -> None:
    """Each takes a second: after the first, which goes alone, seven by three take three seconds."""

    async def ask(run: Run) -> None:
        questions = [verify_question(f"kim{n}@acme.com") for n in range(8)]
        answers = await asyncio.gather(*map(run.ask, questions))
        assert {answer.outcome for answer in answers} == {Outcome.FOUND}
        assert [at for at, _ in run.sent] == [0, 1, 1, 1, 2, 2, 2, 3]

    in_a_run(tmp_path, ask, limits=Limits(quota=100, concurrency=3))


def test_an_answer_is_kept_though_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    """It was paid for."""

    async def ask(run: Run) -> None:
        asking = asyncio.ensure_future(run.ask())
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.sleep(1)
        (kept,) = run.store.ledger.history(JANE)
        assert kept.outcome is Outcome.FOUND
        assert (await run.ask()).received_at == kept.received_at
        assert len(run.sent) == 1

    in_a_run(tmp_path, ask)


def test_what_waits_for_a_place_is_not_sent_once_nobody_wants_it(tmp_path: Path) -> None:
    """Its reservation stays open, and therefore counted, as after a crash."""

    async def ask(run: Run) -> None:
        await run.ask(verify_question("first@acme.com"))
        first = asyncio.ensure_future(run.ask(verify_question("second@acme.com")))
        await asyncio.sleep(0.1)
        waiting = asyncio.ensure_future(run.ask())
        await asyncio.sleep(0.1)
        behind = asyncio.ensure_future(run.ask(JOHN))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(first, behind)
        assert [question for _, question in run.sent[2:]] == [JOHN]
        assert run.store.ledger.usage(run.budget.limits.window, 100, run.budget.clock()).under_way == 1

    in_a_run(tmp_path, ask, limits=Limits(quota=100, concurrency=1))


def test_what_goes_wrong_inside_belongs_to_who_asked_and_the_next_takes_the_place(tmp_path: Path) -> None:
    """An error nobody foresaw ends one question, and neither hangs nor hides behind another."""

    async def ask(run: Run) -> None:
        await run.ask(verify_question("first@acme.com"))
        asked = asyncio.gather(run.ask(), run.ask(JOHN), return_exceptions=True)
        async with asyncio.timeout(10):
            broken, answered = await asked
        assert isinstance(broken, ZeroDivisionError)
        assert not isinstance(answered, BaseException)

    in_a_run(tmp_path, ask, ZeroDivisionError(), limits=Limits(quota=100, concurrency=1))


def test_a_bad_answer_is_told_for_the_row_that_asked(tmp_path: Path) -> None:
    """Whoever carried it."""

    async def ask(run: Run) -> None:
        await run.ask(verify_question("first@acme.com"))
        WORKING_ON.set((1, 7))
        await run.ask()
        told = zip(run.events, run.rows, strict=True)
        rows = [row for event, row in told if isinstance(event, RequestSettled) and event.key == JANE.key.hex()]
        assert rows == [(1, 7)]

    in_a_run(tmp_path, ask, GARBAGE)


def test_leaving_the_wire_leaves_what_is_under_way_counted(tmp_path: Path) -> None:
    """A second Ctrl-C: nobody reads the answers any more."""

    async def ask(run: Run) -> None:
        asking = asyncio.ensure_future(run.ask())
        await asyncio.sleep(0.5)
        await run.fetcher.close()
        assert asyncio.all_tasks() == {asking, asyncio.current_task()}
        asking.cancel()
        await asyncio.sleep(5)
        assert run.store.ledger.history(JANE) == []
        assert run.store.ledger.usage(run.budget.limits.window, 100, run.budget.clock()).under_way == 1

    in_a_run(tmp_path, ask)
