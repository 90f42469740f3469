"""`--pace spread`: what is left of the window goes evenly until its end, whatever day it is."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from support import START, Server, Site, write_leads

from pipeline.model import Stop

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600.0
DAY = 24 * HOUR
SPREAD: dict[str, Any] = {"pace": "spread", "steps": "search", "wait_up_to": 0, "plan": "free"}


def many(folder: Path, companies: int = 60) -> tuple[Site, Path]:
    """A site, and a list whose every row needs one request."""
    rows = [{"Company Name": f"Northwind {n} Robotics"} for n in range(companies)]
    return Site(folder, Server(latency=(0.05, 0.2))), write_leads(folder / "leads.csv", rows)


def sent(site: Site) -> list[float]:
    """When the server was asked, in seconds after START."""
    return [entry.at - START for entry in site.server.log]


def steps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def of_day(zone: str, text: str) -> float:
    """A local time, in seconds after START."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() - START


def test_a_day_is_used_evenly(tmp_path: Path) -> None:
    """25 requests in 24 hours: one every 57.6 minutes, the last of them one step before the end."""
    site, leads = many(tmp_path)
    report = site.night(leads, **SPREAD)
    assert (len(sent(site)), report.stopped.why) == (25, Stop.QUOTA)
    assert steps(sent(site)) == pytest.approx([DAY / 25] * 24, rel=0.01)


def test_burst_is_as_it_was(tmp_path: Path) -> None:
    """The default spends the night's requests at the plan's pace."""
    site, leads = many(tmp_path)
    site.night(leads, **SPREAD | {"pace": "burst"})
    assert len(sent(site)) == 25
    assert sent(site)[-1] < 60


def test_only_what_is_left_is_spread_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    """Five were used in a burst, the reserve is kept: 18 are left for the day's calendar window, in two runs."""
    site, leads = many(tmp_path)
    berlin = {"window": "calendar", "window_zone": "Europe/Berlin", "reserve_requests": 2}
    site.night(
        leads,
        **SPREAD | berlin | {"pace": "burst", "max_requests": 5},
        at=of_day("Europe/Berlin", "2026-06-03T06:00"),
    )
    site.night(leads, **SPREAD | berlin | {"stop_at": "12:00"}, at=of_day("Europe/Berlin", "2026-06-03T06:10"))
    site.resume(**SPREAD | berlin)
    times = sent(site)
    assert len(times) == 23
    assert max(times) < of_day("Europe/Berlin", "2026-06-03T23:55")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-10-24", 24), ("2026-10-25", 25), ("2027-03-28", 23)], ids=["24h", "25h", "23h"]
)
def test_days_on_which_clocks_change_are_as_long_as_they_are(tmp_path: Path, day: str, hours: int) -> None:
    """From ten past midnight to five minutes before the next one."""
    site, leads = many(tmp_path)
    calendar = {"window": "calendar", "window_zone": "Europe/Berlin"}
    site.night(leads, **SPREAD | calendar, at=of_day("Europe/Berlin", f"{day}T00:10"))
    assert len(sent(site)) == 25
    assert steps(sent(site)) == pytest.approx([(hours * HOUR - 900) / 25] * 24, rel=0.01)


def test_stop_at_and_max_requests_are_what_is_spread_over_and_what_is_spread(tmp_path: Path) -> None:
    """Ten requests until a time two hours away: one every twelve minutes."""
    site, leads = many(tmp_path)
    stop = datetime.fromtimestamp(START + 7_200).astimezone().strftime("%H:%M")
    end = 7_200 - datetime.fromtimestamp(START).astimezone().second
    report = site.night(leads, **SPREAD, stop_at=stop, max_requests=10)
    assert (len(sent(site)), report.stopped.why) == (10, Stop.MAX_REQUESTS)
    assert steps(sent(site)) == pytest.approx([end / 10] * 9, rel=0.01)


def test_slots_that_free_before_the_end_are_counted_in(tmp_path: Path) -> None:
    """A rolling window full from last night: it frees while the run spreads, which goes on into the day."""
    site, leads = many(tmp_path)
    site.night(leads, **SPREAD | {"pace": "burst"}, at=0.0)
    site.night(leads, **SPREAD | {"wait_up_to": HOUR}, at=DAY - 1_800.0)
    times = sent(site)
    assert len(times) == 50
    assert site.server.most_in_a_day() == 25
    assert min(times[25:]) > DAY
    assert max(steps(times[25:])) < 1.1 * DAY / 25


def test_wait_up_to_ends_a_spread_run_like_any_other(tmp_path: Path) -> None:
    """A window that opens later than that is not slept for; the pace's own steps always are."""
    site, leads = many(tmp_path)
    calendar = {"window": "calendar", "window_zone": "UTC"}
    site.night(leads, **SPREAD | calendar | {"wait_up_to": 60.0}, at=of_day("UTC", "2026-06-03T12:00"))
    assert len(sent(site)) == 25
    assert sent(site)[-1] < of_day("UTC", "2026-06-03T23:55") <= sent(site)[-1] + 1.1 * 12 * HOUR / 25
    site.night(leads, **SPREAD | calendar | {"wait": True}, at=of_day("UTC", "2026-06-04T12:00"))
    assert len(sent(site)) == 60
