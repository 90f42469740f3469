"""Leads come in the order of work, quickly however many there are, and the counters never lie."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_site import NOW, begin, finish, order, recount, row, take_in, waiting

from pipeline.model import Status
from pipeline.order import AGED, AGED_SHARE, LOOK, WAITS_FOR_SEARCH, Chances
from pipeline.store import Store
from pipeline.store.records import FREE, NO_COMPANY, Committed, Progress
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.store.records import Job, Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path, "api/default", inline=True) as opened:
        yield opened


# --- the order of work --------------------------------------------------------------------------------


async def test_priority_goes_before_everything(store: Store) -> None:
    """What the user ranks highest comes first, whatever else speaks for others."""
    job = await begin(store)
    many = [row(n, company="big") for n in range(1, 6)]
    await take_in(store, job, [*many, row(6, "low", priority=1), row(7, "high", priority=5)])
    assert order(store, job) == ["high", "low", "lead1"]


async def test_a_new_priority_in_the_list_counts_at_once(store: Store) -> None:
    """The user ranks a lead higher in the CRM: nothing is asked again, it only comes earlier."""
    job = await begin(store)
    await take_in(store, job, [row(1, "a", need=1, rank=NO_COMPANY), row(2, "b", need=1, rank=NO_COMPANY)])
    rows = [row(1, "a", need=1, rank=NO_COMPANY), row(2, "b", need=1, rank=NO_COMPANY, priority=9)]
    assert await take_in(store, job, rows) == (0, 0, 0)
    assert order(store, job) == ["b", "a"]


async def test_a_company_is_searched_as_early_as_the_best_who_waits_there(store: Store) -> None:
    """Also when the list ranks its leads anew, up or down, or changes who they are."""
    job = await begin(store)
    for high, low in (("a", "b"), ("b", "a"), ("a", "b")):
        ranks = {high: 9, low: 1}
        await take_in(store, job, [row(n, who, company=who, priority=ranks[who]) for n, who in enumerate("ab", 1)])
        assert order(store, job) == [high, low]
    changed = [row(1, "a", who="new", company="a", priority=1), row(2, "b", who="new", company="b", priority=9)]
    assert (await take_in(store, job, changed))[1] == 2
    assert order(store, job) == ["b", "a"]


async def test_a_jobs_rank_is_that_of_its_best_waiting_row(store: Store) -> None:
    """Whether it waits for a search or not; without any it comes last."""
    job = await begin(store)
    assert store.jobs.best_waiting(job.id) == -math.inf
    await take_in(store, job, [row(1, "a", priority=-3), row(2, "b", priority=2)])
    assert store.jobs.best_waiting(job.id) == 2
    await take_in(store, job, [row(3, "c", need=1, rank=NO_COMPANY, priority=5)])
    assert store.jobs.best_waiting(job.id) == 5


async def test_rows_that_cost_nothing_come_first(store: Store) -> None:
    """Then what needs one request, then a search that finishes less than a lead, then what needs two."""
    job = await begin(store)
    rows = [row(1, "two", rank=NO_COMPANY, need=2), row(2, "one", rank=NO_COMPANY, need=1), row(3, "to search")]
    await take_in(store, job, [*rows, row(4, "free", rank=FREE, need=LOOK)])
    assert order(store, job) == ["free", "one", "two", "to search"]


async def test_an_answered_search_lets_all_who_waited_for_it_be_looked_at(store: Store) -> None:
    """They may be free now, so they come first; what they need is seen at that look."""
    job = await begin(store)
    await take_in(store, job, [row(1, "a", company="small"), row(2, "b", company="small")])
    await take_in(store, job, [row(n, company="big") for n in range(3, 15)])
    assert order(store, job) == ["lead3", "a"]
    carrier = store.jobs.ready(job.id, 9)[1]
    await store.jobs.put_back(job.id, carrier, Progress(2, searched=True, first_need=2))
    assert order(store, job) == ["b", "lead3", "a"]
    assert store.jobs.chances(job.id).shares == Chances({2: 1}).shares


async def test_the_company_with_most_waiting_leads_is_searched_next(store: Store) -> None:
    """One search there helps the most rows; one row carries it."""
    job = await begin(store)
    rows = [row(1, company="one")] + [row(n, company="three") for n in (2, 3, 4)] + [row(5, company="two")]
    await take_in(store, job, [*rows, row(6, company="two")])
    assert [work.spelling for work in store.jobs.ready(job.id, 9)] == ["Three", "Two", "One"]


async def test_a_company_nobody_waits_at_any_more_is_searched_anew_for_a_new_lead(store: Store) -> None:
    """What its search told may be too old for the lead; it takes its place among the searches."""
    job = await begin(store)
    await take_in(store, job, [row(1, "a", company="acme")])
    await finish(store, job, store.jobs.ready(job.id, 1))
    await take_in(store, job, [row(1, "a", company="acme"), row(2, "b", company="acme")])
    (work,) = store.jobs.ready(job.id, 9)
    assert (work.lead_id, work.need) == ("b", WAITS_FOR_SEARCH)


async def test_a_lead_that_waits_for_weeks_gets_its_turn(store: Store) -> None:
    """However much better leads come in every day."""
    job = await begin(store)
    await take_in(store, job, [row(1, "old", company="small")])
    rows = [row(1, "old", company="small")]
    await take_in(store, job, [*rows, *(row(n, rank=NO_COMPANY, need=1) for n in range(2, 100))])
    assert [work.lead_id for work in store.jobs.ready(job.id, 32, NOW + AGED)].index("lead33") == 31
    assert [work.lead_id for work in store.jobs.ready(job.id, 32, NOW + AGED + 1)].index("old") == AGED_SHARE - 1


async def test_only_as_many_as_wanted_are_read(store: Store) -> None:
    """A batch is a batch."""
    job = await begin(store)
    await take_in(store, job, [row(n) for n in range(1, 30)])
    assert len(store.jobs.ready(job.id, 7)) == 7


# --- how quickly --------------------------------------------------------------------------------------


def plan_of(path: Path, statement: str, values: tuple[object, ...]) -> str:
    db = sqlite3.connect(path)
    try:
        return " | ".join(line[3] for line in db.execute(f"EXPLAIN QUERY PLAN {SQL[statement]}", values))
    finally:
        db.close()


@pytest.mark.parametrize(
    ("statement", "values", "indexes"),
    [
        ("leads_next", (1, "[]", 200), ("lead_work",)),
        ("searches_next", (1, "[]", 200), ("company_search", "lead_company")),
        ("oldest", (1, "[]", 12), ("company_age", "lead_company")),
        ("look", (1,), ("lead_company",)),
        ("wake", (1, NOW), ("lead_deferred",)),
        ("earliest_deferred", (1,), ("lead_deferred",)),
        ("sampled_next", (1, 1 << 40, "[]", 200), ("lead_sample",)),
        ("sampled_due", (1, 1 << 40), ("lead_sample",)),
        ("places", (1, "ready"), ("lead_sample",)),
        ("copies", (1,), ("lead_copy",)),
        ("best_waiting", (1,), ("lead_work", "company_search")),
        ("rank_company", (1, 1), ("lead_company",)),
        ("copied", (1,), ("lead_copy",)),
        ("known_lead", (1, "x", 0), ("lead_identity",)),
        ("lines_of", (1, "x"), ("lead_identity",)),
        ("open_claim", (1, b"x"), ("attempt_claim",)),
        ("under_way", (1,), ("attempt_dated",)),
        ("orphans", (1,), ("attempt_dated",)),
        ("count_dated", (1, 1), ("attempt_dated",)),
        ("slot_date", (1, 1, 1), ("attempt_dated",)),
        ("newest_answer", (1, b"x"), ("answer_key",)),
        ("history", (1, b"x"), ("answer_key",)),
    ],
)
async def test_what_runs_for_every_lead_reads_an_index(
    store: Store, path: Path, statement: str, values: tuple[object, ...], indexes: tuple[str, ...]
) -> None:
    """No statement of the night's loop reads a whole table: a night costs the quota, not the list."""
    await store.jobs.index_sample()
    plan = plan_of(path, statement, values)
    assert [name for name in indexes if f"INDEX {name} " not in plan] == []
    assert "SCAN" not in plan.replace("SCAN json_each", "").replace("SCAN CONSTANT ROW", "")  # leads in hand


