"""The summary accounts for every row, says what was spent and saved, and names the next useful command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.halts import max_requests
from pipeline.limits import Limits
from pipeline.model import FINISHED, Endpoint, Status, Stop, Stopped
from pipeline.observe.summary import JobReport, Report, Saved, as_json, as_text, next_command
from pipeline.store.ledger import Usage
from pipeline.store.records import Counts

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def counts(duplicates: int = 0, **states: int) -> Counts:
    return Counts({status: states.get(status.value, 0) for status in Status}, 0, duplicates)


NIGHT = counts(enriched=1_200, partial=30, not_found=20, invalid=4, failed=1, pending=745, duplicates=12)
USAGE = Usage(used=480, under_way=20, credits=4_321, credits_at=NOW, shut_until=None, opens=NOW + 3_600)
REPORT = Report(
    jobs=[JobReport("/home/ann/out.jsonl", "/home/ann/out.jsonl", NIGHT, rows=2_012, finished_now=300)],
    stopped=Stopped(Stop.QUOTA, "Paused: the 500 requests of this window are used.", NOW + 3_600),
    requests={Endpoint.SEARCH: 300, Endpoint.VERIFY: 150, Endpoint.PHONES: 50},
    outcomes={"found": 480, "not_found": 20},
    saved=Saved(shared=1_000, cached=7, search_confirmed_email=90, search_gave_phone=0),
    credits_watched=True,
    usage=USAGE,
    quota=500,
    reserve_credits=10,
    state=Path("/home/ann/.local/state/leadcontact/state.db"),
    started_at=NOW - 60,
    ended_at=NOW,
    finish_days=3,
)
DONE = replace(
    REPORT,
    jobs=[replace(REPORT.jobs[0], counts=counts(enriched=5))],
    stopped=Stopped(Stop.DONE, "Done: every row is finished."),
    finish_days=0,
)


def line(report: Report, word: str) -> str:
    """The line of the text that begins with a word; empty if there is none."""
    return next((one for one in as_text(report).splitlines() if one.startswith(word)), "")


# --- for people ---------------------------------------------------------------------------------------


def test_the_accounting_identity_is_printed() -> None:
    """Leads = enriched + partial + not found + invalid + failed + pending, in numbers that add up (promise 5)."""
    told = line(REPORT, "Rows")
    assert told.split("leads = ")[1] == (
        "1,200 enriched + 30 partial + 20 not found + 4 invalid + 1 failed + 745 pending"
    )
    total, *parts = [int(word.replace(",", "")) for word in told.split() if word[0].isdigit()]
    assert (total, sum(parts)) == (2_000, 2_000)


def test_one_is_told_as_one() -> None:
    """1 lead, 1 more row, 1 request, 1 more day."""
    job = replace(REPORT.jobs[0], counts=counts(pending=1, duplicates=1))
    night = replace(
        REPORT, jobs=[job], finish_days=1, quota=1, saved=Saved(shared=1, cached=0), requests={Endpoint.SEARCH: 1}
    )
    text = as_text(night)
    for one in ("1 lead = ", "1 more row is a duplicate", "Saved     1 request:", "(1 more day at 1 request)"):
        assert one in text
    assert max_requests(Limits(1, max_requests=1)) == "Paused: the 1 request of --max-requests is used."
    assert max_requests(Limits(1, max_requests=2)) == "Paused: the 2 requests of --max-requests are used."


@pytest.mark.parametrize(("duplicates", "said"), [(0, False), (12, True)])
def test_duplicates_are_counted_apart(duplicates: int, *, said: bool) -> None:
    """They share their lead's result and are no leads of their own."""
    job = replace(REPORT.jobs[0], counts=replace(NIGHT, duplicates=duplicates))
    assert (f"{duplicates} more rows are duplicates" in as_text(replace(REPORT, jobs=[job]))) is said


def test_every_job_has_its_rows() -> None:
    """A run over several jobs accounts for each."""
    two = [REPORT.jobs[0], replace(REPORT.jobs[0], output="/tmp/b.jsonl", counts=counts(failed=2))]  # noqa: S108 - words
    rows = [one for one in as_text(replace(REPORT, jobs=two)).splitlines() if one.startswith("Rows")]
    assert [one.split()[1] for one in rows] == ["2,000", "2"]


def test_requests_are_told_by_endpoint_and_what_was_saved_by_rule() -> None:
    """Why a night cost what it cost, and what it did not cost."""
    assert line(REPORT, "Requests") == "Requests  500 sent (300 search, 150 verify, 50 phones)"
    assert line(REPORT, "Saved") == (
        "Saved     1,097 requests: 1,000 shared by rows of one company, 7 answered before, "
        "90 e-mails search was sure of"
    )
    assert line(replace(REPORT, saved=Saved()), "Saved") == ""


