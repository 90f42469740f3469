"""The forecast's arithmetic: bounds that hold for any backlog, and numbers that can be checked by hand."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.credit import Ceilings
from pipeline.forecast import (
    POINTS,
    Backlog,
    History,
    Point,
    Prices,
    Span,
    credits_needed,
    curve,
    days,
    prices,
    requests,
)
from pipeline.frequent import Frequent

NONE = History({})
HALVES = History({0: 50, 1: 50})
TWOS = History({2: 100})


# --- tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backlog", "history", "expected"),
    [
        (Backlog({}, {}), NONE, Span(0, 0, 0)),
        (Backlog({3: 10}, {}, follow=90), NONE, Span(10, None, 100)),
        (Backlog({3: 10}, {}, follow=90), HALVES, Span(10, 25, 100)),
        (Backlog({3: 10}, {}, follow=90), TWOS, Span(10, 70, 100)),
        (Backlog({3: 10}, {}, follow=30), TWOS, Span(10, 40, 40)),
        (Backlog({}, {2: 5}, certain=5, most_known=15), NONE, Span(5, 10, 15)),
        (Backlog({1: 4}, {1: 6}, certain=6, follow=8, most_known=6), HALVES, Span(10, 12, 18)),
        (Backlog({3: 10}, {}, certain=60, follow=90), HALVES, Span(70, 70, 100)),
    ],
)
def test_requests_least_expected_and_most(backlog: Backlog, history: History, expected: Span) -> None:
    """Searches, what is certain besides, what leads of this account needed, and all that may follow."""
    assert requests(backlog, history) == expected


def test_a_short_history_tells_nothing() -> None:
    """Of 49 leads nobody concludes; of 50 they do."""
    backlog = Backlog({1: 10}, {}, follow=30)
    assert requests(backlog, History({1: 49})).expected is None
    assert requests(backlog, History({1: 50})).expected == 20


@pytest.mark.parametrize(
    ("needed", "left", "daily", "expected"),
    [
        (0, 25, 25, 0),
        (25, 25, 25, 0),
        (26, 25, 25, 1),
        (50, 25, 25, 1),
        (51, 25, 25, 2),
        (1, 0, 25, 1),
        (10, 3, 2, 4),
    ],
)
def test_days_after_today(needed: int, left: int, daily: int, expected: int) -> None:
    """What this window has left goes today, the rest at so many a day."""
    assert days(needed, left=left, daily=daily) == expected


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([], Prices(20, 3, 4)),
        ([20, 20], Prices(20, 3, 4)),
        ([1, 1, 1], Prices(1, 3, 4, learned=True)),
        ([1, 1, 20, 20], Prices(1, 3, 4, learned=True)),
        ([2, 10, 6], Prices(6, 3, 4, learned=True)),
        ([0], Prices(0, 3, 4, learned=True)),
    ],
)
def test_a_search_is_reckoned_at_its_ceiling_until_one_was_counted_at_less(
    costs: list[int], expected: Prices
) -> None:
    """Two credits a contact, ten contacts: twenty, until the account's own searches say otherwise."""
    assert prices(Ceilings(verify=3, phones=4, search_per_contact=2), 10, costs) == expected


def test_credits_are_searches_and_what_follows_at_the_dearer_price() -> None:
    """An unknown number of requests stays unknown in credits."""
    backlog = Backlog({3: 10}, {}, follow=90)
    assert credits_needed(backlog, Span(10, 25, 100), Prices(10, 1, 2)) == Span(100, 130, 280)
    assert credits_needed(backlog, Span(10, None, 100), Prices(0.5, 1, 1, learned=True)) == Span(5, None, 95)


def test_the_curve_spends_first_where_most_is_finished() -> None:
    """A company of nine is searched before one of one; what a search leaves open comes after the next search."""
    backlog = Backlog({9: 1, 1: 1}, {}, follow=20)
    assert curve(backlog, TWOS, left=1, daily=1)[:3] == [Point(0, 0, 0, 9), Point(1, 0, 1, 10), Point(2, 1, 1, 10)]
    assert curve(backlog, NONE, left=40, daily=1) == [Point(0, 10, None, 10)]
    assert curve(Backlog({4: 2}, {}, follow=16), HALVES, left=2, daily=4)[:2] == [
        Point(0, 0, 4, 8),
        Point(1, 2, 8, 8),
    ]


# --- whatever is to be done ---------------------------------------------------------------------------

COUNTS = st.integers(0, 2000).map(float) | st.floats(0, 1e7)


@st.composite
def backlogs(draw: st.DrawFn) -> Backlog:
    """A backlog that can be: nobody may need less than is known, and what is certain may happen."""
    searches = draw(st.dictionaries(st.integers(1, 500), COUNTS, max_size=5))
    known = draw(st.dictionaries(st.integers(1, 4), COUNTS, max_size=3))
    most_known = sum(need * n for need, n in known.items()) + draw(COUNTS)
    follow = draw(COUNTS) if searches else 0.0
    certain = (follow + sum(known.values())) * draw(st.floats(0, 1))
    return Backlog(searches, known, certain, follow, most_known if any(known.values()) else 0.0)


HISTORIES = st.builds(History, seen=st.dictionaries(st.integers(0, 3), st.integers(0, 300)))


@given(backlogs(), HISTORIES)
def test_expected_lies_between_least_and_most(backlog: Backlog, history: History) -> None:
    """Whatever the account has seen and however the list is made."""
    span = requests(backlog, history)
    assert 0 <= span.least <= span.most
    assert span.expected is None or span.least <= span.expected <= span.most


@given(backlogs(), HISTORIES, st.integers(0, 5000), st.integers(1, 5000))
def test_the_curve_only_grows_and_keeps_its_bounds(backlog: Backlog, history: History, left: int, daily: int) -> None:
    """Day by day; in the end nobody is left, with good luck or bad."""
    points = curve(backlog, history, left=left, daily=daily)
    assert 1 <= len(points) <= POINTS
    assert all(one.day < other.day for one, other in pairwise(points))
    for one, other in pairwise(points):
        assert (one.at_least, one.at_most) <= (other.at_least, other.at_most)
    for point in points:
        assert 0 <= point.at_least <= point.at_most <= round(backlog.leads) + 1
        assert point.expected is None or point.at_least <= point.expected <= point.at_most
    assert points[-1].at_least == pytest.approx(backlog.leads, abs=1.5, rel=1e-6)


@given(st.lists(st.integers(0, 40), max_size=400), st.integers(1, 20))
def test_what_is_frequent_is_never_missed(values: list[int], room: int) -> None:
    """Whatever comes between: no count is too high, nor too low by more than one in so many."""
    frequent, exact = Frequent(room), Counter(values)
    for value in values:
        frequent.add(value)
    slack = len(values) / (room + 1)
    for least in range(0, len(values) + 1, 7):
        found = frequent.above(least)
        assert found <= {value for value, n in exact.items() if n > least}
        assert found >= {value for value, n in exact.items() if n > least + slack}
