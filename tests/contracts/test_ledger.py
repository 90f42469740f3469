"""The ledger grants exactly the plan's requests, each question once, over all callers, processes and restarts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from ledger_site import NOW, Site, ask, count, credits_of, granted, read_credits, settle, wish

from pipeline.model import Outcome, Stop
from pipeline.quota import DAY, Window
from pipeline.store.ledger import Answered, Claimed, Granted, NoSlot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["inline", "threaded"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state.db", inline=request.param == "inline")
    yield made
    made.close()


# --- the quota ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quota", [0, 1, 25])
async def test_many_reservers_at_once_get_exactly_the_quota(site: Site, quota: int) -> None:
    """However many ask at the same moment, the plan's number go and no more."""
    store = site.run()
    asked = [store.ledger.reserve(wish(ask(n), quota=quota)) for n in range(quota + 40)]
    decisions = await asyncio.gather(*asked)
    assert (count(decisions, Granted), count(decisions, NoSlot)) == (quota, 40)


async def test_two_runs_on_one_file_share_one_quota(site: Site) -> None:
    """Processes that share a state file get the plan's number together."""
    stores = [site.run("a"), site.run("b")]
    asked = [stores[n % 2].ledger.reserve(wish(ask(n), quota=33)) for n in range(80)]
    decisions = await asyncio.gather(*asked)
    assert count(decisions, Granted) == 33
    assert site.select("SELECT count(*) FROM attempt") == [(33,)]


async def test_settled_requests_stay_counted(site: Site) -> None:
    """A request that was answered has used its slot, and so has one nobody knows the end of."""
    store = site.run()
    for n, outcome in enumerate([Outcome.FOUND, Outcome.AMBIGUOUS, Outcome.REFUSED, Outcome.NO_QUOTA]):
        await settle(store, await granted(store, n, quota=4), n, outcome=outcome, body=None)
    assert isinstance(await store.ledger.reserve(wish(ask(9), quota=4)), NoSlot)


async def test_a_request_that_never_left_counts_nowhere(site: Site) -> None:
    """Refused connections cost no slot and no credit, however many there are."""
    store = site.run()
    await read_credits(store, 50)
    for n in range(5):
        await settle(store, await granted(store, n, quota=2), n, outcome=Outcome.NOT_SENT, cost=0, body=None)
    usage = store.ledger.usage(Window(), 2, NOW)
    assert (usage.used, usage.under_way, usage.credits) == (1, 0, 50)


async def test_accounts_of_one_file_do_not_share_their_quota(site: Site) -> None:
    """Another customer has another quota, credits and answers."""
    ours, theirs = site.run("a"), site.run("b", account="api/other")
    await settle(ours, await granted(ours, quota=1), reading=7)
    await granted(theirs, quota=1)
    assert (credits_of(theirs), theirs.ledger.history(ask())) == (None, [])


async def test_the_oldest_request_opens_the_next_slot_a_day_later(site: Site) -> None:
    """In a rolling window a slot opens to the second 24 hours after its request was dated, not earlier."""
    store = site.run()
    for n, at in enumerate([NOW + 0.2, NOW + 10.0]):
        await settle(store, await granted(store, n, now=at, quota=2), n, now=at)
    opens = NOW + 1 + DAY
    assert await store.ledger.reserve(wish(ask(2), now=NOW + 20, quota=2)) == NoSlot(opens)
    assert await store.ledger.reserve(wish(ask(2), now=opens - 1, quota=2)) == NoSlot(opens)
    await granted(store, 2, now=opens, quota=2)


async def test_requests_under_way_count_as_now(site: Site) -> None:
    """While all slots are held by unanswered requests, none can open sooner than a day from now."""
    store = site.run()
    await granted(store, 0, quota=1)
    assert await store.ledger.reserve(wish(ask(1), now=NOW + 5.5, quota=1)) == NoSlot(NOW + 6 + DAY)


async def test_a_calendar_window_opens_after_midnight_and_not_before(site: Site) -> None:
    """A day's quota is free again five minutes after the midnight of the server's zone."""
    store, window = site.run(), Window("UTC")
    midnight = NOW - NOW % DAY + DAY
    await settle(store, await granted(store, quota=1, window=window))
    full = wish(ask(1), quota=1, window=window)
    assert await store.ledger.reserve(full) == NoSlot(midnight + 300)
    assert await store.ledger.reserve(full._replace(now=midnight + 299)) == NoSlot(midnight + 300)
    await granted(store, 1, now=midnight + 300, quota=1, window=window)


