"""Group commit: many callers, one transaction, one sync to disk; each caller waits until its part is durable.

Statements run in the loop's thread, where they cost microseconds; only COMMIT, which waits for the disk, goes to
a thread of its own. Two threads taking turns on every statement would wait for each other's interpreter lock.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")

LINGER = 0.001
"""Seconds a group waits for company when the one before it had some; a lone caller never waits."""

COMPANY = 4
"""From this many callers on, a group counts as company."""

PATIENCE = 30.0
"""Seconds to wait for another process's transaction."""

TURN = 0.0005
"""Seconds between two looks whether it has ended."""


class Transaction:
    """One group's transaction: the connection, and what its operations have read and will write once, at its end."""

    __slots__ = ("after_commit", "before_commit", "db", "shared")

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.shared: dict[object, Any] = {}
        self.before_commit: list[Callable[[], None]] = []
        self.after_commit: list[Callable[[], None]] = []

    def end(self) -> None:
        """Make it durable."""
        self.db.execute("COMMIT")
        for note in self.after_commit:
            note()


class Waiting:
    """One caller's operation and the future it waits on."""

    __slots__ = ("error", "future", "operation", "result")

    def __init__(self, operation: Callable[[Transaction], Any], future: asyncio.Future[Any]) -> None:
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


class Committer:
    """Runs operations in groups. With `inline`, COMMIT too runs in the loop's thread, for virtual time."""

    def __init__(self, db: sqlite3.Connection, *, inline: bool = False, patience: float = PATIENCE) -> None:
        self.commits = 0
        self._db = db
        db.execute("PRAGMA busy_timeout = 0")  # `_begin` waits
        self._group: list[Waiting] = []
        self._busy = False
        self._company = False
        self._patience = patience
        self._thread = None if inline else ThreadPoolExecutor(1, "state-writer")

    async def run(self, operation: Callable[[Transaction], T]) -> T:
        """Run an operation; return when it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._group.append(Waiting(operation, future))
        if len(self._group) == 1 and not self._busy:
            self._schedule(loop)
        return await future

    def close(self) -> None:
        """Write what is still queued, then close the connection."""
        if self._thread is not None:
            self._thread.shutdown()
        if self._db.in_transaction:
            self._db.execute("COMMIT")
        group, self._group = self._group, []
        run_group(self._db, group)
        self._db.close()
        _deliver(group)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._company and self._thread is not None:
            loop.call_later(LINGER, self._flush, loop)
        else:
            loop.call_soon(self._flush, loop)

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write the group, if nobody else is writing; else let the thread wait for our turn, and others join."""
        if self._busy or not self._group:
            return
        if self._thread is None:
            group = self._taken()
            run_group(self._db, group)
            _deliver(group)
            return
        self._busy = True
        try:
            _begin(self._db, 0)
        except sqlite3.Error:
            turn = self._thread.submit(_begin, self._db, self._patience)
            turn.add_done_callback(lambda done: self._call(loop, self._write, loop, done))
        else:
            self._write(loop)

    def _write(self, loop: asyncio.AbstractEventLoop, turn: Future[None] | None = None) -> None:
        """Run the operations of a transaction that has begun, and let the thread commit it."""
        group = self._taken()
        if turn is not None and (error := turn.exception()) is not None:
            _fail(group, error)
            self._delivered(loop, group)
            return
        assert self._thread is not None  # noqa: S101 - without one nothing waits
        try:
            ending = self._thread.submit(_run(self._db, group).end)
        except Exception:  # noqa: BLE001 - one of them fails: run_group tells which
            _roll_back(self._db)
            ending = self._thread.submit(run_group, self._db, group)
        ending.add_done_callback(lambda done: self._call(loop, self._ended, loop, done, group))

    def _taken(self) -> list[Waiting]:
        group, self._group = self._group, []
        self._company = len(group) >= COMPANY
        self.commits += 1
        return group

    @staticmethod
    def _call(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: object) -> None:
        """Go back to the loop's thread, if there still is a loop."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(what, *arguments)

    def _ended(self, loop: asyncio.AbstractEventLoop, done: Future[None], group: list[Waiting]) -> None:
        if done.exception() is not None:
            _roll_back(self._db)
            run_group(self._db, group)
        self._delivered(loop, group)

    def _delivered(self, loop: asyncio.AbstractEventLoop, group: list[Waiting]) -> None:
        self._busy = False
        _deliver(group)
        if self._group:
            self._schedule(loop)


def run_group(db: sqlite3.Connection, group: list[Waiting]) -> None:
    """Run operations in one transaction. If one fails, each is run again in a transaction of its own."""
    if not group:
        return
    try:
        _begin(db, PATIENCE)
    except sqlite3.Error as error:
        _fail(group, error)
        return
    try:
        _run(db, group).end()
    except Exception as error:  # noqa: BLE001 - whatever an operation raises belongs to its caller
        _roll_back(db)
        if len(group) == 1:
            _fail(group, error)
            return
        for waiting in group:
            run_group(db, [waiting])


def _begin(db: sqlite3.Connection, patience: float) -> None:
    """Become the only writer, waiting so many seconds for another process."""
    insist(db, "BEGIN IMMEDIATE", patience)


def insist(db: sqlite3.Connection, statement: str, patience: float = PATIENCE) -> None:
    """Run a statement that needs the file for itself, waiting so many seconds for another process.

    SQLite itself would look again after 1, 2, 5, 10 … 100 ms: with two busy processes both would sleep half the time;
    and for a change of the journal's mode it would not wait at all.
    """
    until = time.monotonic() + patience
    while True:
        try:
            db.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(TURN)
        else:
            return


def _run(db: sqlite3.Connection, group: list[Waiting]) -> Transaction:
    transaction = Transaction(db)
    for waiting in group:
        waiting.result = waiting.operation(transaction)
    for finish in transaction.before_commit:
        finish()
    return transaction


def _fail(group: list[Waiting], error: BaseException) -> None:
    for waiting in group:
        waiting.error = explain(error)


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


def _deliver(group: list[Waiting]) -> None:
    for waiting in group:
        waiting.deliver()


def explain(error: BaseException) -> BaseException:
    """Turn SQLite's words into a sentence for people."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.IntegrityError):
        return error
    if "locked" in str(error):
        return StateError(
            f"The state file has been locked by another process for {PATIENCE:.0f} seconds.",
            "A command that was stopped (Ctrl-Z) may hold it: let it go on or end it, then run this one again.",
        )
    return StateError(
        f"The state file cannot be written ({error}).",
        "Make room on its disk or choose another place with --state; what was answered before is kept.",
    )
