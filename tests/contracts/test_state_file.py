"""The state file is private, refuses what it cannot be, and a commit is all or nothing for each caller."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import StateError
from pipeline.model import Kind
from pipeline.store import NETWORK_FILE_SYSTEMS, VERSION, Store, _check_place, file_system
from pipeline.store.locks import Locks
from pipeline.store.sql import MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.store.commit import Transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "state.db"


@pytest.fixture(params=["inline", "threaded"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    with Store.open(path, "api/default", inline=request.param == "inline") as opened:
        yield opened


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start another process with this program in it."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def mark(text: str) -> Callable[[Transaction], str]:
    """Make an operation that writes an account and returns its name."""

    def operation(tx: Transaction) -> str:
        tx.db.execute("INSERT INTO account (name) VALUES (?)", (text,))
        return text

    return operation


def marks(path: Path) -> set[str]:
    db = sqlite3.connect(path)
    try:
        return {name for (name,) in db.execute("SELECT name FROM account")}
    finally:
        db.close()


# --- the file -----------------------------------------------------------------------------------------


async def test_nobody_else_can_read_the_state(store: Store, path: Path) -> None:
    """The state holds personal data: its files are 0600 in a folder of 0700, whatever the umask."""
    await store._committer.run(mark("x"))
    assert store.locks.run("a").acquire()
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert len(files) >= 4
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    folders = [path.parent, store.locks.folder]
    assert {oct(folder.stat().st_mode & 0o777) for folder in folders} == {"0o700"}


def test_every_commit_is_synced(store: Store) -> None:
    """What was committed survives a power cut, erased data does not survive erasure, references hold."""
    db = store._committer._db
    pragmas = ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "user_version")
    assert [db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == ["wal", 2, 1, 1, VERSION]


def test_a_newer_state_is_refused(path: Path) -> None:
    """An older program does not touch what a newer one wrote, and says to upgrade."""
    Store.open(path, "api/default", inline=True).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    with pytest.raises(StateError, match="newer version") as caught:
        Store.open(path, "api/default", inline=True)
    assert (caught.value.exit_code, "Upgrade" in caught.value.fix) == (74, True)


@pytest.mark.parametrize("content", [b"company,email\nAcme,jane@acme.com\n" * 200, os.urandom(9_000)])
def test_a_file_that_is_no_state_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    """A list named by mistake with --state is not damaged."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StateError, match="not a state file") as caught:
        Store.open(path, "api/default", inline=True)
    assert str(path) in caught.value.what
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [0, VERSION])
def test_a_database_of_another_program_is_refused_and_left_alone(path: Path, version: int) -> None:
    """Another program's SQLite file does not get our tables."""
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        Store.open(path, "api/default", inline=True)
    assert str(path) in caught.value.what
    assert path.read_bytes() == before


def test_a_damaged_state_is_refused(path: Path) -> None:
    """Overwritten pages are told in a sentence, not in a traceback."""
    Store.open(path, "api/default", inline=True).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 20_000)
    with pytest.raises(StateError) as caught:
        Store.open(path, "api/default", inline=True)
    assert str(path) in caught.value.what


def test_a_state_that_was_cut_short_is_called_damaged(path: Path) -> None:
    """A backup helps; permissions or room do not, and another file would not know what was used."""
    Store.open(path, "api/default", inline=True).close()
    with path.open("r+b") as file:
        file.truncate(5000)
    with pytest.raises(StateError, match=r"or it is damaged.*Restore it from a backup.*does not know what was used"):
        Store.open(path, "api/default", inline=True)


@pytest.mark.parametrize("blocked", ["folder is a file", "file is a folder", "nobody may write"])
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path: Path, blocked: str) -> None:
    """No folder, no permission: one sentence with the path and what to do."""
    places = {
        "folder is a file": tmp_path / "list.csv" / "state.db",
        "file is a folder": tmp_path,
        "nobody may write": Path("/proc/self/state.db"),
    }
    (tmp_path / "list.csv").touch()
    with pytest.raises(StateError, match=r"--state") as caught:
        Store.open(places[blocked], "api/default", inline=True)
    assert str(places[blocked]) in caught.value.what


