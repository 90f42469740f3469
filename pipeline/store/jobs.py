"""Lists and rows: what is being made of which input, which lead is next, and how far the output has got."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.errors import ConfigError
from pipeline.model import FINISHED, Status
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from typing import Self

    from pipeline.store.commit import Committer, Transaction

READY, DEFERRED, COPY, COPIED = "ready", "deferred", "copy", "copied"

FREE, SEARCHED, TO_SEARCH, NO_COMPANY = 3, 2, 1, 0
"""Ranks of a company's rows in the order of work."""


@dataclass(frozen=True, slots=True)
class Committed:
    """How much of an output is accounted for: its length in bytes and a checksum of its end."""

    length: int = 0
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Job:
    """What is being made."""

    id: int
    name: str
    output: str
    priority: int
    created_at: float
    questions: str
    judgement: str
    source: dict[str, Any]
    intake: int
    rows: int
    committed: Committed
    replacing: Committed | None
    stale: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One row on its way into a job."""

    row: int
    lead_id: str
    subject: bytes
    company_key: str
    spelling: str | None
    rank: int
    priority: float
    input: str


@dataclass(frozen=True, slots=True)
class Work:
    """A lead as the state keeps it, on its way to a worker or back into the output."""

    id: int
    row: int
    lead_id: str
    input: str
    taken_in: float
    company: int
    spelling: str | None
    progress: int
    rank: int
    state: str = READY
    reason: str | None = None
    finished_at: float = 0.0

    @property
    def searched(self) -> bool:
        """Whether the company's search is known to be answered."""
        return self.rank >= SEARCHED


@dataclass(frozen=True, slots=True)
class Finish:
    """A lead that is done: what it became."""

    work: Work
    status: Status
    reason: str | None
    at: float
    searched: bool
    has_copies: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """How many leads of a job are in each state. Duplicates share their lead's result and are counted apart."""

    by_status: dict[Status, int]
    deferred: int
    duplicates: int

    @property
    def leads(self) -> int:
        """All leads taken in; the sum of the states, whatever happens (promise 5)."""
        return sum(self.by_status.values())

    @property
    def pending(self) -> int:
        """Leads not finished yet."""
        return self.by_status[Status.PENDING]


@dataclass(slots=True)
class Intake:
    """One reading of a list into a job; remembers only what it needs to tell duplicates from old rows."""

    job: int
    number: int
    now: float
    companies: dict[str, int] = field(default_factory=dict)
    occurrences: Counter[str] = field(default_factory=Counter)
    added: int = 0
    changed: int = 0


