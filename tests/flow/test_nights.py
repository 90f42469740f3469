"""Many nights: the same job goes on for weeks, and lists, outputs and wishes change meanwhile."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from soak import seconds, size
from support import Server, Site, people, write_leads

from pipeline import app
from pipeline.errors import ConfigError, InputUnusable, StateError, UsageError
from pipeline.model import Stop

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400
NIGHTS = size(10, 30)
PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def rows_of(site: Site) -> list[int]:
    return sorted(line["row"] for line in site.lines())


@pytest.mark.timeout(seconds(120, 400))
def test_weeks_at_500_with_restarts_finish_every_lead_and_ask_nothing_twice(tmp_path: Path) -> None:
    """Weeks of nights, each a run of its own, some of them cut short: all is used, nothing is lost."""
    rows = [{"Last Name": f"Smith{n}", "Company Name": f"Northwind {n} Robotics"} for n in range(500 * NIGHTS - 100)]
    leads = write_leads(tmp_path / "leads.csv", rows)
    site, chance = Site(tmp_path, Server(latency=(0.05, 0.2), daily_quota=500)), Random(3)
    wishes: dict[str, Any] = {"plan": "starter", "steps": "search", "max_per_second": 50.0, "concurrency": 20}
    for day in range(NIGHTS):
        start = day * DAY + chance.uniform(0, 3)
        site.night(leads, at=start, **wishes, max_requests=chance.randrange(100, 400))
        report = site.resume(**wishes)
    asked = [entry.question for entry in site.server.log]
    assert report.stopped.why is Stop.DONE
    assert report.jobs[0].counts.leads == len(rows) == len(site.lines())
    assert len(asked) == len(set(asked)) == len(rows)
    assert site.server.most_in_a_day() <= 500
    assert {entry.status for entry in site.server.log} == {200}


def test_a_window_that_opens_soon_is_slept_for(tmp_path: Path) -> None:
    """--wait-up-to 60m: the slots of last night free one by one and are used as they do."""
    site = Site(tmp_path, Server(daily_quota=25))
    leads = write_leads(tmp_path / "leads.csv", people(40))
    site.night(leads, plan="free", at=0.0)
    site.night(leads, plan="free", at=DAY - 1_800.0)
    assert len(site.server.log) == 50
    site.night(leads, plan="free", at=3 * DAY, wait_up_to=0)
    site.night(leads, plan="free", at=4 * DAY - 1_800.0, wait_up_to=0)
    assert len(site.server.log) == 75


def test_wait_goes_on_until_everything_is_done(tmp_path: Path) -> None:
    """--wait sleeps through the days, deferred rows included."""
    site = Site(tmp_path, Server(daily_quota=25))
    report = site.night(write_leads(tmp_path / "leads.csv", people(12)), plan="free", wait=True)
    assert report.stopped.why is Stop.DONE
    assert report.pending == 0
    assert site.now > DAY


def test_rows_added_to_the_list_are_worked_on_and_the_others_left_alone(tmp_path: Path) -> None:
    """A new export of the same list adds; nothing finished is asked or written again."""
    site, rows = Site(tmp_path, Server()), people(4)
    site.night(write_leads(tmp_path / "leads.csv", rows), **PLAN)
    before, asked = site.out.read_bytes(), len(site.server.log)
    site.night(write_leads(tmp_path / "leads.csv", rows + people(2, start=50)), **PLAN)
    assert site.out.read_bytes().startswith(before)
    assert len(site.lines()) > before.count(b"\n")
    assert len(site.server.log) > asked


def test_only_what_was_added_to_the_file_is_read(tmp_path: Path) -> None:
    """The rest is known by its hash; duplicates of rows that were there already are duplicates all the same."""
    rows = people(4)
    longer = [*rows, rows[0], *people(2, start=50), rows[0], rows[1]]
    once, twice = Site(tmp_path / "once", Server()), Site(tmp_path / "twice", Server())
    for site, exports in ((once, [longer]), (twice, [rows, longer[: len(rows) + 1], longer, longer])):
        site.folder.mkdir()
        for night, export in enumerate(exports):
            site.night(write_leads(site.folder / "leads.csv", export), at=night * DAY, **PLAN, max_requests=0)
        site.night(site.folder / "leads.csv", at=9 * DAY, **PLAN)
    first, second = ({line["row"]: line["duplicate_of"] for line in site.lines()} for site in (once, twice))
    assert first == second
    assert len(first) == len(longer)
    assert readings(twice) == 1


def test_a_file_whose_beginning_changed_is_read_again_as_a_whole(tmp_path: Path) -> None:
    """And one whose last line had no end: it may have gone on."""
    site, rows = Site(tmp_path, Server()), people(3)
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.night(leads, **PLAN, max_requests=0)
    before = leads.read_bytes()
    leads.write_bytes(before.replace(b"Northwind 0", b"Northwind 9") + before.splitlines()[-1])
    site.night(leads, **PLAN, max_requests=0)
    assert readings(site) == 2
    leads.write_bytes(leads.read_bytes() + b"x and Sons\n")
    site.night(leads, **PLAN, max_requests=0)
    assert readings(site) == 3


def readings(site: Site) -> int:
    """How often the list was read from its beginning."""
    with closing(sqlite3.connect(site.folder / "state.db")) as db:
        return int(db.execute("SELECT intake FROM job").fetchone()[0])


def test_a_changed_lead_under_an_id_is_asked_again_and_its_old_line_goes(tmp_path: Path) -> None:
    """What matters changed: pending again; other columns: nothing asked."""
    site = Site(tmp_path, Server())
    rows = [{"Record ID": str(n), "Company Name": f"Northwind {n} Robotics", "Note": "a"} for n in range(5)]
    site.night(write_leads(tmp_path / "leads.csv", rows), steps="search", **PLAN)
    asked = len(site.server.log)
    noted = [{**row, "Note": "b"} for row in rows]
    site.night(write_leads(tmp_path / "leads.csv", noted), steps="search", **PLAN)
    assert len(site.server.log) == asked
    noted[2]["Company Name"] = "Globex"
    site.night(write_leads(tmp_path / "leads.csv", noted), steps="search", **PLAN)
    assert len(site.server.log) == asked + 1
    lines = {line["lead_id"]: line for line in site.lines()}
    assert len(site.lines()) == len(lines) == 5
    assert lines["2"]["input"]["Company Name"] == "Globex"
    assert lines["1"]["input"]["Note"] == "a"


def test_prune_drops_unfinished_rows_that_are_gone_and_keeps_finished_ones(tmp_path: Path) -> None:
    """Rows gone from the input stay, unless --prune says otherwise; what was paid for stays always."""
    site, rows = Site(tmp_path, Server()), people(6)
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.night(leads, **PLAN, max_requests=5)
    done = len(site.lines())
    write_leads(leads, rows[-2:])
    kept = site.night(leads, **PLAN, max_requests=0)
    assert kept.jobs[0].counts.leads == len(rows)
    pruned = site.night(leads, **PLAN, max_requests=0, prune=True)
    assert done <= pruned.jobs[0].counts.leads <= done + 2
    assert len(site.lines()) == done


def test_a_duplicate_that_comes_later_gets_its_line(tmp_path: Path) -> None:
    """Its lead is finished already; the answer is shared and nothing is asked."""
    site, row = Site(tmp_path, Server()), {"First Name": "Jane", "Last Name": "Smith", "Company Name": "Acme"}
    leads = write_leads(tmp_path / "leads.csv", [row])
    site.night(leads, **PLAN)
    asked = len(site.server.log)
    site.night(write_leads(leads, [row, row]), **PLAN)
    assert [(line["row"], line["duplicate_of"]) for line in site.lines()] == [(1, None), (2, 1)]
    assert len(site.server.log) == asked


def test_a_late_duplicate_has_one_line_though_the_output_was_lost(tmp_path: Path) -> None:
    """The output is written again and the duplicate gets its line: once, not by both."""
    site, row = Site(tmp_path, Server()), {"First Name": "Jane", "Last Name": "Smith", "Company Name": "Acme"}
    leads = write_leads(tmp_path / "leads.csv", [row])
    site.night(leads, **PLAN)
    site.out.unlink()
    site.night(write_leads(leads, [row, row]), **PLAN)
    assert [(line["row"], line["duplicate_of"]) for line in site.lines()] == [(1, None), (2, 1)]


def test_other_questions_are_refused_with_what_they_would_cost(tmp_path: Path) -> None:
    """Another body is another bill: it takes --new-policy, and then only unfinished rows."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(8))
    site.night(leads, **PLAN, max_requests=6)
    finished = site.out.read_bytes()
    with pytest.raises(ConfigError, match=r"limit 10 -> 5.*--new-policy.*unfinished") as refused:
        site.night(leads, **PLAN, limit=5)
    assert refused.value.exit_code == 78
    site.night(leads, **PLAN, limit=5, new_policy=True)
    assert site.out.read_bytes().startswith(finished)
    assert any('"limit":5' in entry.question for entry in site.server.log)


