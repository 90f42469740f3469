"""Promise 2 with money of every kind: prices, top-ups, cycles, other clients, and vendors' ways of saying no."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from soak import size
from support import START, Server, Site, virtual_now, write_leads

from pipeline import doctor
from pipeline.cli.running import EXITS
from pipeline.model import Endpoint, Stop
from pipeline.protocol import RawReply
from pipeline.sandbox import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.model import Permit

HOUR, DAY = 3_600.0, 86_400.0
RESERVE = 30
MANY = size(240, 600)
BUSY: dict[str, Any] = {
    "plan": "enterprise",
    "daily_quota": 100_000,
    "concurrency": 200,
    "wait_up_to": 0,
    "steps": "search",
    "reserve_credits": RESERVE,
}
RENEWED: dict[str, Any] = {**BUSY, "credits_renew_day": 1, "at": 5 * DAY}


class Tariff(SandboxOptions):
    """A search costs so much, and so much for each contact."""

    fixed: int = 0
    each: int = 0

    def price(self, endpoint: Endpoint, items: int | None) -> int:
        return self.fixed + self.each * (items or 0) if endpoint is Endpoint.SEARCH else 1


def companies(folder: Path, number: int) -> Path:
    rows = [{"Company Name": f"Northwind {n} Robotics"} for n in range(number)]
    return write_leads(folder / "leads.csv", rows)


def charging(fixed: int, each: int, **options: Any) -> Server:
    server = Server()
    server.account.options = Tariff(fixed=fixed, each=each, **options)
    server.account.change({"credits": options["credits"]})
    return server


def left(server: Server) -> int:
    return server.account.credits.left


def statuses(server: Server) -> list[int | None]:
    return [entry.status for entry in server.log]


# --- prices -------------------------------------------------------------------------------------------

PRICES = {
    "free": (0, 0, 1),
    "one": (1, 0, 1),
    "five": (5, 0, 1),
    "as-dear-as-ten-contacts": (10, 0, 1),
    "per-contact": (0, 1, 1),
    "five-per-contact": (0, 5, 5),
    "fixed-and-per-contact": (2, 1, 2),
}
"""Fixed price, price per contact, and the setting search_credits_per_contact that covers them."""


@pytest.mark.parametrize("seed", range(size(1, 8)))
@pytest.mark.parametrize(("fixed", "each", "ceiling"), PRICES.values(), ids=PRICES)
def test_two_hundred_workers_keep_the_reserve_at_any_price_and_finish_after_the_top_up(
    tmp_path: Path, fixed: int, each: int, ceiling: int, seed: int
) -> None:
    """Readings come back in any order; what halts at the reserve goes on when the cycle has turned."""
    dearest = fixed + 10 * each
    server = charging(fixed, each, credits=MANY * max(1, dearest) // 2, latency=(0.01, 3.0), seed=seed)
    site, leads = Site(tmp_path, server), companies(tmp_path, MANY)
    report = site.night(leads, **BUSY, search_credits_per_contact=ceiling)
    readings = [entry.credits for entry in sorted(server.log, key=lambda entry: entry.answered_at)]
    assert 402 not in statuses(server)
    if dearest:
        assert readings != sorted(readings, reverse=True)
        assert RESERVE <= left(server) < RESERVE + 10 * ceiling
        assert EXITS[report.stopped.why] == 75
        assert "doctor --probe" in report.stopped.sentence
        assert report.pending == MANY - len(site.lines())
        server.account.change({"credits": 100_000})
        report = site.resume(**RENEWED, search_credits_per_contact=ceiling)
    assert report.stopped.why is Stop.DONE
    assert len(site.lines()) == MANY
    assert not server.asked_twice()


def test_searches_go_on_alone_while_several_prices_explain_what_was_seen(tmp_path: Path) -> None:
    """Ten credits for three contacts each time: a fixed price, or three a contact? Five at most go to learn that."""
    server = charging(10, 0, credits=10_000, latency=0.1)
    Site(tmp_path, server).night(companies(tmp_path, 40), **BUSY, limit=3, search_credits_per_contact=4)
    starts = [round(entry.at - server.log[0].at, 1) for entry in server.log]
    assert starts == [0.0, 0.1, 0.2, 0.3, 0.4, *([0.5] * 35)]


# --- top-ups, cycles, other clients -------------------------------------------------------------------


@dataclass
class Meanwhile:
    """Does something to the server's account when so many requests have come."""

    server: Server
    after: int
    change: Callable[[], None]

    def __post_init__(self) -> None:
        self._draw = self.server.account.latency
        self.server.account.latency = self  # type: ignore[method-assign]

    def __call__(self) -> float:
        if len(self.server.log) == self.after:
            self.change()
        return self._draw()


