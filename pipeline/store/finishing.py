"""Leads that got their lines, and what was learned on the way to them, inside a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.order import MOST_NEEDED, WAITS_FOR_SEARCH
from pipeline.store.people import note_people
from pipeline.store.records import COPIED, COPY, READY, Committed, Finish, Progress, Work
from pipeline.store.sql import SQL
from pipeline.store.takein import count

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


def finish_leads(db: sqlite3.Connection, job: int, finishes: Sequence[Finish], committed: Committed) -> None:
    """Note finished leads together with the output's new length."""
    db.executemany(SQL["finish"], [(done.status, done.reason, done.at, done.work.id) for done in finishes])
    copies = sum(db.execute(SQL["copied"], (done.work.id,)).rowcount for done in finishes if done.has_copies)
    states: Counter[str] = Counter(done.status for done in finishes)
    states.update({READY: -len(finishes), COPY: -copies, COPIED: copies})
    companies = Counter(done.work.company for done in finishes)
    db.executemany(SQL["waiting"], [(-n, company) for company, n in companies.items()])
    note_progress(db, job, [(done.work, done.progress) for done in finishes])
    count(db, job, dict(states))
    moves = note_people(db, job, finishes)
    if moves or any(done.work.held for done in finishes):
        db.execute(SQL["stale"], (job,))
    db.execute(SQL["out_committed"], (committed.length, committed.tail, job))


def note_progress(db: sqlite3.Connection, job: int, gone: Sequence[tuple[Work, Progress]]) -> None:
    """Keep what was learned on the way: searches that were answered, and what leads needed after them."""
    searched = list({(work.company,) for work, how in gone if how.searched and work.need == WAITS_FOR_SEARCH})
    db.executemany(SQL["company_searched"], searched)
    db.executemany(SQL["look"], searched)
    needs = Counter(min(how.first_need, MOST_NEEDED) for _, how in gone if how.first_need is not None)
    db.executemany(SQL["count_chance"], [(job, need, n) for need, n in needs.items()])
