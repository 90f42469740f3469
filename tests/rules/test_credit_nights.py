"""Promise 2 by simulation: never into the reserve, with any price, any number of workers, any order of answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.credit import Ceilings, Prices, affordable, after_reading
from pipeline.model import Endpoint, Question, Questions
from pipeline.protocol import search_question, verify_question

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 10
SEARCH = search_question("Acme Corp", Questions(limit=LIMIT), filtered=False)
VERIFY = verify_question("jane@acme.com")


@dataclass(frozen=True)
class Tariff:
    """What a server charges for a search: so much, so much a contact, at most so much; perhaps not for nobody."""

    fixed: int
    each: int
    most: int
    empty_is_free: bool

    def of(self, contacts: int) -> int:
        if not contacts and self.empty_is_free:
            return 0
        return min(self.most, self.fixed + self.each * contacts)


@dataclass
class Call:
    """A call on its way; `reading` and `contacts` once the server has served it."""

    question: Question
    ceiling: int
    lone: bool
    number: int
    served: bool = False
    reading: int | None = None
    contacts: int = 0


@dataclass
class Night:
    """The budget's and the ledger's arithmetic around Prices, and a server with its own idea of a price."""

    tariff: Tariff
    credits: int
    reserve: int
    workers: int
    random: Random
    contacts: Callable[[Random], int]
    prices: Prices = field(default_factory=lambda: Prices(Ceilings()))
    ledger: int | None = None
    searches: float = 0.8
    under_way: list[Call] = field(default_factory=list)
    sent: int = 0
    last_lone: tuple[int, int] | None = None
    verifies: int = 0
    blind_end: int = 0

    def run(self, most: int) -> None:
        """Send while anything may go, in any order with what comes back, then drain."""
        pace = self.random.choice([(0, 0, 0, 0, 1), (0, 1, 2), (3,)])
        while self.sent < most and (self._send() or self.under_way):
            full = len(self.under_way) >= self.workers
            for _ in range(self.random.choice(pace) + full):
                self._advance()
        while self.under_way:
            self._advance()

    def held(self) -> int:
        return sum(call.ceiling for call in self.under_way)

    def _send(self) -> bool:
        question = SEARCH if self.random.random() < self.searches or self.ledger is None else VERIFY
        lone = question.endpoint is Endpoint.SEARCH and self.prices.learning()
        company = bool(self.under_way)
        if len(self.under_way) >= self.workers or (company and (lone or self.under_way[0].lone)):
            return False
        ceiling = self.prices.reserve(question)
        if not affordable(self.ledger, self.held(), ceiling, self.reserve):
            return False
        self.sent += 1
        self.under_way.append(Call(question, ceiling, lone, self.sent))
        return True

    def _advance(self) -> None:
        """Let the server serve a call, or the answer of a served one arrive."""
        if not self.under_way:
            return
        call = self.random.choice(self.under_way)
        if call.served:
            self._settle(call)
        else:
            self._serve(call)

    def _serve(self, call: Call) -> None:
        call.served = True
        if call.question is VERIFY:
            self.credits -= self.random.randrange(2)
            return
        call.contacts = self.contacts(self.random)
        self.credits -= self.tariff.of(call.contacts)
        call.reading = self.credits
        if call.number == 1:
            self.blind_end = self.credits

    def _settle(self, call: Call) -> None:
        search = call.question is SEARCH
        cost = self.prices.settle(call.question, call.contacts if search else None)
        self.under_way.remove(call)
        counted = None if self.ledger is None else self.ledger - cost
        self.ledger = counted if call.reading is None else after_reading(counted, call.reading, self.held())
        surprise = counted is not None and self.ledger is not None and self.ledger < counted
        alone = call.lone and not self.under_way and call.number == self.sent
        self.verifies += not search
        if not alone:
            self.last_lone = None if search else self.last_lone
            if surprise:
                self.prices.forget()
            return
        assert call.reading is not None
        gone = self.last_lone[1] - call.reading if self.last_lone else None
        self.ledger = call.reading
        if self.prices.learning():
            self.prices.observe(gone, call.contacts, self.verifies)
        self.last_lone, self.verifies = (call.number, call.reading), 0


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Any fixed price, price a contact, both or capped, whose dearest search is within the ceiling."""
    each = draw(st.integers(0, 1))
    fixed = draw(st.integers(0, LIMIT - each * LIMIT)) if each == 0 else 0
    return Tariff(fixed, each, draw(st.integers(1, LIMIT)), draw(st.booleans()))


def anybody(random: Random) -> int:
    return random.randrange(LIMIT + 1)


def always(number: int) -> Callable[[Random], int]:
    return lambda _: number


CONTACTS = st.just(anybody) | st.integers(0, LIMIT).map(always) | st.just(lambda random: random.choice((2, 10)))


@settings(max_examples=400, deadline=None)
@given(tariffs(), st.integers(0, 300), st.integers(0, 40), st.integers(1, 60), st.integers(0, 2**32), CONTACTS)
@example(Tariff(1, 0, 10, empty_is_free=False), 100, 10, 50, 1, always(1))
@example(Tariff(0, 1, 10, empty_is_free=False), 100, 10, 50, 1, always(10))
def test_the_reserve_is_never_touched(
    tariff: Tariff, credits_: int, reserve: int, workers: int, seed: int, contacts: Callable[[Random], int]
) -> None:
    """After the one blind search: at the end of the night the reserve is there, or as much as that one left."""
    night = Night(tariff, credits_, reserve, workers, Random(seed), contacts)
    night.run(500)
    assert night.credits >= min(reserve, night.blind_end)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 60), st.integers(0, 2**32), st.integers(0, 300))
@example(2, 0, 6, 21223, 38)
def test_a_price_of_both_parts_does_not_touch_the_reserve_either(
    fixed: int, each: int, workers: int, seed: int, credits_: int
) -> None:
    """Learned from searches that return equally many it looks like a fixed price; that must not be believed."""
    dearest = fixed + each * LIMIT
    few = 2 + seed % 3
    night = Night(
        Tariff(fixed, each, dearest, empty_is_free=False),
        credits_,
        20,
        workers,
        Random(seed),
        lambda random: few if night.prices.learning() else random.randrange(LIMIT + 1),
        Prices(Ceilings(search_per_contact=-(-dearest // LIMIT))),
    )
    night.run(500)
    assert night.credits >= min(20, night.blind_end)


@pytest.mark.parametrize("workers", [1, 2, 8, 50])
@pytest.mark.parametrize("seed", range(5))
def test_a_run_at_one_credit_a_search_ends_exactly_at_the_reserve(workers: int, seed: int) -> None:
    """Nothing is left unspent out of fear either, once the price is known."""
    night = Night(Tariff(1, 0, 1, empty_is_free=False), 150, 10, workers, Random(seed), lambda r: r.randint(2, LIMIT))
    night.searches = 1.0
    night.run(5000)
    assert (night.credits, night.sent) == (10, 140)
