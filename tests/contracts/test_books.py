"""An account's books inside one transaction: what several operations of a group add up to."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pipeline.store import Store
from pipeline.store.books import Books, Counted

if TYPE_CHECKING:
    from pathlib import Path


def test_reservations_and_settlements_of_one_group_add_up(tmp_path: Path) -> None:
    """The second sees the first's, before anything is committed."""
    Store.open(tmp_path / "state.db", "api/default", owner="a", inline=True).close()
    db = sqlite3.connect(tmp_path / "state.db")
    books = Books(db, 1)
    assert (books.last, books.under_way, books.held) == (0, 0, 0)
    books.reserved(7, 10)
    books.reserved(8, 3)
    assert (books.last, books.under_way, books.held) == (8, 2, 13)
    books.settled(10)
    assert (books.last, books.under_way, books.held) == (8, 1, 3)
    db.close()


def test_a_count_grows_by_at_most_the_attempts_made_since() -> None:
    """And bounds nothing once the window has moved back."""
    counted = Counted(count=5, last=10, since=100)
    assert [counted.at_most(12, 100), counted.at_most(12, 101), counted.at_most(10, 100)] == [7, 7, 5]
    assert min(counted.at_most(12, 99), Counted().at_most(0, 0)) >= 1 << 62
