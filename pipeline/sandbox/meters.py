"""The two meters of an account: requests a day and credits."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipeline.sandbox.options import zone

if TYPE_CHECKING:
    from pipeline.sandbox.options import SandboxOptions

DAY: Final = 86_400.0
UNLIMITED_CREDITS: Final = 1_000_000_000


class QuotaMeter:
    """Requests by their time of arrival, as many as the present window can still see."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._day: tuple[str, float, float] = ("", 0.0, 0.0)

    def take(self, options: SandboxOptions, now: float) -> bool:
        """Count a request; False (and nothing counted) if the window is full."""
        full = options.daily_quota is not None and self.used(options, now) >= options.daily_quota
        if not full:
            self._times.append(now)
        return not full

    def give_back(self, at: float) -> None:
        """Forget a request that turned out not to count."""
        if at in self._times:
            self._times.remove(at)

    def used(self, options: SandboxOptions, now: float) -> int:
        """Count the requests in the window that holds `now`."""
        rolling = options.quota_window == "rolling"
        start = now - DAY if rolling else self._bounds(options.quota_zone, now)[0]
        while self._times and (self._times[0] < start or (rolling and self._times[0] == start)):
            self._times.popleft()
        return len(self._times)

    def opens_at(self, options: SandboxOptions, now: float) -> float:
        """Say when the next request can go, in Unix seconds, if the window is full now."""
        if options.quota_window == "calendar":
            return self._bounds(options.quota_zone, now)[1]
        quota = options.daily_quota or 0
        excess = self.used(options, now) - quota
        return (self._times[excess] if 0 <= excess < len(self._times) else now) + DAY

    def _bounds(self, zone_name: str, now: float) -> tuple[float, float]:
        name, start, end = self._day
        if name != zone_name or not start <= now < end:
            start, end = local_day(zone_name, now)
            self._day = (zone_name, start, end)
        return start, end


def local_day(zone_name: str, now: float) -> tuple[float, float]:
    """Midnight before and after `now` in a zone, in Unix seconds; 23 to 25 hours apart."""
    there = zone(zone_name)
    today = datetime.fromtimestamp(now, there).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return today.timestamp(), (today + timedelta(days=1)).timestamp()


class CreditMeter:
    """Credits left; None at the start never runs out."""

    def __init__(self, credits_left: int | None) -> None:
        self.set(credits_left)

    def set(self, credits_left: int | None) -> None:
        """Top up, take away, or lift the limit."""
        self.limited = credits_left is not None
        self.left = UNLIMITED_CREDITS if credits_left is None else credits_left

    def charge(self, price: int) -> bool:
        """Take the price; False (and nothing taken) if there is not enough."""
        affordable = not self.limited or price <= self.left
        if affordable:
            self.left -= price
        return affordable
