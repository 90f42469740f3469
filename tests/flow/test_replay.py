"""`replay`: failed and refused rows get another chance, and nothing that was found is paid again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobs_site import recount
from support import Server, Site, people, write_leads

from pipeline.errors import JobHeld, UsageError
from pipeline.replay import Replayed, moment, replay
from pipeline.sandbox import Fault
from pipeline.store.locks import Lock

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0, "concurrency": 1}
NIGHTS = {Fault.BAD_REQUEST: 1, Fault.SAID_NO: 2, Fault.CHALLENGE_PAGE: 2}
"""How many nights a question must meet a fault until its row is finished with it."""


def spoilt(folder: Path, fault: Fault) -> tuple[Site, Path]:
    """A site whose first search met a fault until its row was finished so; the other rows went well."""
    site = Site(folder, Server())
    rows = [{"Company Name": name} for name in ("Acme", "Globex Robotics", "Initech Robotics")]
    leads = write_leads(folder / "leads.csv", rows)
    for night in range(NIGHTS[fault]):
        site.server.account.line_up([fault])
        site.night(leads, **PLAN, steps="search", at=night * DAY)
    site.now += 3_600.0
    return site, leads


def go(site: Site, **how: Any) -> Replayed:
    return site.command(lambda parts: replay(parts, str(site.out), **how), **PLAN)


def bodies(site: Site) -> list[str]:
    return [str(entry.body["company"]) for entry in site.server.log]


@pytest.mark.parametrize("fault", NIGHTS)
def test_a_replayed_row_is_asked_again_at_once_and_only_it(tmp_path: Path, fault: Fault) -> None:
    """The answers that failed the row do not fail it again; those of other rows still hold."""
    site, leads = spoilt(tmp_path, fault)
    before, asked = {line["row"]: line for line in site.lines()}, len(site.server.log)
    assert len(before) == 3
    bad = next(line for line in before.values() if not line["email"] and line["status"] in ("failed", "not_found"))
    told = go(site)
    assert (told.rows, told.requests) == (1, 1)
    assert sorted(line["row"] for line in site.lines()) == sorted(set(before) - {bad["row"]})
    report = site.night(leads, **PLAN, steps="search")
    assert report.pending == 0
    assert bodies(site)[asked:] == [bad["input"]["Company Name"]]
    after = {line["row"]: line for line in site.lines()}
    assert after[bad["row"]]["email"]
    assert {row: line for row, line in after.items() if row != bad["row"]} == {
        row: line for row, line in before.items() if row != bad["row"]
    }
    assert go(site).rows == 0


@pytest.mark.parametrize("fault", NIGHTS)
def test_tries_begin_anew(tmp_path: Path, fault: Fault) -> None:
    """A replayed row that meets the same fault is given as many nights as a new one."""
    site, leads = spoilt(tmp_path, fault)
    go(site)
    for night in range(NIGHTS[fault]):
        site.server.account.line_up([fault])
        report = site.night(leads, **PLAN, steps="search", at=site.now + night * DAY)
        assert report.pending == (night + 1 < NIGHTS[fault])
    assert go(site).rows == 1


def test_what_a_row_found_before_it_failed_is_not_paid_again(tmp_path: Path) -> None:
    """Only the question that was refused is asked; the journal keeps every answer."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [people(1, 1)[1]])
    site.server.account.line_up([None, Fault.BAD_REQUEST])
    site.night(leads, **PLAN, steps="search,phones", min_phone_confidence=1.0)
    (line,) = site.lines()
    assert "refused" in line["reason"]
    asked = len(site.server.log)
    assert go(site).requests == 1
    site.resume(**PLAN)
    (again,) = site.lines()
    assert len(site.server.log) == asked + 1
    assert again["contact"] == line["contact"]
    assert again["reason"] != line["reason"]


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    """Rows by reason and the most requests; state and output are as they were."""
    site, _ = spoilt(tmp_path, Fault.BAD_REQUEST)
    before = site.out.read_bytes(), recount(tmp_path / "state.db")
    told = go(site, dry_run=True)
    assert (told.rows, told.requests, told.dry_run) == (1, 1, True)
    assert [reason.split(":")[0] for reason in told.reasons] == ["search refused"]
    assert (site.out.read_bytes(), recount(tmp_path / "state.db")) == before


def test_reason_and_since_narrow_what_is_replayed(tmp_path: Path) -> None:
    """Text of the reason in any case, and the time of finishing."""
    site, _ = spoilt(tmp_path, Fault.BAD_REQUEST)
    assert go(site, reason="said_no", dry_run=True).rows == 0
    assert go(site, reason="REFUSED", dry_run=True).rows == 1
    assert go(site, since="30m", dry_run=True).rows == 0
    assert go(site, since="2h", dry_run=True).rows == 1
    assert moment("2026-11-20", 0.0) < moment("2026-11-20T12:00", 0.0)
    with pytest.raises(UsageError, match="2026-11-20"):
        go(site, since="yesterday")
    with pytest.raises(UsageError, match="no job"):
        site.command(lambda parts: replay(parts, "nonsense"), **PLAN)


def test_duplicates_wait_again_with_their_lead_and_the_counters_are_right(tmp_path: Path) -> None:
    """A refused lead and its duplicate leave the output together and come back together."""
    site, row = Site(tmp_path, Server()), {"Company Name": "Acme"}
    leads = write_leads(tmp_path / "leads.csv", [row, row])
    site.server.account.line_up([Fault.BAD_REQUEST])
    site.night(leads, **PLAN, steps="search")
    assert len(site.lines()) == 2
    go(site)
    assert site.lines() == []
    kept, counted, wrong = recount(tmp_path / "state.db")
    assert (kept, wrong) == (counted, [])
    site.night(leads, **PLAN, steps="search")
    assert [(line["row"], line["duplicate_of"]) for line in site.lines()] == [(1, None), (2, 1)]


def test_a_job_that_is_being_worked_on_is_left_alone(tmp_path: Path) -> None:
    """Exit 75 names the process."""
    site, _ = spoilt(tmp_path, Fault.BAD_REQUEST)
    lock = Lock(tmp_path / "state.db.locks" / "job-1")
    with lock:
        assert lock.acquire()
        with pytest.raises(JobHeld, match="process") as refused:
            go(site)
    assert refused.value.exit_code == 75


def test_reasons_are_told_without_what_the_server_quoted(tmp_path: Path) -> None:
    """A server's words may name the person; told to people they do not."""
    site, _ = spoilt(tmp_path, Fault.BAD_REQUEST)
    import sqlite3  # noqa: PLC0415 - to put words into the server's mouth

    with sqlite3.connect(tmp_path / "state.db") as db:
        words = "search refused: jane@acme.com (+1-555-123-4567) is odd"
        db.execute("UPDATE lead SET reason = ? WHERE reason LIKE '%refused%'", (words,))
    db.close()
    assert list(go(site, dry_run=True).reasons) == ["search refused: … (…) is odd"]
