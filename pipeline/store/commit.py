"""Group commit: many callers, one transaction, one sync to disk; each caller waits until its part is durable."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Operation = "Callable[[sqlite3.Connection], Any]"

LINGER = 0.002
"""Seconds a group waits for company when the one before it had some; a lone caller never waits."""

COMPANY = 4
"""From this many callers on, a group counts as company."""


class Waiting:
    """One caller's operation and the future it waits on."""

    __slots__ = ("error", "future", "operation", "result")

    def __init__(self, operation: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.operation = operation
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def deliver(self) -> None:
        """Wake the caller, unless it has gone away meanwhile."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


def run_group(db: sqlite3.Connection, group: list[Waiting]) -> None:
    """Run operations in one transaction. If one fails, each is run again in a transaction of its own."""
    try:
        _transaction(db, group)
    except Exception as error:  # noqa: BLE001 - whatever an operation raises belongs to its caller
        if len(group) == 1:
            group[0].error = explain(error)
            return
        for waiting in group:
            run_group(db, [waiting])


def _transaction(db: sqlite3.Connection, group: list[Waiting]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for waiting in group:
            waiting.result = waiting.operation(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def explain(error: BaseException) -> BaseException:
    """Turn SQLite's words into a sentence for people."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
        return error
    return StateError(
        f"The state file cannot be written ({error}).",
        "Make room on its disk or choose another place with --state; nothing that was answered is lost.",
    )


class Inline:
    """Group commit without a thread, for virtual time: what one turn of the loop submits is one transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._group: list[Waiting] = []

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation; return when it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self._group:
            loop.call_soon(self._flush)
        self._group.append(Waiting(operation, future))
        return await future

    def close(self) -> None:
        """Close the connection; nothing is under way."""
        self._db.close()

    def _flush(self) -> None:
        group, self._group = self._group, []
        run_group(self._db, group)
        for waiting in group:
            waiting.deliver()


class Threaded:
    """Group commit in one writer thread, so that the loop never waits for the disk."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="state-writer", daemon=True)
        self._thread.start()
        self.commits = 0

    async def run(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation; return when it is durable."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Waiting(operation, future))
        return await future

    def close(self) -> None:
        """Write what is still queued, then stop the thread."""
        self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _work(self) -> None:
        company = False
        while (first := self._queue.get()) is not None:
            if company:
                time.sleep(LINGER)
            group, closing = self._drain(first)
            company = len(group) >= COMPANY
            run_group(self._db, group)
            self.commits += 1
            self._deliver(group)
            if closing:
                return

    def _drain(self, first: Waiting) -> tuple[list[Waiting], bool]:
        group = [first]
        while True:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return group, False
            if waiting is None:
                return group, True
            group.append(waiting)

    @staticmethod
    def _deliver(group: list[Waiting]) -> None:
        def wake() -> None:
            for waiting in group:
                waiting.deliver()

        loop = group[0].future.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(wake)


Committer = Inline | Threaded
