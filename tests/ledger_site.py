"""A state file with runs on it, and short words for what is asked of its ledger."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from pipeline.model import Outcome
from pipeline.protocol import verify_question
from pipeline.quota import Window
from pipeline.store import Store
from pipeline.store.ledger import (
    Granted,
    Reservation,
    Settled,
    Settlement,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model import Question
    from pipeline.store.ledger import Decision
    from pipeline.store.locks import Lock

NOW = 1_800_000_000.0
BODY = b'{"success":true,"data":{"is_deliverable":true}}'


class Site:
    """One state file; runs on it are stores whose owners hold their locks until they `die`."""

    def __init__(self, path: Path, *, inline: bool) -> None:
        self.path = path
        self._inline = inline
        self._stores: list[Store] = []
        self._locks: dict[str, Lock] = {}

    def run(self, owner: str = "a", account: str = "api/default") -> Store:
        store = Store.open(self.path, account, owner=owner, inline=self._inline)
        lock = store.locks.run(owner)
        assert lock.acquire()
        self._locks[owner] = lock
        self._stores.append(store)
        return store

    def die(self, owner: str) -> None:
        """The run's process is gone: what it held is free."""
        self._locks.pop(owner).release()

    def select(self, sql: str) -> list[tuple[object, ...]]:
        db = sqlite3.connect(self.path)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def close(self) -> None:
        for lock in self._locks.values():
            lock.release()
        for store in self._stores:
            store.close()


def ask(n: int = 0) -> Question:
    return verify_question(f"person{n}@example.com")


def wish(question: Question | None = None, **how: object) -> Reservation:
    usual = Reservation(
        question=question or ask(), now=NOW, window=Window(), quota=1_000, ceiling=1, reserve_credits=0
    )
    return usual._replace(**how)  # type: ignore[arg-type]


async def granted(store: Store, n: int = 0, **how: object) -> int:
    decision = await store.ledger.reserve(wish(ask(n), **how))
    assert isinstance(decision, Granted)
    return decision.attempt


async def settle(store: Store, attempt: int, n: int = 0, **how: object) -> Settled:
    usual = Settlement(attempt, ask(n), Outcome.FOUND, NOW + 1, cost=1, status=200, body=BODY)
    return await store.ledger.settle(usual._replace(**how))  # type: ignore[arg-type]


async def read_credits(store: Store, reading: int, n: int = 900) -> None:
    """Let a lone search tell the credits."""
    told = await settle(store, await granted(store, n), n, reading=reading)
    assert told.alone


def credits_of(store: Store) -> int | None:
    return store.ledger.usage(Window(), 1_000, NOW).credits


def count(decisions: list[Decision], kind: type) -> int:
    return sum(isinstance(decision, kind) for decision in decisions)