class Jobs:
    """The jobs of one account in one state file."""

    def __init__(self, committer: Committer, reader: sqlite3.Connection, account: int) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account

    # --- jobs ---

    def find(self, name: str) -> Job | None:
        """Find a job by its name; raises ConfigError if it belongs to another account."""
        row = self._reader.execute(f"{_JOB} WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        if row[1] != self._account:
            raise ConfigError(
                f"The job {name} belongs to another account of this state file.",
                "Name that account with --account, or another job with --job.",
            )
        return _job(row)

    def all(self) -> list[Job]:
        """List all jobs of the account: by priority, then age."""
        rows = self._reader.execute(f"{_JOB} WHERE account = ? ORDER BY priority DESC, id", (self._account,))
        return [_job(row) for row in rows]

    async def create(
        self, name: str, output: str, *, priority: int, questions: str, judgement: str, now: float
    ) -> Job:
        """Begin a job."""
        row = (self._account, name, output, priority, now, questions, judgement)
        await self._run(SQL["create_job"], row)
        job = self.find(name)
        assert job is not None  # noqa: S101 - it was committed in the line above
        return job

    async def update(self, job: int, **columns: object) -> None:
        """Change columns of a job."""
        assignments = ", ".join(f"{column} = ?" for column in columns)
        await self._run(f"UPDATE job SET {assignments} WHERE id = ?", (*columns.values(), job))  # noqa: S608 - names from the code

    def counts(self, job: int) -> Counts:
        """How many leads are in each state."""
        tally = Counter(dict(self._reader.execute(SQL["tally"], (job,)).fetchall()))
        by_status: dict[Status, int] = {status: tally[status] for status in FINISHED}
        by_status[Status.PENDING] = tally[READY] + tally[DEFERRED]
        return Counts(by_status, tally[DEFERRED], tally[COPY] + tally[COPIED])

    def answered_companies(self, job: int) -> int:
        """How many companies with waiting rows have had their search answered."""
        row = self._reader.execute(SQL["answered_companies"], (job,)).fetchone()
        return int(row[0])

    async def search_again(self, job: int) -> None:
        """Forget which searches were answered: the questions changed."""
        await self._run(SQL["search_again"], (job,))

    def has_late_copies(self, job: int) -> bool:
        """Whether some duplicate has no line yet (its lead may be pending still)."""
        row = self._reader.execute("SELECT n FROM tally WHERE job = ? AND state = ?", (job, COPY)).fetchone()
        return bool(row and row[0])

    # --- taking rows in ---

    async def begin_intake(self, job: Job, now: float) -> Intake:
        """Start reading a list into a job."""
        await self.update(job.id, intake=job.intake + 1)
        return Intake(job.id, job.intake + 1, now)

    async def take_in(self, intake: Intake, rows: Sequence[Row]) -> None:
        """Take in some rows, durably."""
        taken = await self._committer.run(lambda tx: _TakeIn(tx.db, intake).all(rows))
        taken.tell(intake)

    async def end_intake(self, intake: Intake, source: dict[str, Any], rows: int, *, prune: bool) -> int:
        """Note what was read; with `prune`, drop unfinished leads the list no longer has. Returns how many."""

        def end(tx: Transaction) -> int:
            db = tx.db
            gone = _prune(db, intake) if prune else 0
            values = (orjson.dumps(source).decode(), rows, intake.job)
            db.execute("UPDATE job SET source = ?, next_row = ? WHERE id = ?", values)
            return gone

        return await self._committer.run(end)

    # --- work ---

    async def wake(self, job: int, now: float) -> int:
        """Make deferred leads whose time has come ready again; return how many."""

        def wake(tx: Transaction) -> int:
            db = tx.db
            companies = Counter(company for (company,) in db.execute(SQL["wake"], (job, now)).fetchall())
            db.executemany(SQL["waiting"], [(n, company) for company, n in companies.items()])
            _count(db, job, {DEFERRED: -companies.total(), READY: companies.total()})
            return companies.total()

        return await self._committer.run(wake)

    def ready(self, job: int, limit: int) -> list[Work]:
        """The next leads in the order of work, those in hand included."""
        return [Work(*row) for row in self._reader.execute(SQL["work"], (job, limit))]

    def next_due(self, job: int) -> float | None:
        """When the earliest deferred lead may be asked again."""
        due: float | None = self._reader.execute(SQL["earliest_deferred"], (job,)).fetchone()[0]
        return due

    def copies(self, work: Work) -> list[tuple[int, str]]:
        """Row number and input of the lead's duplicates that have no line yet."""
        rows = self._reader.execute(SQL["copies"], (work.id,))
        return [(row, text) for _, row, text in rows]

    def late_copies(self, job: int) -> list[Work]:
        """Finished leads that got a duplicate since."""
        return [Work(*row) for row in self._reader.execute(SQL["late_copies"], (job,))]

    async def finish(self, job: int, finishes: Sequence[Finish], committed: Committed) -> None:
        """Note finished leads together with the output's new length."""
        await self._committer.run(lambda tx: _finish(tx.db, job, finishes, committed))

    async def copied(self, job: int, works: Sequence[Work], committed: Committed) -> None:
        """Note that late duplicates have their lines."""

        def note(tx: Transaction) -> None:
            db = tx.db
            n = sum(db.execute(SQL["copied"], (work.id,)).rowcount for work in works)
            _count(db, job, {COPY: -n, COPIED: n})
            db.execute(SQL["out_committed"], (committed.length, committed.tail, job))

        await self._committer.run(note)

    async def defer(self, job: int, work: Work, until: float, progress: int) -> None:
        """Leave a lead until a later time."""

        def defer(tx: Transaction) -> None:
            db = tx.db
            db.execute(SQL["defer"], (until, progress, work.id))
            db.execute(SQL["waiting"], (-1, work.company))
            _count(db, job, {READY: -1, DEFERRED: 1})

        await self._committer.run(defer)

    async def reopen(self, job: int, works: Sequence[Work]) -> None:
        """Take back what was concluded about leads: they are ready again, and their lines must go."""

        def reopen(tx: Transaction) -> None:
            for work in works:
                _reopen(tx.db, job, work)
            tx.db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (job,))

        await self._committer.run(reopen)

    async def put_back(self, work: Work, progress: int, *, searched: bool) -> None:
        """Leave a lead for the next run, noting how far it got, so that it comes early then."""

        def put(tx: Transaction) -> None:
            db = tx.db
            db.execute(SQL["put_back"], (progress, work.id))
            if searched:
                db.execute(SQL["company_searched"], (work.company,))

        await self._committer.run(put)

    # --- the output ---

    def finished(self, job: int) -> Iterator[Work]:
        """All finished leads, to write the output again."""
        last = 0
        while rows := self._reader.execute(SQL["finished"], (job, last, 500)).fetchall():
            yield from (Work(*row) for row in rows)
            last = rows[-1][0]

    def lines_of(self, job: int, lead_id: str) -> list[tuple[int, int, str, int | None]]:
        """Id, row, state and original of the rows that a line with this lead_id may stand for."""
        return self._reader.execute(SQL["lines_of"], (job, lead_id)).fetchall()

    def copied_rows(self, work: Work) -> list[tuple[int, int, str]]:
        """Id, row and input of all duplicates of a lead."""
        return self._reader.execute(SQL["copied_rows"], (work.id,)).fetchall()

    async def _run(self, sql: str, values: tuple[object, ...]) -> None:
        await self._committer.run(lambda tx: tx.db.execute(sql, values) and None)

    # --- runs ---

    async def begin_run(self, owner: str, now: float) -> None:
        """Note that a run started."""
        await self._run(SQL["begin_run"], (self._account, owner, now))

    async def end_run(self, owner: str, stop: str, requests: int, now: float) -> None:
        """Note how a run ended."""
        await self._run(SQL["end_run"], (now, stop, requests, owner))

    def key_mark(self) -> str | None:
        """The short hash of the key last used with this account."""
        row = self._reader.execute("SELECT key_mark FROM account WHERE id = ?", (self._account,)).fetchone()
        return row[0] if row else None

    async def set_key_mark(self, mark: str) -> None:
        """Remember which key is used with this account."""
        await self._run("UPDATE account SET key_mark = ? WHERE id = ?", (mark, self._account))