async def test_leads_pay_for_the_index_of_samples_only_once_somebody_takes_one(store: Store, path: Path) -> None:
    """It would cost every lead of every list as much as half of its other indexes together."""
    assert "lead_sample" not in plan_of(path, "places", (1, "ready"))
    for _ in "twice":
        await store.jobs.index_sample()
    assert "lead_sample" in plan_of(path, "places", (1, "ready"))


async def test_the_order_of_work_is_read_and_not_sorted(store: Store, path: Path) -> None:
    """The indexes hold the order of work; sorting would cost the list every two hundred leads."""
    await store.jobs.index_sample()
    assert "TEMP B-TREE" not in plan_of(path, "leads_next", (1, "[]", 200))
    assert "TEMP B-TREE" not in plan_of(path, "searches_next", (1, "[]", 200))
    assert "TEMP B-TREE" not in plan_of(path, "sampled_next", (1, 1 << 40, "[]", 200))
    assert "TEMP B-TREE" not in plan_of(path, "places", (1, "ready"))


@pytest.mark.parametrize("statement", ["finished", "unfinished", "rows"])
def test_pages_of_a_list_are_read_one_after_the_other(store: Store, path: Path, statement: str) -> None:
    """By row; sorted, every page of five hundred would cost the list."""
    values = (1, 0, 500)[: SQL[statement].count("?")]
    assert "TEMP B-TREE" not in plan_of(path, statement, values)


