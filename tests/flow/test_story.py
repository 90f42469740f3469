"""The report's numbers are those of the nights: checked against the output, the server and the summaries."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from story_site import PLAN, UNUSABLE, after_nights, leads_of, story
from support import Server, Site, write_leads

from pipeline.errors import UsageError
from pipeline.forecast import Span
from pipeline.model import Status
from pipeline.observe.page import page
from pipeline.observe.told import and_then, as_json, finish, sentence
from pipeline.sandbox import Fault
from pipeline.session import session
from pipeline.story import _sort_of, bin_of, looking, story_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.told import Story
    from pipeline.session import Parts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return after_nights(tmp_path_factory.mktemp("nights"), 3)


@pytest.fixture(scope="module")
def told(site: Site) -> Story:
    return story(site)


def own_lines(site: Site) -> list[dict[str, object]]:
    return [line for line in site.lines() if line["duplicate_of"] is None]


def test_rows_reasons_matches_and_confidences_are_those_of_the_output(site: Site, told: Story) -> None:
    """Each finished row once, its duplicates apart."""
    lines = own_lines(site)
    assert told.finished == len(lines)
    for status in Status:
        assert told.counts.by_status[status] == sum(line["status"] == status for line in lines) or status == "pending"
    assert Counter(told.matches) == Counter(line["match"]["by"] for line in lines)  # type: ignore[index]
    for name, counted in (("email", told.emails), ("phone", told.phones)):
        values = [line[name]["confidence"] for line in lines if line[name]]  # type: ignore[index]
        assert counted.total == len(values) > 0
        assert counted.verified == sum(value >= 0.90 for value in values if value is not None)
        assert sum(counted.bins) + counted.unknown == len(values)
    assert sum(reason.rows for reason in told.reasons) == sum(line["status"] != "enriched" for line in lines)


def test_each_reason_names_a_row_of_its_kind_and_none_quotes_the_server(site: Site, told: Story) -> None:
    """An example is a row number: it says nothing about anybody but to who has the list."""
    rows = {line["row"]: line for line in own_lines(site)}
    assert {reason.status for reason in told.reasons} > {Status.PARTIAL, Status.INVALID}
    for reason in told.reasons:
        line = rows[reason.example_row]
        assert line["status"] == reason.status
        assert _sort_of(str(line["reason"]), whole=False) == reason.reason
    assert any("The request is not valid" in str(line["reason"]) for line in rows.values())
    assert not any("The request is not valid" in reason.reason for reason in told.reasons)
    assert any("The request is not valid" in reason.reason for reason in story(site, samples=True).reasons)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("search refused: Jane Roe is unknown", "search refused"),
        ("phones said_no: +1-555-123-4567", "phones said_no"),
        ("verify: no answer (jane@roe.example: try later)", "verify failed: no answer"),
        ("verify: greylisted", "verify failed: greylisted"),
        ("not_among_10_of_14", "not_among_N_of_N"),
        ("row: 10 cells for 9 columns", "row: N cells for N columns"),
    ],
)
def test_what_a_server_may_have_said_of_somebody_is_cut(reason: str, shown: str) -> None:
    """Promise 8; and what differs only in numbers is one reason."""
    assert _sort_of(reason, whole=False) == shown


def test_requests_and_savings_are_those_of_the_nights(tmp_path: Path) -> None:
    """What the server counted, and the sum of what each night's summary said."""
    site = Site(tmp_path, Server(credits=5_000))
    reports = [site.night(leads_of(tmp_path), at=night * 86_460.0, **PLAN) for night in range(3)]
    told, spent = story(site), story(site).spending
    assert spent.requests == len(site.server.log) == sum(night.requests for night in spent.nights)
    assert spent.saved.finished == told.finished == sum(report.jobs[0].finished_now for report in reports)
    assert spent.saved.shared == sum(report.saved.shared for report in reports) > 0
    assert spent.saved.answered == sum(report.saved.cached for report in reports)
    assert spent.saved.sure_emails == sum(report.saved.search_confirmed_email for report in reports) > 0
    assert spent.saved.sure_phones == sum(report.saved.search_gave_phone for report in reports) > 0
    assert told.finished_last == reports[-1].jobs[0].finished_now
    assert (spent.untold, spent.running) == (0, False)


def test_the_window_over_time_never_passes_the_quota(site: Site, told: Story) -> None:
    """It is what counts at each moment, not what a calendar day held; the last point is what counts now."""
    used = [n for _, n in told.window_over_time]
    assert max(used) == 120
    assert used[0] == 0
    assert abs(used[-1] - told.spending.used) <= 1
    assert len(told.window_over_time) <= 125
    assert told.window_over_time[-1][0] >= told.now


