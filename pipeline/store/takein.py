"""Rows on their way into a job: new, known, doubled, or changed under their id.

A batch is looked up with one statement and new rows go in with one, under ids given here: the transaction is the
only writer. What is known already is changed row by row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson

from pipeline.order import LOOK, WAITS_FOR_SEARCH
from pipeline.sample import place_of
from pipeline.store.records import COPIED, COPY, DEFERRED, READY, TO_SEARCH
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from pipeline.store.records import Intake, Row

REMEMBERED = 20_000
"""Companies that one intake knows by heart; the others are looked up again."""


def count(db: sqlite3.Connection, job: int, changes: dict[str, int]) -> None:
    """Change how many leads are in each state."""
    db.executemany(SQL["count_state"], [(job, state, n) for state, n in changes.items() if n])


class Known(NamedTuple):
    """A row of the job as it lies there."""

    id: int
    subject: bytes
    seen: int
    state: str
    company: int
    priority: float
    filled: bytes | None = None

    def is_still(self, row: Row) -> bool:
        """Whether what matters is what it was, or what it was with what we ourselves filled in."""
        return row.subject in (self.subject, self.filled)


class TakeIn:
    """Takes rows into a job inside one transaction, which may be run again: the intake is told only afterwards."""

    def __init__(self, db: sqlite3.Connection, intake: Intake) -> None:
        self._db = db
        self._intake = intake
        self._states: Counter[str] = Counter()
        self._waiting: dict[int, int] = defaultdict(int)
        self._companies: dict[str, tuple[int, int]] = {}
        self._occurrences: Counter[str] = Counter()
        self._added = self._changes = 0
        self._late = False
        self._ranked: set[int] = set()
        self._known: dict[str | tuple[str, int], Known | None] = {}
        self._new_leads: list[tuple[object, ...]] = []
        self._new_companies: dict[int, list[Any]] = {}
        self._missing: set[str] = set()
        self._last_lead: int = db.execute("SELECT coalesce(max(id), 0) FROM lead").fetchone()[0]
        self._last_company: int = db.execute("SELECT coalesce(max(id), 0) FROM company").fetchone()[0]

    def tell(self, intake: Intake) -> None:
        """Let the intake know what is durable now."""
        if len(intake.companies) > REMEMBERED:
            intake.companies.clear()
        intake.companies |= self._companies
        intake.occurrences += self._occurrences
        intake.added += self._added
        intake.changed += self._changes

    def all(self, rows: Sequence[Row]) -> Self:
        """Take in every row, then write what is new and adjust the counters once."""
        self._look_up(rows)
        for row in rows:
            if self._known[row.lead_id] is None:
                self._insert(row, row.lead_id, READY, None, 0)
            else:
                self._take(row, row.lead_id)
        self._write_new()
        count(self._db, self._intake.job, dict(self._states))
        if self._late:
            self._db.execute(SQL["late"], (self._intake.job,))
        self._db.executemany(SQL["waiting"], [(n, company) for company, n in self._waiting.items() if n])
        return self

    # --- what is known ---

    def _look_up(self, rows: Sequence[Row]) -> None:
        """Find the batch's leads, and its companies but for those met before in this intake."""
        ids = {row.lead_id for row in rows}
        self._known = dict.fromkeys(ids)
        for lead_id, *known in self._found("known_leads", ids):
            self._known[lead_id] = Known._make(known)
        keys = {row.company_key for row in rows} - self._intake.companies.keys()
        there = {key for (key,) in self._found("known_companies", keys)}
        self._missing = keys - there

    def _found(self, statement: str, wanted: Iterable[str]) -> list[Any]:
        return self._db.execute(SQL[statement], (self._intake.job, orjson.dumps(list(wanted)).decode())).fetchall()

    def _find(self, lead_id: str, occurrence: int = 0) -> Known | None:
        key = (lead_id, occurrence) if occurrence else lead_id
        if key not in self._known:
            found = self._db.execute(SQL["known_lead"], (self._intake.job, lead_id, occurrence)).fetchone()
            self._known[key] = Known(*found) if found else None
        return self._known[key]

    # --- one row ---

    def _take(self, row: Row, lead_id: str) -> None:
        known = self._find(lead_id)
        if known is None:
            self._insert(row, lead_id, READY, None, 0)
            return
        other = f"{lead_id}~{row.subject.hex()[:8]}"
        in_this_list = known.seen == self._intake.number
        if in_this_list and known.is_still(row):
            self._duplicate(row, lead_id, known)
        elif not known.is_still(row) and (in_this_list or self._find(other) is not None):
            # One id, two different people in one list: both are asked, neither replaces the other.
            self._take(row, other)
        elif known.is_still(row):
            self._seen_again(row, lead_id, known)
        else:
            self._changed(row, lead_id, known)

    def _insert(self, row: Row, lead_id: str, state: str, original: int | None, occurrence: int) -> None:
        company, need = self._company(row)
        intake = self._intake
        self._last_lead += 1
        lead, priority, subject = self._last_lead, row.priority, row.subject
        values = (lead, intake.job, row.row, lead_id, occurrence, original, subject, company, priority, state, need)
        self._new_leads.append((*values, place_of(lead_id), intake.now, intake.number, row.input))
        known = Known(lead, subject, intake.number, state, company, priority)
        self._known[(lead_id, occurrence) if occurrence else lead_id] = known
        self._states[state] += 1
        if state == READY:
            self._waiting[company] += 1
            self._added += 1

    def _duplicate(self, row: Row, lead_id: str, lead: Known) -> None:
        self._occurrences[lead_id] += 1
        occurrence = self._occurrences_before(lead_id) + self._occurrences[lead_id]
        known = self._find(lead_id, occurrence)
        if known is None:
            self._insert(row, lead_id, COPY, lead.id, occurrence)
            self._late |= lead.state not in (READY, DEFERRED)
        else:
            self._db.execute(SQL["seen_again"], (self._intake.number, row.input, known.id))

    def _occurrences_before(self, lead_id: str) -> int:
        """How often the list had the lead again before this batch: in this reading and the one it goes on with."""
        if not self._intake.continued:
            return self._intake.occurrences[lead_id]
        return int(self._db.execute(SQL["last_occurrence"], (self._intake.job, lead_id)).fetchone()[0])

    def _seen_again(self, row: Row, lead_id: str, known: Known) -> None:
        self._db.execute(SQL["seen_again"], (self._intake.number, row.input, known.id))
        if known.priority != row.priority:
            self._reprioritise(row.priority, known.id, known.company)
        self._known[lead_id] = known._replace(seen=self._intake.number, priority=row.priority)

    def _reprioritise(self, priority: float, lead: int, company: int) -> None:
        self._db.execute(SQL["reprioritise"], (priority, lead))
        self._ranked.add(company)

    def _changed(self, row: Row, lead_id: str, known: Known) -> None:
        """What matters changed under an id: the lead is asked again, and its old line goes."""
        company, need = self._company(row)
        (has_line,) = self._db.execute(
            "SELECT finished_at IS NOT NULL FROM lead WHERE id = ?", (known.id,)
        ).fetchone()
        values = (row.subject, company, need, self._intake.now, self._intake.number, row.input, known.id)
        self._db.execute(SQL["change_lead"], values)
        if known.priority != row.priority:
            self._reprioritise(row.priority, known.id, company)
        if known.state == READY:
            self._waiting[known.company] -= 1
        self._waiting[company] += 1
        self._states[known.state] -= 1
        self._states[READY] += 1
        self._changes += 1
        if has_line:
            self._db.execute(SQL["unfind"], (known.id,))
            copies = self._db.execute(SQL["uncopy"], (known.id,)).rowcount
            self._states.update({COPIED: -copies, COPY: copies})
            self._db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (self._intake.job,))
        self._known[lead_id] = Known(known.id, row.subject, self._intake.number, READY, company, row.priority)

    # --- its company ---

    def _company(self, row: Row) -> tuple[int, int]:
        """Find or make the row's company: its id, and what the row needs there."""
        known = self._companies.get(row.company_key) or self._intake.companies.get(row.company_key)
        if known is None or row.priority:
            known = self._companies[row.company_key] = self._make_company(row, known)
        company, rank = known
        return company, LOOK if row.need == WAITS_FOR_SEARCH and rank != TO_SEARCH else row.need

    def _make_company(self, row: Row, known: tuple[int, int] | None) -> tuple[int, int]:
        if known is not None and (new := self._new_companies.get(known[0])):
            new[-1] = max(new[-1], row.priority)
            return known
        if known is None and row.company_key in self._missing:
            self._last_company += 1
            values = [self._last_company, self._intake.job, row.company_key, row.spelling, row.rank, row.priority]
            self._new_companies[self._last_company] = values
            return self._last_company, row.rank
        values = [self._intake.job, row.company_key, row.spelling, row.rank, row.priority]
        company, rank = self._db.execute(SQL["company"], values).fetchone()
        return company, rank

    def _write_new(self) -> None:
        companies = [(*values, self._waiting.pop(company, 0)) for company, values in self._new_companies.items()]
        self._db.executemany(SQL["insert_company"], companies)
        self._db.executemany(SQL["insert_lead"], self._new_leads)
        self._db.executemany(SQL["rank_company"], [(company, company) for company in self._ranked])