MOUNT_TABLE = """\
/dev/vda / ext4 rw 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/vdb /home/ann/disk xfs rw 0 0
//server/share /mnt/two\\040words cifs rw 0 0
//server/late /late ext4 rw 0 0
//server/late /late fuse.sshfs rw 0 0
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/state.db", "ext4"),
        ("/home/ann/state.db", "nfs4"),
        ("/home/ann/disk/state.db", "xfs"),
        ("/homeless/state.db", "ext4"),
        ("/mnt/two words/state.db", "cifs"),
        ("/late/state.db", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_refused(tmp_path: Path, place: str, kind: str) -> None:
    """SQLite's log loses data over a network: the innermost, latest mount decides, and it is named."""
    table = tmp_path / "mounts"
    table.write_text(MOUNT_TABLE, "utf-8")
    assert file_system(Path(place), table) == kind
    if kind not in NETWORK_FILE_SYSTEMS:
        _check_place(Path(place), table)
        return
    with pytest.raises(StateError, match=f"network file system .{kind}..*--state") as caught:
        _check_place(Path(place), table)
    assert caught.value.exit_code == 74


def test_without_a_mount_table_the_place_is_trusted(tmp_path: Path) -> None:
    """Other systems have no such table; the check must not keep people from working."""
    assert file_system(tmp_path, tmp_path / "missing") == ""
    assert file_system(tmp_path) != ""


OPEN_AT_ONCE = """
import sys, time
from pathlib import Path
from pipeline.store import Store
time.sleep(max(0.0, float(sys.argv[2]) - time.time()))
with Store.open(Path(sys.argv[1]), "api/" + sys.argv[3]) as store:
    print(len(store.jobs.all()))
"""


def test_processes_that_create_the_state_at_once_all_succeed(path: Path) -> None:
    """Two crons at the same second both find a whole state file."""
    for round_ in range(3):
        file = path.with_name(f"{round_}.db")
        start = datetime.now(UTC).timestamp() + 1.0
        processes = [python(OPEN_AT_ONCE, file, start, n) for n in range(5)]
        told = [process.communicate(timeout=60) for process in processes]
        assert told == [("0\n", "")] * 5
        assert marks(file) == {f"api/{n}" for n in range(5)}


def test_the_youngest_request_of_a_state_can_be_told_without_opening_it(path: Path) -> None:
    """A sandbox's virtual clock goes on where its state ended."""
    assert Store.last_moment(path) is None
    Store.open(path, "api/default", inline=True).close()
    assert Store.last_moment(path) is None


# --- group commit -------------------------------------------------------------------------------------


async def test_an_operation_that_fails_takes_no_other_down(store: Store, path: Path) -> None:
    """Each caller gets its own result or its own error, though all shared a transaction."""

    def slip(tx: Transaction) -> None:
        mark("half")(tx)
        raise LookupError("ours")

    operations = [mark("a"), slip, mark("b"), mark("a"), mark("c")]
    told = await asyncio.gather(*map(store._committer.run, operations), return_exceptions=True)
    assert [type(one) for one in told] == [str, LookupError, str, sqlite3.IntegrityError, str]
    assert marks(path) == {"api/default", "a", "b", "c"}


async def test_a_result_means_that_it_is_on_disk(store: Store, path: Path) -> None:
    """When a caller goes on, another process sees what it wrote."""
    for n in range(5):
        await store._committer.run(mark(str(n)))
        assert str(n) in marks(path)


async def test_many_callers_share_few_commits(path: Path) -> None:
    """A thousand callers wait for a handful of syncs, not for a thousand."""
    with Store.open(path, "api/default") as store:
        committer = store._committer
        before = committer.commits
        await asyncio.gather(*(committer.run(mark(str(n))) for n in range(1_000)))
        assert committer.commits - before < 100
    assert len(marks(path)) == 1_001


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("inline", [True, False])
async def test_closing_writes_what_is_queued(path: Path, *, inline: bool, turns: int) -> None:
    """A run that ends while commits wait does not lose them, and who waits is told."""
    store = Store.open(path, "api/default", inline=inline)
    waiting = []
    for turn in range(turns):
        names = [f"{turn}-{n}" for n in range(70)]
        waiting += [asyncio.ensure_future(store._committer.run(mark(name))) for name in names]
        await asyncio.sleep(0)
    store.close()
    assert len(marks(path)) == 1 + 70 * turns
    async with asyncio.timeout(5):
        assert set(await asyncio.gather(*waiting)) == marks(path) - {"api/default"}