async def test_a_clock_set_back_opens_no_slot(site: Site) -> None:
    """Requests dated later than now count, and so do those that had left the window before it moved back."""
    store = site.run()
    for n in range(2):
        await settle(store, await granted(store, n, quota=2), n)
    await granted(store, 2, now=NOW + DAY + 10, quota=2)
    assert isinstance(await store.ledger.reserve(wish(ask(3), now=NOW + 20, quota=3)), NoSlot)
    assert isinstance(await store.ledger.reserve(wish(ask(3), now=NOW - 40 * DAY, quota=3)), NoSlot)


async def test_a_shut_account_sends_nothing_until_the_told_time(site: Site) -> None:
    """What the server said about its next opening is kept, over restarts too."""
    await site.run("a").ledger.shut(NOW + 100)
    store = site.run("b")
    assert await store.ledger.reserve(wish()) == NoSlot(NOW + 100, Stop.QUOTA)
    assert store.ledger.usage(Window(), 5, NOW).shut_until == NOW + 100
    assert isinstance(await store.ledger.reserve(wish(ask(1), beyond_reserve=True)), Granted)
    assert isinstance(await store.ledger.reserve(wish(ask(2), now=NOW + 100)), Granted)
    await store.ledger.shut(None)
    assert isinstance(await store.ledger.reserve(wish(ask(3))), Granted)


async def test_a_shut_account_is_shut_for_those_who_ask_at_the_same_moment(site: Site) -> None:
    """Who asks after the server's word was written down is told it, in the very same commit too."""
    store = site.run()
    before, _, after = await asyncio.gather(
        store.ledger.reserve(wish()), store.ledger.shut(NOW + 100), store.ledger.reserve(wish(ask(1)))
    )
    assert isinstance(before, Granted)
    assert after == NoSlot(NOW + 100, Stop.QUOTA)


# --- one question, one request ------------------------------------------------------------------------


async def test_a_question_is_asked_by_one_run_at_a_time(site: Site) -> None:
    """While a living run asks, another is told so and spends nothing."""
    first, second = site.run("a"), site.run("b")
    await granted(first)
    assert await second.ledger.reserve(wish()) == Claimed()
    assert isinstance(await second.ledger.reserve(wish(ask(1))), Granted)


async def test_many_who_ask_the_same_at_once_get_one_grant(site: Site) -> None:
    """The claim holds against callers of the same group commit too."""
    stores = [site.run("a"), site.run("b")]
    decisions = await asyncio.gather(*(stores[n % 2].ledger.reserve(wish()) for n in range(20)))
    assert (count(decisions, Granted), count(decisions, Claimed)) == (1, 19)


@pytest.mark.parametrize("by_recover", [True, False])
async def test_a_dead_runs_request_is_spent_and_its_question_free(site: Site, *, by_recover: bool) -> None:
    """What a dead run had under way counts from the last moment it can have left, at its ceiling."""
    dead, living = site.run("a"), site.run("b")
    await read_credits(living, 100)
    attempt = await granted(dead, now=NOW + 0.5, ceiling=10)
    site.die("a")
    if by_recover:
        assert await living.ledger.recover() == 1
        assert await living.ledger.recover() == 0
    await granted(living)
    told = site.select(f"SELECT dated, outcome, cost FROM attempt WHERE id = {attempt}")  # noqa: S608 - our number
    assert told == [(int(NOW) + 61, "lost", 10)]
    assert credits_of(living) == 90
    assert living.ledger.usage(Window(), 9, NOW).used == 2


async def test_recovering_leaves_living_runs_alone(site: Site) -> None:
    """Only what dead runs left is settled."""
    living, other = site.run("a"), site.run("b")
    await granted(living)
    assert await other.ledger.recover() == 0
    assert other.ledger.usage(Window(), 9, NOW).under_way == 1


