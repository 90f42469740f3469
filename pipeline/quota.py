"""When may the next request go? The arithmetic of the daily window; who counted what is the ledger's business.

A request is dated with the whole second after its answer came, and an unanswered one counts as now, so the
date is never earlier than the moment the server saw it. Hence in a rolling window a slot used at `d` is free
at `d + 24 h` on any server's reading. In a calendar window five minutes either side of midnight belong to
both days, because the server's midnight is not ours to the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

DAY = 86_400
GUARD = 300
"""Seconds around a calendar midnight that count on both days; also the tolerated clock difference."""

PERMIT_SECONDS = 60
"""How long a permit may be used. A dead process's request cannot have been sent later than that."""


@dataclass(frozen=True)
class Window:
    """The span in which the plan's requests are counted: rolling 24 h, or the calendar day of `zone`."""

    zone: str | None = None

    def since(self, now: float) -> int:
        """Requests dated later than this count at `now` (Unix seconds)."""
        if self.zone is None:
            return math.floor(now) - DAY
        return math.floor(self._midnight(now - GUARD, 0)) - GUARD - 1

    def opens(self, now: float, dated: int | None) -> float:
        """When the slot used at `dated` is free again; None stands for a request still under way."""
        counted = math.ceil(now) if dated is None else dated
        if self.zone is None:
            return counted + DAY
        return self._midnight(counted + GUARD, 1) + GUARD

    def closes(self, now: float, began: float) -> float:
        """When the window ends to which requests are spread: the calendar day, or each 24 h since the run began.

        A calendar day ends before the minutes that count on both days.
        """
        if self.zone is None:
            return began + DAY * (1 + (now - began) // DAY)
        return self._midnight(now + GUARD, 1) - GUARD

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone or "UTC")

    def _midnight(self, at: float, days: int) -> float:
        """The local midnight `days` after the day of `at`: computed, never stepped, so DST days are right."""
        day = datetime.fromtimestamp(at, self._zone).date() + timedelta(days=days)
        return datetime.combine(day, time(0), self._zone).timestamp()


def even_step(now: float, end: float, left: int) -> float:
    """Seconds until the next request but one, so that what is left lasts evenly until the end."""
    return max(0.0, end - now) / left if left > 0 else 0.0


def date_of(moment: float) -> int:
    """The second a request is dated with: never before it reached the server."""
    return math.ceil(moment)


def latest_possible(reserved_at: float) -> int:
    """The date of a request whose process died: the last moment it can have left."""
    return math.ceil(reserved_at) + PERMIT_SECONDS
