"""What leaves the state before its time: people who are to be forgotten, and answers that grew old."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson

from pipeline.erased import Erased, erased_input
from pipeline.model import Status
from pipeline.people import address_id
from pipeline.sample import place_of
from pipeline.store.records import COPIED, COPY, FREE, READY, Work
from pipeline.store.reopening import let_go, reopen_row
from pipeline.store.sql import SQL
from pipeline.store.takein import count

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Iterator

    from pipeline.store.commit import Committer, Transaction

OWN_COMPANY = "erased"
"""The company key under which the erased rows of a job lie: theirs may hold an address."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it lies in the state, whatever became of it."""

    work: Work
    original: int | None
    subject: bytes
    """What matters of it, hashed; empty to keep nothing of it out but by its address."""


@dataclass(slots=True)
class Erasure:
    """What is to be removed from one job. Reopened rows used an erased person without being about them."""

    rows: list[Kept] = field(default_factory=list)
    reopened: list[Work] = field(default_factory=list)
    masked: list[tuple[Work, str, str | None]] = field(default_factory=list)
    questions: set[bytes] = field(default_factory=set)
    lines: bool = False
    """Whether lines of the output name them."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.reopened or self.masked or self.lines)


@dataclass(frozen=True, slots=True)
class Purgeable:
    """Answers older than a moment that no unfinished row needs."""

    answers: int
    questions: int
    size: int


class Erasing:
    """One account's answers and rows, for those who remove from them."""

    def __init__(self, committer: Committer, reader: sqlite3.Connection, account: int) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account

    # --- who must stay out ---

    def erased(self) -> Erased:
        """Whoever was erased from this state file, in any account."""
        key = self._reader.execute(SQL["secret"]).fetchone()
        return Erased(key[0] if key else b"", frozenset(mark for (mark,) in self._reader.execute(SQL["marks"])))

    async def keep_out(self, address: str, now: float) -> Erased:
        """Remember an address by its keyed hash alone."""

        def keep(tx: Transaction) -> None:
            tx.db.execute(SQL["make_secret"], (secrets.token_bytes(32),))
            erased = Erased(tx.db.execute(SQL["secret"]).fetchone()[0])
            tx.db.execute(SQL["erase"], (erased.address_mark(address), now))
            tx.db.execute(SQL["forget_person"], (address_id(address),))

        await self._committer.run(keep)
        return self.erased()

    def rows(self, job: int) -> Iterator[Kept]:
        """All rows of a job, duplicates too."""
        last = 0
        while rows := self._reader.execute(SQL["rows"], (job, last)).fetchall():
            yield from (Kept(Work(*row[:-2]), *row[-2:]) for row in rows)
            last = rows[-1][0]

    def touched(self, erased: Erased) -> dict[bytes, list[tuple[int, bytes]]]:
        """Answers that name somebody erased: by question, their ids and what is left of them."""
        found: dict[bytes, list[tuple[int, bytes]]] = {}
        last = 0
        while rows := self._reader.execute(SQL["bodies"], (self._account, last)).fetchall():
            for answer, key, body in rows:
                if (left := erased.cut(body)) is not body:
                    found.setdefault(key, []).append((answer, left))
            last = rows[-1][0]
        return found

    async def erase(
        self, erased: Erased, jobs: dict[int, Erasure], bodies: Iterable[tuple[int, bytes]], now: float
    ) -> int:
        """Remove it all in one commit; return how many answers are gone."""

        def erase(tx: Transaction) -> int:
            tx.db.executemany(SQL["keep_body"], [(body, answer) for answer, body in bodies])
            for job, erasure in jobs.items():
                if erasure:
                    _erase_rows(tx.db, erased, job, erasure, now)
            return self._drop(tx.db, {key for erasure in jobs.values() for key in erasure.questions})

        return await self._committer.run(erase)

    def _drop(self, db: sqlite3.Connection, questions: set[bytes]) -> int:
        keys = [(self._account, key) for key in questions]
        dropped = sum(db.execute(SQL["drop_answers"], key).rowcount for key in keys)
        db.executemany(SQL["forget_purged"], keys)
        db.execute(SQL["blank_attempts"], (self._account, _listed(questions)))
        return dropped

    # --- what grew old ---

    def purgeable(self, before: float, needed: Collection[bytes]) -> Purgeable:
        """How much is older than that and not needed."""
        values = (self._account, before, _listed(needed))
        return Purgeable(*self._reader.execute(SQL["old_answers"], values).fetchone())

    async def purge(self, before: float, needed: Collection[bytes]) -> None:
        """Drop it. The attempts, which are what was spent, stay."""
        values = (self._account, before, _listed(needed))

        def purge(tx: Transaction) -> None:
            tx.db.execute(SQL["note_purged"], values)
            tx.db.execute(SQL["purge"], values)

        await self._committer.run(purge)

    def was_purged(self, question: bytes) -> bool:
        """Whether an answer to this question was dropped."""
        return self._reader.execute(SQL["is_purged"], (self._account, question)).fetchone() is not None


def _listed(keys: Iterable[bytes]) -> str:
    return orjson.dumps([key.hex().upper() for key in keys]).decode()


def _erase_rows(db: sqlite3.Connection, erased: Erased, job: int, erasure: Erasure, now: float) -> None:
    for work in erasure.reopened:
        (let_go if work.held else reopen_row)(db, job, work)
    db.executemany(SQL["mask_lead"], [(text, reason, work.id) for work, text, reason in erasure.masked])
    company = db.execute(SQL["company"], (job, OWN_COMPANY, None, FREE, 0.0)).fetchone()[0]
    changes: Counter[str] = Counter()
    for kept in erasure.rows:
        _erase_row(db, erased, kept, company, now, changes)
    count(db, job, dict(changes))
    db.execute(SQL["stale"], (job,))


def _erase_row(
    db: sqlite3.Connection, erased: Erased, kept: Kept, company: int, now: float, changes: Counter[str]
) -> None:
    work = kept.work
    copy = work.state in (COPY, COPIED)
    state = COPIED if copy else Status.INVALID
    lead_id = erased.row_id(work.lead_id)
    row = (lead_id, place_of(lead_id), company, state, None if copy else now, erased_input(), work.id)
    db.execute(SQL["erase_lead"], row)
    db.execute(SQL["unfind"], (work.id,))
    if kept.subject:
        db.execute(SQL["erase"], (erased.row_mark(kept.subject), now))
    changes[work.state] -= 1
    changes[state] += 1
    if work.state == READY:
        db.execute(SQL["waiting"], (-1, work.company))
    db.execute(SQL["lonely_companies"], (work.company, work.company))
