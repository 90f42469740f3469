"""When the next request may go by the user's wish: at once, or evenly over what is left of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.quota import even_step

if TYPE_CHECKING:
    from pipeline.limits import Limits, Spent
    from pipeline.store.ledger import Ledger


class Pace:
    """Reckons anew after every request, so that retries and other processes only change the steps to come."""

    def __init__(self, limits: Limits, ledger: Ledger, began: float) -> None:
        self.next_at = 0.0
        self._limits = limits
        self._ledger = ledger
        self._began = began

    def went(self, now: float, spent: Spent) -> None:
        """A request takes its turn now; say when the next one has its own."""
        if self._limits.spread:
            end = self._end(now)
            self.next_at = now + even_step(now, end, self._left(end, spent))

    def _end(self, now: float) -> float:
        closes, stop_at = self._limits.window.closes(now, self._began), self._limits.stop_at
        return closes if stop_at is None else min(closes, stop_at)

    def _left(self, end: float, spent: Spent) -> int:
        """Requests that may go until then: what counts at the end counts now, what expires until then is free."""
        limits = self._limits
        usage = self._ledger.usage(limits.window, limits.quota, end)
        left = limits.quota - limits.reserve_requests - usage.used - usage.under_way
        return left if limits.max_requests is None else min(left, limits.max_requests - spent.requests)
