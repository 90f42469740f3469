"""Group commit when the disk will not: what each caller is told, and what is on disk afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import StateError
from pipeline.store.commit import Committer, Transaction, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Disk(sqlite3.Connection):
    """A database whose next COMMITs fail, or wait until they are let through."""

    failing = 0

    def __init__(self, path: Path) -> None:
        super().__init__(path, isolation_level=None, check_same_thread=False)
        self.through = threading.Event()
        self.through.set()

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.through.wait()
            if self.failing:
                self.failing -= 1
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)  # type: ignore[arg-type]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "state.db")
    disk.execute("CREATE TABLE note (text TEXT)")
    yield disk
    disk.close()


def write(text: str) -> Callable[[Transaction], str]:
    """Make an operation that writes a row and returns it."""

    def operation(tx: Transaction) -> str:
        tx.db.execute("INSERT INTO note VALUES (?)", (text,))
        return text

    return operation


def written(disk: Disk) -> list[str]:
    return [text for (text,) in disk.execute("SELECT text FROM note ORDER BY text")]


async def both(committer: Committer) -> list[str | BaseException]:
    told = await asyncio.gather(committer.run(write("a")), committer.run(write("b")), return_exceptions=True)
    return list(told)


@pytest.mark.parametrize("inline", [True, False])
async def test_a_commit_that_fails_once_is_made_again_and_nothing_is_doubled(disk: Disk, *, inline: bool) -> None:
    """The callers never learn of it."""
    committer, disk.failing = Committer(disk, inline=inline), 1
    assert await both(committer) == ["a", "b"]
    assert written(disk) == ["a", "b"]
    committer.close()


async def test_each_caller_is_told_of_its_own_commit(disk: Disk) -> None:
    """The group's COMMIT fails twice, then the first caller's own; the second caller's is made."""
    committer, disk.failing = Committer(disk), 3
    first, second = await both(committer)
    assert isinstance(first, StateError)
    assert (second, written(disk), disk.in_transaction) == ("b", ["b"], False)
    committer.close()


async def test_operations_run_in_the_loops_thread_and_only_the_commit_waits_elsewhere(disk: Disk) -> None:
    """So an operation needs no lock, and the loop goes on while the disk works."""
    committer = Committer(disk)
    assert await committer.run(lambda _: threading.get_ident()) == threading.get_ident()
    disk.through.clear()
    slow = asyncio.ensure_future(committer.run(write("a")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    queued = asyncio.ensure_future(committer.run(write("b")))
    assert not slow.done()
    disk.through.set()
    async with asyncio.timeout(5):
        assert [await slow, await queued] == ["a", "b"]
    assert (committer.commits, written(disk)) == (3, ["a", "b"])
    committer.close()


async def test_another_processs_transaction_is_waited_for(disk: Disk, tmp_path: Path) -> None:
    """The loop goes on meanwhile."""
    other, committer = Disk(tmp_path / "state.db"), Committer(disk)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(committer.run(write("a")))
    asyncio.get_running_loop().call_later(0.05, other.execute, "COMMIT")
    async with asyncio.timeout(5):
        assert await waiting == "a"
    committer.close()
    other.close()


async def test_a_group_that_waits_for_company_is_written_all_the_same(disk: Disk) -> None:
    """After a large group the next one lingers for a moment."""
    committer = Committer(disk)
    async with asyncio.timeout(5):
        for round_ in range(3):
            names = [f"{round_}-{n}" for n in range(8)]
            assert await asyncio.gather(*(committer.run(write(name)) for name in names)) == names
    assert len(written(disk)) == 24
    committer.close()


async def test_who_waited_in_vain_is_told_and_the_next_goes_on(disk: Disk, tmp_path: Path) -> None:
    """All callers of the group, and a commit after the other process has ended finds the way free."""
    other, committer = Disk(tmp_path / "state.db"), Committer(disk, patience=0.01)
    other.execute("BEGIN IMMEDIATE")
    async with asyncio.timeout(5):
        told = await both(committer)
        assert [isinstance(error, StateError) and "locked" in error.what for error in told] == [True, True]
        other.execute("COMMIT")
        assert await committer.run(write("c")) == "c"
    assert written(disk) == ["c"]
    committer.close()
    other.close()


def test_sqlites_words_become_a_sentence_with_a_way_out() -> None:
    """Any other error is its caller's and stays as it is."""
    told = explain(sqlite3.OperationalError("database or disk is full"))
    assert isinstance(told, StateError)
    assert str(told) == (
        "The state file cannot be written (database or disk is full). Make room on its disk or choose another place"
        " with --state; what was answered before is kept."
    )
    assert str(explain(sqlite3.OperationalError("database is locked"))) == (
        "The state file has been locked by another process for 30 seconds. A command that was stopped (Ctrl-Z) may"
        " hold it: let it go on or end it, then run this one again."
    )
    for other in (sqlite3.IntegrityError("x"), ValueError("x")):
        assert explain(other) is other