def probe(site: Site) -> None:
    """Run `doctor --probe`'s one request."""
    site._run(doctor._probe, None, BUSY)


@pytest.mark.parametrize(
    ("price", "credits_then", "short"),
    [("one", 2_000, 0), ("per-contact", 2_000, 0), ("one", 150, 0), ("per-contact", 150, 10 * 10)],
    ids=["top-up", "top-up-per-contact", "cycle-turns-to-less", "cycle-turns-to-less-per-contact"],
)
def test_credits_that_change_during_a_run_never_cost_the_reserve(
    tmp_path: Path, price: str, credits_then: int, short: int
) -> None:
    """Within a run readings only lower the count; after a fall the calls that were out then may be missing."""
    fixed, each, _ = PRICES[price]
    server = charging(fixed, each, credits=400, latency=(0.05, 0.6))
    Meanwhile(server, 40, lambda: server.account.credits.set(credits_then))
    site, leads = Site(tmp_path, server), companies(tmp_path, 380)
    few = BUSY | {"concurrency": 10}
    first = site.night(leads, **few)
    assert first.stopped.why is Stop.CREDITS
    assert left(server) >= RESERVE - short
    assert first.pending
    server.account.change({"credits": 100_000})
    probe(site)
    last = site.resume(**few)
    assert (last.stopped.why, len(site.lines())) == (Stop.DONE, 380)
    assert 402 not in statuses(server)


@pytest.mark.parametrize("credits_then", [2_000, RESERVE + 20, RESERVE + 5, RESERVE])
def test_credits_that_change_between_runs_are_read_by_the_first_lone_search(
    tmp_path: Path, credits_then: int
) -> None:
    """Up or down: the gauge is set before anything goes beside it; that one call is the blind one."""
    server = charging(1, 0, credits=400, latency=(0.05, 0.6))
    site, leads = Site(tmp_path, server), companies(tmp_path, 300)
    site.night(leads, **BUSY, max_requests=50)
    server.account.change({"credits": credits_then})
    report = site.resume(**BUSY)
    assert left(server) >= min(RESERVE, credits_then - 1)
    assert (report.stopped.why is Stop.DONE) == (credits_then > RESERVE + 250)


@pytest.mark.parametrize("seed", range(3))
def test_another_client_of_the_same_credits_and_quota_is_noticed_in_time(tmp_path: Path, seed: int) -> None:
    """It spends as fast as we do: the reserve is short by at most what it took while our last calls were out."""
    server = charging(1, 0, credits=500, latency=(0.05, 0.6), seed=seed, daily_quota=260)
    account, draw, workers = server.account, server.account.latency, 20

    def spend_elsewhere() -> float:
        if account.quota.take(account.options, virtual_now()):
            account.credits.charge(1)
        return draw()

    account.latency = spend_elsewhere  # type: ignore[method-assign]
    site, leads = Site(tmp_path, server), companies(tmp_path, 400)
    busy = BUSY | {"concurrency": workers}
    first = site.night(leads, **busy)
    assert (first.stopped.why, EXITS[first.stopped.why]) == (Stop.QUOTA, 0)
    assert "the server said" in first.stopped.sentence
    assert statuses(server).count(429) <= 2 * workers
    second = site.resume(at=site.now + DAY + 60, **busy)
    assert second.stopped.why is Stop.CREDITS
    assert left(server) >= RESERVE - 2 * workers
    account.latency = draw  # type: ignore[method-assign]
    account.change({"credits": 100_000, "daily_quota": None})
    assert site.resume(**RENEWED).pending == 0
    assert not server.asked_twice()