async def test_an_answer_that_came_meanwhile_is_used_instead_of_asking(site: Site) -> None:
    """Who has not seen the newest answer is sent back to look; who has may ask again."""
    first, second = site.run("a"), site.run("b")
    await settle(first, await granted(first))
    assert await second.ledger.reserve(wish(now=NOW + 2)) == Answered()
    assert isinstance(await second.ledger.reserve(wish(now=NOW + 2, newer_than=NOW + 1)), Granted)


# --- answers ------------------------------------------------------------------------------------------


async def test_the_bytes_of_an_answer_survive_reopening(site: Site) -> None:
    """An answer that was paid for is kept as it came, whatever its bytes are."""
    store, body = site.run("a"), b'\xff\x00 {"success": true}\r\n\xc3'
    await settle(store, await granted(store), body=body, outcome=Outcome.UNEXPECTED)
    assert site.select("SELECT status, body FROM answer") == [(200, body)]
    (answer,) = site.run("b").ledger.history(ask())
    assert (answer.outcome, answer.received_at) == (Outcome.UNEXPECTED, NOW + 1)


async def test_history_is_newest_first_and_knows_what_was_given_up(site: Site) -> None:
    """The journal tells every answer to a question, and the notes about it, the latest on top."""
    store = site.run()
    await settle(store, await granted(store))
    await store.ledger.note(ask(), "no answer", NOW + 5)
    await store.ledger.note(ask(1), "another question", NOW + 6)
    assert [answer.outcome for answer in store.ledger.history(ask())] == [Outcome.GAVE_UP, Outcome.FOUND]


async def test_forgetting_drops_the_named_answers_since_a_time(site: Site) -> None:
    """The answers of a broken contract go; older ones and other questions' stay."""
    store = site.run()
    for n, at in [(0, NOW), (0, NOW + 10), (1, NOW + 10)]:
        await settle(store, await granted(store, n, newer_than=at), n, now=at)
    await store.ledger.forget_answers({ask(0).key}, NOW + 10)
    assert [[a.received_at for a in store.ledger.history(ask(n))] for n in (0, 1)] == [[NOW], [NOW + 10]]
    assert store.ledger.usage(Window(), 9, NOW).used == 3


@pytest.mark.parametrize("reading", [None, 42])
async def test_settling_twice_changes_nothing(site: Site, reading: int | None) -> None:
    """A settlement that comes again is neither charged nor kept again."""
    store = site.run()
    await read_credits(store, 50)
    attempt = await granted(store)
    once = await settle(store, attempt, reading=reading)
    twice = await settle(store, attempt, reading=reading)
    assert (twice.credits, credits_of(store)) == (once.credits, once.credits)
    assert len(store.ledger.history(ask())) == 1


async def test_an_answer_that_comes_after_its_run_was_given_up_is_kept(site: Site) -> None:
    """Somebody thought the run dead and charged its request; the late answer is kept and not charged again."""
    slow, other = site.run("a"), site.run("b")
    await read_credits(other, 50)
    attempt = await granted(slow, ceiling=10)
    site.die("a")
    await other.ledger.recover()
    await settle(slow, attempt)
    assert (credits_of(other), len(other.ledger.history(ask()))) == (40, 1)


async def test_usage_tells_what_status_shows(site: Site) -> None:
    """Used, under way, credits with their date, and when the next slot opens if none is free."""
    store = site.run()
    await settle(store, await granted(store), reading=80)
    await granted(store, 1)
    roomy, full = (store.ledger.usage(Window(), quota, NOW + 2) for quota in (3, 2))
    assert (roomy.used, roomy.under_way, roomy.credits, roomy.credits_at) == (1, 1, 80, NOW + 1)
    assert (roomy.shut_until, roomy.opens, full.opens) == (None, None, NOW + 1 + DAY)


async def test_a_servers_clock_is_remembered_unless_it_puts_us_before_the_last_request(site: Site) -> None:
    """Then somebody has set ours right meanwhile, and the old difference says nothing any more."""
    store = site.run()
    assert store.ledger.clock_offset(NOW) == 0
    await store.ledger.note_clock(-7_200)
    assert store.ledger.clock_offset(NOW) == -7_200
    await settle(store, await granted(store))
    assert store.ledger.clock_offset(NOW + 7_200) == -7_200
    assert store.ledger.clock_offset(NOW) == 0
