"""Each class of answer, over the wire: exit code, row states, the words, and requests as the server counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import people, write_leads
from system_site import FAST, Machine, Told, asked_again, site

from pipeline.model import Endpoint
from pipeline.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 4
ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST, "--concurrency", WORKERS)


def take_in(folder: Path, companies: int = 3, each: int = 1) -> int:
    """Write a list; return how many rows it has."""
    rows = people(companies, each)
    write_leads(folder / "leads.csv", rows)
    return len(rows)


async def night(machine: Machine, *more: str) -> Told:
    """Run the list; whatever happens, nobody sees a traceback."""
    told = await machine.run(*ENRICH, *more)
    assert "Traceback" not in told.err
    return told


async def recovers(machine: Machine, sandbox: Sandbox, rows: int) -> None:
    """With the fault gone the same command finishes every row."""
    sandbox.set(faults={})
    told = await night(machine)
    assert (told.code, "Done: every row is finished." in told.err) == (0, True)
    assert machine.rows() == list(range(1, rows + 1))


def spent(machine: Machine) -> int:
    """Requests that count in the ledger."""
    found: int = machine.query("SELECT count(*) FROM attempt WHERE dated IS NULL OR dated > 0")[0][0]
    return found


# --- the API is ill -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.UNAVAILABLE_HTML, Fault.DROP, Fault.CHALLENGE_PAGE])
async def test_a_dead_api_costs_at_most_concurrency_and_six(tmp_path: Path, fault: Fault) -> None:
    """75, rows pending, every request counted as spent; a healthy API then finishes the list (promise 7)."""
    rows = take_in(tmp_path, 12)
    async with site(tmp_path, latency=0.02, faults={fault: 1.0}) as (machine, sandbox):
        told = await night(machine)
        assert told.code == 75
        assert "Stopped: the API does not answer properly, and three probes did not change that (last: " in told.err
        assert f"= 0 enriched + 0 partial + 0 not found + 0 invalid + 0 failed + {rows} pending" in told.err
        assert "Next      leadcontact resume" in told.err
        assert 3 <= sandbox.count() == spent(machine) <= WORKERS + 6
        assert machine.lines() == []


async def test_a_refused_port_sends_and_spends_nothing(tmp_path: Path) -> None:
    """What never left is not counted, however often it was tried."""
    rows = take_in(tmp_path)
    async with site(tmp_path) as (machine, sandbox):
        await sandbox.pause_listening()
        told = await night(machine)
        assert (told.code, sandbox.count(), spent(machine)) == (75, 0, 0)
        assert "Requests  0 sent" in told.err
        assert "Quota     0 of 5,000 used" in told.err
        await sandbox.resume_listening()
        await recovers(machine, sandbox, rows)


async def test_a_lost_answer_is_asked_again_and_both_requests_count(tmp_path: Path) -> None:
    """One 500 and one hang-up on the way: two retries, two more requests in the ledger, every row finished."""
    rows = take_in(tmp_path)
    async with site(tmp_path) as (machine, sandbox):
        sandbox.script([None, Fault.SERVER_ERROR, None, Fault.DROP_CHARGED])
        told = await night(machine)
        assert (told.code, asked_again(sandbox)) == (0, 2)
        assert sandbox.count() == spent(machine)
    assert machine.rows() == list(range(1, rows + 1))


async def test_patience_ends_and_the_stalled_request_counts(tmp_path: Path) -> None:
    """A server that says nothing for ten seconds is asked once more, with a request of its own."""
    rows = take_in(tmp_path, 1)
    async with site(tmp_path) as (machine, sandbox):
        sandbox.script([Fault.STALL])
        told = await night(machine, "--timeout", "10s")
        assert (told.code, asked_again(sandbox)) == (0, 1)
        assert sandbox.count() == spent(machine)
    assert machine.rows() == list(range(1, rows + 1))


# --- the key, the address, the purse ------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.UNAUTHORISED, Fault.FORBIDDEN])
async def test_a_refused_key_is_77_after_one_request(tmp_path: Path, fault: Fault) -> None:
    """Nothing more is sent, rows are pending, and the words say where keys come from."""
    rows = take_in(tmp_path)
    async with site(tmp_path, faults={fault: 1.0}) as (machine, sandbox):
        told = await night(machine)
        assert (told.code, sandbox.count()) == (77, 1)
        assert "the server does not accept the API key (HTTP 40" in told.err
        assert "Settings > API Access" in told.err
        assert (await machine.run("verify", "jane@acmecorp.com", *FAST)).code == 77
        await recovers(machine, sandbox, rows)


@pytest.mark.parametrize("fault", [Fault.REDIRECT_AWAY, Fault.REDIRECT_SAME_HOST])
async def test_a_redirect_is_78_and_nothing_is_sent_elsewhere(tmp_path: Path, fault: Fault) -> None:
    """Following it would carry the person's data, and on the same host the key, to who knows whom."""
    take_in(tmp_path)
    async with Sandbox() as elsewhere, site(tmp_path, faults={fault: 1.0}) as (machine, sandbox):
        sandbox.set(redirect_to=elsewhere.base_url)
        told = await night(machine)
        assert (told.code, sandbox.count(), elsewhere.count()) == (78, 1, 0)
    place = "127.0.0.1" if fault is Fault.REDIRECT_AWAY else "another place"
    assert f"the base URL redirects to {place}. Nothing was sent there. Set base_url" in told.err


