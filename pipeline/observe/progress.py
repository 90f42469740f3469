"""A progress bar on a terminal: rows, requests left, credits left, and the finish estimate."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pipeline.events import CreditsRead, Event, RequestSettled, RowFinished
from pipeline.model import UNSENT, Status
from pipeline.observe.summary import days_needed

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """Shows a run while it goes; a no-op where stderr is not a terminal."""

    def __init__(self, *, wanted: bool, quota: int) -> None:
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._quota = quota
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._requests = 0
        self._rows = self._asked = 0
        self._pending = 0
        self._left: int | None = None
        self._credits: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            with suppress(OSError):  # the terminal may have been closed
                self._progress.stop()

    def begin(self, pending: int, used: int) -> None:
        """Start showing, with so many rows to do and so many requests of the window used."""
        if not self._wanted or not pending:
            return
        from rich.console import Console  # noqa: PLC0415 - 50 ms, only on a terminal
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

        self._pending, self._left = pending, max(0, self._quota - used)
        self._progress = Progress(
            TextColumn("rows"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(self._words(), total=pending)
        self._progress.start()

    def event(self, event: Event) -> None:
        """Move on with what happened."""
        match event:
            case RowFinished():
                self._rows += 1
                self._asked += event.status is not Status.INVALID
            case RequestSettled(outcome=outcome) if outcome not in UNSENT:
                self._requests += 1
            case CreditsRead():
                self._credits = event.credits
            case _:
                return
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._rows, description=self._words())

    def _words(self) -> str:
        left = max(0, (self._left or 0) - self._requests)
        words = [f"requests left {left:,}"]
        if self._credits is not None:
            words.append(f"credits {self._credits:,}")
        pending = self._pending - self._rows
        days = days_needed(pending, self._asked, self._requests, left=left, daily=self._quota)
        if days is not None:
            words.append("done today" if days == 0 else f"about {days:,} more day{'s' * (days > 1)}")
        return " · ".join(words)
