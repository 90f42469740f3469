"""What happened so far, for those who tell it: nights, where requests went, how the window and the credits went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pipeline.store.records import Did
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3


class Night(NamedTuple):
    """One run. `ended_at` and `stop` None: it is under way, or it died; then `did` is not known."""

    owner: str
    started_at: float
    ended_at: float | None
    stop: str | None
    requests: int
    did: Did | None


class Past:
    """The past of one account; only ever read."""

    def __init__(self, reader: sqlite3.Connection, account: int) -> None:
        self._reader = reader
        self._account = account

    def nights(self) -> list[Night]:
        """All runs that had something to ask, oldest first."""
        rows = self._reader.execute(SQL["runs"], (self._account,))
        return [_night(*row) for row in rows]

    def sent(self) -> dict[str, dict[str, int]]:
        """Requests sent so far, by endpoint and by what they came to."""
        sent: dict[str, dict[str, int]] = {}
        for endpoint, outcome, n in self._reader.execute(SQL["sent"], (self._account,)):
            sent.setdefault(endpoint, {})[outcome] = n
        return sent

    def dated(self, since: float, step: int) -> list[tuple[int, int]]:
        """Ends of stretches of `step` seconds, and how many requests were dated in each; none: left out."""
        rows = self._reader.execute(SQL["dated"], (self._account, step, since))
        return [(number * step, n) for number, n in rows]

    def readings(self, since: float, step: int) -> list[tuple[float, int]]:
        """When credits were read and how many they were; the last reading of each stretch of `step` seconds."""
        return self._reader.execute(SQL["readings"], (self._account, step, since)).fetchall()

    def reasons(self, job: int) -> list[tuple[str, str, int, int]]:
        """Why leads of a job are not enriched: state, reason, how many, and the first such row."""
        return self._reader.execute(SQL["reasons"], (job,)).fetchall()

    def finished_since(self, job: int, moment: float) -> int:
        """Leads of a job that got their line since then."""
        return int(self._reader.execute(SQL["finished_since"], (job, moment)).fetchone()[0])


def _night(  # a row of `:runs`
    owner: str, started_at: float, ended_at: float | None, stop: str | None, requests: int, *did: int | None
) -> Night:
    told = [n for n in did if n is not None]
    return Night(owner, started_at, ended_at, stop, requests, Did(*told) if len(told) == len(did) else None)
