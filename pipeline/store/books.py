"""One account inside one transaction: what the ledger reads once, reckons with, and writes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Counted:
    """A count of the window, and what it can have grown to: attempts only ever get higher ids."""

    count: int = 1 << 62
    last: int = 0
    since: int = 0

    def at_most(self, last: int, since: int) -> int:
        """An upper bound of the count now; no bound if the window moved back."""
        return self.count + last - self.last if since >= self.since else 1 << 62


class Books:
    """One account inside one transaction: read once, changed by its operations, written once."""

    __slots__ = (
        "_account",
        "_before",
        "_db",
        "counted",
        "credits",
        "held",
        "last",
        "read_at",
        "shut_until",
        "shut_why",
        "under_way",
    )

    def __init__(self, db: sqlite3.Connection, account: int) -> None:
        self._db = db
        self._account = account
        self.credits: int | None
        self.read_at: float | None
        self.credits, self.read_at, *shut = db.execute(SQL["account"], (account,)).fetchone()
        self.shut_until, self.shut_why = shut
        self.under_way, self.held = db.execute(SQL["under_way"], (account,)).fetchone()
        self.last: int = db.execute(SQL["last_attempt"]).fetchone()[0] or 0
        self.counted = Counted()
        self._before = (self.credits, self.read_at)

    def reserved(self, attempt: int, ceiling: int) -> None:
        """A request was reserved."""
        self.last = attempt
        self.under_way += 1
        self.held += ceiling

    def settled(self, ceiling: int) -> None:
        """A request was settled."""
        self.under_way -= 1
        self.held -= ceiling

    def write(self) -> None:
        """Write back what changed."""
        if (self.credits, self.read_at) != self._before:
            self._db.execute(SQL["set_credits"], (self.credits, self.read_at, self._account))
