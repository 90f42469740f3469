"""Promise 1 by any clock: windows over DST days, clocks that are set, machines that sleep, servers of another day."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from support import START, Server, Site, people, virtual_now, write_leads

from pipeline.events import ClockDiffers
from pipeline.session import UPTIME, Parts, steady_clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR, DAY = 3_600.0, 86_400.0
QUOTA = 5
PLAN: dict[str, Any] = {"plan": "free", "daily_quota": QUOTA, "wait_up_to": 2 * HOUR}


@dataclass
class Machine(Site):
    """A site whose clock may be wrong by `error` seconds, be set, and whose machine may sleep.

    `steps` and `naps` are (seconds after the start of the next run, how much) each.
    """

    error: float = 0.0
    slept: float = 0.0
    steps: list[tuple[float, float]] = field(default_factory=list)
    naps: list[tuple[float, float]] = field(default_factory=list)

    def clock(self) -> Callable[[], float]:
        loop = asyncio.get_running_loop()
        for delay, seconds in self.steps:
            loop.call_later(delay, self._set, seconds)
        for delay, seconds in self.naps:
            loop.call_later(delay, self._sleep, seconds)
        return steady_clock(lambda: virtual_now() + self.slept + self.error, lambda: virtual_now() + self.slept)

    def _set(self, seconds: float) -> None:
        self.error += seconds

    def _sleep(self, seconds: float) -> None:
        """The machine's timers stand still; its uptime and the server go on."""
        self.slept += seconds
        self.server.skew += seconds

    def accepted(self) -> list[float]:
        return [entry.at for entry in self.server.log if entry.status == 200]

    def refused(self) -> int:
        return sum(entry.status == 429 for entry in self.server.log)


def machine(folder: Path, **server: Any) -> tuple[Machine, Path]:
    """Set up a machine, and a list that is never done."""
    site = Machine(folder, Server(**{"daily_quota": QUOTA, "latency": (0.05, 0.3), **server}))
    return site, write_leads(folder / "leads.csv", people(25, 1))


def most_accepted_in_a_day(site: Machine) -> int:
    at = sorted(site.accepted())
    return max(sum(start <= moment < start + DAY for moment in at) for start in at)


# --- days of 23 and 25 hours --------------------------------------------------------------------------

CHANGES = {
    "Europe/Berlin": [date(2026, 10, 25), date(2027, 3, 28)],
    "America/New_York": [date(2026, 11, 1), date(2027, 3, 14)],
    "Pacific/Chatham": [date(2026, 9, 27), date(2027, 4, 4)],
}


@pytest.mark.parametrize("window", ["calendar", "rolling", "rolling-at-a-calendar-server"])
@pytest.mark.parametrize(("zone", "change"), [(zone, day) for zone, days in CHANGES.items() for day in days])
def test_every_night_around_a_dst_day_is_used_and_none_is_overdrawn(
    tmp_path: Path, zone: str, change: date, window: str
) -> None:
    """Cron goes by local time. A calendar window is waited for an hour before midnight, and used as well."""
    server: dict[str, Any] = (
        {"quota_window": "rolling"} if window == "rolling" else {"quota_window": "calendar", "quota_zone": zone}
    )
    ours: dict[str, Any] = {"window": "calendar", "window_zone": zone} if window == "calendar" else {}
    site, leads = machine(tmp_path, **server)
    nights = [change + timedelta(days=n) for n in range(-1, 3)]
    hour = time(23) if window == "calendar" else time(2)
    for night in nights:
        start = datetime.combine(night, hour, ZoneInfo(zone)).timestamp() - START
        site.night(leads, at=start, **PLAN, **ours)
        site.night(leads, **PLAN | {"wait_up_to": 0}, **ours)
    days = Counter(datetime.fromtimestamp(at, ZoneInfo(zone)).date() for at in site.accepted())
    if window == "calendar":
        nights.append(nights[-1] + timedelta(days=1))
    assert days == dict.fromkeys(nights, QUOTA)
    assert site.refused() == 0


