"""Does the API still speak our language? Refusals one after another without a success are not the leads' fault."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model import Permit

SPARE: Final = 5
"""Refusals in a row, beyond what may be under way, that mean the contract is broken."""

WELL: Final = frozenset({Outcome.FOUND, Outcome.NOT_FOUND})
REFUSAL: Final = frozenset({Outcome.REFUSED, Outcome.SAID_NO})


@dataclass(slots=True)
class Contract:
    """Questions refused since the last success; a success asked for before the last refusal proves nothing."""

    refused: set[bytes] = field(default_factory=set)
    since: float = 0.0
    _last: int = 0

    def note(self, permit: Permit, outcome: Outcome) -> None:
        """Take note of what a permit came to."""
        if outcome in WELL and permit.attempt > self._last:
            self.refused.clear()
        elif outcome in REFUSAL:
            self._last = max(self._last, permit.attempt)
            if not self.refused:
                self.since = permit.reserved_at
            self.refused.add(permit.question.key)

    def broken(self, most: int) -> bool:
        """Whether more were refused than `most` at once and SPARE explain."""
        return len(self.refused) >= most + SPARE

    def in_doubt(self, under_way: int, most: int) -> bool:
        """Whether those under way (`most` at once), if refused too, would already prove it broken."""
        refused = len(self.refused)
        return refused > 0 and under_way > 0 and refused + under_way >= most + SPARE

    def doubts(self, questions: Iterable[bytes]) -> bool:
        """Whether one of these questions was refused, and no success has come since."""
        return not self.refused.isdisjoint(questions)