def test_resume_asks_as_the_job_was_begun_whatever_the_surroundings_say(tmp_path: Path) -> None:
    """LEADCONTACT_LIMIT is meant for new lists; only what is said with `resume` itself is a wish for this one."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(6, 1)), **PLAN, max_requests=2)
    site.resume(**PLAN, limit=5)
    assert {entry.body["limit"] for entry in site.server.log if "limit" in entry.body} == {10}
    site.night(write_leads(tmp_path / "leads.csv", people(8, 1)), **PLAN, max_requests=0)
    with pytest.raises(ConfigError, match="limit 10 -> 5"):
        site.command(lambda parts: app.resume(parts, (), ["limit"]), **PLAN, limit=5)


def test_judgement_applies_to_unfinished_rows_at_once(tmp_path: Path) -> None:
    """Thresholds and steps may change from night to night without ceremony."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(8))
    site.night(leads, **PLAN, max_requests=6)
    report = site.night(leads, **PLAN, steps="search", min_confidence=0.5)
    assert report.pending == 0


def test_a_resumed_job_keeps_its_own_judgement(tmp_path: Path) -> None:
    """`resume` without options does what the job's last command said."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(8)), **PLAN, steps="search", max_requests=3)
    site.resume(**PLAN)
    assert {str(entry.endpoint) for entry in site.server.log} == {"search"}


def test_resume_works_through_all_jobs_on_one_budget(tmp_path: Path) -> None:
    """Unfinished jobs, oldest first, in one run."""
    server, sites = Server(daily_quota=25), []
    now = 0.0
    for n in range(3):
        site = Site(tmp_path, server, now=now, name=f"{n}.jsonl")
        site.night(write_leads(tmp_path / f"{n}.csv", people(3, start=10 * n)), plan="free", max_requests=0)
        sites.append(site)
    report = sites[0].resume(plan="free", wait_up_to=0)
    assert len(report.jobs) == 3
    assert len(server.log) == 25
    assert sites[0].lines()
    with pytest.raises(UsageError, match=r"no job nonsense.*Jobs of this account"):
        sites[0].resume("nonsense", plan="free")


def test_an_output_nobody_here_wrote_is_never_touched(tmp_path: Path) -> None:
    """Exit 74 names the output, the state, and the ways out."""
    site = Site(tmp_path, Server())
    site.out.write_text("mine\n")
    with pytest.raises(StateError, match=r"out.jsonl.*state.db.*--job"):
        site.night(write_leads(tmp_path / "leads.csv", people(2)), **PLAN)
    assert site.out.read_text() == "mine\n"
    assert not site.server.log


def test_an_output_replaced_by_another_file_is_left_alone(tmp_path: Path) -> None:
    """The job is known, the file is not the one it wrote."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(3))
    site.night(leads, **PLAN)
    site.out.write_bytes(b"x" * (site.out.stat().st_size + 10))
    with pytest.raises(StateError):
        site.night(leads, **PLAN)