def test_credits_over_time_end_at_what_the_account_told_last(site: Site, told: Story) -> None:
    """Readings as they were told, oldest first; they only fall here."""
    left = [n for _, n in told.credits_over_time]
    assert left == sorted(left, reverse=True)
    assert left[-1] >= site.server.account.credits.left
    assert [at for at, _ in told.credits_over_time] == sorted(at for at, _ in told.credits_over_time)


def test_what_is_left_is_reckoned_as_plan_does(tmp_path: Path) -> None:
    """Nothing asked yet: what `plan` says of the same list."""
    from pipeline.planning import plan  # noqa: PLC0415 - only here

    site = Site(tmp_path, Server())
    leads = leads_of(tmp_path)
    site.night(leads, max_requests=0, **PLAN)
    ahead = story(site).ahead
    planned = plan(site.settings(**PLAN), str(leads), now=site.clock_at(site.now))
    assert ahead is not None
    assert (ahead.requests, ahead.leads, ahead.curve) == (planned.requests, planned.total.leads, planned.curve)
    assert ahead.days == planned.plans[-1].days


def test_rows_that_wait_for_another_night_are_not_promised_for_today(tmp_path: Path) -> None:
    """One page that is no answer: the window has room for that row, but it is not asked again today."""
    site = Site(tmp_path, Server(faults={Fault.CHALLENGE_PAGE: 1.0}))
    site.night(write_leads(tmp_path / "leads.csv", [{"Company Name": "Acme"}]), **PLAN)
    told = story(site)
    assert told.ahead is not None
    assert (told.counts.deferred, told.ahead.days) == (1, Span(1, 1, 1))
    assert finish(told) == "The rest should be done about 29 May 2026."


def test_a_story_costs_nothing_and_ends_with_the_list(tmp_path: Path) -> None:
    """When all is finished nothing is ahead, and the page asked nobody."""
    site = after_nights(tmp_path, 1, latency=0.0)
    site.night(leads_of(tmp_path), at=10 * 86_400.0, **{**PLAN, "daily_quota": 5_000})
    site.night(leads_of(tmp_path), at=20 * 86_400.0, **{**PLAN, "daily_quota": 5_000})
    site.night(leads_of(tmp_path), at=30 * 86_400.0, **{**PLAN, "daily_quota": 5_000})
    asked = len(site.server.log)
    told = story(site)
    assert len(site.server.log) == asked
    assert (told.counts.pending, told.ahead) == (0, None)
    assert f"all {told.counts.leads} leads are finished" in sentence(told)


def test_a_list_of_which_nothing_was_asked_has_a_story(tmp_path: Path) -> None:
    """And one without a single row."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", [UNUSABLE, UNUSABLE | {"Company Name": "Acme"}]), max_requests=0)
    told = story(site)
    assert (told.counts.leads, told.spending.requests, told.emails.total) == (2, 0, 0)
    assert sentence(told) == "Nothing was asked yet: 1 of 2 leads is finished."

    async def empty(parts: Parts) -> Story:
        async with session(parts) as opened:
            made = await opened.store.jobs.create("none", "-", questions="[{}]", judgement="{}", now=parts.now())
            return story_of(opened, made)

    none = site.command(empty, **PLAN)
    assert sentence(none) == "No row of this list was taken in yet."
    assert none.ahead is None
    assert as_json(none)["rows"]["leads"] == 0


def test_a_running_job_says_so(tmp_path: Path) -> None:
    """Somebody holds the job's lock; afterwards that run has died."""
    site = after_nights(tmp_path, 1)
    told = story(site, running=True)
    assert sentence(told).startswith("A run is under way: ")
    assert told.spending.running
    assert "tells at its end what it saved" in page(told)
    assert as_json(told)["running"] is True
    after = story(site)
    assert not after.spending.running
    assert (after.spending.untold, after.spending.nights[-1].did) == (1, None)
    assert and_then(after)[0] == "It was cut off; what was paid for is kept."


def test_a_state_without_a_job_is_refused_and_none_is_made(tmp_path: Path) -> None:
    """A report makes no state."""
    site = Site(tmp_path, Server())

    async def look(parts: Parts) -> None:
        with looking(parts):
            pass

    with pytest.raises(UsageError, match="Begin with: leadcontact enrich"):
        site.command(look, **PLAN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("confidence", "number"), [(0.0, 0), (0.05, 1), (0.55, 11), (0.7, 14), (0.9, 18), (1.0, 19)])
def test_a_tiers_bound_begins_a_bar(confidence: float, number: int) -> None:
    """0.90 is verified, so it stands among the verified."""
    assert bin_of(confidence) == number