_JOB = """SELECT id, account, name, output, priority, created_at, questions, judgement, source, intake, next_row,
 out_length, out_tail, next_length, next_tail, out_stale FROM job"""


def _job(row: tuple[Any, ...]) -> Job:
    (
        job,
        _,
        name,
        output,
        priority,
        created,
        questions,
        judgement,
        source,
        intake,
        rows,
        length,
        tail,
        *rewrite,
    ) = row
    next_length, next_tail, stale = rewrite
    return Job(
        id=job,
        name=name,
        output=output,
        priority=priority,
        created_at=created,
        questions=questions,
        judgement=judgement,
        source=orjson.loads(source),
        intake=intake,
        rows=rows,
        committed=Committed(length, tail),
        replacing=None if next_length is None else Committed(next_length, next_tail),
        stale=bool(stale),
    )


def _count(db: sqlite3.Connection, job: int, changes: dict[str, int]) -> None:
    db.executemany(SQL["count_state"], [(job, state, n) for state, n in changes.items() if n])


def _finish(db: sqlite3.Connection, job: int, finishes: Sequence[Finish], committed: Committed) -> None:
    states: Counter[str] = Counter()
    for done in finishes:
        db.execute(SQL["finish"], (done.status, done.reason, done.at, done.work.id))
        copies = db.execute(SQL["copied"], (done.work.id,)).rowcount if done.has_copies else 0
        states.update({READY: -1, done.status: 1, COPY: -copies, COPIED: copies})
    companies = Counter(done.work.company for done in finishes)
    db.executemany(SQL["waiting"], [(-n, company) for company, n in companies.items()])
    searched = {(done.work.company,) for done in finishes if done.searched}
    db.executemany(SQL["company_searched"], list(searched))
    _count(db, job, dict(states))
    db.execute(SQL["out_committed"], (committed.length, committed.tail, job))


def _reopen(db: sqlite3.Connection, job: int, work: Work) -> None:
    state = db.execute(SQL["state_of"], (work.id,)).fetchone()[0]
    if state == READY:
        return
    db.execute(SQL["reopen"], (work.id,))
    db.execute(SQL["waiting"], (1, work.company))
    copies = db.execute(SQL["uncopy"], (work.id,)).rowcount
    _count(db, job, {state: -1, READY: 1, COPIED: -copies, COPY: copies})


