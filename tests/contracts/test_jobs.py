"""A list becomes leads once: duplicates, changed rows and rows that went are told apart and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jobs_site import NOW, UNSEEN, begin, finish, leads, order, recount, row, take_in, waiting

from pipeline.errors import ConfigError
from pipeline.model import Status
from pipeline.order import LOOK, WAITS_FOR_SEARCH
from pipeline.store import Store
from pipeline.store.past import Night
from pipeline.store.records import Committed, Did, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.store.records import Job


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture(params=["inline", "threaded"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    with Store.open(path, "api/default", inline=request.param == "inline") as opened:
        yield opened
    kept, counted, wrong = recount(path)
    assert (kept, wrong) == (counted, [])


# --- taking rows in -----------------------------------------------------------------------------------


async def test_new_rows_wait_for_work(store: Store) -> None:
    """Every row of a new list is a pending lead."""
    job = await begin(store)
    assert await take_in(store, job, [row(n) for n in range(1, 6)], batch=2) == (5, 0, 0)
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.pending, counts.duplicates) == (5, 5, 0)
    again = store.jobs.find(job.name)
    assert again is not None
    assert (again.rows, again.intake) == (5, 1)


async def test_an_equal_row_later_in_the_list_is_a_duplicate(store: Store, path: Path) -> None:
    """Equal leads share one: the later rows are counted apart and keep their own input."""
    job = await begin(store)
    rows = [row(1, "x", input="first"), row(2, "y"), row(3, "x", input="second"), row(4, "x", input="third")]
    assert await take_in(store, job, rows, batch=1) == (2, 0, 0)
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.duplicates) == (2, 2)
    assert [lead for lead in leads(path) if lead[0] == "x"] == [
        ("x", 1, "ready", "first", 0),
        ("x", 3, "copy", "second", 1),
        ("x", 4, "copy", "third", 1),
    ]
    (work,) = (work for work in waiting(store, job) if work.lead_id == "x")
    assert store.jobs.copies(work) == [(3, "second"), (4, "third")]


async def test_one_id_with_two_people_in_a_list_is_two_leads(store: Store) -> None:
    """Neither replaces the other, and reading the same list again changes nothing."""
    job = await begin(store)
    rows = [row(1, "7", who="Ann"), row(2, "7", who="Bob"), row(3, "7", who="Bob")]
    assert await take_in(store, job, rows) == (2, 0, 0)
    assert await take_in(store, job, rows) == (0, 0, 0)
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.duplicates) == (2, 1)


async def test_changed_leads_are_counted_and_their_equal_rows_are_duplicates(store: Store) -> None:
    """Also where one batch holds them all: a row equal to a changed one is its duplicate, as it is of a new one."""
    job = await begin(store)
    await take_in(store, job, [row(1, "x"), row(2, "y"), row(3, "z")])
    changed = [row(1, "x", who="Ann"), row(2, "y", who="Bob"), row(3, "z"), row(4, "x", who="Ann")]
    assert await take_in(store, job, changed) == (0, 2, 0)
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.pending, counts.duplicates) == (3, 3, 1)


async def test_two_people_of_one_id_in_another_order_are_the_same_two(store: Store) -> None:
    """A list sorted differently is the same list: nobody is asked again."""
    job = await begin(store)
    ann, bob = row(1, "7", who="Ann"), row(2, "7", who="Bob")
    await take_in(store, job, [ann, bob])
    await finish(store, job, waiting(store, job))
    assert await take_in(store, job, [bob, ann]) == (0, 0, 0)
    assert store.jobs.counts(job.id).by_status[Status.ENRICHED] == 2


async def test_the_same_list_again_adds_nothing(store: Store, path: Path) -> None:
    """Reading a list twice leaves leads, duplicates and finished rows as they were."""
    job = await begin(store)
    rows = [row(1, "x"), row(2, "y"), row(3, "x")]
    await take_in(store, job, rows)
    await finish(store, job, store.jobs.ready(job.id, 1))
    before = leads(path)
    assert await take_in(store, job, rows) == (0, 0, 0)
    assert leads(path) == before


async def test_other_columns_are_refreshed_only_for_unfinished_rows(store: Store, path: Path) -> None:
    """A new export with other notes asks nothing; a finished row's line stays what it is."""
    job = await begin(store)
    await take_in(store, job, [row(1, "done"), row(2, "open"), row(3, "open")])
    await finish(store, job, [work for work in waiting(store, job) if work.lead_id == "done"])
    again = [row(1, "done", input="new"), row(2, "open", input="new"), row(3, "open", input="new")]
    assert await take_in(store, job, again) == (0, 0, 0)
    assert [(lead[0], lead[3]) for lead in leads(path)] == [
        ("done", '{"n":1}'),
        ("open", "new"),
        ("open", "new"),
    ]


