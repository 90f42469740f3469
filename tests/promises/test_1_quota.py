"""Promise 1: never over the quota, over all runs, restarts, crashes and days."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from support import START, Server, Site, people, write_leads

from pipeline.model import Stop
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_sixty_nightly_starts_use_every_request_and_creep_less_than_five_minutes(tmp_path: Path) -> None:
    """A rolling window must not lose nights: slots are slept for as they free (design, section 5)."""
    leads = write_leads(tmp_path / "leads.csv", people(330, 5))
    site, chance = Site(tmp_path, Server(latency=(0.1, 0.4), daily_quota=25)), Random(7)
    last = 0.0
    for night in range(60):
        report = site.night(leads, at=night * 86_400 + chance.uniform(0, 3), plan="free")
        assert report.stopped.why is Stop.QUOTA
        last = (site.server.log[-1].at - START) % 86_400
    assert len(site.server.log) == 60 * 25
    assert {entry.status for entry in site.server.log} == {200}
    assert site.server.most_in_a_day() == 25
    assert last < 300


def test_several_lists_and_runs_share_one_quota(tmp_path: Path) -> None:
    """The quota belongs to the plan and not to the list."""
    site = Site(tmp_path, Server(daily_quota=25))
    for n in range(4):
        leads = write_leads(tmp_path / f"{n}.csv", people(5, start=100 * n))
        other = Site(tmp_path, site.server, now=site.now)
        other.name = f"out{n}.jsonl"
        other.night(leads, plan="free", wait_up_to=0)
        site.now = other.now
    assert len(site.server.log) == 25


def test_retries_count(tmp_path: Path) -> None:
    """Every sending is a request, also the one that follows a failure."""
    server = Server(daily_quota=25)
    server.account.line_up([None, Fault.SERVER_ERROR, None, Fault.DROP_CHARGED, None, Fault.SERVER_ERROR])
    site = Site(tmp_path, server)
    report = site.night(write_leads(tmp_path / "leads.csv", people(20)), plan="free", wait_up_to=0)
    assert len(server.log) == 25
    assert sum(report.requests.values()) == 25


def test_requests_kept_for_the_day_are_not_touched(tmp_path: Path) -> None:
    """--reserve-requests leaves its share of each window alone."""
    site = Site(tmp_path, Server(daily_quota=25))
    site.night(write_leads(tmp_path / "leads.csv", people(20)), plan="free", wait_up_to=0, reserve_requests=5)
    assert len(site.server.log) == 20


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Chatham"])
def test_a_calendar_day_is_never_exceeded_though_the_clocks_differ(tmp_path: Path, zone: str) -> None:
    """Five minutes either side of midnight belong to both days, since the server's clock is not ours."""
    leads = write_leads(tmp_path / "leads.csv", people(60))
    server = Server(daily_quota=25, quota_window="calendar", quota_zone=zone)
    server.skew = 200.0
    site = Site(tmp_path, server)
    for run in range(12):
        site.night(leads, at=run * 7_200, plan="free", wait_up_to=0, window="calendar", window_zone=zone)
    assert {entry.status for entry in server.log} == {200}
    assert len(server.log) == 50


def test_a_plan_told_by_the_server_to_be_used_up_is_left_alone_until_the_told_time(tmp_path: Path) -> None:
    """Another client used the quota: one 429 is enough, also for the runs after."""
    server = Server(daily_quota=3)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(20))
    first = site.night(leads, plan="starter", wait_up_to=0, concurrency=1)
    assert first.stopped.why is Stop.QUOTA
    refused = len(server.log)
    site.night(leads, at=site.now + 3_600, plan="starter", wait_up_to=0)
    assert refused == 4
    assert len(server.log) == refused


def test_a_server_clock_a_day_ahead_rules_the_window(tmp_path: Path) -> None:
    """The first request goes alone; if the clocks differ by more than five minutes the server's counts."""
    server = Server(daily_quota=25)
    server.skew = 86_400.0
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(40))
    site.night(leads, plan="free", wait_up_to=0)
    site.night(leads, at=site.now + 80_000, plan="free", wait_up_to=0)
    assert server.most_in_a_day() <= 26
    assert any(type(event).__name__ == "ClockDiffers" for event in site.events)
