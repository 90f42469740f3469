"""What a list will need, before anything is spent: requests, credits, days, and leads complete by day.

Three cases run side by side. At least: every search finishes all who waited for it. At most: every question that may
follow is asked. Expected: leads need what those of this account needed so far; without such a history it is unknown.
Failed requests come on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.order import ENOUGH, Chances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.credit import Ceilings


class Span(NamedTuple):
    """A number before it is known; `expected` is None where nothing was learned yet."""

    least: int
    expected: int | None
    most: int


@dataclass(frozen=True)
class Backlog:
    """Leads that something is still to be asked about; counts are fractions where they are estimated."""

    searches: Mapping[int, float]
    """Companies still to be searched, by how many leads wait there."""

    known: Mapping[int, float]
    """Leads that wait for no search, by the requests they need as far as is known."""

    certain: float = 0.0
    """Requests besides those searches that are needed whatever the answers are."""

    follow: float = 0.0
    """The most requests that may follow those searches."""

    most_known: float = 0.0
    """The most requests that leads waiting for no search may need."""

    shared: float = 0.0
    """Requests counted in `known` more than once, because several leads need the same."""

    @property
    def companies(self) -> float:
        """Searches to be asked."""
        return sum(self.searches.values())

    @property
    def waiting(self) -> float:
        """Leads that wait for a search."""
        return sum(size * n for size, n in self.searches.items())

    @property
    def leads(self) -> float:
        """All of them."""
        return self.waiting + sum(self.known.values())


@dataclass(frozen=True)
class Total:
    """A list, counted. `looked_at` rows stand for all of them; the requests of `repeated` and `shared` are saved."""

    rows: int
    looked_at: int
    duplicates: int
    nothing_to_ask: int
    finished: int
    answered_leads: int
    error: float
    """How far estimates may be off, as a share: two standard errors of a count of what was looked at."""

    backlog: Backlog
    repeated: float
    shared: float
    answered: float
    verifies: float
    """Leads that wait for a search and of which, without it, the e-mail would be asked about; `phones` likewise."""

    phones: float

    @property
    def leads(self) -> int:
        """Leads something is to be asked about."""
        others = self.duplicates + self.nothing_to_ask + self.finished + self.answered_leads
        return self.rows - others


def sum_of(one: Total, other: Total) -> Total:
    """Two parts of a list together."""
    apart = ("error", "backlog")
    added = {name: getattr(one, name) + getattr(other, name) for name in vars(one) if name not in apart}
    error = (one.error * one.rows + other.error * other.rows) / max(1, one.rows + other.rows)
    return Total(**added, error=error, backlog=_both(one.backlog, other.backlog))


def _both(one: Backlog, other: Backlog) -> Backlog:
    numbers = {
        name: getattr(one, name) + getattr(other, name) for name in ("certain", "follow", "most_known", "shared")
    }
    return Backlog(_merged(one.searches, other.searches), _merged(one.known, other.known), **numbers)


def _merged(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in one.keys() | other.keys()}


class Sure(NamedTuple):
    """Rows that got their line, and those of them whose e-mail and phone a search was sure of."""

    finished: int = 0
    emails: int = 0
    phones: int = 0

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of both."""
        return self.emails / max(1, self.finished), self.phones / max(1, self.finished)


class History(NamedTuple):
    """What an account has learned: leads by what they needed after their search, and what searches were sure of."""

    seen: Mapping[int, int]
    sure: Sure = Sure()

    @property
    def tells(self) -> bool:
        """Whether enough leads were looked at to expect anything of others."""
        return sum(self.seen.values()) >= ENOUGH

    @property
    def shares(self) -> dict[int, float]:
        """Share of the leads by need."""
        total = sum(self.seen.values())
        return {need: n / total for need, n in self.seen.items() if n}


# --- requests -----------------------------------------------------------------------------------------


def requests(backlog: Backlog, history: History) -> Span:
    """Requests that the backlog needs."""
    least = backlog.companies + backlog.certain
    most = max(least, backlog.companies + backlog.follow + backlog.most_known)
    low, high = math.floor(least), math.ceil(most)
    if not history.tells and backlog.waiting and low < high:
        return Span(low, None, high)
    known = sum(need * n for need, n in backlog.known.items()) - backlog.shared
    expected = backlog.companies + after_search(backlog, history) + known
    return Span(low, round(min(max(least, expected), most)), high)


def after_search(backlog: Backlog, history: History) -> float:
    """Requests expected to follow the searches."""
    if not backlog.waiting:
        return 0.0
    return min(backlog.waiting * sum(need * share for need, share in history.shares.items()), backlog.follow)


# --- credits ------------------------------------------------------------------------------------------


class Prices(NamedTuple):
    """What calls are reckoned at. `learned`: a search's price was seen in this account, the others never are."""

    search: float
    verify: int
    phones: int
    learned: bool = False