@pytest.mark.parametrize("companies", [1, 20_000])
async def test_the_next_leads_do_not_wait_for_the_list(store: Store, path: Path, companies: int) -> None:
    """Reading 200 of 20,000 leads touches a few hundred entries, in one company or in 20,000."""
    job = await begin(store)
    await take_in(store, job, [row(n, company=f"c{n % companies}") for n in range(1, 20_001)], batch=20_000)
    (carrier, *_) = store.jobs.ready(job.id, 1)
    await store.jobs.put_back(job.id, carrier, Progress(1, searched=True, first_need=1))
    db = sqlite3.connect(path)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(step, 100)
    streams = (
        ("leads_next", (job.id, "[]", 200)),
        ("searches_next", (job.id, "[]", 200)),
        ("oldest", (job.id, "[]", 12)),
    )
    rows = [len(db.execute(SQL[stream], values).fetchall()) for stream, values in streams]
    db.close()
    assert rows[:2] == ([200, 0] if companies == 1 else [1, 200])
    assert steps * 100 < 20_000


# --- the counters -------------------------------------------------------------------------------------

ROWS = st.lists(
    st.builds(
        lambda lead, who, company, priority: (lead, who, company, priority),
        st.sampled_from("abcd"),
        st.sampled_from(["Ann", "Bob"]),
        st.sampled_from(["acme", "globex", "initech"]),
        st.sampled_from([0, 0, 3]),
    ),
    max_size=9,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("list"), ROWS, st.booleans()),
        st.tuples(st.just("finish"), st.integers(1, 4), st.sampled_from(list(Status)[:5])),
        st.tuples(st.just("defer"), st.integers(0, 9), st.integers(1, 9)),
        st.tuples(st.just("wake"), st.integers(0, 9), st.none()),
        st.tuples(st.just("back"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("late"), st.none(), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_the_counters_equal_a_recount_after_any_history(steps: list[tuple[str, Any, Any]]) -> None:
    """Whatever happens to a job, its kept counters are what counting its rows would give (promise 5)."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live_through(Path(folder) / "state.db", steps))


async def _live_through(path: Path, steps: list[tuple[str, Any, Any]]) -> None:
    with Store.open(path, "api/default", inline=True) as store:
        job = await begin(store)
        for step in steps:
            await _step(store, job, *step)
            kept, counted, wrong = recount(path)
            assert (kept, wrong) == (counted, [])
            _no_line_without_its_lead(store, job)


async def _step(store: Store, job: Job, what: str, one: Any, two: Any) -> None:
    works = waiting(store, job)
    match what:
        case "list":
            rows: list[Row] = [
                row(n, lead, who=who, company=company, priority=priority)
                for n, (lead, who, company, priority) in enumerate(one, 1)
            ]
            await take_in(store, job, rows, prune=two, batch=4)
        case "finish":
            await finish(store, job, works[:one], two)
        case "defer" if works:
            await store.jobs.defer(job.id, works[one % len(works)], NOW + two, Progress(one, searched=two > 4))
        case "wake":
            await store.jobs.wake(job.id, NOW + one)
        case "back" if works:
            work = works[one % len(works)]
            await store.jobs.put_back(job.id, work, Progress(one if two else work.need, searched=two, first_need=one))
        case "late":
            await store.jobs.copied(job.id, store.jobs.late_copies(job.id), Committed(1, b"x"))


def _no_line_without_its_lead(store: Store, job: Job) -> None:
    """Every finished lead is told once, and every lead that is ready is handed out."""
    finished = [work.id for work in store.jobs.finished(job.id)]
    counts = store.jobs.counts(job.id)
    assert len(set(finished)) == len(finished) == counts.leads - counts.pending
    assert len(waiting(store, job)) == counts.pending - counts.deferred
    handed = {work.company for work in store.jobs.ready(job.id, 99)}
    assert handed == {work.company for work in waiting(store, job)}


async def test_a_list_taken_in_beside_a_failing_commit_is_whole(store: Store, path: Path) -> None:
    """A group that is run again takes the rows in as if it had been the first time."""
    job = await begin(store)
    intake = await store.jobs.begin_intake(job, NOW)
    await store.jobs.take_in(intake, [row(1, "x", company="acme")])

    def fail(_: object) -> None:
        raise ValueError

    rows = [row(2, "y", company="globex"), row(3, "y", company="globex"), row(4, "x", company="acme")]
    told = await asyncio.gather(store.jobs.take_in(intake, rows), store._committer.run(fail), return_exceptions=True)
    assert [type(one) for one in told] == [type(None), ValueError]
    await store.jobs.take_in(intake, [row(5, "y", company="globex"), row(6, "z", company="globex")])
    assert sorted(work.lead_id for work in waiting(store, job)) == ["x", "y", "z"]
    assert (intake.added, store.jobs.counts(job.id).duplicates) == (3, 3)
    assert recount(path)[0] == recount(path)[1]