# --- how vendors say no -------------------------------------------------------------------------------

BODIES = {
    "object": b'{"success":false,"error":"No more today."}',
    "nested": b'{"error":{"code":"limit_reached","type":"billing_error","message":"Limit reached."}}',
    "list": b'{"errors":[{"id":"too_many_requests","code":429,"details":"You have reached the limit."}]}',
    "success-true": b'{"success":true,"data":{"contacts":[],"total":0,"credits_remaining":100000}}',
    "array": b'["limit"]',
    "text": b"Rate limit exceeded",
    "html": b"<!DOCTYPE html><html><title>Too Many Requests</title><body>nginx</body></html>",
    "empty": b"",
}
TOLD = {"none": None, "seconds": "7200", "date": formatdate(START + 7_210, usegmt=True), "nonsense": "soon"}


class Refusing(Server):
    """Answers so many requests, then says no in a vendor's way for as long as it is told to."""

    def __init__(self, answers: int, no: RawReply) -> None:
        super().__init__(latency=(0.05, 0.4))
        self._answers = answers
        self.no: RawReply | None = no
        self.refused: list[bytes] = []

    async def send(self, permit: Permit) -> RawReply:
        if self.no is not None and len(self.log) >= self._answers:
            self.refused.append(permit.question.key)
            return self.no
        return await super().send(permit)


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(("status", "why", "code"), [(402, Stop.CREDITS, 75), (429, Stop.QUOTA, 0)])
def test_a_no_in_any_style_ends_the_run_with_its_meaning_and_a_later_run_finishes(
    tmp_path: Path, status: int, why: Stop, code: int, body: str, told: str
) -> None:
    """The status and Retry-After decide, whatever the body says; nothing is concluded about the rows."""
    server = Refusing(8, RawReply(status, BODIES[body], retry_after=TOLD[told]))
    site, leads = Site(tmp_path, server), companies(tmp_path, 30)
    few = BUSY | {"concurrency": 4}
    first = site.night(leads, **few)
    named = told in ("seconds", "date")
    assert (first.stopped.why, EXITS[first.stopped.why]) == (why, code)
    assert ("credits" if why is Stop.CREDITS else "requests are used up") in first.stopped.sentence
    assert 1 <= len(server.refused) <= 4
    assert first.pending == 30 - len(site.lines())
    assert (first.stopped.next_at is not None) == named
    before = len(server.refused)
    again = site.resume(at=site.now + HOUR, **few)
    assert (again.stopped.why, again.pending) == (why, first.pending)
    assert len(server.refused) - before == (0 if named else 1)
    server.no = None
    last = site.resume(at=3 * HOUR, **few)
    assert (last.stopped.why, last.pending, len(site.lines())) == (Stop.DONE, 0, 30)
    assert not server.asked_twice()


@pytest.mark.parametrize("told", ["0", "2", "60", formatdate(START + 30, usegmt=True)])
@pytest.mark.parametrize("body", BODIES)
def test_a_server_that_only_says_slow_down_is_asked_a_few_times(tmp_path: Path, body: str, told: str) -> None:
    """Three pauses, then the run ends: an hour of 429s would use up the night's requests."""
    server = Refusing(8, RawReply(429, BODIES[body], retry_after=told))
    site, leads = Site(tmp_path, server), companies(tmp_path, 30)
    few = BUSY | {"concurrency": 4, "wait_up_to": HOUR}
    first = site.night(leads, **few)
    assert EXITS[first.stopped.why] == 0
    assert "slow down" in first.stopped.sentence
    assert len(server.refused) <= 4 * 4
    assert site.now < 300
    server.no = None
    last = site.resume(**few)
    assert (last.stopped.why, len(site.lines())) == (Stop.DONE, 30)
    assert not server.asked_twice()