async def test_a_caller_that_went_away_stops_nobody(store: Store, path: Path) -> None:
    """A cancelled caller's operation still happens, and the others are answered."""
    gone, stays = (asyncio.ensure_future(store._committer.run(mark(name))) for name in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == "stays"
    assert {"gone", "stays"} < marks(path)


async def test_a_full_disk_is_told_and_what_was_kept_stays(store: Store, path: Path) -> None:
    """No room: a sentence that names the state and --state; with room again the same store goes on."""
    await store._committer.run(mark("before"))
    db = store._committer._db
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages + 1}")
    told = await asyncio.gather(
        store._committer.run(mark("x" * 50_000)), store._committer.run(mark("small")), return_exceptions=True
    )
    assert [type(one) for one in told] == [StateError, str]
    assert "full" in str(told[0])
    assert "--state" in str(told[0])
    db.execute("PRAGMA max_page_count = 100000")
    await store._committer.run(mark("after"))
    assert marks(path) == {"api/default", "before", "small", "after"}


# --- locks --------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from pipeline.store.locks import Locks
locks = Locks(Path(sys.argv[1]))
assert locks.job(7).acquire() and locks.run("other").acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_lock_dies_with_its_process(store: Store) -> None:
    """While a process lives its job is its own; after `kill -9` the next run has it at once."""
    ours, earlier = store.locks.job(7), datetime.now(UTC).replace(microsecond=0)
    process = python(HOLD, store.locks.folder)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert (ours.acquire(), ours.held_elsewhere(), store.locks.alive("other")) == (False, True, True)
        holder = ours.holder()
        assert holder.pid == str(process.pid)
        assert earlier <= datetime.fromisoformat(holder.since) <= datetime.now(UTC)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert (ours.held_elsewhere(), store.locks.alive("other")) == (False, False)
    assert ours.acquire()
    assert ours.holder().pid == str(os.getpid())
    ours.release()


def test_two_runs_of_one_process_exclude_each_other_too(store: Store) -> None:
    """A lock belongs to its holder, not to the process."""
    with store.locks.job(1) as first:
        assert first.acquire()
        assert (store.locks.job(1).acquire(), store.locks.job(2).acquire()) == (False, True)
    assert store.locks.job(1).acquire()


def test_a_dead_runs_lock_file_is_tidied_away(store: Store) -> None:
    """A run a night for years leaves no heap of files, and one that never was is not alive."""
    lock = store.locks.run("gone")
    assert lock.acquire()
    assert store.locks.alive("gone")
    lock.release()
    assert not store.locks.alive("gone")
    assert not lock.path.exists()
    assert not store.locks.alive("never was")


def test_a_lock_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A full disk is nobody's fault, and there is something to do about it."""
    (tmp_path / "locks").write_text("a file where the folder should be")
    with pytest.raises(StateError, match=r"job-1 .*cannot be written.*--state"):
        Locks(tmp_path / "locks").job(1).acquire()


def test_an_unknown_holder_is_a_question_mark(tmp_path: Path) -> None:
    """The message about a held job never fails for want of a name."""
    with Store.open(tmp_path / "s.db", "a", inline=True) as store:
        lock = store.locks.job(1)
    assert (lock.holder().pid, lock.holder().since, lock.held_elsewhere()) == ("?", "?", False)


def test_a_state_of_version_2_is_brought_up_to_date(path: Path) -> None:
    """Its jobs are jobs of `enrich`, and companies can be prospected beside them."""
    Store.open(path, "api/default", inline=True).close()
    with closing(sqlite3.connect(path)) as db:
        fresh = db.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
        added = re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", MIGRATIONS["3"] + MIGRATIONS["4"])
        made = re.findall(r"CREATE TABLE (\w+)", MIGRATIONS["3"])
        undo = [f"DROP TABLE {name}" for name in made] + [f"ALTER TABLE {t} DROP COLUMN {c}" for t, c in added]
        dropped = re.findall(r"ALTER TABLE (\w+) DROP COLUMN (\w+)", MIGRATIONS["4"])
        undo += [f"ALTER TABLE {t} ADD COLUMN {c} INTEGER" for t, c in dropped]
        db.executescript(";".join([*undo, "PRAGMA user_version = 2"]))
        db.execute(
            "INSERT INTO job (account, name, output, created_at, questions, judgement) VALUES (1,'a','a',0,'','')"
        )
        db.commit()
    with Store.open(path, "api/default", inline=True) as store:
        assert [(job.kind, job.late) for job in store.jobs.all()] == [(Kind.ENRICH, True)]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall() == fresh