@pytest.mark.parametrize("state", ["ready", "deferred", "finished"])
async def test_who_changed_under_an_id_is_asked_again(store: Store, path: Path, state: str) -> None:
    """Another company or person under a known id is pending again; only a line that stood makes OUT stale."""
    job = await begin(store)
    await take_in(store, job, [row(1, "x", company="old"), row(2, "x", company="old"), row(3, "other")])
    (work,) = (work for work in waiting(store, job) if work.lead_id == "x")
    if state == "deferred":
        await store.jobs.defer(job.id, work, NOW + 50, UNSEEN)
    if state == "finished":
        await finish(store, job, [work])
    changed = [row(1, "x", company="new"), row(2, "x", company="new"), row(3, "other")]
    assert await take_in(store, job, changed) == (0, 1, 0)
    (work,) = (work for work in waiting(store, job) if work.lead_id == "x")
    assert (work.spelling, work.need, store.jobs.copies(work)) == ("New", WAITS_FOR_SEARCH, [(2, '{"n":2}')])
    found = store.jobs.find(job.name)
    assert found is not None
    assert found.stale is (state == "finished")
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.pending, counts.duplicates) == (2, 2, 1)
    assert recount(path)[0] == recount(path)[1]


async def test_rows_that_went_stay_unless_pruned(store: Store) -> None:
    """Only `--prune` drops rows the list no longer has, and only those still pending, with their duplicates."""
    job = await begin(store)
    await take_in(store, job, [row(1, "done"), row(2, "a"), row(3, "b"), row(4, "b"), row(5, "late")])
    works = {work.lead_id: work for work in waiting(store, job)}
    await finish(store, job, [works["done"]])
    await store.jobs.defer(job.id, works["late"], NOW + 9, UNSEEN)
    assert await take_in(store, job, [row(1, "a")]) == (0, 0, 0)
    assert store.jobs.counts(job.id).leads == 4
    assert await take_in(store, job, [row(1, "a")], prune=True) == (0, 0, 2)
    counts = store.jobs.counts(job.id)
    assert (counts.leads, counts.pending, counts.duplicates) == (2, 1, 0)


async def test_the_first_spelling_of_a_company_stays(store: Store) -> None:
    """The spelling is part of the question: another one would be another bill."""
    job = await begin(store)
    await take_in(store, job, [row(1, company="acme")])
    await take_in(store, job, [row(1, company="acme"), row(2, company="acme"), row(3, company="globex")])
    assert [work.spelling for work in waiting(store, job)] == ["Acme", "Acme", "Globex"]


# --- getting done -------------------------------------------------------------------------------------


async def test_a_deferred_lead_comes_back_when_it_is_due(store: Store) -> None:
    """Until then it is pending and not handed out."""
    job = await begin(store)
    await take_in(store, job, [row(1, "x"), row(2, "y")])
    (work,) = store.jobs.ready(job.id, 1)
    await store.jobs.defer(job.id, work, NOW + 50, UNSEEN)
    assert (order(store, job), store.jobs.next_due(job.id)) == (["y"], NOW + 50)
    assert (await store.jobs.wake(job.id, NOW + 49), store.jobs.counts(job.id).deferred) == (0, 1)
    assert await store.jobs.wake(job.id, NOW + 50) == 1
    assert (order(store, job), store.jobs.next_due(job.id)) == (["x", "y"], None)
    assert store.jobs.counts(job.id).pending == 2


async def test_a_finished_lead_takes_its_duplicates_along(store: Store) -> None:
    """The lead's state, its duplicates' lines and the output's new length are one commit."""
    job = await begin(store)
    await take_in(store, job, [row(1, "x"), row(2, "x"), row(3, "y")])
    assert store.jobs.has_late_copies(job.id)
    await finish(store, job, store.jobs.ready(job.id, 1), Status.PARTIAL)
    counts = store.jobs.counts(job.id)
    assert (counts.by_status[Status.PARTIAL], counts.pending, counts.duplicates) == (1, 1, 1)
    found = store.jobs.find(job.name)
    assert found is not None
    assert found.committed == Committed(7, b"x")
    assert (store.jobs.has_late_copies(job.id), store.jobs.late_copies(job.id)) == (False, [])
    (done,) = store.jobs.finished(job.id)
    assert (done.lead_id, done.state, done.finished_at) == ("x", "partial", NOW + 9)
    assert [number for _, number, _ in store.jobs.copied_rows(done)] == [2]


def late_of(store: Store, job: Job) -> bool:
    """Whether a run has to look for duplicates without a line."""
    (found,) = store.jobs.all()
    assert found.id == job.id
    return found.late


