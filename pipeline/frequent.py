"""What makes up much of a long stream, found in a bounded room."""

from __future__ import annotations

from typing import Final

ROOM: Final = 1_000
"""Values counted at once: none that is more than one in so many is missed."""


class Frequent:
    """Counts the frequent values of a stream, each at most one in ROOM of it too low (Misra and Gries, 1982)."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._counts: dict[int, int] = {}

    def add(self, value: int) -> None:
        """Count one more; where there is no room, it takes one of each other down with it."""
        counts = self._counts
        if value in counts:
            counts[value] += 1
        elif len(counts) < self._room:
            counts[value] = 1
        else:
            self._counts = {other: n - 1 for other, n in counts.items() if n > 1}

    def above(self, least: float) -> frozenset[int]:
        """Values counted more often than that."""
        return frozenset(value for value, n in self._counts.items() if n > least)
