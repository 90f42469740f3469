"""Lists taken into a job, and a recount of what the state says of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING

from pipeline.model import Status
from pipeline.order import WAITS_FOR_SEARCH
from pipeline.store.records import TO_SEARCH, Committed, Finish, Job, Progress, Row, Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.store import Store

NOW = 1_800_000_000.0

UNSEEN = Progress(WAITS_FOR_SEARCH, searched=False)
"""Of a lead nobody has asked anything for."""


def row(number: int, lead: str = "", **how: object) -> Row:
    """Make a row of a list: without more said, everybody is somebody else at a company of their own."""
    lead = lead or f"lead{number}"
    who = str(how.get("who", lead))
    company = str(how.get("company", lead))
    return Row(
        row=number,
        lead_id=lead,
        subject=blake2b(f"{who} at {company}".encode(), digest_size=8).digest(),
        company_key=company,
        spelling=company.title(),
        rank=int(str(how.get("rank", TO_SEARCH))),
        need=int(str(how.get("need", WAITS_FOR_SEARCH))),
        priority=float(str(how.get("priority", 0))),
        input=str(how.get("input", f'{{"n":{number}}}')),
    )


async def begin(store: Store, name: str = "/out.jsonl") -> Job:
    """Begin a job."""
    return await store.jobs.create(name, name, questions="[]", judgement="{}", now=NOW)


async def take_in(
    store: Store, job: Job, rows: Sequence[Row], *, prune: bool = False, batch: int = 1_000
) -> tuple[int, int, int]:
    """Read a list into the job; return how many leads are new, changed, gone."""
    found = store.jobs.find(job.name)
    assert found is not None
    intake = await store.jobs.begin_intake(found, NOW)
    for start in range(0, len(rows), batch):
        await store.jobs.take_in(intake, rows[start : start + batch])
    gone = await store.jobs.end_intake(intake, {}, len(rows), prune=prune)
    return intake.added, intake.changed, gone


async def finish(store: Store, job: Job, works: Sequence[Work], status: Status = Status.ENRICHED) -> None:
    """Note that leads have their lines."""
    finishes = [Finish(work, status, None, NOW + 9, Progress(0, searched=True)) for work in works]
    await store.jobs.finish(job.id, finishes, Committed(7, b"x"))


def order(store: Store, job: Job, limit: int = 1_000) -> list[str]:
    """The leads that come next, by id."""
    return [work.lead_id for work in store.jobs.ready(job.id, limit, NOW)]


def waiting(store: Store, job: Job) -> list[Work]:
    """All leads that are ready, whether or not it is their turn, in the order they were taken in."""
    rows = store.jobs._reader.execute(
        "SELECT l.id, l.row, l.lead_id, l.input, l.taken_in, l.company, c.spelling, l.need, l.priority, c.waiting "
        "FROM lead l JOIN company c ON c.id = l.company WHERE l.job = ? AND l.state = 'ready' ORDER BY l.id",
        (job.id,),
    )
    return [Work(*row) for row in rows]


def leads(path: Path) -> list[tuple[str, int, str, str, int]]:
    """All rows as they lie in the state: lead_id, row, state, input, 1 for a duplicate."""
    db = sqlite3.connect(path)
    try:
        return db.execute(
            "SELECT lead_id, row, state, input, original IS NOT NULL FROM lead ORDER BY lead_id, occurrence"
        ).fetchall()
    finally:
        db.close()


def recount(path: Path) -> tuple[Counter[str], Counter[str], list[object]]:
    """The counters of all jobs as kept, the same counted anew, and companies whose `waiting` is wrong."""
    db = sqlite3.connect(path)
    try:
        kept = Counter(dict(db.execute("SELECT job || state, n FROM tally WHERE n <> 0")))
        counted = Counter(dict(db.execute("SELECT job || state, count(*) FROM lead GROUP BY job, state")))
        wrong = db.execute(
            "SELECT key, waiting FROM company c WHERE waiting <> "
            "(SELECT count(*) FROM lead l WHERE l.company = c.id AND l.state = 'ready')"
        ).fetchall()
        wrong += db.execute(
            "SELECT lead_id FROM lead l WHERE state = 'ready' AND need < 0 "
            "AND (SELECT rank FROM company c WHERE c.id = l.company) <> 1"
        ).fetchall()  # nobody waits for a search that nobody will ask
        return kept, counted, wrong
    finally:
        db.close()