@pytest.mark.parametrize(
    ("quota", "words"),
    [(500, "500 of 500 used in this window, 0 left"), (400, "500 of 400 used in this window, 0 left")],
)
def test_quota_left_is_never_negative(quota: int, words: str) -> None:
    """Others may have used more than this run's number allows."""
    assert words in line(replace(REPORT, quota=quota), "Quota")
    assert "the next request may go on 20" in line(REPORT, "Quota")


def test_credits_say_whether_they_could_be_watched() -> None:
    """A reserve that nobody could watch is not passed off as kept."""
    assert line(REPORT, "Credits") == "Credits   4,321 left by our count, 10 kept in reserve"
    blind = replace(REPORT, credits_watched=False, usage=replace(USAGE, credits=None))
    assert "could not be watched" in line(blind, "Credits")


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (REPORT, "Finish    about 2027-01-18 (3 more days at 500 requests)"),
        (replace(REPORT, finish_days=1), "Finish    about 2027-01-16 (1 more day at 500 requests)"),
        (
            replace(REPORT, finish_days=None),
            "Finish    not known yet: no row was finished with a request so far",
        ),
        (DONE, ""),
    ],
    ids=["days", "a day", "unknown", "done"],
)
def test_the_finish_is_estimated_if_it_can_be(report: Report, words: str) -> None:
    """In days and as a date; nothing is invented."""
    assert line(report, "Finish") == words


@pytest.mark.parametrize(
    ("report", "command"),
    [
        (REPORT, "leadcontact resume"),
        (replace(REPORT, stopped=Stopped(Stop.CREDITS, "Stopped.")), "leadcontact doctor --probe"),
        (DONE, "head -n 3 /home/ann/out.jsonl"),
        (replace(DONE, jobs=[replace(DONE.jobs[0], output="/a b/out.jsonl")]), "head -n 3 '/a b/out.jsonl'"),
        (replace(DONE, jobs=[replace(DONE.jobs[0], output="-")]), "leadcontact status"),
        (replace(DONE, jobs=[]), "leadcontact status"),
    ],
    ids=["pending", "credits", "done", "quoted", "stdout", "nothing"],
)
def test_the_next_useful_command_is_named(report: Report, command: str) -> None:
    """What to type now, ready to paste."""
    assert next_command(report) == command
    assert line(report, "Next") == f"Next      {command}"


def test_the_end_and_the_state_are_told() -> None:
    """First why it ended, then where everything lies."""
    assert as_text(REPORT).splitlines()[1] == REPORT.stopped.sentence
    assert line(REPORT, "State").endswith("leadcontact/state.db")


# --- for machines -------------------------------------------------------------------------------------


def test_the_json_has_a_stable_shape() -> None:
    """Schema version 1, to the letter: scripts rely on it."""
    assert as_json(REPORT) == {
        "schema_version": 1,
        "started_at": "2027-01-15T07:59:00Z",
        "ended_at": "2027-01-15T08:00:00Z",
        "stop": {
            "why": "quota",
            "sentence": "Paused: the 500 requests of this window are used.",
            "next_request_at": "2027-01-15T09:00:00Z",
        },
        "unusable": [],
        "jobs": [
            {
                "job": "/home/ann/out.jsonl",
                "output": "/home/ann/out.jsonl",
                "kind": "enrich",
                "rows_read": 2_012,
                "read_to_the_end": True,
                "leads": 2_000,
                "duplicates": 12,
                "enriched": 1_200,
                "partial": 30,
                "not_found": 20,
                "invalid": 4,
                "failed": 1,
                "pending": 745,
                "finished_now": 300,
            }
        ],
        "requests": {
            "sent": 500,
            "search": 300,
            "verify": 150,
            "phones": 50,
            "outcomes": {"found": 480, "not_found": 20},
        },
        "saved": {
            "shared_by_company": 1_000,
            "answered_before": 7,
            "verify_search_was_sure": 90,
            "phones_search_was_sure": 0,
        },
        "quota": {"requests": 500, "used": 500, "next_request_at": "2027-01-15T09:00:00Z"},
        "credits": {"left": 4_321, "reserve": 10, "watched": True, "read_at": "2027-01-15T08:00:00Z"},
        "flips": [],
        "finish": {"days": 3, "date": "2027-01-18"},
        "state": "/home/ann/.local/state/leadcontact/state.db",
    }


def test_the_json_says_null_where_nothing_is_known() -> None:
    """Keys never go missing."""
    empty = replace(DONE, jobs=[], usage=Usage(0, 0, None, None, None, None), credits_watched=False)
    told = as_json(empty)
    assert set(told) == set(as_json(REPORT))
    assert (told["stop"]["next_request_at"], told["quota"]["next_request_at"]) == (None, None)
    assert (told["credits"]["left"], told["credits"]["read_at"], told["finish"]["date"]) == (None, None, None)


def test_every_status_is_in_the_identity() -> None:
    """A new status cannot be forgotten by the accounting."""
    (job,) = as_json(REPORT)["jobs"]
    assert job["leads"] == sum(job[status.value] for status in Status)
    assert set(Status) == {*FINISHED, Status.PENDING}
