"""Promise 4: nothing is paid twice within its freshness, however many leads, rows and runs ask it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from support import Server, Site, people, write_leads

from pipeline import app
from pipeline.model import Endpoint
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.session import Parts

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}
HOUR = 3_600


def searches(server: Server) -> int:
    return sum(entry.endpoint is Endpoint.SEARCH for entry in server.log)


def test_rows_of_one_company_share_one_search_at_the_same_moment(tmp_path: Path) -> None:
    """Fifty workers, fifty rows, one question."""
    rows = [{"First Name": f"Person{n}", "Last Name": "X", "Company Name": "Acme Corp"} for n in range(50)]
    site = Site(tmp_path, Server(latency=0.5))
    site.night(write_leads(tmp_path / "leads.csv", rows), plan="enterprise", daily_quota=1_000, steps="search")
    assert len(site.server.log) == 1


def test_spellings_of_one_company_share_one_search(tmp_path: Path) -> None:
    """Case, spaces and the trailing legal form do not make another company."""
    names = ["Acme Corp", "ACME  Corp.", "Acme Corporation", "acme corp", "Acme, Inc."]
    rows = [{"Company Name": name, "Last Name": f"Smith{n}"} for n, name in enumerate(names)]
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", rows), steps="search", **PLAN)
    assert searches(site.server) == 1


def test_another_list_uses_what_the_first_paid_for(tmp_path: Path) -> None:
    """The journal belongs to the account, not to the job."""
    rows = people(6)
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", rows), **PLAN)
    asked = len(site.server.log)
    other = Site(tmp_path, site.server, now=site.now, name="other.jsonl")
    other.night(write_leads(tmp_path / "other.csv", rows[::-1]), **PLAN)
    assert len(site.server.log) == asked
    assert {call["origin"] for line in other.lines() for call in line["calls"]} == {"cache"}


def test_two_runs_that_looked_before_either_asked_pay_once(tmp_path: Path) -> None:
    """Each has looked up its next rows at once; what the other was told since is used, not asked again."""
    rows = people(12, 0)
    site = Site(tmp_path, Server(latency=(0.1, 2.0)))
    lists = [write_leads(tmp_path / f"{n}.csv", rows[::step]) for n, step in enumerate((1, -1))]

    async def both(parts: Parts) -> None:
        runs = [replace(parts, owner=f"run {n}") for n in range(2)]
        told = (app.enrich(run, str(leads), f"{leads}.jsonl") for run, leads in zip(runs, lists, strict=True))
        await asyncio.gather(*told)

    site.command(both, steps="search", concurrency=2, **PLAN)
    assert site.server.asked_twice() == []
    assert searches(site.server) == 12


def test_the_same_command_again_asks_nothing(tmp_path: Path) -> None:
    """A finished list stays finished."""
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site = Site(tmp_path, Server())
    site.night(leads, **PLAN)
    asked, output = len(site.server.log), site.out.read_bytes()
    site.night(leads, at=site.now + 90 * 24 * HOUR, **PLAN)
    assert len(site.server.log) == asked
    assert site.out.read_bytes() == output


def test_a_row_taken_in_later_than_the_freshness_gets_fresh_data(tmp_path: Path) -> None:
    """48 hours by the guide: the next day's row shares the answer, the next week's does not."""
    site = Site(tmp_path, Server())
    row = {"Company Name": "Acme Corp", "Last Name": "First"}
    rows = [row]
    for day, asked in ((0, 1), (1, 1), (7, 2)):
        rows = [*rows, {**row, "Last Name": f"Day{day}"}]
        site.night(write_leads(tmp_path / "leads.csv", rows), at=day * 24 * HOUR, steps="search", **PLAN)
        assert searches(site.server) == asked


def test_a_backfill_of_weeks_pays_once(tmp_path: Path) -> None:
    """Freshness is reckoned from the day a row was taken in, not from the day it is worked on."""
    site = Site(tmp_path, Server(daily_quota=25, greylist_seconds=0))
    leads = write_leads(tmp_path / "leads.csv", people(40))
    for night in range(30):
        if not site.night(leads, at=night * 24 * HOUR, plan="free").pending:
            break
    asked = [entry.question for entry in site.server.log if entry.good]
    assert night > 4
    assert len(asked) == len(set(asked))


def test_equal_rows_are_one_lead_with_a_line_each(tmp_path: Path) -> None:
    """A duplicate shares the answer, gets its own line with duplicate_of, and is counted once."""
    row = {"First Name": "Jane", "Last Name": "Smith", "Company Name": "Acme Corp", "Note": "a"}
    rows = [row, {**row, "Note": "b"}, {"First Name": "", "Last Name": "", "Company Name": "Globex", "Note": "c"}]
    site = Site(tmp_path, Server())
    report = site.night(write_leads(tmp_path / "leads.csv", rows), **PLAN)
    lines = {line["row"]: line for line in site.lines()}
    assert report.jobs[0].counts.leads == 2
    assert (lines[1]["duplicate_of"], lines[2]["duplicate_of"]) == (None, 1)
    assert lines[2]["input"]["Note"] == "b"
    assert lines[2]["email"] == lines[1]["email"]


def test_a_question_that_was_not_settled_is_not_asked_again_the_same_night(tmp_path: Path) -> None:
    """Unexpected answers wait for a later window; hourly runs do not hammer them."""
    server = Server()
    server.account.change({"faults": {Fault.DATA_MISSING: 1.0}, "fault_endpoint": Endpoint.VERIFY})
    rows = [{"Email": "jane@northwind.example"}, {"Email": "joe@southwind.example"}]
    leads = write_leads(tmp_path / "leads.csv", rows)
    site = Site(tmp_path, server)
    for hour in range(19):
        site.night(leads, at=hour * HOUR, steps="verify", **PLAN)
    assert len(server.log) == 2
    report = site.night(leads, at=21 * HOUR, steps="verify", **PLAN)
    assert len(server.log) == 4
    assert report.pending == 0
    assert {line["status"] for line in site.lines()} == {"failed"}
