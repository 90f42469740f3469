"""Alerts and metrics beside nights in virtual time: told once a change, also over restarts; never in a run's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

from pipeline import app
from pipeline.model import Stop
from pipeline.sandbox import Fault
from pipeline.store import Store
from pipeline.watching import watching

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.summary import Report
    from pipeline.session import Parts
    from pipeline.sinks.alerts import Note, Targets

DAY = 86_400
HOOK = "https://hooks.example/services/s3cret"
PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 60, "wait_up_to": 0, "alert_webhook": HOOK}


@dataclass
class Watched(Site):
    """A machine with a receiver of alerts."""

    notes: list[Note] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    receiver_is_down: bool = False

    async def deliver(self, targets: Targets, note: Note) -> list[str | None]:
        if self.receiver_is_down:
            return ["HTTP 503"] * len(targets.names)
        self.notes.append(note)
        return [None] * len(targets.names)

    def watched(self, leads: Path, *, at: float | None = None, **changes: Any) -> Report:
        """A night with alerts beside it."""

        async def work(parts: Parts) -> Report:
            parts.beside = lambda opened: watching(opened, self.cautions.append, self.deliver)
            return await app.enrich(parts, str(leads), str(self.out))

        return self.command(work, at=at, **PLAN | changes)

    def told(self) -> list[tuple[str, int]]:
        """What was told since the last look."""
        told = [(str(note.alert.subject), note.alert.level) for note in self.notes]
        self.notes.clear()
        return told


def leads_of(site: Site, companies: int) -> Path:
    return write_leads(site.folder / "leads.csv", people(companies))


def test_a_quota_that_fills_every_night_is_told_once(tmp_path: Path) -> None:
    """Five nights on one state, each a new process: one alert; the level is on disk."""
    site = Watched(tmp_path, Server())
    leads = leads_of(site, 80)
    for night in range(5):
        report = site.watched(leads, at=night * (DAY + 60))
        assert report.stopped.why is Stop.QUOTA
        assert site.told() == ([("quota", 2)] if night == 0 else [])


def test_an_outage_is_told_once_and_so_is_its_end(tmp_path: Path) -> None:
    """Two nights without an API, then two with one."""
    server = Server()
    site = Watched(tmp_path, server)
    leads = leads_of(site, 10)
    told = []
    for night, down in enumerate((True, True, False, False)):
        server.account.change({"faults": {Fault.SERVER_ERROR: 1.0 if down else 0.0}})
        site.watched(leads, at=night * (DAY + 60), daily_quota=400)
        told.append(site.told())
    assert told == [[("api", 1), ("api", 2)], [], [("api", 0)], []]


def test_what_could_not_be_delivered_is_told_by_the_next_run(tmp_path: Path) -> None:
    """The run is as it would have been, the log says so without the address, and nothing counts as told."""
    site = Watched(tmp_path, Server(), receiver_is_down=True)
    leads = leads_of(site, 80)
    assert site.watched(leads).stopped.why is Stop.QUOTA
    assert all("hooks.example (HTTP 503)" in caution for caution in site.cautions)
    assert site.cautions
    assert "s3cret" not in "".join(site.cautions)
    site.receiver_is_down = False
    site.watched(leads, at=DAY + 60)
    assert site.told() == [("quota", 2)]


def test_a_run_that_is_still_going_at_the_hour_is_told(tmp_path: Path) -> None:
    """20:26:40 UTC is the start of virtual time; at one request a minute the run is not done by 21:00."""
    site = Watched(tmp_path, Server())
    leads = leads_of(site, 20)
    local: dict[str, Any] = {"alert_finish_by": "21:00", "max_per_second": 1 / 60, "daily_quota": 500}
    site.watched(leads, **local, max_requests=50)
    assert ("finish", 1) in site.told()
    site.watched(leads, at=DAY * 2, **local, max_requests=1)
    assert ("finish", 0) in site.told()


def test_a_run_that_was_killed_is_told_by_the_next(tmp_path: Path) -> None:
    """It began and never ended, and nobody holds its lock."""
    site = Watched(tmp_path, Server())
    leads = leads_of(site, 4)
    site.watched(leads, max_requests=2)
    with Store.open(tmp_path / "state.db", "127.0.0.1:1 default", inline=True) as store:
        store.jobs._reader.execute("UPDATE run SET ended_at = NULL")
    site.told()
    site.watched(leads, at=DAY)
    site.watched(leads, at=DAY + 10)
    assert site.told()[0] == ("finish", 1)


def test_credits_and_backlog_are_told_from_the_books(tmp_path: Path) -> None:
    """Few credits at the rate of these days; rows that come faster than they are finished."""
    site = Watched(tmp_path, Server(credits=570))
    told: list[tuple[str, int]] = []
    for night in range(5):
        write_leads(site.folder / "leads.csv", people(25 * (night + 1)))
        site.watched(site.folder / "leads.csv", at=night * (DAY + 60))
        told += [("night", night), *site.told()]
    nights = [("night", night) for night in range(5)]
    low, growing = ("credits", 1), ("backlog", 1)
    assert told == [nights[0], ("quota", 2), *nights[1:3], low, nights[3], growing, nights[4]]


@pytest.mark.parametrize("folder", ["there", "missing"])
def test_metrics_are_written_while_the_run_goes_and_at_its_end(tmp_path: Path, folder: str) -> None:
    """A missing folder is told once and the night is as it would have been."""
    (tmp_path / "there").mkdir()
    path = tmp_path / folder / "leadcontact.prom"
    site = Watched(tmp_path, Server(latency=(1.0, 2.0)))
    seen: list[bool] = []

    class Looks(Server):
        async def send(self, permit: Any) -> Any:
            seen.append(path.exists() and "run_end" not in path.read_text())
            return await super().send(permit)

    site.server = Looks(latency=(1.0, 2.0))
    report = site.watched(leads_of(site, 20), metrics_file=path, max_requests=40, alert_webhook=None)
    assert sum(report.requests.values()) == 40
    if folder == "missing":
        (caution,) = site.cautions
        assert caution.startswith(f"The metrics file {path} cannot be written (No such file or directory)")
        return
    assert all(seen)
    text = path.read_text()
    assert 'leadcontact_run_stop{account="127.0.0.1:1 default",why="max_requests"} 1.0' in text
    assert 'leadcontact_quota_used_requests{account="127.0.0.1:1 default"} 40.0' in text
    counted = [float(line.split()[-1]) for line in text.splitlines() if line.startswith("leadcontact_requests_total")]
    assert sum(counted) == 40
