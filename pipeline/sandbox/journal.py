"""What was asked and what came of it: the log that tests of the promises read."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.model import Endpoint
    from pipeline.sandbox.options import Fault

_OK: Final = 200


@dataclass(slots=True)
class LogEntry:
    """One request to an endpoint.

    `number` rises by one a request. `question` is the endpoint and the canonical body: equal for equal
    questions. `counted`: it came with an accepted key, so it is one against the quota even if refused.
    `in_flight` counts the requests under way when it arrived, itself included. `status` is None until it
    is settled and 0 if no whole answer was sent. `answered`: the last byte was handed to the network.
    """

    number: int
    at: float
    endpoint: Endpoint
    body: Any
    question: str
    in_flight: int
    counted: bool
    fault: Fault | None = None
    status: int | None = None
    answered: bool = False
    answered_at: float | None = None
    credits: int | None = None

    @property
    def is_ok(self) -> bool:
        """Whether a 200 went out whole."""
        return self.answered and self.status == _OK

    @property
    def good(self) -> bool:
        """Whether a sound answer went out whole."""
        return self.is_ok and self.fault is None


class Journal:
    """Every request of a sandbox's life, in memory and, if wished, line by line in a file of mode 0600."""

    def __init__(self, path: Path | None = None) -> None:
        self.entries: list[LogEntry] = []
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def arrived(self, at: float, endpoint: Endpoint, body: object, *, in_flight: int, counted: bool) -> LogEntry:
        """Note a request that was read in full."""
        question = f"{endpoint} {orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()}"
        entry = LogEntry(len(self.entries) + 1, at, endpoint, body, question, in_flight, counted)
        self.entries.append(entry)
        self._write("asked", entry)
        return entry

    def settled(self, entry: LogEntry, at: float) -> None:
        """Note what became of it."""
        entry.answered_at = at
        if entry.status is None:
            entry.status = 0
        self._write("answered", entry)

    def count(self, endpoint: Endpoint | None = None, status: int | None = None) -> int:
        """Count requests so far, of one endpoint or with one status if given."""
        return sum(endpoint in (None, e.endpoint) and status in (None, e.status) for e in self.entries)

    def answered_twice(self, within: float | None = None) -> list[str]:
        """Questions that got more than one sound answer, in all or within so many seconds of each other."""
        last: dict[str, float] = {}
        twice: Counter[str] = Counter()
        for entry in filter(lambda e: e.good, self.entries):
            before = last.get(entry.question)
            twice[entry.question] += before is not None and (within is None or entry.at - before <= within)
            last[entry.question] = entry.at
        return [question for question, times in twice.items() if times]

    def max_in_window(self, seconds: float = 86_400.0) -> int:
        """Most requests with an accepted key in any window of this length, refused ones too."""
        window: deque[float] = deque()
        most = 0
        for at in sorted(entry.at for entry in self.entries if entry.counted):
            window.append(at)
            while window[0] <= at - seconds:
                window.popleft()
            most = max(most, len(window))
        return most

    def since(self, number: int) -> list[dict[str, Any]]:
        """Entries after this number, as plain data."""
        return [asdict(entry) for entry in self.entries[number:]]

    def close(self) -> None:
        """Close the file, if there is one; a second time does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, event: str, entry: LogEntry) -> None:
        if self._file is not None:
            os.write(self._file, orjson.dumps({"event": event, **asdict(entry)}) + b"\n")
