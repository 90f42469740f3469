"""`refresh`: what grew stale is asked again, and what was found before is never replaced by less."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jobs_site import recount
from support import Server, Site, people, write_leads

from pipeline.errors import UsageError
from pipeline.flips import flipped
from pipeline.model import Stop
from pipeline.overview import overview
from pipeline.planner import told
from pipeline.purge import purge
from pipeline.refresh import refresh, stale
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.summary import Refreshed, Report

DAY = 86_400.0
PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}
AGE = "90d"


def old(folder: Path, companies: int = 8) -> Site:
    """A list that was finished at the virtual beginning of time."""
    site = Site(folder, Server())
    leads = write_leads(folder / "leads.csv", people(companies))
    assert site.night(leads, **PLAN, wait=True).pending == 0
    return site


def go(site: Site, at: float, age: str = AGE, **wishes: Any) -> Report:
    return site.command(lambda parts: refresh(parts, str(site.out), age), at=at, **{**PLAN, **wishes})


def look(site: Site, at: float, age: str = AGE) -> Refreshed:
    return site.command(lambda parts: stale(parts, str(site.out), age), at=at, **PLAN)


def by_row(site: Site) -> dict[int, dict[str, Any]]:
    lines = site.lines()
    assert len({line["row"] for line in lines}) == len(lines), "one line a row"
    return {line["row"]: line for line in lines}


def value(line: dict[str, Any], field: str) -> object:
    return line[field] and line[field]["value"]


def sound(site: Site) -> None:
    kept, counted, wrong = recount(site.folder / "state.db")
    assert (kept, wrong) == (counted, [])


def test_fresh_rows_are_left_alone(tmp_path: Path) -> None:
    """Nothing is asked, nothing written."""
    site = old(tmp_path)
    before, asked = site.out.read_bytes(), len(site.server.log)
    report = go(site, 80 * DAY)
    assert report.refreshed is not None
    assert (report.refreshed.rows, report.stopped.why) == (0, Stop.DONE)
    assert (site.out.read_bytes(), len(site.server.log)) == (before, asked)


def test_stale_rows_are_asked_again_once_a_question_and_get_new_lines(tmp_path: Path) -> None:
    """The same answers: lines as before but for their dates; a dry run tells the most requests."""
    site = old(tmp_path)
    before, asked = by_row(site), len(site.server.log)
    told_before = look(site, 100 * DAY)
    report = go(site, 100 * DAY, wait=True)
    assert report.refreshed is not None
    assert told_before.rows == report.refreshed.rows > 20
    assert asked // 2 < len(site.server.log) - asked <= told_before.requests
    after = by_row(site)
    assert after.keys() == before.keys()
    for row, line in after.items():
        assert (value(line, "email"), value(line, "phone")) == (
            value(before[row], "email"),
            value(before[row], "phone"),
        )
    dated = [line for row, line in after.items() if line["enriched_at"] != before[row]["enriched_at"]]
    assert len(dated) == told_before.rows
    assert look(site, 101 * DAY).rows == 0
    sound(site)


def test_while_the_quota_holds_it_up_old_lines_stay_and_resume_goes_on(tmp_path: Path) -> None:
    """Every row has its old line or its new one after every night; nothing is asked twice."""
    site = old(tmp_path)
    before, asked, night = by_row(site), len(site.server.log), 0
    report = go(site, 100 * DAY, max_requests=7)
    while report.pending:
        assert report.stopped.why in (Stop.MAX_REQUESTS, Stop.DONE)
        assert by_row(site).keys() == before.keys()
        sound(site)
        night += 1
        at = (100 + night) * DAY
        report = go(site, at, max_requests=7) if night % 2 else site.resume(**PLAN, at=at, max_requests=7)
    assert by_row(site).keys() == before.keys()
    assert night > 3
    again = [entry.question for entry in site.server.log[asked:] if entry.good]
    assert len(again) == len(set(again))


def test_a_refresh_that_was_cut_short_is_expected_to_take_what_such_rows_took(tmp_path: Path) -> None:
    """Its rows count as unfinished again, though requests were spent on them before."""
    site = old(tmp_path)
    spent, rows = len(site.server.log), len(site.lines())
    report = go(site, 100 * DAY, max_requests=2, plan="free")
    assert rows / 2 < report.pending <= rows
    assert report.finish_days is not None
    assert report.finish_days <= -(-spent // 25)


def test_where_less_is_found_the_old_value_stays_with_its_old_date(tmp_path: Path) -> None:
    """The API knows other people now: nobody's address or number is lost, however often it is refreshed."""
    site = old(tmp_path)
    before = by_row(site)
    site.server.account.change({"seed": 7})
    for round_ in (1, 2, 3):
        report = go(site, 100 * DAY * round_, wait=True)
        assert report.saved.cached == 0, "what was asked for again was not saved"
        after = by_row(site)
        assert after.keys() == before.keys()
        for row, line in before.items():
            named = line["input"]["First Name"]
            for field in ("email", "phone") if named else ():
                if line[field]:
                    assert after[row][field], (row, field, round_)
            if named and line["email"] and after[row]["email"] == line["email"]:
                assert {call["key"] for call in line["calls"]} <= {call["key"] for call in after[row]["calls"]}
            assert (line["status"] in ("enriched", "partial")) <= (after[row]["status"] in ("enriched", "partial"))
    lines = by_row(site)
    kept = [row for row, line in before.items() if line["email"] and lines[row]["email"] == line["email"]]
    assert len(kept) > 5
    site.out.unlink()
    site.resume(str(site.out), **PLAN, at=310 * DAY)
    assert by_row(site) == lines, "the journal alone makes the same lines again"


