"""What people were told, and by what it is judged: how the days ended, and a run that never did."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline.alerts import DayEnd
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pipeline.store.commit import Committer


class Alerting:
    """One account's alerts in one state file. Times are Unix seconds."""

    def __init__(
        self, committer: Committer, reader: sqlite3.Connection, account: int, alive: Callable[[str], bool]
    ) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account
        self._alive = alive

    def levels(self) -> dict[str, int]:
        """The level people were last told of, by subject."""
        return dict(self._reader.execute(SQL["alert_levels"], (self._account,)))

    async def told(self, subject: str, level: int, now: float) -> None:
        """Note that people were told."""
        await self._write("alert_told", self._account, subject, level, now)

    async def note_day_end(self, end: DayEnd) -> None:
        """Note how things stand where a run ends; the day's last run counts."""
        await self._write("note_day_end", self._account, end.day.isoformat(), end.pending, end.credits)

    def day_ends(self, most: int) -> list[DayEnd]:
        """How things stood at the end of each of the latest days that had a run, the latest last."""
        rows = self._reader.execute(SQL["day_ends"], (self._account, most))
        return [DayEnd(date.fromisoformat(day), pending, credits_) for day, pending, credits_ in rows]

    def pending(self) -> int:
        """Rows of all jobs that are not finished."""
        return int(self._reader.execute(SQL["pending_now"], (self._account,)).fetchone()[0])

    def broke_off(self, owner: str) -> float | None:
        """When the run before `owner`'s began, if it neither ended nor is under way."""
        row = self._reader.execute(SQL["run_before"], (self._account, owner, self._account, owner)).fetchone()
        return None if row is None or self._alive(row[0]) else float(row[1])

    async def _write(self, statement: str, *values: Any) -> None:  # noqa: ANN401 - whatever a column holds
        await self._committer.run(lambda tx: tx.db.execute(SQL[statement], values) and None)