def prices(ceilings: Ceilings, limit: int, costs: Sequence[int]) -> Prices:
    """Reckon with ceilings, unless the latest searches were counted at less: then their price is known by now."""
    ceiling = ceilings.search_per_contact * limit
    known = [cost for cost in costs if cost < ceiling]
    if not known:
        return Prices(ceiling, ceilings.verify, ceilings.phones)
    # The same below the ceiling each time: a fixed price, and those at the ceiling were sent before it was known.
    search = known[0] if len(set(known)) == 1 else sum(costs) / len(costs)
    return Prices(search, ceilings.verify, ceilings.phones, learned=True)


def credits_needed(backlog: Backlog, asked: Span, reckoned: Prices) -> Span:
    """Credits for so many requests at these prices, rounded up; what follows a search at the dearer of its two."""
    searches, dearer = backlog.companies, max(reckoned.verify, reckoned.phones)

    def cost(n: int) -> int:
        return math.ceil(searches * reckoned.search + max(0.0, n - searches) * dearer)

    return Span(cost(asked.least), None if asked.expected is None else cost(asked.expected), cost(asked.most))


# --- days ---------------------------------------------------------------------------------------------


def days(needed: int, *, left: int, daily: int) -> int:
    """Days after today until the last request may go; 0 if this window has room for all."""
    return -(-max(0, needed - left) // max(1, daily))


def each(span: Span, count: Callable[[int], int]) -> Span:
    """The same reckoned for all three cases."""
    return Span(count(span.least), None if span.expected is None else count(span.expected), count(span.most))


POINTS: Final = 30
"""The most days a curve names; longer ones name every so-manieth."""


class Point(NamedTuple):
    """Leads complete at the end of a day; day 0 is today. With bad luck, as expected, and with good luck."""

    day: int
    at_least: int
    expected: int | None
    at_most: int


def curve(backlog: Backlog, history: History, *, left: int, daily: int) -> list[Point]:
    """Leads complete by day, in the order of work, up to the day by which all are."""
    every = sum(backlog.known.values())
    worst = _mean(backlog.follow, backlog.waiting)
    unlucky = _stretches(backlog, [(worst, 1.0)], [(_mean(backlog.most_known, every), every)], _sure(worst))
    lucky = _stretches(backlog, [(0, 1.0)], [(1, every)], _sure(0))
    usual = None
    if history.tells or not backlog.waiting:
        usual = _stretches(
            backlog, [*history.shares.items()], [*backlog.known.items()], Chances(history.seen).of_search
        )
    last = days(requests(backlog, history).most, left=left, daily=daily)
    points = []
    for day in _days_shown(last):
        spent = left + day * daily
        high = _complete(lucky, spent)
        low = min(_complete(unlucky, spent), high)
        middle = None if usual is None else round(min(max(low, _complete(usual, spent)), high))
        points.append(Point(day, math.floor(low + 1e-6), middle, round(high)))
    return points


def _days_shown(last: int) -> list[int]:
    if last < POINTS:
        return list(range(last + 1))
    return sorted({round(last * n / (POINTS - 1)) for n in range(POINTS)})


def _mean(total: float, among: float) -> float:
    return total / among if among else 0.0


def _sure(need: float) -> Callable[[int], float]:
    """Leads finished per request by searching, if each needs so many requests more."""
    return lambda waiting: waiting / (1 + waiting * need)


class _Stretch(NamedTuple):
    """Work of one worth: so many requests complete so many leads, evenly."""

    worth: float
    requests: float
    leads: float


def _stretches(
    backlog: Backlog,
    shares: Sequence[tuple[float, float]],
    known: Sequence[tuple[float, float]],
    worth: Callable[[int], float],
) -> list[_Stretch]:
    """All work in the order of work: a search together with what is worth as much as it, then what it left."""
    found = [_leads(need, n) for need, n in known]
    for size, n in backlog.searches.items():
        rate, spent, complete = worth(size), n, 0.0
        for need, share in shares:
            leads = n * size * share
            if need == 0 or 1 / need >= rate or len(shares) == 1:
                spent, complete = spent + leads * need, complete + leads
            else:
                found.append(_leads(need, leads))
        found.append(_Stretch(rate, spent, complete))
    return sorted(found, key=lambda stretch: -stretch.worth)


def _leads(need: float, n: float) -> _Stretch:
    return _Stretch(1 / need if need else math.inf, n * need, n)


def _complete(stretches: list[_Stretch], spent: float) -> float:
    complete = 0.0
    for stretch in stretches:
        if stretch.requests > spent:
            return complete + stretch.leads * spent / stretch.requests
        complete, spent = complete + stretch.leads, spent - stretch.requests
    return complete