def _prune(db: sqlite3.Connection, intake: Intake) -> int:
    rows = db.execute(SQL["prune"], (intake.job, intake.number)).fetchall()
    states = Counter(state for _, state in rows)
    waiting = Counter(company for company, state in rows if state == READY)
    db.executemany(SQL["waiting"], [(-n, company) for company, n in waiting.items()])
    copies = db.execute(SQL["prune_copies"], (intake.job,)).rowcount
    _count(db, intake.job, {state: -n for state, n in states.items()} | {COPY: -copies})
    return len(rows)


class _TakeIn:
    """Takes rows into a job inside one transaction, which may be run again: the intake is told only afterwards."""

    def __init__(self, db: sqlite3.Connection, intake: Intake) -> None:
        self._db = db
        self._intake = intake
        self._states: Counter[str] = Counter()
        self._waiting: Counter[int] = Counter()
        self._companies: dict[str, int] = {}
        self._occurrences: Counter[str] = Counter()
        self._added = self._changes = 0

    def tell(self, intake: Intake) -> None:
        """Let the intake know what is durable now."""
        if len(intake.companies) > 100_000:  # noqa: PLR2004 - bounds memory, not meaning
            intake.companies.clear()
        intake.companies |= self._companies
        intake.occurrences += self._occurrences
        intake.added += self._added
        intake.changed += self._changes

    def all(self, rows: Sequence[Row]) -> Self:
        """Take in every row, then adjust the counters once."""
        for row in rows:
            self._take(row, row.lead_id)
        _count(self._db, self._intake.job, dict(self._states))
        self._db.executemany(SQL["waiting"], [(n, company) for company, n in self._waiting.items() if n])
        return self

    def _take(self, row: Row, lead_id: str) -> None:
        known = self._known(lead_id)
        if known is None:
            self._insert(row, lead_id, READY, None, 0)
            return
        lead, subject, seen, state, company = known
        other = f"{lead_id}~{row.subject.hex()[:8]}"
        if seen == self._intake.number and subject == row.subject:
            self._duplicate(row, lead_id, lead)
        elif subject != row.subject and (seen == self._intake.number or self._known(other) is not None):
            # One id, two different people in one list: both are asked, neither replaces the other.
            self._take(row, other)
        elif subject == row.subject:
            self._db.execute(SQL["seen_again"], (self._intake.number, row.input, lead))
        else:
            self._changed(row, lead, state, company)

    def _known(self, lead_id: str, occurrence: int = 0) -> tuple[int, bytes, int, str, int] | None:
        known: tuple[int, bytes, int, str, int] | None = self._db.execute(
            SQL["known_lead"], (self._intake.job, lead_id, occurrence)
        ).fetchone()
        return known

    def _insert(self, row: Row, lead_id: str, state: str, original: int | None, occurrence: int) -> None:
        company = self._company(row)
        intake = self._intake
        values = (
            intake.job,
            row.row,
            lead_id,
            occurrence,
            original,
            row.subject,
            company,
            row.priority,
            state,
        )
        self._db.execute(SQL["insert_lead"], (*values, intake.now, intake.number, row.input))
        self._states[state] += 1
        if state == READY:
            self._waiting[company] += 1
            self._added += 1

    def _duplicate(self, row: Row, lead_id: str, original: int) -> None:
        self._occurrences[lead_id] += 1
        occurrence = self._intake.occurrences[lead_id] + self._occurrences[lead_id]
        known = self._known(lead_id, occurrence)
        if known is None:
            self._insert(row, lead_id, COPY, original, occurrence)
        else:
            self._db.execute(SQL["seen_again"], (self._intake.number, row.input, known[0]))

    def _changed(self, row: Row, lead: int, state: str, company: int) -> None:
        """What matters changed under an id: the lead is asked again, and its old line goes."""
        new_company = self._company(row)
        values = (row.subject, new_company, self._intake.now, self._intake.number, row.input, lead)
        self._db.execute(SQL["change_lead"], values)
        if state == READY:
            self._waiting[company] -= 1
        self._waiting[new_company] += 1
        self._states[state] -= 1
        self._states[READY] += 1
        self._changes += 1
        if state not in (READY, DEFERRED):
            copies = self._db.execute(SQL["uncopy"], (lead,)).rowcount
            self._states.update({COPIED: -copies, COPY: copies})
            self._db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (self._intake.job,))

    def _company(self, row: Row) -> int:
        known = self._companies.get(row.company_key) or self._intake.companies.get(row.company_key)
        if known is None or row.priority:
            values = (self._intake.job, row.company_key, row.spelling, row.rank, row.priority)
            known = int(self._db.execute(SQL["company"], values).fetchone()[0])
            self._companies[row.company_key] = known
        return known