async def test_no_credits_at_the_server_is_75_and_the_next_run_begins_with_one_request(tmp_path: Path) -> None:
    """402 without a time: this run stops, and only one request finds out whether that still holds."""
    rows = take_in(tmp_path)
    async with site(tmp_path, faults={Fault.NO_CREDITS: 1.0}) as (machine, sandbox):
        for expected in (1, 2):
            told = await night(machine)
            assert (told.code, sandbox.count()) == (75, expected)
            assert "the server said that the credits are used up (HTTP 402)" in told.err
            assert "The next run starts with a single request." in told.err
        await recovers(machine, sandbox, rows)


async def test_the_credit_reserve_ends_the_run_with_75_and_the_way_out(tmp_path: Path) -> None:
    """Ten are kept though a search may cost ten; nothing is sent until a probe reads more, then the list goes on."""
    rows = take_in(tmp_path, 12)
    async with site(tmp_path, credits=23) as (machine, sandbox):
        told = await night(machine)
        assert (told.code, 10 <= sandbox.credits < 20) == (75, True)
        assert f"Stopped: {sandbox.credits} credits are left by our count and 10 are kept in reserve." in told.err
        assert "`leadcontact doctor --probe`" in told.err
        assert "Next      leadcontact doctor --probe" in told.err
        count = sandbox.count()
        assert (await night(machine)).code == 75
        assert sandbox.count() == count
        sandbox.set(credits=500)
        probe = await machine.run("doctor", "--probe", *FAST[:4])
        assert (probe.code, "499 credits left" in probe.out) == (0, True)
        await recovers(machine, sandbox, rows)


# --- 429 ----------------------------------------------------------------------------------------------


async def test_a_short_pause_is_kept_and_the_night_goes_on(tmp_path: Path) -> None:
    """Retry-After of a second, twice: the requests count, the run waits, every row is finished."""
    rows = take_in(tmp_path)
    async with site(tmp_path, slow_down_seconds=1) as (machine, sandbox):
        sandbox.script([None, Fault.SLOW_DOWN, None, Fault.SLOW_DOWN])
        told = await night(machine)
        assert (told.code, spent(machine)) == (0, sandbox.count())
        assert "the server asked to slow down." in told.err
    assert machine.rows() == list(range(1, rows + 1))


async def test_a_long_pause_shuts_the_account_until_then(tmp_path: Path) -> None:
    """Retry-After of an hour: exit 0, the moment is told, and nothing is sent before it, by any run."""
    take_in(tmp_path)
    async with site(tmp_path, slow_down_seconds=3600, faults={Fault.SLOW_DOWN: 1.0}) as (machine, sandbox):
        told = await night(machine)
        assert (told.code, sandbox.count()) == (0, 1)
        assert "Paused: the server said that the day's requests are used up." in told.err
        assert "the next request may go on 20" in told.err
        assert (await night(machine)).code == 0
        assert (await night(machine, "--strict")).code == 75
        shown = await machine.run("status", *FAST[:4])
        assert sandbox.count() == 1
    assert "the next request may go on 20" in shown.out


