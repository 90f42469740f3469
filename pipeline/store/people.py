"""Who was found at the companies of a job; of several companies with the same person, the first has the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from pipeline.store.records import Finish


class People:
    """The people of all jobs in one state file."""

    def __init__(self, reader: sqlite3.Connection) -> None:
        self._reader = reader

    def owners(self, job: int, contacts: Iterable[str]) -> dict[str, int]:
        """Of those among some people that were found before, the first lead each was found at."""
        return dict(self._reader.execute(SQL["owners"], (job, orjson.dumps(list(contacts)).decode())).fetchall())

    def count(self, job: int) -> int:
        """How many people were found for a job."""
        return int(self._reader.execute(SQL["count_people"], (job,)).fetchone()[0])

    def owned(self, lead: int) -> set[str]:
        """Whom a finished lead has a line of."""
        return {contact for (contact,) in self._reader.execute(SQL["owned"], (lead,))}


def note_people(db: sqlite3.Connection, job: int, finishes: Sequence[Finish]) -> bool:
    """Keep who was found, inside a transaction; return whether somebody's line stands at a later lead by now."""
    moves = False
    for done in sorted(finishes, key=lambda done: done.work.id):
        if done.work.held:
            db.execute(SQL["unfind"], (done.work.id,))
        if done.people:
            values = (job, orjson.dumps(done.people).decode(), done.work.id)
            moves = moves or db.execute(SQL["found_later"], values).fetchone() is not None
            db.executemany(SQL["found"], [(job, contact, done.work.id) for contact in done.people])
    return moves
