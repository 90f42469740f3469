"""Log lines on stderr, as text for people or JSON for machines; question hashes, never values (promise 8).

Every JSON line has `at`, `run`, `event`, and `job` and `row` (null where it is about no row); what is about a
request has its question's hash as `key`.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

import orjson

from pipeline.events import (
    WORKING_ON,
    AccountShut,
    CircuitChanged,
    ClockDiffers,
    CreditsForgotten,
    CreditsRead,
    Event,
    PermitGiven,
    RequestSettled,
    RequestsLost,
    RowDeferred,
    RowFinished,
    RowReopened,
    RowsDropped,
    RowsDue,
    RowsTakenIn,
    RunStopped,
    Waiting,
)
from pipeline.model import Outcome
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

DEBUG_EVENTS: Final = (
    PermitGiven,
    RequestSettled,
    RowsTakenIn,
    RowsDropped,
    RowFinished,
    RowDeferred,
    RowsDue,
    RowReopened,
    CreditsRead,
)

NO_ENTRY: Final = {
    Outcome.DENIED: "The server does not accept the API key.",
    Outcome.REDIRECT: "The server sends us elsewhere, and nothing follows it.",
}
"""What even a quiet run says, in a sentence."""

SAYINGS: Final[dict[type, Callable[[Any], str]]] = {
    ClockDiffers: lambda e: (
        f"The server's clock is {abs(e.seconds):,.0f} s {'ahead of' if e.seconds > 0 else 'behind'} this machine's; "
        "the server's rules the window."
    ),
    CircuitChanged: lambda e: {
        "open": "The API is failing; requests pause but for single probes.",
        "closed": "The API answers again.",
        "broken": "The API is given up for this run.",
    }[e.state],
    Waiting: lambda e: (
        f"Waiting until {_local(e.until)}: "
        + {"slow_down": "the server asked to slow down.", "shut": "the server wants nothing before."}.get(
            e.why, "the window is full."
        )
    ),
    RowDeferred: lambda e: f"Row {e.row}: not settled, waits until {_local(e.until)}.",
    RequestSettled: lambda e: (
        NO_ENTRY.get(e.outcome) or f"{e.endpoint} {e.key[:12]} {e.outcome} HTTP {e.status or '-'}"
    ),
    RowFinished: lambda e: f"Row {e.row}: {e.status}",
    RowReopened: lambda e: f"Row {e.row}: pending again, its question was refused with all others",
    RowsTakenIn: lambda e: f"Rows taken in: {e.new:,} new, {e.changed:,} changed",
    RowsDropped: lambda e: f"Rows dropped: {e.rows:,}",
    RowsDue: lambda e: f"Rows whose time has come: {e.rows:,}",
    PermitGiven: lambda e: f"{e.endpoint} {e.key[:12]} may go",
    RequestsLost: lambda e: (
        f"A run died with {counted(e.requests, 'request')} under way; "
        f"{'it counts' if e.requests == 1 else 'they count'} as spent."
    ),
    CreditsForgotten: lambda e: "The billing cycle turned; the credits are read anew.",  # noqa: ARG005 - as the others
    AccountShut: lambda e: f"The server wants nothing before {_local(e.until)}.",
    CreditsRead: lambda e: f"Credits told: {e.credits:,}",
}


class Log:
    """Writes lines for people (`say`) and events, at or above a level."""

    def __init__(
        self,
        *,
        fmt: str,
        level: str,
        run: str,
        quiet: bool = False,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._json = fmt == "json"
        self._level = LEVELS["warning"] if quiet and level == "info" else LEVELS[level]
        self.run = run
        self._stream = stream
        self._now = now
        self._waiting = 0.0

    def say(self, sentence: str) -> None:
        """Tell people something that is no event."""
        self._write(LEVELS["info"], "message", {"message": sentence}, sentence)

    def caution(self, sentence: str) -> None:
        """Tell people something they should look at."""
        self._write(LEVELS["warning"], "warning", {"message": sentence}, f"Warning: {sentence}")

    def summary(self, told: dict[str, Any]) -> None:
        """Write the closing summary as one JSON line."""
        self._write(LEVELS["info"], "summary", {"summary": told}, "")

    def event(self, event: Event) -> None:
        """Write down an event, if its level is wanted."""
        if isinstance(event, RunStopped) and not self._json:
            return  # the summary says it
        level = _level(event)
        if level < self._level or self._repeats(event):
            return
        saying = SAYINGS.get(type(event))
        self._write(level, type(event).__name__, event._asdict(), saying(event) if saying else "")

    def _repeats(self, event: Event) -> bool:
        """Many workers wait for the same slot; one line says it."""
        if not isinstance(event, Waiting):
            return False
        if event.until - self._waiting < 60:  # noqa: PLR2004 - a minute
            return True
        self._waiting = event.until
        return False

    def _write(self, level: int, kind: str, fields: dict[str, Any], sentence: str) -> None:
        if level < self._level:
            return
        if self._json:
            at = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds")
            job, row = WORKING_ON.get() or (None, None)
            about = {"run": self.run, "event": kind, "job": job, "row": row}
            sentence = orjson.dumps({"at": at, **about, **fields}).decode()
        with suppress(OSError):  # nobody listens any more, or the log's disk is full: no reason to lose a night
            print(sentence, file=self._stream or sys.stderr, flush=True)  # a progress bar may stand before it


def _level(event: Event) -> int:
    if isinstance(event, RequestSettled) and event.outcome in NO_ENTRY:
        return LEVELS["warning"]
    if isinstance(event, DEBUG_EVENTS):
        return LEVELS["debug"]
    return LEVELS["warning"] if isinstance(event, CircuitChanged | ClockDiffers) else LEVELS["info"]


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
