"""Where a request completes the most leads: the order of work as a rule."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.order import (
    AGED_SHARE,
    LAST,
    LOOK,
    WAITS_FOR_SEARCH,
    Chances,
    Place,
    aged_places,
    goes_on,
    place,
    work_order,
    worth,
)

EVEN = Chances({})


class Waits(NamedTuple):
    """A lead as the order sees it."""

    id: int
    need: int = WAITS_FOR_SEARCH
    waiting: int = 1
    priority: float = 0.0


def test_without_history_a_lead_is_as_likely_to_need_none_one_or_two() -> None:
    """The chances of an account that has seen nothing; nobody is expected to need three until somebody did."""
    assert Chances({}).shares == pytest.approx((1 / 3, 1 / 3, 1 / 3, 0))
    assert Chances({1: 3, 3: 4}).shares == pytest.approx((0.1, 0.4, 0.1, 0.4))


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (1, 0.5),  # all in: 1 lead for 1 + 1 requests expected
        (2, 0.8),  # up to one more: 4/3 leads for 5/3 requests
        (9, 3.0),  # three are finished by the search alone; going on would cost more than a request each
        (300, 100.0),
    ],
)
def test_a_search_is_worth_what_it_is_expected_to_finish(waiting: int, expected: float) -> None:
    """Going on as far as that pays, by hand for even chances."""
    assert EVEN.of_search(waiting) == pytest.approx(expected)


@pytest.mark.parametrize(("need", "expected"), [(LOOK, math.inf), (1, 1.0), (2, 0.5), (3, 1 / 3)])
def test_a_lead_that_was_looked_at_is_worth_one_over_what_it_needs(need: int, expected: float) -> None:
    """And one that may be free is worth any look."""
    assert worth(Waits(1, need), EVEN) == expected


@given(st.dictionaries(st.integers(0, 3), st.integers(0, 500)), st.integers(1, 400))
def test_more_waiting_leads_never_make_a_search_worth_less(seen: dict[int, int], waiting: int) -> None:
    """So the store may hand companies over by their waiting leads, whatever the chances are."""
    chances = Chances(seen)
    assert chances.of_search(waiting) <= chances.of_search(waiting + 1)
    assert 0 < chances.of_search(waiting) <= waiting


def test_what_was_seen_moves_the_chances() -> None:
    """Where searches finish nobody, looking further at known leads is worth more than at even chances."""
    assert Chances({2: 1000}).of_search(3) < EVEN.of_search(3) < Chances({0: 1000}).of_search(3)


LEADS = st.lists(st.builds(Waits, st.integers(1, 99), st.integers(0, 4), st.just(1), st.integers(0, 2)), max_size=8)
SEARCHES = st.lists(
    st.builds(Waits, st.integers(100, 199), st.just(WAITS_FOR_SEARCH), st.integers(1, 50), st.integers(0, 2)),
    max_size=8,
)


@given(LEADS, SEARCHES)
def test_the_order_is_by_priority_then_worth(leads: list[Waits], searches: list[Waits]) -> None:
    """Merging two sorted streams gives the sorted whole, deterministic to the last tie."""

    def key(lead: Waits) -> tuple[float, float, int]:
        return -lead.priority, -worth(lead, EVEN), lead.id

    merged = list(work_order(sorted(leads, key=key), sorted(searches, key=key), [], EVEN))
    assert merged == sorted([*leads, *searches], key=key)


def test_an_aged_lead_gets_one_place_in_sixteen() -> None:
    """Nobody waits for ever, and the others hardly notice."""
    leads = [Waits(n, 1) for n in range(100, 140)]
    aged = [Waits(1, 4), Waits(2, 4)]
    order = list(work_order(leads, [], aged, EVEN))
    assert [order.index(old) for old in aged] == [AGED_SHARE - 1, 2 * AGED_SHARE - 1]
    assert sorted(order) == sorted([*leads, *aged])


@pytest.mark.parametrize("at_a_time", [1, 4, 8, 100])
def test_an_aged_lead_gets_its_places_however_few_are_handed_out_at_a_time(at_a_time: int) -> None:
    """A free plan hands out four leads at a time; its oldest lead comes as soon as anybody's."""
    handed: list[Waits] = []
    while len(handed) < 2 * AGED_SHARE:
        aged = [Waits(1, 4)] * aged_places(len(handed), at_a_time)
        leads = [Waits(100 + len(handed) + n, 1) for n in range(at_a_time)]
        handed += list(work_order(leads, [], aged, EVEN, len(handed)))[:at_a_time]
    assert [n for n, lead in enumerate(handed[: 2 * AGED_SHARE]) if lead.id == 1] == [15, 31]


@pytest.mark.parametrize(
    ("lead", "left", "latest", "expected"),
    [
        (Waits(1), 1, place(Waits(2, 1), EVEN), True),
        (Waits(1), 2, place(Waits(2, 1), EVEN), False),
        (Waits(1, 2), 2, place(Waits(2, 1), EVEN), True),  # it was handed out for just this
        (Waits(1, priority=5), 2, place(Waits(2, 1), EVEN), True),
        (Waits(1), 1, place(Waits(2, 1, priority=5), EVEN), False),
        (Waits(1), 9, LAST, True),  # nobody else waits
    ],
)
def test_a_lead_goes_on_while_nobody_waiting_is_worth_more(
    lead: Waits, left: int, latest: Place, *, expected: bool
) -> None:
    """A search that shows how much is missing puts its lead behind those that miss less."""
    assert goes_on(lead, left, latest) is expected
