"""What was pushed into other systems, and the calls that took: a push that was killed goes on from here."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from pipeline.erased import Erased
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from pipeline.store.commit import Committer, Transaction

HOUR: Final = 3600.0
HOURS: Final = 24


class Delivery(NamedTuple):
    """What became of one item at a sink; `digest` is of what was pushed, `mark` of the person's address.

    `filled`: the subject of the row with what was written into its own record.
    """

    item: str
    result: str
    record: str | None
    digest: bytes
    mark: bytes
    filled: bytes | None = None


class Pushed(NamedTuple):
    """Where somebody was pushed to, and under which id they are known there, if it told one."""

    job: int
    sink: str
    item: str
    record: str | None


class Deliveries:
    """The deliveries of one account's jobs."""

    def __init__(self, committer: Committer, reader: sqlite3.Connection, account: int) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account

    async def marker(self) -> Erased:
        """Whoever was erased, with a key that marks addresses: made now if the state has none yet."""

        def make(tx: Transaction) -> None:
            tx.db.execute(SQL["make_secret"], (secrets.token_bytes(32),))

        await self._committer.run(make)
        key = self._reader.execute(SQL["secret"]).fetchone()[0]
        return Erased(key, frozenset(mark for (mark,) in self._reader.execute(SQL["marks"])))

    def known(self, job: int, sink: str, items: Iterable[str]) -> dict[str, bytes]:
        """Digests of what these items were when they were delivered."""
        values = (job, sink, orjson.dumps(list(items)).decode())
        return dict(self._reader.execute(SQL["delivered"], values).fetchall())

    async def note(self, job: int, sink: str, delivered: Iterable[Delivery], now: float) -> None:
        """Remember what became of items, durably."""
        delivered = list(delivered)
        rows = [(job, sink, one.item, now, one.result, one.record, one.digest, one.mark) for one in delivered]
        filled = [(one.filled, job, one.item) for one in delivered if one.filled is not None]

        def note(tx: Transaction) -> None:
            tx.db.executemany(SQL["deliver"], rows)
            tx.db.executemany(SQL["filled"], filled)

        await self._committer.run(note)

    def of(self, mark: bytes) -> list[Pushed]:
        """Where the person with this mark was pushed to."""
        return [Pushed(*row) for row in self._reader.execute(SQL["deliveries_of"], (mark, self._account))]

    async def blank(self, pushed: Iterable[Pushed], erased: Erased) -> None:
        """Forget who they were; that and where they were pushed stays."""
        rows = [(erased.row_id(one.item), one.job, one.sink, one.item) for one in pushed]

        def blank(tx: Transaction) -> None:
            tx.db.executemany(SQL["blank_delivery"], rows)

        await self._committer.run(blank)

    async def count_call(self, host: str, limit: int, now: float) -> bool:
        """Count a call before it is made; False, and nothing counted, once 24 hours hold as many as they may."""
        hour = int(now // HOUR)

        def count(tx: Transaction) -> bool:
            (calls,) = tx.db.execute(SQL["calls"], (self._account, host, hour - HOURS)).fetchone()
            if calls >= limit:
                return False
            tx.db.execute(SQL["drop_calls"], (self._account, hour - HOURS))
            tx.db.execute(SQL["count_call"], (self._account, host, hour))
            return True

        return await self._committer.run(count)
