"""Leads that lose their conclusion, their line or their place in a job, inside a transaction."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pipeline.store.records import COPIED, COPY, READY
from pipeline.store.sql import SQL
from pipeline.store.takein import count

if TYPE_CHECKING:
    import sqlite3

    from pipeline.store.records import Intake, Work


def reopen_row(db: sqlite3.Connection, job: int, work: Work) -> None:
    """Make a finished lead ready again; its duplicates wait for it. A refresh just goes on."""
    state = db.execute(SQL["state_of"], (work.id,)).fetchone()[0]
    if state == READY:
        return
    db.execute(SQL["reopen"], (work.finished_at if work.held else None, work.id))
    db.execute(SQL["waiting"], (1, work.company))
    if not work.held:
        db.execute(SQL["unfind"], (work.id,))
    copies = 0 if work.held else db.execute(SQL["uncopy"], (work.id,)).rowcount
    count(db, job, {state: -1, READY: 1, COPIED: -copies, COPY: copies})


def let_go(db: sqlite3.Connection, job: int, work: Work) -> None:
    """Drop the line of a lead that is being refreshed; its duplicates wait for it."""
    db.execute(SQL["let_go"], (work.id,))
    db.execute(SQL["unfind"], (work.id,))
    copies = db.execute(SQL["uncopy"], (work.id,)).rowcount
    count(db, job, {COPIED: -copies, COPY: copies})


def prune_leads(db: sqlite3.Connection, intake: Intake) -> int:
    """Drop unfinished leads that the list no longer has; return how many."""
    rows = db.execute(SQL["prune"], (intake.job, intake.number)).fetchall()
    states = Counter(state for _, state in rows)
    waiting = Counter(company for company, state in rows if state == READY)
    db.executemany(SQL["waiting"], [(-n, company) for company, n in waiting.items()])
    copies = db.execute(SQL["prune_copies"], (intake.job,)).rowcount
    count(db, intake.job, {state: -n for state, n in states.items()} | {COPY: -copies})
    return len(rows)