# --- clocks that are set ------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong_by", [-2 * HOUR, 3 * DAY], ids=["back-2h", "forward-3d"])
def test_a_clock_set_between_runs_costs_one_lone_request_and_at_most_one_night(
    tmp_path: Path, wrong_by: float
) -> None:
    """Wrong for three nights, then put right. The server's Date is kept, so the runs between know better."""
    site, leads = machine(tmp_path)
    full_nights = 0
    for night in range(7):
        site.error = wrong_by if night in (2, 3, 4) else 0.0
        before = len(site.accepted())
        site.night(leads, at=night * DAY + 60 * night, **PLAN)
        for hour in (5, 9):
            site.night(leads, at=night * DAY + hour * HOUR, **PLAN | {"wait_up_to": 0})
        full_nights += len(site.accepted()) - before == QUOTA
    assert most_accepted_in_a_day(site) == QUOTA
    assert site.refused() <= 2
    assert full_nights >= 6


@pytest.mark.parametrize("step", [-2 * HOUR, 3 * DAY], ids=["back-2h", "forward-3d"])
@pytest.mark.parametrize("after", [0.2, 5 * HOUR], ids=["while-sending", "while-waiting"])
def test_a_clock_set_during_a_run_moves_no_window(tmp_path: Path, step: float, after: float) -> None:
    """A run goes on by the machine's uptime from where it began: three days, three windows."""
    site, leads = machine(tmp_path)
    site.steps = [(after, step)]
    site.night(leads, **PLAN | {"wait_up_to": 2.5 * DAY})
    assert most_accepted_in_a_day(site) == QUOTA
    assert len(site.accepted()) == 3 * QUOTA
    assert site.refused() == 0


@pytest.mark.parametrize("after", [0.2, HOUR], ids=["while-sending", "while-waiting"])
def test_a_machine_that_sleeps_30_hours_goes_on_within_a_minute_of_waking(tmp_path: Path, after: float) -> None:
    """Timers stand still while a machine sleeps; its uptime does not, and a slot that opened meanwhile is used."""
    site, leads = machine(tmp_path)
    site.naps = [(after, 30 * HOUR)]
    site.night(leads, **PLAN | {"wait_up_to": 1.5 * DAY})
    woken = START + after + 30 * HOUR
    later = [at for at in site.accepted() if at >= woken]
    assert most_accepted_in_a_day(site) == QUOTA
    assert min(later) <= woken + 61
    assert len(site.accepted()) >= 2 * QUOTA - 2
    assert site.refused() == 0


def test_a_run_begins_with_the_time_of_day_and_goes_on_with_the_uptime(tmp_path: Path) -> None:
    """On a real machine too, where the kernel counts uptime with its sleep."""
    wall, uptime = [1_000.0], [5.0]
    clock = steady_clock(lambda: wall[0], lambda: uptime[0])
    wall[0], uptime[0] = 9_999.0, 7.5
    assert clock() == 1_002.5
    parts = Parts(Site(tmp_path, Server()).settings(), lambda _: None, lambda _: None)
    assert abs(parts.now() - datetime.now(UTC).timestamp()) < 5
    assert UPTIME() < parts.now()


# --- servers of another day ---------------------------------------------------------------------------


@pytest.mark.parametrize("window", ["rolling", "calendar"])
@pytest.mark.parametrize("ahead", [600.0, -600.0, DAY, -DAY])
def test_a_server_of_another_time_rules_the_window_of_every_run(tmp_path: Path, ahead: float, window: str) -> None:
    """What the first answer tells is kept: later runs neither send one too many nor sit out a night."""
    site, leads = machine(tmp_path, quota_window=window)
    site.server.skew = ahead
    for night in range(4):
        for hour in (6, 7, 8):
            site.night(leads, at=night * DAY + hour * HOUR, **PLAN, window=window)
    assert len(site.accepted()) == 4 * QUOTA
    assert site.refused() == 0
    told = [event.seconds for event in site.events if isinstance(event, ClockDiffers)]
    assert len(told) >= 4
    assert all(abs(seconds - ahead) < 2 for seconds in told)
