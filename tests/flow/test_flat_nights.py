"""A night costs what its requests cost, whatever the list holds."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from support import Server, Site

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

STEP = 10
"""SQLite reports every so many steps of its machine."""


class Counted(sqlite3.Connection):
    """A connection that counts the steps its statements take."""

    steps = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_progress_handler(self._step, STEP)

    @staticmethod
    def _step() -> int:
        Counted.steps += STEP
        return 0


def write(path: Path, rows: int) -> Path:
    """Write a list of three leads a company, every fifth of them twice."""
    lines = (f"Firm {n % (rows // 3)},Kim,Lee{n}" for n in range(rows) for _ in range(1 + (n % 5 == 0)))
    path.write_text("\n".join(["Company Name,First Name,Last Name", *lines]))
    return path


def steps_of_a_night(folder: Path, rows: int) -> int:
    """Take a list in, let one night pass, and count what SQLite does in the next."""
    folder.mkdir()
    site = Site(folder, Server())
    leads = write(folder / "leads.csv", rows)
    site.night(leads, at=0.0, plan="free")
    Counted.steps = 0
    site.resume(at=86_400.0, plan="free")
    site.night(leads, at=2 * 86_400.0, plan="free")
    return Counted.steps


def test_a_night_reads_no_more_of_a_list_twenty_times_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither `resume` nor the same list again, counted in steps of SQLite's own machine."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=Counted, **options))
    short, long = (steps_of_a_night(tmp_path / str(rows), rows) for rows in (300, 6_000))
    assert 1_000 < long < 1.1 * short
