"""Promise 7: a broken API does not burn the quota: at most concurrency + 6 requests, not the night's allowance."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from soak import size
from support import Server, Site, people, write_leads

from pipeline.cli.running import EXITS
from pipeline.errors import Ambiguous
from pipeline.events import Waiting
from pipeline.model import Endpoint, Status, Stop
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.model import Permit
    from pipeline.protocol import RawReply

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


@pytest.mark.parametrize("fault", WRONG)
def test_rows_of_a_dead_api_are_pending_and_a_sound_one_finishes_them(tmp_path: Path, fault: Fault) -> None:
    """Whatever it said while it was ill, nothing is concluded about anybody."""
    site = Site(tmp_path, Server(faults={fault: 1.0}))
    leads = write_leads(tmp_path / "leads.csv", people(6, 1))
    report = site.night(leads, concurrency=4, **PLAN)
    assert report.pending == report.jobs[0].counts.leads == 18
    finishes_later(site, leads, 4)


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


class Turning(Server):
    """A server that refuses everything after its first answers."""

    FIRST = 60

    async def send(self, permit: Permit) -> RawReply:
        """Change its mind for good."""
        if len(self.log) == self.FIRST:
            self.account.change({"faults": {Fault.BAD_REQUEST: 1.0}})
        return await super().send(permit)


@pytest.mark.parametrize("concurrency", [1, 8, 20])
def test_a_contract_that_breaks_in_the_middle_costs_no_more(tmp_path: Path, concurrency: int) -> None:
    """Whoever was answered before."""
    server = Turning(latency=(0.05, 0.3))
    report = Site(tmp_path, server).night(
        write_leads(tmp_path / "leads.csv", people(80, 2)), concurrency=concurrency, **PLAN
    )
    assert report.stopped.why is Stop.CONTRACT
    assert len([entry for entry in server.log if not entry.good]) <= concurrency + 5


@pytest.mark.parametrize("seed", range(size(4, 100)))
@pytest.mark.parametrize("concurrency", [1, 8, 50])
def test_half_an_outage_costs_at_most_two_and_a_half_requests_an_answer(
    tmp_path: Path, concurrency: int, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Half the answers are 5xx: the run goes on at that price, or stops as an outage; later every row is had."""
    faults = {Fault.UNAVAILABLE_HTML: 0.25, Fault.SERVER_ERROR: 0.25}
    server = Server(seed=seed, latency=(0.05, 0.3), faults=faults)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(30, 1, seed=seed))
    report = site.night(leads, concurrency=concurrency, **PLAN)
    answered = {entry.question for entry in server.log if entry.good}
    stopped = report.stopped.why is Stop.OUTAGE
    assert stopped or len(server.log) <= 2.5 * len(answered)
    assert len(server.log) <= 2.5 * len(answered) + concurrency + 6
    record_property("requests an answer at half an outage", round(len(server.log) / max(1, len(answered)), 1))
    finishes_later(site, leads, concurrency)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_an_api_that_answers_one_request_in_three_is_given_up(tmp_path: Path, concurrency: int) -> None:
    """Never three failures in a row, and every probe's second retry is answered: it is dear all the same."""
    server = Server(latency=0.1)
    server.account.line_up([None, Fault.SERVER_ERROR, Fault.SERVER_ERROR] * 200)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(30, 1))
    report = site.night(leads, concurrency=concurrency, **PLAN)
    answered = sum(entry.good for entry in server.log)
    assert (report.stopped.why, EXITS[report.stopped.why]) == (Stop.OUTAGE, 75)
    assert "less than one in two and a half was answered" in report.stopped.sentence
    assert len(server.log) <= 2.5 * answered + concurrency + 6
    assert sum(report.requests.values()) == len(server.log) >= 2 * (concurrency + 6)


def finishes_later(site: Site, leads: Path, concurrency: int) -> None:
    """Two windows later, with a sound API, every row is finished, and none was given up meanwhile."""
    site.server.account.change({"faults": {}, "greylist_seconds": 0.0})
    for _ in range(2):  # what was not understood once is asked again a window later
        report = site.night(leads, at=site.now + 90_000, concurrency=concurrency, **PLAN)
    assert report.stopped.why is Stop.DONE
    counts = report.jobs[0].counts
    assert (report.pending, counts.by_status[Status.FAILED]) == (0, 0)


