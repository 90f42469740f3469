"""Promise 7: a broken API does not burn the quota: at most concurrency + 6 requests, not the night's allowance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

from pipeline.cli.running import EXITS
from pipeline.model import Stop
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 100_000, "wait_up_to": 0}
WRONG = [
    Fault.SERVER_ERROR,
    Fault.UNAVAILABLE_HTML,
    Fault.DROP,
    Fault.DROP_CHARGED,
    Fault.CHALLENGE_PAGE,
    Fault.NOT_JSON,
    Fault.EMPTY_BODY,
    Fault.DATA_IS_LIST,
    Fault.DATA_MISSING,
]


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("concurrency", [1, 8, 50])
@pytest.mark.parametrize("healthy", [0, 120])
def test_a_dead_api_costs_at_most_concurrency_and_six(
    tmp_path: Path, fault: Fault, concurrency: int, healthy: int
) -> None:
    """From the first request on, or after an hour of good answers."""
    server = Server(latency=(0.05, 0.3))
    server.account.line_up([None] * healthy)
    server.account.change({"faults": {fault: 1.0}})
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(150, 2))
    report = site.night(leads, concurrency=concurrency, **PLAN)
    assert len(server.log) - healthy <= concurrency + 6
    assert report.stopped.why is Stop.OUTAGE
    assert EXITS[report.stopped.why] == 75
    assert report.pending > 0


def test_a_closed_port_sends_and_spends_nothing(tmp_path: Path) -> None:
    """What never left costs no request."""
    server = Server()
    server.refuses_connections = True
    site = Site(tmp_path, server)
    report = site.night(write_leads(tmp_path / "leads.csv", people(30)), **PLAN)
    assert report.stopped.why is Stop.OUTAGE
    assert sum(report.requests.values()) == 0
    assert report.usage.used == 0


@pytest.mark.parametrize("fault", [Fault.BAD_REQUEST, Fault.UNPROCESSABLE, Fault.SAID_NO])
@pytest.mark.parametrize("concurrency", [1, 8, 50])
def test_a_broken_contract_stops_and_concludes_nothing(tmp_path: Path, fault: Fault, concurrency: int) -> None:
    """Every question refused: concurrency + 5 requests, and afterwards a healthy API finishes all rows."""
    server = Server(latency=(0.05, 0.3))
    server.account.change({"faults": {fault: 1.0}})
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(80, 2))
    report = site.night(leads, concurrency=concurrency, **PLAN)
    assert report.stopped.why is Stop.CONTRACT
    assert not site.lines()
    assert len(server.log) <= concurrency + 5
    server.account.change({"faults": {}, "greylist_seconds": 0.0})
    done = site.night(leads, at=site.now + 60, concurrency=concurrency, **PLAN)
    assert done.stopped.why is Stop.DONE
    assert done.pending == 0


def test_half_an_outage_costs_at_most_two_and_a_half_requests_an_answer(tmp_path: Path) -> None:
    """Half the answers are 503: the run goes on at a bounded price, or stops by the ratio rule."""
    server = Server(latency=(0.05, 0.3), faults={Fault.UNAVAILABLE_HTML: 0.5})
    site = Site(tmp_path, server)
    site.night(write_leads(tmp_path / "leads.csv", people(60)), concurrency=8, **PLAN)
    answered = {entry.question for entry in server.log if entry.good}
    assert len(server.log) <= 2.5 * len(answered) + 8 + 6


def test_after_an_outage_a_healthy_api_finishes_the_rows(tmp_path: Path) -> None:
    """Rows are pending, not failed: the outage says nothing about them."""
    server = Server(faults={Fault.SERVER_ERROR: 1.0})
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(10))
    for hour in range(5):
        report = site.night(leads, at=hour * 3_600, **PLAN)
        assert report.jobs[0].counts.by_status["failed"] == 0  # type: ignore[index]
    server.account.change({"faults": {}, "greylist_seconds": 0.0})
    assert site.night(leads, at=6 * 3_600, **PLAN).stopped.why is Stop.DONE


@pytest.mark.parametrize(("fault", "why"), [(Fault.UNAUTHORISED, Stop.DENIED), (Fault.FORBIDDEN, Stop.DENIED)])
def test_a_refused_key_sends_nothing_more(tmp_path: Path, fault: Fault, why: Stop) -> None:
    """The first request goes alone, so one refusal is all it takes."""
    server = Server(faults={fault: 1.0})
    site = Site(tmp_path, server)
    report = site.night(write_leads(tmp_path / "leads.csv", people(10)), **PLAN)
    assert (report.stopped.why, EXITS[report.stopped.why], len(server.log)) == (why, 77, 1)


def test_slowing_down_pauses_the_whole_run_at_most_three_times(tmp_path: Path) -> None:
    """A short Retry-After is obeyed by all workers together; the fourth ends the day."""
    server = Server(faults={Fault.SLOW_DOWN: 1.0}, slow_down_seconds=30)
    site = Site(tmp_path, server)
    report = site.night(write_leads(tmp_path / "leads.csv", people(10)), concurrency=1, **PLAN)
    assert report.stopped.why is Stop.QUOTA
    assert len(server.log) == 4
    assert site.now >= 90