async def test_a_duplicate_of_a_finished_lead_is_found(store: Store) -> None:
    """A duplicate that came after its lead was finished gets its line from what was paid for."""
    job = await begin(store)
    await take_in(store, job, [row(1, "x"), row(2, "y"), row(3, "y")])
    await finish(store, job, [work for work in waiting(store, job) if work.lead_id == "x"])
    assert late_of(store, job) is False
    await take_in(store, job, [row(1, "x"), row(2, "y"), row(3, "y"), row(4, "x"), row(5, "x")])
    assert late_of(store, job) is True
    (late,) = store.jobs.late_copies(job.id)
    assert (late.lead_id, store.jobs.copies(late)) == ("x", [(4, '{"n":4}'), (5, '{"n":5}')])
    await store.jobs.copied(job.id, [late], Committed(99, b"y"))
    assert store.jobs.late_copies(job.id) == []
    assert late_of(store, job) is False
    found = store.jobs.find(job.name)
    assert found is not None
    assert found.committed == Committed(99, b"y")


async def test_finished_leads_are_read_to_the_last(store: Store) -> None:
    """Rewriting the output sees every finished lead once, in their order, however many there are."""
    job = await begin(store)
    await take_in(store, job, [row(n) for n in range(1, 1_203)])
    await finish(store, job, store.jobs.ready(job.id, 1_201))
    assert [work.row for work in store.jobs.finished(job.id)] == list(range(1, 1_202))


async def test_unfinished_leads_are_read_to_the_last(store: Store) -> None:
    """Ready and deferred ones, in their order, however many there are."""
    job = await begin(store)
    await take_in(store, job, [row(n) for n in range(1, 1_203)])
    first, second, *_ = store.jobs.ready(job.id, 2)
    await finish(store, job, [first])
    await store.jobs.defer(job.id, second, NOW + 50, UNSEEN)
    assert [work.row for work in store.jobs.unfinished(job.id)] == list(range(2, 1_203))


async def test_changed_questions_ask_answered_companies_again(store: Store) -> None:
    """What was answered under other questions is forgotten in the order of work, and can be told before."""
    job = await begin(store)
    await take_in(store, job, [row(1, company="acme"), row(2, company="acme"), row(3, company="globex")])
    (work, *_) = store.jobs.ready(job.id, 9)
    await store.jobs.put_back(job.id, work, Progress(1, searched=True))
    assert store.jobs.answered_companies(job.id) == 1
    assert [work.need for work in waiting(store, job)] == [1, LOOK, WAITS_FOR_SEARCH]
    await store.jobs.search_again(job.id)
    assert store.jobs.answered_companies(job.id) == 0
    assert {work.need for work in waiting(store, job)} == {WAITS_FOR_SEARCH}


async def test_a_job_of_another_account_is_refused(store: Store, path: Path) -> None:
    """One customer's job is not worked on with another's quota."""
    job = await begin(store)
    with Store.open(path, "api/other", inline=True) as other:
        assert other.jobs.all() == []
        with pytest.raises(ConfigError, match="belongs to the account"):
            other.jobs.find(job.name)
    assert [found.name for found in store.jobs.all()] == [job.name]


@pytest.mark.parametrize(
    ("asks", "words"),
    [
        ("api other", "account default at api, and this is other at api. Say its --account default, or"),
        ("elsewhere default", "at api, and this is default at elsewhere. Say its --base-url, or"),
        ("elsewhere other", "Say its --base-url and --account default, or choose another --job or --state."),
    ],
)
async def test_the_account_of_a_job_is_named_with_the_way_to_it(path: Path, asks: str, words: str) -> None:
    """Another host is another account, and no --account leads to it."""
    with Store.open(path.with_name("own.db"), "api default", inline=True) as ours:
        job = await begin(ours)
        with Store.open(ours.path, asks, inline=True) as other, pytest.raises(ConfigError) as refused:
            other.jobs.find(job.name)
    assert words in str(refused.value)


async def test_runs_and_the_keys_mark_are_noted(store: Store) -> None:
    """What each night did is kept, and whether the key is another one than last time can be told."""
    await store.jobs.begin_run("a", NOW)
    await store.jobs.end_run("a", "quota", 25, NOW + 60, Did(7, 6, 5, 4, 3))
    await store.jobs.begin_run("b", NOW + 90)
    assert store.past.nights() == [
        Night("a", NOW, NOW + 60, "quota", 25, Did(7, 6, 5, 4, 3)),
        Night("b", NOW + 90, None, None, 0, None),
    ]
    assert store.jobs.key_mark() is None
    await store.jobs.set_key_mark("ab12")
    assert store.jobs.key_mark() == "ab12"
