"""The state: what was paid for, what is reserved, what is being made. One SQLite file for all jobs."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StateError
from pipeline.sample import place_of
from pipeline.store.alerting import Alerting
from pipeline.store.commit import Committer, explain, insist
from pipeline.store.delivering import Deliveries
from pipeline.store.erasure import Erasing
from pipeline.store.jobs import Jobs
from pipeline.store.ledger import Ledger
from pipeline.store.locks import Locks
from pipeline.store.past import Past
from pipeline.store.sql import MIGRATIONS, SQL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

VERSION = 4
"""The schema's version; a file with a later one was written by a newer program."""

CACHE = 8_000
"""Kibibytes of pages the writer keeps: rows of a long list touch its indexes everywhere."""

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph"})
"""File systems without the shared memory that SQLite's write-ahead log needs."""

DAMAGED = ("not a database", "malformed")
"""SQLite's words for a file that never was one, or is none any more."""

MOUNTS = Path("/proc/self/mounts")
"""The kernel's table of what is mounted where."""


@dataclass(slots=True)
class Store:
    """An open state file.

    `jobs` for lists and rows, `ledger` for money and answers, `locks` for who is at work, `erasing` for what leaves
    before its time, `past` for what happened so far, `deliveries` for what was pushed elsewhere, `alerting` for what
    people were told.
    """

    path: Path
    jobs: Jobs
    ledger: Ledger
    locks: Locks
    erasing: Erasing
    deliveries: Deliveries
    past: Past
    alerting: Alerting
    _committer: Committer
    _reader: sqlite3.Connection

    @classmethod
    def open(cls, path: Path, account: str, *, owner: str = "", inline: bool = False, durable: bool = True) -> Self:
        """Open or create a state file for one account. Raises StateError with the reason and what to do.

        `inline` commits in the loop's thread; without `durable` nothing is synced. Both are for virtual time.
        """
        _check_place(path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                path.touch(mode=0o600)
            with ExitStack() as unless_whole:
                writer = unless_whole.enter_context(closing(_connect(path)))
                writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
                writer.execute(f"PRAGMA cache_size = -{CACHE}")
                _migrate(writer, path)
                path.chmod(0o600)  # also a file of ours that came back from a backup
                account_id = _account(writer, account)
                reader = _connect(path)
                unless_whole.pop_all()
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # a damaged file may hold any bytes
            raise _unusable(path, error) from error
        committer = Committer(writer, inline=inline)
        locks = Locks(path.with_name(path.name + ".locks"))
        return cls(
            path=path,
            jobs=Jobs(committer, reader, account_id),
            ledger=Ledger(committer, reader, account_id, owner, locks.alive),
            locks=locks,
            erasing=Erasing(committer, reader, account_id),
            deliveries=Deliveries(committer, reader, account_id),
            past=Past(reader, account_id),
            alerting=Alerting(committer, reader, account_id, locks.alive),
            _committer=committer,
            _reader=reader,
        )

    @staticmethod
    def last_moment(path: Path) -> float | None:
        """When the state's youngest request was made; None without one."""
        if not path.exists():
            return None
        db = _connect(path)
        try:
            row = db.execute("SELECT reserved_at FROM attempt ORDER BY id DESC LIMIT 1").fetchone()
        finally:
            db.close()
        return float(row[0]) if row else None

    @staticmethod
    def files(path: Path) -> list[str]:
        """The outputs and lists of all jobs, whoever's; none if the state cannot be read."""
        if not path.exists():
            return []
        try:
            with closing(_connect(path)) as db:
                return [name for (name,) in db.execute(SQL["files"]) if name]
        except (sqlite3.Error, OSError):
            return []  # whoever opens it in earnest says why

    @staticmethod
    def knows(path: Path, account: str) -> bool:
        """Whether there is a state file with this account; one that cannot be read is left to `open` to refuse."""
        if not path.exists():
            return False
        try:
            with closing(_connect(path)) as db:
                return db.execute("SELECT 1 FROM account WHERE name = ?", (account,)).fetchone() is not None
        except sqlite3.Error:
            return True

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything inside as of one moment, whatever other processes do meanwhile."""
        self._reader.execute("BEGIN")
        try:
            yield
        finally:
            self._reader.execute("COMMIT")

    def accounts(self) -> list[str]:
        """Every account this file knows."""
        return [name for (name,) in self._reader.execute(SQL["accounts"])]

    @staticmethod
    def compact(path: Path, patience: float = 10.0) -> bool:
        """Write the file anew, so that no byte of what was removed is left, here or in its log.

        False if another process is in the way of emptying the log for more than `patience` seconds. Needs as much
        room as the file itself.
        """
        try:
            with closing(_connect(path)) as db:
                db.execute("VACUUM")
                db.execute(f"PRAGMA busy_timeout = {int(1000 * patience)}")
                busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        return not busy

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._committer.close()
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version, tables = db.execute(
        "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
    ).fetchone()
    if version == 0 and tables:
        raise _not_a_state(path)
    if version > VERSION:
        raise StateError(
            f"The state file {path} was written by a newer version of this program (schema {version}, this one "
            f"knows {VERSION}).",
            "Upgrade leadcontact-pipeline, or choose another file with --state.",
        )
    if version == VERSION:
        return
    if version:
        _upgrade(db)
        return
    insist(db, "PRAGMA journal_mode = WAL")
    schema = Path(__file__).with_name("schema.sql").read_text("utf-8")
    db.executescript(f"BEGIN IMMEDIATE;\n{_only_once(schema)}\nPRAGMA user_version = {VERSION};\nCOMMIT;")


def _upgrade(db: sqlite3.Connection) -> None:
    """Take every step from the file's version to ours, all or none; another process may have taken them meanwhile."""
    db.create_function("place_of", 1, place_of, deterministic=True)
    db.execute("BEGIN IMMEDIATE")
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        for step in range(version + 1, VERSION + 1):
            for statement in MIGRATIONS[str(step)].split(";\n"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {max(version, VERSION)}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _only_once(schema: str) -> str:
    """Let two processes that create the file at the same moment both succeed."""
    for kind in ("TABLE", "UNIQUE INDEX", "INDEX"):
        schema = schema.replace(f"CREATE {kind} ", f"CREATE {kind} IF NOT EXISTS ")
    return schema


def _account(db: sqlite3.Connection, name: str) -> int:
    db.execute("INSERT INTO account (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return int(db.execute("SELECT id FROM account WHERE name = ?", (name,)).fetchone()[0])


def _check_place(path: Path, mounts: Path = MOUNTS) -> None:
    kind = file_system(path, mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StateError(
            f"The state file {path} would lie on a network file system ({kind}), where SQLite loses data.",
            "Choose a local path with --state.",
        )


def file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system a path lies on, by the kernel's mount table; empty where there is none."""
    try:
        table = mounts.read_text("utf-8")
    except OSError:
        return ""
    place, best = path.resolve(), ("", "")
    for line in table.splitlines():
        _, mount, kind, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        if place.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _unusable(path: Path, error: Exception) -> StateError:
    if isinstance(error, StateError):
        return error
    if isinstance(error, UnicodeDecodeError) or (
        isinstance(error, sqlite3.DatabaseError) and any(words in str(error) for words in DAMAGED)
    ):
        return _not_a_state(path)
    explained = explain(error)
    reason = error if explained is error else str(error)
    return StateError(
        f"The state file {path} cannot be opened ({reason}).",
        "Check the folder's permissions and free space, or choose another file with --state.",
    )


def _not_a_state(path: Path) -> StateError:
    return StateError(
        f"{path} is not a state file of this program, or it is damaged.",
        "Restore it from a backup, or name another file with --state (a new one does not know what was used).",
    )