class Dying(Server):
    """A server that gets slower with every request, until nobody's patience lasts."""

    def __init__(self, *, well_for: int, **options: Any) -> None:
        super().__init__(**options)
        self.patience = 15.0
        self._well_for = well_for

    async def send(self, permit: Permit) -> RawReply:
        """Answer later each time; past the client's timeout the answer is lost, as it is on the wire."""
        slower = 0.1 * 1.1 ** max(0, len(self.log) - self._well_for)
        self.account.change({"latency": min(slower, 600.0)})
        try:
            async with asyncio.timeout(self.patience):
                return await super().send(permit)
        except TimeoutError:
            raise Ambiguous("TimeoutError") from None


@pytest.mark.parametrize("concurrency", [1, 8, 50])
@pytest.mark.parametrize("well_for", [0, 60])
def test_a_slow_death_costs_at_most_concurrency_and_six(tmp_path: Path, concurrency: int, well_for: int) -> None:
    """Latency grows to the timeout and beyond: from the first answer that was lost on, as few as of a dead API."""
    server = Dying(well_for=well_for)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(well_for + 130, 0))
    report = site.night(leads, concurrency=concurrency, **PLAN)
    lost = [entry for entry in server.log if not entry.answered]
    assert report.stopped.why is Stop.OUTAGE
    assert len(lost) <= concurrency + 6
    assert len(server.log) <= well_for + 53 + concurrency + 6, "by the 53rd slower answer patience is over"
    server.patience = math.inf
    finishes_later(site, leads, concurrency)


class Allergic(Server):
    """A server that is sound, but fails at one question whenever it is asked."""

    def __init__(self, company: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._company = company
        self.failures = 0

    async def send(self, permit: Permit) -> RawReply:
        """Count a failure at the one question; nobody else is touched."""
        if self._company in permit.question.body:
            self.failures += 1
            raise Ambiguous("out of order")
        return await super().send(permit)


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("company", [b"Northwind 0 Robotics", b"Northwind 3 Robotics", b"Northwind 19 Robotics"])
def test_a_question_that_always_fails_holds_nobody_else_up(tmp_path: Path, company: bytes, concurrency: int) -> None:
    """It steps aside, and somebody else's question shows that the API is well; at the end it has had one try."""
    server = Allergic(company, latency=0.2)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(20, 1))
    report = site.night(leads, concurrency=concurrency, steps=(Endpoint.SEARCH,), **PLAN)
    counts = report.jobs[0].counts
    assert (report.stopped.why, counts.pending, counts.deferred) == (Stop.DONE, 3, 3)
    assert server.failures <= 8
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        assert db.execute("SELECT body FROM answer WHERE status = 0").fetchall() == [(b"no answer (out of order)",)]


def test_three_nights_give_a_row_up_and_hourly_runs_in_one_night_do_not(tmp_path: Path) -> None:
    """The API is well and one question fails: twelve runs of a night are one try, the third night's is the last."""
    server = Allergic(b"Northwind 3 Robotics", latency=1.0)
    site = Site(tmp_path, server)
    failed, asked = [], []
    for night in range(3):
        leads = write_leads(
            tmp_path / "leads.csv", people(20 + 20 * night, 1)
        )  # new rows: the API is seen to be well
        for hour in range(12):
            at = night * 86_400 + hour * 3_600
            report = site.night(leads, at=at, concurrency=8, steps=(Endpoint.SEARCH,), **PLAN)
        failed.append(report.jobs[0].counts.by_status[Status.FAILED])
        asked.append(server.failures)
    assert failed == [0, 0, 3]
    assert asked == [4, 8, 12], "a try is one request and three retries, once a night"
    assert report.stopped.why is Stop.DONE


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
    assert [event.why for event in site.events if isinstance(event, Waiting)] == ["slow_down"] * 3
    assert site.now >= 90