async def test_a_429_without_a_time_ends_the_night_and_the_next_begins_with_one_request(tmp_path: Path) -> None:
    """Exit 0: a used up quota is normal nightly life; rows are pending."""
    rows = take_in(tmp_path)
    async with site(tmp_path, faults={Fault.TOO_MANY: 1.0}) as (machine, sandbox):
        for expected in (1, 2):
            told = await night(machine)
            assert (told.code, sandbox.count()) == (0, expected)
            assert "The next run starts with a single request." in told.err
        await recovers(machine, sandbox, rows)


# --- refused, not found, not understood ---------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.BAD_REQUEST, Fault.UNPROCESSABLE, Fault.SAID_NO])
async def test_a_broken_contract_is_75_and_concludes_nothing(tmp_path: Path, fault: Fault) -> None:
    """Everything refused: concurrency + 5 requests, those answers are not kept, all rows can still be had."""
    rows = take_in(tmp_path, 20)
    async with site(tmp_path, faults={fault: 1.0}) as (machine, sandbox):
        told = await night(machine)
        assert told.code == 75
        assert sandbox.count() <= WORKERS + 5
        assert "different questions in a row. It has probably changed" in told.err
        assert machine.query("SELECT count(*) FROM answer") == [(0,)]
        await recovers(machine, sandbox, rows)


async def test_one_refused_question_is_final_and_its_row_says_why(tmp_path: Path) -> None:
    """400 for one phones question: that row says so and is not asked again; the others are untouched."""
    rows = take_in(tmp_path)
    async with site(tmp_path, fault_endpoint=Endpoint.PHONES) as (machine, sandbox):
        sandbox.script([Fault.BAD_REQUEST])
        assert (await night(machine)).code == 0
        count = sandbox.count()
        assert (await night(machine)).code == 0
        assert sandbox.count() == count
    told = [line["reason"] for line in machine.lines() if line["reason"] and "refused" in line["reason"]]
    assert told == ["phones refused: The request is not valid."]
    assert machine.rows() == list(range(1, rows + 1))


async def test_what_the_server_does_not_know_is_not_found(tmp_path: Path) -> None:
    """404 is an answer: exit 0, every row `not_found`, nothing asked again."""
    rows = take_in(tmp_path)
    async with site(tmp_path, faults={Fault.NOT_FOUND: 1.0}) as (machine, sandbox):
        assert (await night(machine)).code == 0
        count = sandbox.count()
        assert (await night(machine)).code == 0
        assert sandbox.count() == count
    assert [line["status"] for line in machine.lines()] == ["not_found"] * rows


@pytest.mark.parametrize("fault", [Fault.CHALLENGE_PAGE, Fault.NOT_JSON, Fault.DATA_IS_LIST, Fault.SAID_NO])
async def test_one_answer_not_understood_is_kept_and_waits_for_a_later_window(tmp_path: Path, fault: Fault) -> None:
    """Its bytes are in the journal, it is not sent again tonight, its row is pending, exit 0."""
    rows = take_in(tmp_path)
    async with site(tmp_path, fault_endpoint=Endpoint.PHONES) as (machine, sandbox):
        sandbox.script([fault])
        told = await night(machine)
        count = sandbox.count()
        assert (told.code, asked_again(sandbox)) == (0, 0)
        assert "Done for now: 1 row waits for a later window" in told.err
        assert (await night(machine)).code == 0
        assert sandbox.count() == count
        assert machine.query("SELECT count(*) FROM answer")[0][0] == count
    assert len(machine.rows()) == rows - 1


@pytest.mark.parametrize(
    "fault",
    [Fault.NUMBERS_AS_STRINGS, Fault.NULL_FIELDS, Fault.MISSING_FIELDS, Fault.EXTRA_FIELDS, Fault.OTHER_EMAIL],
)
async def test_an_oddly_shaped_answer_never_ends_a_run(tmp_path: Path, fault: Fault) -> None:
    """What can be read of it is; exit 0 or 75, every row in one state, no traceback."""
    rows = take_in(tmp_path)
    async with site(tmp_path, faults={fault: 1.0}) as (machine, _):
        told = await night(machine)
    assert told.code in (0, 75), told.err
    pending = machine.query("SELECT count(*) FROM lead WHERE state IN ('ready', 'deferred')")[0][0]
    assert len(machine.rows()) + pending == rows
