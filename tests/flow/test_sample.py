"""`--sample`: a share of the leads, always the same, and the same command without it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jobs_site import leads as rows_in_state
from jobs_site import recount
from support import Server, Site, people, write_leads

from pipeline.cli.running import exit_code
from pipeline.configured import load
from pipeline.errors import ConfigError
from pipeline.model import Stop
from pipeline.sample import PLACES, place_of
from pipeline.sandbox import Fault
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def list_of(folder: Path, companies: int = 12) -> Path:
    rows = [{"Record ID": f"r{n}", **row} for n, row in enumerate(people(companies))]
    return write_leads(folder / "leads.csv", rows)


def done(site: Site) -> set[str]:
    return {line["lead_id"] for line in site.lines()}


def first(site: Site, n: int) -> set[str]:
    """The leads that come first by their place."""
    ids = {row[0] for row in rows_in_state(site.folder / "state.db")}
    return set(sorted(ids, key=place_of)[:n])


def test_only_the_sample_is_worked_on_and_the_rest_is_untouched(tmp_path: Path) -> None:
    """20 of 54 leads: by the hash of their id and nothing else; exit 0, with --strict 75."""
    site = Site(tmp_path, Server())
    report = site.night(list_of(tmp_path), **PLAN, sample="20")
    assert done(site) == first(site, 20)
    assert (report.stopped.why, report.pending) == (Stop.SAMPLE, 34)
    assert report.stopped.sentence == "Paused: the sample of 20 leads is done."
    assert [exit_code(report, Settings(strict=strict)) for strict in (False, True)] == [0, 75]
    kept, counted, wrong = recount(tmp_path / "state.db")
    assert (kept, wrong) == (counted, [])


def test_the_same_sample_again_asks_nothing_and_without_it_the_job_goes_on(tmp_path: Path) -> None:
    """A larger sample holds the smaller one; everything together is asked as often as without samples."""
    whole = Site(tmp_path, Server(), name="whole.jsonl")
    leads = list_of(tmp_path)
    whole.night(leads, **PLAN, account="other")
    site = Site(tmp_path, Server())
    site.night(leads, **PLAN, sample="20")
    small, asked = done(site), len(site.server.log)
    report = site.night(leads, **PLAN, sample="20")
    assert (done(site), len(site.server.log), report.stopped.why) == (small, asked, Stop.SAMPLE)
    site.resume(**PLAN, sample="40%")
    assert small < done(site)
    report = site.night(leads, **PLAN)
    assert (report.stopped.why, report.pending, len(site.lines())) == (Stop.DONE, 0, 54)
    assert len(site.server.log) == len(whole.server.log)
    assert site.server.asked_twice() == []


def test_a_share_is_of_the_places_so_that_new_rows_change_nothing_for_old_ones(tmp_path: Path) -> None:
    """30%: who is in it does not depend on who else is in the list."""
    site = Site(tmp_path, Server())
    site.night(list_of(tmp_path, 6), **PLAN, sample="30%")
    before = done(site)
    site.night(list_of(tmp_path, 12), **PLAN, sample="30%")
    ids = {row[0] for row in rows_in_state(site.folder / "state.db")}
    assert before <= done(site) == {lead for lead in ids if place_of(lead) < 0.3 * PLACES}
    assert 5 < len(done(site)) < 30


def test_a_sample_that_the_quota_cuts_short_is_a_sample_too(tmp_path: Path) -> None:
    """It goes in the order of the places: what is finished first is the smaller sample."""
    site = Site(tmp_path, Server())
    leads = list_of(tmp_path)
    report = site.night(leads, **PLAN, concurrency=1, sample="40", max_requests=12)
    assert report.stopped.why is Stop.MAX_REQUESTS
    finished = done(site)
    assert finished <= first(site, len(finished) + 6)
    site.night(leads, **PLAN, sample="40")
    assert done(site) == first(site, 40)


def test_a_sample_of_more_leads_than_there_are_is_all_of_them(tmp_path: Path) -> None:
    """Then the run is done, not paused."""
    site = Site(tmp_path, Server())
    report = site.night(list_of(tmp_path), **PLAN, sample="10000")
    assert (report.stopped.why, report.pending) == (Stop.DONE, 0)


def test_leads_of_the_sample_that_wait_for_a_later_window_are_told_of(tmp_path: Path) -> None:
    """A question that was not settled is asked again another night; the run waits for it only with --wait."""
    site = Site(tmp_path, Server())
    rows = [{"Record ID": str(n), "Email": f"jane{n}@acme{n}.com"} for n in range(30)]
    leads = write_leads(tmp_path / "leads.csv", rows)
    site.server.account.line_up([Fault.CHALLENGE_PAGE])
    report = site.night(leads, **PLAN, steps="verify", sample="10")
    assert report.pending == 22, "one page that is no answer, one greylisted mailbox"
    assert report.stopped.sentence.endswith("is done, but for rows that wait for a later window.")
    report = site.night(leads, **PLAN, steps="verify", sample="10", wait=True)
    assert (report.stopped.why, report.pending) == (Stop.SAMPLE, 20)


@pytest.mark.parametrize("place", ["option", "environment", "TOML"])
def test_it_is_a_setting_like_any_other(tmp_path: Path, place: str) -> None:
    """And what is no sample is refused with what would be one."""
    for text, right in (("2%", True), ("some", False)):
        (tmp_path / "leads.toml").write_text(f'sample = "{text}"\n' if place == "TOML" else "")
        options = {"sample": text} if place == "option" else {}
        environ = {"LEADCONTACT_SAMPLE": text} if place == "environment" else {}
        if right:
            assert load(options, tmp_path / "leads.toml", environ, cwd=tmp_path)[0].sample == text
        else:
            with pytest.raises(ConfigError, match="such as 500, nor a share such as 2%"):
                load(options, tmp_path / "leads.toml", environ, cwd=tmp_path)