def test_an_api_that_fails_takes_nothing_away(tmp_path: Path) -> None:
    """Refused, or no answer for three nights: what a row had it keeps."""
    site = old(tmp_path, 2)
    before = by_row(site)
    site.server.account.line_up((Fault.SAID_NO, None, Fault.BAD_REQUEST, None) * 2)
    go(site, 100 * DAY, wait=True)
    after = by_row(site)
    for row, line in before.items():
        assert (value(line, "email") is None) or value(after[row], "email")
        assert (value(line, "phone") is None) or value(after[row], "phone")
    sound(site)


def test_duplicates_get_the_new_line_with_their_lead(tmp_path: Path) -> None:
    """And stay in the output until then."""
    site, row = Site(tmp_path, Server()), {"Company Name": "Acme"}
    leads = write_leads(tmp_path / "leads.csv", [row, row])
    site.night(leads, **PLAN)
    go(site, 100 * DAY, max_requests=0)
    assert [(line["row"], line["duplicate_of"]) for line in site.lines()] == [(1, None), (2, 1)]
    go(site, 101 * DAY)
    one, two = site.lines()
    assert (one["row"], two["row"], two["duplicate_of"]) == (1, 2, 1)
    assert one["enriched_at"] == two["enriched_at"] > "2026-09"
    sound(site)


def test_a_lead_that_changes_while_it_is_refreshed_loses_its_old_line(tmp_path: Path) -> None:
    """Its old answers are about somebody else."""
    site = Site(tmp_path, Server())
    rows = [{"Record ID": str(n), **person} for n, person in enumerate(people(2))]
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.night(leads, **PLAN, wait=True)
    go(site, 100 * DAY, max_requests=0)
    rows[1] |= {"First Name": "Erika", "Last Name": "Mustermann"}
    write_leads(leads, rows)
    site.night(leads, **PLAN, max_requests=0)
    assert 2 not in by_row(site)
    site.resume(**PLAN, wait=True)
    assert by_row(site).keys() == set(range(1, len(rows) + 1))
    assert by_row(site)[2]["input"]["Last Name"] == "Mustermann"
    sound(site)


def test_rows_whose_answers_were_purged_are_left_out_and_told(tmp_path: Path) -> None:
    """What they had found could not be kept."""
    site = old(tmp_path)
    before = site.out.read_bytes()
    site.command(lambda parts: purge(parts, "1d"), at=99 * DAY, **PLAN)
    report = go(site, 100 * DAY)
    assert report.refreshed is not None
    assert report.refreshed.rows == 0 < report.refreshed.purged
    assert site.out.read_bytes() == before


def test_purge_spares_what_a_refresh_under_way_may_keep(tmp_path: Path) -> None:
    """Old answers of rows that wait for their new ones."""
    site = old(tmp_path)
    before = by_row(site)
    go(site, 100 * DAY, max_requests=0)
    site.command(lambda parts: purge(parts, "1d"), at=101 * DAY, **PLAN)
    site.server.account.change({"seed": 7})
    site.resume(**PLAN, at=102 * DAY, wait=True)
    after = by_row(site)
    named = [row for row, line in before.items() if line["input"]["First Name"] and line["email"]]
    assert named
    assert all(after[row]["email"] for row in named)


def test_flip_rates_are_those_of_the_journal(tmp_path: Path) -> None:
    """Pairs of successive answers to one question, by endpoint and age; told by the run and by status."""
    site = old(tmp_path)
    go(site, 20 * DAY, "10d", wait=True)
    site.server.account.change({"seed": 7})
    report = go(site, 130 * DAY, wait=True)
    counts: dict[tuple[str, bool], list[int]] = {}
    for before, after in pairs(site):
        late = after.received_at > before.received_at + 90 * DAY
        count = counts.setdefault((str(before.question.endpoint), late), [0, 0])
        count[0] += 1
        count[1] += flipped(before, after)
    told_ = {(flip.endpoint, flip.age == 90): [flip.n, flip.changed] for flip in report.flips}
    assert told_ == counts
    assert counts["search", False][1] == 0 < counts["search", True][1]
    shown = overview(site.settings(**PLAN))["flips"]
    assert {flip["days"] for flip in shown} == {"<30", "90-180"}
    assert sum(flip["asked_again"] for flip in shown) == sum(n for n, _ in counts.values())


def pairs(site: Site) -> list[tuple[Any, Any]]:
    """Successive answers of the journal to one question that tell something."""
    import sqlite3  # noqa: PLC0415 - only here

    from pipeline.model import Answer, Endpoint, Question  # noqa: PLC0415
    from pipeline.protocol import decode  # noqa: PLC0415

    with sqlite3.connect(site.folder / "state.db") as db:
        select = "SELECT key, endpoint, status, body, received_at FROM answer"
        rows = db.execute(f"{select} ORDER BY key, received_at").fetchall()
    db.close()
    answers = []
    for key, endpoint, status, body, at in rows:
        address = orjson.loads(body)["data"]["email"] if endpoint == "verify" else ""
        question = Question(Endpoint(endpoint), orjson.dumps({"email": address}), key, 10)
        verdict = decode(question, status, body)
        answers.append(Answer(question, verdict.outcome, verdict.reply, at))
    sound_ones = [answer for answer in answers if told(answer)]
    return [(before, after) for before, after in pairwise(sound_ones) if before.question.key == after.question.key]


def test_what_cannot_be_refreshed_is_said(tmp_path: Path) -> None:
    """No age, no job, or lines that went to standard output."""
    site = old(tmp_path, 1)
    with pytest.raises(UsageError, match="not a duration"):
        go(site, 100 * DAY, "soon")
    with pytest.raises(UsageError, match="no job"):
        site.command(lambda parts: refresh(parts, "nonsense", AGE), **PLAN)
