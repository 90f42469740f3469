"""Rows on their way into a job: new, known, doubled, or changed under their id."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Self

from pipeline.order import LOOK, WAITS_FOR_SEARCH
from pipeline.sample import place_of
from pipeline.store.records import COPIED, COPY, READY, TO_SEARCH
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pipeline.store.records import Intake, Row


def count(db: sqlite3.Connection, job: int, changes: dict[str, int]) -> None:
    """Change how many leads are in each state."""
    db.executemany(SQL["count_state"], [(job, state, n) for state, n in changes.items() if n])


class TakeIn:
    """Takes rows into a job inside one transaction, which may be run again: the intake is told only afterwards."""

    def __init__(self, db: sqlite3.Connection, intake: Intake) -> None:
        self._db = db
        self._intake = intake
        self._states: Counter[str] = Counter()
        self._waiting: Counter[int] = Counter()
        self._companies: dict[str, tuple[int, int]] = {}
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
        count(self._db, self._intake.job, dict(self._states))
        self._db.executemany(SQL["waiting"], [(n, company) for company, n in self._waiting.items() if n])
        return self

    def _take(self, row: Row, lead_id: str) -> None:
        known = self._known(lead_id)
        if known is None:
            self._insert(row, lead_id, READY, None, 0)
            return
        lead, subject, seen, state, company, priority = known
        other = f"{lead_id}~{row.subject.hex()[:8]}"
        if seen == self._intake.number and subject == row.subject:
            self._duplicate(row, lead_id, lead)
        elif subject != row.subject and (seen == self._intake.number or self._known(other) is not None):
            # One id, two different people in one list: both are asked, neither replaces the other.
            self._take(row, other)
        elif subject == row.subject:
            self._db.execute(SQL["seen_again"], (self._intake.number, row.input, lead))
            if priority != row.priority:
                self._db.execute(SQL["reprioritise"], (row.priority, lead))
        else:
            self._changed(row, lead, state, company)

    def _known(self, lead_id: str, occurrence: int = 0) -> tuple[int, bytes, int, str, int, float] | None:
        known: tuple[int, bytes, int, str, int, float] | None = self._db.execute(
            SQL["known_lead"], (self._intake.job, lead_id, occurrence)
        ).fetchone()
        return known

    def _insert(self, row: Row, lead_id: str, state: str, original: int | None, occurrence: int) -> None:
        company, need = self._company(row)
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
            need,
            place_of(lead_id),
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
        new_company, need = self._company(row)
        (has_line,) = self._db.execute("SELECT finished_at IS NOT NULL FROM lead WHERE id = ?", (lead,)).fetchone()
        values = (row.subject, new_company, need, self._intake.now, self._intake.number, row.input, lead)
        self._db.execute(SQL["change_lead"], values)
        if state == READY:
            self._waiting[company] -= 1
        self._waiting[new_company] += 1
        self._states[state] -= 1
        self._states[READY] += 1
        self._changes += 1
        if has_line:
            copies = self._db.execute(SQL["uncopy"], (lead,)).rowcount
            self._states.update({COPIED: -copies, COPY: copies})
            self._db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (self._intake.job,))

    def _company(self, row: Row) -> tuple[int, int]:
        """Find or make the row's company: its id, and what the row needs there."""
        known = self._companies.get(row.company_key) or self._intake.companies.get(row.company_key)
        if known is None or row.priority:
            values = (self._intake.job, row.company_key, row.spelling, row.rank, row.priority)
            known = self._db.execute(SQL["company"], values).fetchone()
            self._companies[row.company_key] = known
        company, rank = known
        return company, LOOK if row.need == WAITS_FOR_SEARCH and rank != TO_SEARCH else row.need
