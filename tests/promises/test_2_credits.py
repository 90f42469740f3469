"""Promise 2: never into the credit reserve, with any number of workers and any order of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

from pipeline.cli.running import EXITS
from pipeline.model import Endpoint, Stop

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.summary import Report

BUSY: dict[str, Any] = {"plan": "enterprise", "daily_quota": 100_000, "concurrency": 30, "wait_up_to": 0}


def spend(folder: Path, server: Server, **changes: Any) -> tuple[Site, Report]:
    site = Site(folder, server)
    return site, site.night(write_leads(folder / "leads.csv", people(120, 3)), **{**BUSY, **changes})


def test_thirty_workers_end_exactly_at_the_reserve(tmp_path: Path) -> None:
    """60 credits, reserve 7, random latency: the account ends at 7 and the exit code asks somebody to look."""
    server = Server(credits=60, latency=(0.05, 0.6))
    _, report = spend(tmp_path, server, reserve_credits=7)
    assert server.account.credits.left == 7
    assert EXITS[report.stopped.why] == 75
    assert "doctor --probe" in report.stopped.sentence


@pytest.mark.parametrize("seed", range(5))
def test_with_a_price_per_contact_the_reserve_holds_but_for_the_first_blind_call(tmp_path: Path, seed: int) -> None:
    """Until the account has told a number, the first search is the one blind call."""
    server = Server(credits=60, price_search="contact", latency=(0.05, 0.6), seed=seed)
    _, report = spend(tmp_path, server, reserve_credits=7)
    assert server.account.credits.left >= 7 - 10
    assert 402 not in {entry.status for entry in server.log}
    assert report.stopped.why is Stop.CREDITS


@pytest.mark.parametrize("price", [0, 1, 5, 10])
@pytest.mark.parametrize("reserve", [0, 7, 33])
def test_no_fixed_price_breaks_the_reserve(tmp_path: Path, price: int, reserve: int) -> None:
    """Whatever a search costs up to its ceiling, the reserve is still there."""
    server = Server(credits=100, price_search=price, latency=(0.05, 0.6))
    spend(tmp_path, server, reserve_credits=reserve, steps="search")
    assert server.account.credits.left >= reserve


def test_at_the_reserve_the_next_run_sends_nothing(tmp_path: Path) -> None:
    """Only a probe, or the day the cycle turns, opens the account again."""
    server = Server(credits=60)
    site, _ = spend(tmp_path, server, reserve_credits=7)
    before = len(server.log)
    report = site.resume(**BUSY, reserve_credits=7)
    assert report.stopped.why is Stop.CREDITS
    assert len(server.log) == before


def test_on_the_renewal_day_one_search_may_ask_again(tmp_path: Path) -> None:
    """A reading from before the cycle turned says nothing any more."""
    server = Server(credits=60)
    site, _ = spend(tmp_path, server, reserve_credits=7)
    server.account.change({"credits": 500})
    before = len(server.log)
    site.resume(at=5 * 86_400, **BUSY, reserve_credits=7, credits_renew_day=1)
    assert len(server.log) > before + 10


def test_a_run_never_passes_its_own_credit_limit(tmp_path: Path) -> None:
    """--max-credits bounds the run, each call reckoned at what it may cost."""
    server = Server(credits=1_000, latency=(0.05, 0.6))
    _, report = spend(tmp_path, server, max_credits=40)
    assert report.stopped.why is Stop.MAX_CREDITS
    assert 1_000 - server.account.credits.left <= 40


def test_somebody_else_spending_the_same_credits_is_noticed(tmp_path: Path) -> None:
    """A reading lower than our own calls explain lowers the ledger."""
    server = Server(credits=200, latency=(0.05, 0.1))
    draw = server.account.latency

    def spend_elsewhere() -> float:
        server.account.credits.set(max(0, (server.account.credits.left or 0) - 1))
        return draw()

    server.account.latency = spend_elsewhere  # type: ignore[method-assign]
    spend(tmp_path, server, reserve_credits=20, steps="search", concurrency=4)
    assert server.account.credits.left >= 20 - 4


def test_without_searches_the_credits_are_unknown_and_the_summary_says_so(tmp_path: Path) -> None:
    """Verify and phones tell no credits: the run is bounded by quota and --max-credits alone."""
    rows = [{"Email": f"person{n}@northwind.example"} for n in range(20)]
    site = Site(tmp_path, Server())
    report = site.night(write_leads(tmp_path / "leads.csv", rows), steps="verify", **BUSY)
    assert report.requests[Endpoint.VERIFY] == 20
    assert not report.credits_watched


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
def test_a_run_of_few_workers_learns_the_price_too(tmp_path: Path, workers: int) -> None:
    """Verify and phones lie between its searches: the count still ends where the account does, no reserve is near."""
    server = Server(credits=150, latency=(0.01, 0.1))
    site = Site(tmp_path, server)
    leads = write_leads(
        tmp_path / "leads.csv", [row for row in people(40, 1) if row["First Name"] not in ("", "Nobody")]
    )
    report = site.night(leads, plan="starter", concurrency=workers, wait_up_to=0, max_credits=140)
    assert report.stopped.why is Stop.DONE
    assert site.server.account.credits.left == report.usage.credits
    assert report.usage.credits is not None
    assert report.usage.credits > 30