def test_a_truncated_output_is_kept_aside_and_written_again(tmp_path: Path) -> None:
    """Nothing is thrown away, and every finished row has its line again."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(4))
    site.night(leads, **PLAN)
    whole, asked = rows_of(site), len(site.server.log)
    half = site.out.read_bytes()[: site.out.stat().st_size // 2]
    site.out.write_bytes(half)
    site.night(leads, **PLAN)
    assert rows_of(site) == whole
    assert (tmp_path / "out.jsonl.torn-1").read_bytes() == half
    assert len(site.server.log) == asked


def test_a_priority_that_is_no_number_is_counted_and_a_column_that_is_not_there_refused(tmp_path: Path) -> None:
    """A typo must not quietly undo what the user wants first."""
    site = Site(tmp_path, Server())
    rows = [{"Company Name": f"Acme {n}", "Score": score} for n, score in enumerate(["1", "", "high", "nan", "2"])]
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.night(leads, **PLAN, priority="Score", max_requests=0)
    assert "Priorities that are not numbers: 2; they count as 0." in site.said
    assert 'priority = "Score"' in site.said[0]
    with pytest.raises(InputUnusable, match=r'has no column "Scroe" \(priority\). Did you mean "Score"'):
        site.night(leads, **PLAN, priority="Scroe", max_requests=0)


def test_a_priority_may_be_a_column_that_is_something_else_too(tmp_path: Path) -> None:
    """Numbers that are ids can say who comes first, and stay ids."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [{"Company Name": f"Acme {n}", "Id": f"{n}"} for n in range(3)])
    site.night(leads, **PLAN, priority="Id", concurrency=1, max_requests=1, steps="search")
    assert [line["lead_id"] for line in site.lines()] == ["2"]


