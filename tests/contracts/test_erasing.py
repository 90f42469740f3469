"""The state file: an older one is brought up to date, and a compacted one holds no byte of what was removed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jobs_site import NOW, order, waiting
from ledger_site import Site, granted, settle

from pipeline.sample import PLACES, place_of
from pipeline.store import VERSION, Store, _upgrade

SECRET = b"jane.smith@acmecorp.com"


def shape(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Tables and indexes with their columns."""
    with closing(sqlite3.connect(path)) as db:
        names = db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
        return {
            name: db.execute(f"PRAGMA {'table' if kind == 'table' else 'index'}_info({name})").fetchall()
            for kind, name in names
        }


def make_older(path: Path) -> None:
    """Write a state file of version 1 with a few rows in it."""
    text = Path(__file__).with_name("schema_1.sql").read_text("utf-8")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(text)
        db.execute("INSERT INTO account (name) VALUES ('api/default')")
        db.execute(
            "INSERT INTO job (account, name, output, created_at, questions, judgement) "
            "VALUES (1, 'j', '-', 1, '[]', '{}')"
        )
        db.execute("INSERT INTO company (job, key, rank, waiting) VALUES (1, 'd:acme.com', 1, 3)")
        db.executemany(
            "INSERT INTO lead (job, row, lead_id, subject, company, state, taken_in, seen, input) "
            "VALUES (1, ?, ?, x'00', 1, 'ready', 1.0, 1, '{}')",
            [(n, f"l{n}") for n in range(3)],
        )
        db.execute("PRAGMA user_version = 1")


def test_an_older_state_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    """The file of an earlier program has the shape of a new one afterwards, and its rows are as they were."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    make_older(old)
    Store.open(new, "api/default", inline=True).close()
    assert shape(old) != shape(new)
    with Store.open(old, "api/default", inline=True) as store:
        assert shape(old) == shape(new)
        assert [work.lead_id for work in waiting(store, store.jobs.all()[0])] == ["l0", "l1", "l2"]
        assert order(store, store.jobs.all()[0]) == ["l0"]
        assert [work.replayed_at for work in waiting(store, store.jobs.all()[0])] == [0.0] * 3
        assert [work.lead_id for work in store.jobs.sampled(1, PLACES, 9)] == sorted(("l0", "l1", "l2"), key=place_of)


def test_two_processes_bring_it_up_to_date_together(tmp_path: Path) -> None:
    """The second finds the steps taken; one that fails takes none."""
    path = tmp_path / "state.db"
    make_older(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as one:
        one.execute("CREATE TABLE purged (other TEXT)")
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            _upgrade(one)
        assert "replayed_at" not in str(one.execute("PRAGMA table_info(lead)").fetchall())
        one.execute("DROP TABLE purged")
        _upgrade(one)
        _upgrade(one)
        assert one.execute("PRAGMA user_version").fetchone() == (VERSION,)


async def test_a_compacted_state_holds_no_byte_of_what_was_removed(tmp_path: Path) -> None:
    """Neither the file nor its log, while it is open."""
    path = tmp_path / "state.db"
    site = Site(path, inline=True)
    store = site.run()
    for n in range(300):
        body = b'{"success":true,"data":{"x":"%b","n":%d}}' % (SECRET if n % 7 == 0 else b"-" * n, n)
        await settle(store, await granted(store, n), n, body=body)
    assert SECRET in path.read_bytes() + path.with_name("state.db-wal").read_bytes()
    await store.erasing.purge(NOW + 99, ())
    assert Store.compact(path)
    assert path.with_name("state.db-wal").read_bytes() == b""
    assert SECRET not in path.read_bytes()
    assert site.select("SELECT count(*) FROM attempt") == [(300,)]
    site.close()


def test_somebody_who_reads_is_told_of(tmp_path: Path) -> None:
    """While another process reads, the log cannot be emptied, and that is said instead of promised."""
    path = tmp_path / "state.db"
    Store.open(path, "api/default", inline=True).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM account").fetchall()
        assert not Store.compact(path, patience=0.0)
        reader.execute("COMMIT")
        assert Store.compact(path, patience=0.0)


async def test_marks_are_kept_under_one_key_however_many_add_them(tmp_path: Path) -> None:
    """Two processes erase at the same moment: one key, both marks, and no address in the file."""
    path = tmp_path / "state.db"
    stores = [Store.open(path, name) for name in ("api/one", "api/two")]
    addresses = [SECRET.decode(), "joe@acmecorp.com"]
    await asyncio.gather(*(store.erasing.keep_out(a, NOW) for store, a in zip(stores, addresses, strict=True)))
    both = [store.erasing.erased() for store in stores]
    assert both[0] == both[1]
    assert all(map(both[0].names, addresses))
    assert len(both[0].key) == 32
    for store in stores:
        store.close()
    assert b"acmecorp" not in path.read_bytes()
