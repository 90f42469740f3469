"""What a run may spend, what it has spent, and the word that ends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiolimiter import AsyncLimiter

from pipeline.credit import Ceilings
from pipeline.model import UNSENT, Endpoint, Outcome
from pipeline.quota import Window

if TYPE_CHECKING:
    from pipeline.model import Stopped

PAUSES: Final = 3
"""Times a run slows down for a 429 before it takes the next one for the end of the quota."""

MANY: Final = 16
"""Requests at once from which on it pays to hide the time of a commit behind the requests of others."""


class Halted(Exception):
    """The run asks nothing more; `stopped` says why."""

    def __init__(self, stopped: Stopped) -> None:
        super().__init__(stopped.sentence)
        self.stopped = stopped


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may spend. Requests count in `window`; None means no limit."""

    quota: int
    window: Window = field(default_factory=Window)
    reserve_requests: int = 0
    reserve_credits: int = 0
    max_requests: int | None = None
    max_credits: int | None = None
    wait_up_to: float = 0.0
    concurrency: int = 8
    max_per_second: float | None = None
    spread: bool = False
    stop_at: float | None = None
    ceilings: Ceilings = field(default_factory=Ceilings)
    beyond_reserve: bool = False

    @property
    def workers(self) -> int:
        """Leads worked on at once: where there are many, as many again, to commit while others are on the wire."""
        return 2 * self.concurrency if self.concurrency >= MANY else self.concurrency

    def limiter(self) -> AsyncLimiter | None:
        """Space requests evenly: aiolimiter's bucket of one never bursts; how many go in all is the ledger's word."""
        return AsyncLimiter(1, 1 / self.max_per_second) if self.max_per_second else None


@dataclass(slots=True)
class Spent:
    """What a run has used so far."""

    requests: int = 0
    credits: int = 0
    by_endpoint: dict[Endpoint, int] = field(default_factory=lambda: dict.fromkeys(Endpoint, 0))
    outcomes: dict[Outcome, int] = field(default_factory=dict)

    def settled(self, endpoint: Endpoint, outcome: Outcome, cost: int) -> None:
        """Note what a request came to; one that never left was counted when it was permitted, and is given back."""
        self.credits += cost
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        if outcome in UNSENT:
            self.requests -= 1
            self.by_endpoint[endpoint] -= 1
