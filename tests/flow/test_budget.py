"""What holds a request back, and what ends a run, seen at the budget itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from run_site import GOOD, JANE, JOHN, Run, in_a_run
from support import START, virtual_now

from pipeline.events import AccountShut
from pipeline.limits import Halted, Limits
from pipeline.model import Stop
from pipeline.protocol import RawReply, verify_question

if TYPE_CHECKING:
    from pathlib import Path


def test_the_first_request_goes_alone_and_the_others_beside_each_other(tmp_path: Path) -> None:
    """It compares the clocks."""

    async def ask(run: Run) -> None:
        others = [verify_question(f"n{n}@acme.com") for n in range(3)]
        await asyncio.gather(run.ask(), *map(run.ask, others))
        assert [second for second, _ in run.sent] == [0, 1, 1, 1]

    in_a_run(tmp_path, ask)


def test_credits_held_for_requests_under_way_count_towards_the_most(tmp_path: Path) -> None:
    """Ten at once, five credits: five go, at a credit each."""

    async def ask(run: Run) -> None:
        asked = [run.ask(verify_question(f"n{n}@acme.com")) for n in range(10)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert (len(run.sent), sum(isinstance(one, Halted) for one in told)) == (5, 5)
        assert run.budget.stopped is not None
        assert (run.budget.stopped.why, run.budget.spent.credits) == (Stop.MAX_CREDITS, 5)

    in_a_run(tmp_path, ask, limits=Limits(quota=1000, max_credits=5))


@pytest.mark.parametrize(("ahead", "offset"), [(0, 0), (290, 0), (-290, 0), (400, 400), (-400, -400)])
def test_the_servers_clock_rules_only_where_ours_is_far_off(tmp_path: Path, ahead: int, offset: int) -> None:
    """Five minutes either way are life."""

    async def ask(run: Run) -> None:
        await run.ask()
        assert run.budget.offset == pytest.approx(offset, abs=3)
        assert (run.budget.offset == 0) is (offset == 0)
        await run.ask(JOHN)

    date = format_datetime(datetime.fromtimestamp(START + ahead, UTC), usegmt=True)
    in_a_run(tmp_path, ask, GOOD._replace(date=date))


def test_a_redirect_ends_the_run_and_says_where_it_points(tmp_path: Path) -> None:
    """Nothing is sent there."""

    async def ask(run: Run) -> None:
        with pytest.raises(Halted) as halted:
            await run.ask(JANE)
        assert halted.value.stopped.why is Stop.REDIRECT
        assert "other.example" in halted.value.stopped.sentence
        assert len(run.sent) == 1

    in_a_run(tmp_path, ask, RawReply(307, b"", location="https://other.example/v1"))


@pytest.mark.parametrize(("status", "waits"), [(429, True), (402, False)])
def test_a_shut_account_is_waited_for_if_it_is_the_quota_and_opens_soon(
    tmp_path: Path, status: int, *, waits: bool
) -> None:
    """Ten minutes of an hour's patience; credits do not come back by waiting."""

    async def ask(run: Run) -> None:
        told = (await asyncio.gather(run.ask(), run.ask(JOHN), return_exceptions=True))[1]
        assert isinstance(told, Halted) is not waits
        assert [second for second, question in run.sent if question is JOHN] == [601] * waits
        (shut,) = [event for event in run.events if isinstance(event, AccountShut)]
        assert shut.until == pytest.approx(START + 601, abs=1)

    in_a_run(tmp_path, ask, RawReply(status, b"{}", retry_after="600"), limits=Limits(quota=1000, wait_up_to=3_600))


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


def test_a_quota_that_is_kept_whole_sends_nothing(tmp_path: Path) -> None:
    """Settings refuse that; what is reserved holds even so."""

    async def ask(run: Run) -> None:
        with pytest.raises(Halted):
            await run.ask()
        assert not run.sent

    in_a_run(tmp_path, ask, limits=Limits(quota=2, reserve_requests=3))


def test_requests_go_no_faster_than_the_plan_allows(tmp_path: Path) -> None:
    """One every two seconds, however many wait and however quick the answers are."""

    async def ask(run: Run) -> None:
        await asyncio.gather(*(run.ask(verify_question(f"kim{n}@acme.com")) for n in range(8)))
        seconds = [second for second, _ in run.sent]
        assert all(later - sooner >= 2 for sooner, later in pairwise(seconds))
        assert seconds[-1] < 20

    in_a_run(tmp_path, ask, limits=Limits(quota=100, concurrency=50, max_per_second=0.5))