def test_rows_of_high_priority_go_first(tmp_path: Path) -> None:
    """--priority FIELD outranks the order of worth."""
    rows = [{"Company Name": f"Northwind {n} Robotics", "Score": str(n)} for n in range(20)]
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.night(leads, **PLAN, steps="search", priority="Score", concurrency=1, max_requests=3)
    asked = [entry.body["company"] for entry in site.server.log]
    assert asked == [f"Northwind {n} Robotics" for n in (19, 18, 17)]


def test_the_company_with_most_waiting_rows_goes_first(tmp_path: Path) -> None:
    """One request then serves the most leads."""
    few = [{"Company Name": "Globex", "Last Name": f"A{n}"} for n in range(2)]
    many = [{"Company Name": "Acme", "Last Name": f"B{n}"} for n in range(5)]
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "l.csv", few + many), **PLAN, steps="search", concurrency=1, max_requests=1)
    assert [entry.body["company"] for entry in site.server.log] == ["Acme"]


def test_the_first_free_night_shows_finished_lines(tmp_path: Path) -> None:
    """25 requests a day, the sample list: somebody sees results after the first night."""
    from pathlib import Path as RealPath  # noqa: PLC0415 - the repository's own data

    sample = RealPath(__file__).parents[2] / "data" / "leads.csv"
    report = Site(tmp_path, Server()).night(sample, plan="free", wait_up_to=0)
    assert sum(report.requests.values()) == 25
    assert report.jobs[0].counts.leads - report.pending >= 10
    assert report.finish_date is not None


def test_on_a_free_plan_too_a_lead_that_waited_for_weeks_gets_its_turn(tmp_path: Path) -> None:
    """Every night better leads come in; the lone row of a company of its own is worked on all the same."""
    site = Site(tmp_path, Server(daily_quota=25))
    rows = [{"First Name": "", "Last Name": "", "Email": "", "Company Name": "Lonely Works"}]
    for night in range(30):
        rows += [row for row in people(12, 5, start=100 * (night + 1)) if row["First Name"]]
        site.night(write_leads(tmp_path / "leads.csv", rows), at=night * 86_400 * 1.01, plan="free", wait_up_to=0)
        if any(line["row"] == 1 for line in site.lines()):
            break
    assert 14 <= night <= 18
