"""The ledger never lets a call cut into the credit reserve, whatever order answers and readings come in."""

from __future__ import annotations

import asyncio
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from ledger_site import Site, ask, credits_of, granted, read_credits, settle, wish

from pipeline.model import Outcome, Questions
from pipeline.protocol import search_question
from pipeline.store.ledger import Granted, NoCredits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["inline", "threaded"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state.db", inline=request.param == "inline")
    yield made
    made.close()


async def test_before_any_reading_a_call_may_go_blind(site: Site) -> None:
    """Until the account has told its credits, no reserve can be kept; verify and phones never learn more."""
    store = site.run()
    told = await settle(store, await granted(store, ceiling=10, reserve_credits=1_000))
    assert (told.credits, credits_of(store)) == (None, None)


@pytest.mark.parametrize(
    ("left", "ceiling", "reserve", "may"),
    [(100, 10, 90, True), (100, 10, 91, False), (1, 1, 0, True), (0, 1, 0, False), (5, 10, 0, False)],
)
async def test_a_call_goes_only_if_its_ceiling_leaves_the_reserve(
    site: Site, *, left: int, ceiling: int, reserve: int, may: bool
) -> None:
    """The dearest it could be is held against the reserve before it goes."""
    store = site.run()
    await read_credits(store, left)
    decision = await store.ledger.reserve(wish(ceiling=ceiling, reserve_credits=reserve))
    assert decision == (Granted(decision.attempt) if isinstance(decision, Granted) else NoCredits(left, 0))
    assert isinstance(decision, Granted) is may


async def test_calls_under_way_hold_their_ceilings_in_every_run(site: Site) -> None:
    """Fifty workers over two processes cannot spend the last credits twice (trap T1.3)."""
    stores = [site.run("a"), site.run("b")]
    await read_credits(stores[0], 35)
    decisions = [await stores[n % 2].ledger.reserve(wish(ask(n), ceiling=10, reserve_credits=5)) for n in range(9)]
    assert [isinstance(decision, Granted) for decision in decisions] == [True] * 3 + [False] * 6
    assert decisions[-1] == NoCredits(5, 3)


async def test_what_a_call_turned_out_cheaper_is_free_again(site: Site) -> None:
    """After the settlement only the price is gone, not the ceiling."""
    store = site.run()
    await read_credits(store, 20)
    attempt = await granted(store, ceiling=10, reserve_credits=5)
    assert await store.ledger.reserve(wish(ask(1), ceiling=10, reserve_credits=5)) == NoCredits(10, 1)
    assert (await settle(store, attempt, cost=1)).credits == 19
    await granted(store, 1, ceiling=10, reserve_credits=5)


async def test_a_probe_may_pass_the_reserve(site: Site) -> None:
    """`doctor --probe` asks though nothing is left, else nothing could ever be learned again."""
    store = site.run()
    await read_credits(store, 0)
    assert isinstance(await store.ledger.reserve(wish(beyond_reserve=True)), Granted)


async def test_forgotten_credits_are_as_if_never_told(site: Site) -> None:
    """On the renewal day one search may go blind again."""
    store = site.run()
    await read_credits(store, 0)
    await asyncio.gather(settle(store, await granted(store, beyond_reserve=True)), store.ledger.forget_credits())
    assert credits_of(store) is None
    await granted(store, 1, reserve_credits=10)


@pytest.mark.parametrize("reading", [140, 99, 40, 0])
async def test_a_lone_reading_sets_the_ledger_up_or_down(site: Site, reading: int) -> None:
    """Nothing else is under way anywhere: what the account says is what is left."""
    store = site.run()
    await read_credits(store, 100)
    first = await granted(store)
    await settle(store, first, reading=100)
    told = await settle(store, await granted(store, 1), 1, reading=reading, since=first)
    assert (told.credits, told.alone, told.between, told.surprise) == (reading, True, {}, False)


async def test_two_lone_readings_tell_what_was_answered_between_them(site: Site) -> None:
    """A price is learned from two readings only if no search and nothing that failed lies between."""
    store = site.run()
    first = await granted(store)
    await settle(store, first, reading=100)
    await settle(store, await granted(store, 1), 1, outcome=Outcome.NOT_SENT, cost=0, body=None)
    second = await granted(store, 2)
    assert (await settle(store, second, 2, reading=99, since=first)).between == {}
    await settle(store, await granted(store, 3), 3)
    told = await settle(store, await granted(store, 4), 4, reading=97, since=second)
    assert (told.alone, told.between) == (True, {"verify": 1})


@pytest.mark.parametrize("search", [True, False])
async def test_a_search_or_a_failure_between_two_readings_tells_no_price(site: Site, *, search: bool) -> None:
    """What they cost is not known, so what is gone cannot be told apart."""
    store = site.run()
    first = await granted(store)
    await settle(store, first, reading=100)
    question = search_question("Acme", Questions(), filtered=False) if search else ask(1)
    between = await store.ledger.reserve(wish(question))
    assert isinstance(between, Granted)
    outcome = Outcome.FOUND if search else Outcome.AMBIGUOUS
    await settle(store, between.attempt, question=question, outcome=outcome)
    told = await settle(store, await granted(store, 2), 2, reading=90, since=first)
    assert (told.alone, told.between) == (True, None)


@pytest.mark.parametrize("reading", [101, 100, 97])
async def test_a_reading_in_company_only_lowers(site: Site, reading: int) -> None:
    """Beside others of the run a reading may be stale: it can say "less", never "more"."""
    store = site.run()
    first = await granted(store, 900)
    await settle(store, first, 900, reading=100)
    await granted(store, 1, ceiling=1)
    told = await settle(store, await granted(store), reading=reading, since=first)
    assert (told.credits, told.alone, told.between) == (min(99, reading + 1), False, None)


@pytest.mark.parametrize("other", ["under way before", "under way after", "over before", "came and went"])
async def test_a_lone_reading_beside_another_process_only_lowers(site: Site, other: str) -> None:
    """Alone means alone in every process, for the whole time: the other's charge may be missing in the reading."""
    ours, theirs = site.run("a"), site.run("b")
    await read_credits(ours, 100)
    between = await granted(theirs, 1) if other in ("under way before", "over before") else None
    lone = await granted(ours)
    between = between or await granted(theirs, 1)
    if other in ("over before", "came and went"):
        await settle(theirs, between, 1)
    told = await settle(ours, lone, reading=100)
    assert not told.alone
    assert told.credits == (98 if other in ("over before", "came and went") else 99)


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_answers_in_any_order_end_at_the_truth(tmp_path: Path, order: tuple[int, ...]) -> None:
    """The server charged in one order and answers in another: the ledger is never above what is left."""
    site = Site(tmp_path / "state.db", inline=True)
    store = site.run()
    await read_credits(store, 100)
    attempts = [await granted(store, n) for n in range(4)]
    for done, n in enumerate(order, 1):
        told = await settle(store, attempts[n], n, reading=99 - n)
        assert told.credits is not None
        assert told.credits - (4 - done) <= 96
        assert not told.surprise
    assert credits_of(store) == 96
    site.close()


async def test_spending_nobody_here_explains_is_told(site: Site) -> None:
    """A reading below all we know of means that a price is wrong or somebody else spends: believe the ceilings."""
    store = site.run()
    await read_credits(store, 100)
    await granted(store, 1, ceiling=5)
    told = await settle(store, await granted(store), reading=60)
    assert (told.credits, told.surprise) == (65, True)


async def test_credits_live_through_reopening(site: Site) -> None:
    """The next night goes on counting where this one ended."""
    store = site.run("a")
    await read_credits(store, 30)
    await settle(store, await granted(store), cost=7)
    assert credits_of(site.run("b")) == 23
