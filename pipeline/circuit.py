"""Is the API well? Three failures in a row, or 60 % of the last 20, and requests stop but for single probes.

And is it worth its requests? Every answer pays for two and a half; what is spent beyond that is a loan, and no
larger than what a dead API costs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

IN_A_ROW = 3
RATIO = 0.6
LAST = 20
PROBE_AFTER = (1.0, 2.0, 4.0)
"""Seconds before each probe of an open circuit; when all have failed the API is given up for this run."""
SPARE = IN_A_ROW + len(PROBE_AFTER)
"""Requests that a dead API costs beside those under way when it died."""
AN_ANSWER = 1 / (1 - RATIO)
"""Requests that an answer pays for over a whole run: where 60 % fail, it takes as many to get one."""


class State(StrEnum):
    """Closed: requests flow. Open: one probe at a time. Broken: nothing more in this run."""

    CLOSED = "closed"
    OPEN = "open"
    BROKEN = "broken"


@dataclass(slots=True)
class Circuit:
    """Feed it successes and failures; it says when the next request may go."""

    state: State = State.CLOSED
    probe_at: float = 0.0
    _probes: int = 0
    _probing: bool = False
    _row: int = 0
    _recent: deque[bool] = field(default_factory=lambda: deque(maxlen=LAST))
    _answers: int = 0
    _failing: set[bytes] = field(default_factory=set)

    def wait(self, now: float) -> float | None:
        """Seconds until a request may go; 0 now; None if that depends on the probe under way."""
        if self.state is State.CLOSED:
            return 0.0
        return None if self._probing else max(0.0, self.probe_at - now)

    def start_probe(self) -> bool:
        """Note that the request about to go is a probe; say whether it is one."""
        self._probing = self.state is State.OPEN
        return self._probing

    def drop_probe(self) -> None:
        """The probe never left; somebody else may try."""
        self._probing = False

    def succeeded(self, *, stale: bool = False) -> None:
        """One answer that makes sense closes the circuit; a stale one, asked before the last failure, does not."""
        self._recent.append(True)
        self._answers += 1
        self._failing.clear()
        if stale:
            return
        self._row = 0
        if self.state is State.OPEN:
            self._close()

    def blames(self, question: bytes) -> bool:
        """Whether there were answers, and since the last one nothing but this question failed."""
        return self._answers > 0 and self._failing == {question}

    def pays_for(self, requests: int, concurrency: int) -> bool:
        """Whether the answers so far justify so many requests in all, failed ones and those under way among them.

        A run begins with a loan of what a dead API costs, and has paid it back by the time it has sent twice that.
        """
        earned, loan = AN_ANSWER * self._answers, concurrency + SPARE
        return requests <= earned + min(loan, max(0.0, 2 * loan - earned))

    def failed(self, now: float, *, probe: bool, question: bytes = b"") -> None:
        """A request failed; only a probe's failure says something new about an open circuit."""
        self._recent.append(False)
        self._failing.add(question)
        self._row += 1
        if self.state is State.OPEN and probe:
            self._probe_failed(now)
        elif self.state is State.CLOSED and (self._row >= IN_A_ROW or self._mostly_failing()):
            self.state = State.OPEN
            self._probes = 0
            self.probe_at = now + PROBE_AFTER[0]

    def _probe_failed(self, now: float) -> None:
        self._probing = False
        self._probes += 1
        if self._probes >= len(PROBE_AFTER):
            self.state = State.BROKEN
        else:
            self.probe_at = now + PROBE_AFTER[self._probes]

    def _mostly_failing(self) -> bool:
        return len(self._recent) == LAST and self._recent.count(False) >= RATIO * LAST

    def _close(self) -> None:
        self.state = State.CLOSED
        self._probing = False
        self._recent.clear()
