"""The progress bar: what people on a terminal are told while a run goes, and nothing where nobody looks."""

from __future__ import annotations

import os
import pty
from contextlib import redirect_stderr
from typing import TYPE_CHECKING, NamedTuple, TextIO

import pytest

from pipeline.events import Event, RequestSettled, RowFinished
from pipeline.model import Endpoint, Outcome, Status
from pipeline.observe.progress import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterator

SENT = RequestSettled(Endpoint.SEARCH, "9f2c", Outcome.FOUND, 200)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        yield Terminal(ours, screen)
    os.close(ours)


class Terminal(NamedTuple):
    """A terminal in place of stderr: what is shown on its screen can be read."""

    reader: int
    screen: TextIO

    def shows(self, events: list[Event], *, pending: int, used: int = 0, wanted: bool = True) -> str:
        """What stands there after these events, at a quota of 100 a day."""
        with redirect_stderr(self.screen), ProgressBar(wanted=wanted, quota=100) as bar:
            bar.begin(pending, used)
            for event in events:
                bar.event(event)
        print("the end", file=self.screen, flush=True)
        told = b""
        while b"the end" not in told:
            told += os.read(self.reader, 1 << 16)
        return told.decode()


def finished(status: Status, n: int) -> list[Event]:
    return [RowFinished(1, row, status) for row in range(n)]


def test_invalid_rows_say_nothing_about_the_days_to_come(terminal: Terminal) -> None:
    """900 invalid rows cost nothing; the ten rows that were asked tell what the next 1,000 will: one request each."""
    events = [*finished(Status.INVALID, 900), *[SENT] * 10, *finished(Status.ENRICHED, 10)]
    assert "requests left 90 · about 10 more days" in terminal.shows(events, pending=1_910)


def test_before_a_row_was_asked_no_finish_is_promised(terminal: Terminal) -> None:
    """Invalid rows alone allow no estimate."""
    told = terminal.shows(finished(Status.INVALID, 5), pending=50)
    assert "requests left 100" in told
    assert "done today" not in told
    assert "more day" not in told


def test_what_fits_into_this_window_is_done_today(terminal: Terminal) -> None:
    """Requests used before the run are not there any more."""
    events = [SENT, *finished(Status.ENRICHED, 1)]
    assert "requests left 59 · done today" in terminal.shows(events, pending=60, used=40)


@pytest.mark.parametrize(("pending", "wanted"), [(0, True), (10, False)])
def test_there_is_no_bar_without_need(terminal: Terminal, pending: int, wanted: bool) -> None:  # noqa: FBT001 - a table
    """Nothing to do, or nobody wants it: not a byte."""
    assert terminal.shows([SENT], pending=pending, wanted=wanted) == "the end\r\n"
