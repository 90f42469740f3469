"""Leads come in the order of work, quickly however many there are, and the counters never lie."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs_site import NOW, begin, finish, order, recount, row, take_in

from pipeline.model import Status
from pipeline.store import Store
from pipeline.store.records import FREE, NO_COMPANY, Committed
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
    assert order(store, job)[:2] == ["high", "low"]


async def test_rows_that_cost_nothing_come_first_and_rows_without_a_company_last(store: Store) -> None:
    """Among equals: free lines, then companies to search, then people who share nothing."""
    job = await begin(store)
    await take_in(store, job, [row(1, "lone", rank=NO_COMPANY), row(2, "to search"), row(3, "free", rank=FREE)])
    assert order(store, job) == ["free", "to search", "lone"]


async def test_searched_companies_come_before_unsearched_ones(store: Store) -> None:
    """A lead whose company's search is paid for is closest to done, even if more wait elsewhere."""
    job = await begin(store)
    await take_in(store, job, [row(1, "a", company="small"), row(2, "b", company="small")])
    await take_in(store, job, [row(n, company="big") for n in range(3, 9)])
    assert [work.company for work in store.jobs.ready(job.id, 9)][-1] == 1
    first = next(work for work in store.jobs.ready(job.id, 9) if work.lead_id == "a")
    await finish(store, job, [first])
    assert order(store, job)[0] == "b"


async def test_the_company_with_most_waiting_leads_comes_next(store: Store) -> None:
    """One search there helps the most rows."""
    job = await begin(store)
    rows = [row(1, company="one")] + [row(n, company="three") for n in (2, 3, 4)] + [row(5, company="two")]
    await take_in(store, job, [*rows, row(6, company="two")])
    assert [work.spelling for work in store.jobs.ready(job.id, 9)] == ["Three"] * 3 + ["Two"] * 2 + ["One"]


async def test_within_a_company_the_lead_that_got_furthest_comes_first(store: Store) -> None:
    """A user of 25 requests a day sees finished lines after the first night."""
    job = await begin(store)
    await take_in(store, job, [row(n, f"l{n}", company="acme") for n in (1, 2, 3)])
    works = store.jobs.ready(job.id, 9)
    await store.jobs.put_back(works[2], 2, searched=True)
    await store.jobs.put_back(works[1], 1, searched=True)
    assert order(store, job) == ["l3", "l2", "l1"]


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
        ("work", (1, 200), ("company_work", "lead_work")),
        ("wake", (1, NOW), ("lead_deferred",)),
        ("earliest_deferred", (1,), ("lead_deferred",)),
        ("copies", (1,), ("lead_copy",)),
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
def test_what_runs_for_every_lead_reads_an_index(
    store: Store, path: Path, statement: str, values: tuple[object, ...], indexes: tuple[str, ...]
) -> None:
    """No statement of the night's loop reads a whole table: a night costs the quota, not the list."""
    plan = plan_of(path, statement, values)
    assert [name for name in indexes if f"INDEX {name} " not in plan] == []
    assert "SCAN" not in plan


def test_the_order_of_work_is_read_and_not_sorted(store: Store, path: Path) -> None:
    """The indexes hold the order of work; sorting would cost the list every two hundred leads."""
    assert "TEMP B-TREE" not in plan_of(path, "work", (1, 200))


@pytest.mark.parametrize("companies", [1, 20_000])
async def test_the_next_leads_do_not_wait_for_the_list(store: Store, path: Path, companies: int) -> None:
    """Reading 200 of 20,000 leads touches a few hundred entries, in one company or in 20,000."""
    job = await begin(store)
    await take_in(store, job, [row(n, company=f"c{n % companies}") for n in range(1, 20_001)], batch=20_000)
    db = sqlite3.connect(path)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(step, 100)
    assert len(db.execute(SQL["work"], (job.id, 200)).fetchall()) == 200
    db.close()
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
    works = store.jobs.ready(job.id, 99)
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
            await store.jobs.defer(job.id, works[one % len(works)], NOW + two, two)
        case "wake":
            await store.jobs.wake(job.id, NOW + one)
        case "back" if works:
            await store.jobs.put_back(works[one % len(works)], one, searched=two)
        case "late":
            await store.jobs.copied(job.id, store.jobs.late_copies(job.id), Committed(1, b"x"))


def _no_line_without_its_lead(store: Store, job: Job) -> None:
    """Every finished lead is told once, and every lead that is ready is handed out."""
    finished = [work.id for work in store.jobs.finished(job.id)]
    counts = store.jobs.counts(job.id)
    assert len(set(finished)) == len(finished) == counts.leads - counts.pending
    assert len(order(store, job)) == counts.pending - counts.deferred


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
    assert sorted(order(store, job)) == ["x", "y", "z"]
    assert (intake.added, store.jobs.counts(job.id).duplicates) == (3, 3)
    assert recount(path)[0] == recount(path)[1]
