"""In which order requests are spent: each where it is expected to complete the most leads.

A lead that was looked at needs so many requests more, and is worth one finished lead over them. A company that was
not searched yet is worth what its search is expected to finish: the waiting leads that need nothing after it, or,
where that pays better, those too that need little. The chances are learned from the account's own searches.

The user's priority outranks worth; leads that wait too long get a share of the requests whatever they are worth.
"""

from __future__ import annotations

import math
from heapq import merge
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

LOOK: Final = 0
"""`need` of a lead whose company's search was answered: it may be free, nobody has looked yet."""

WAITS_FOR_SEARCH: Final = -1
"""`need` of a lead whose company is still to be searched."""

MOST_NEEDED: Final = 3
"""Requests after the search that chances tell apart; more count as so many."""

AGED: Final = 14 * 86_400.0
"""Seconds after which a waiting lead is aged."""

AGED_SHARE: Final = 16
"""One in so many places is the oldest aged lead's."""

ENOUGH: Final = 50
"""Leads a job must have looked at before its own chances are trusted over the account's."""


class Standing(Protocol):
    """What the order knows of a lead; for one that carries its company's search, what it knows of the company."""

    @property
    def id(self) -> int: ...  # noqa: D102 - of the lead; older ones are smaller
    @property
    def priority(self) -> float: ...  # noqa: D102 - the user's; highest first
    @property
    def need(self) -> int: ...  # noqa: D102 - requests to finish it, LOOK or WAITS_FOR_SEARCH
    @property
    def waiting(self) -> int: ...  # noqa: D102 - leads that wait at its company


T = TypeVar("T", bound=Standing)


class Place(NamedTuple):
    """A place in the order of work; smaller comes first."""

    priority: float
    worth: float


LAST: Final = Place(math.inf, math.inf)


class Chances:
    """How many requests a lead needs after its company's search, as shares of those seen so far.

    `seen` counts leads by need. Each of 0, 1 and 2 counts as seen once, for an account without history.
    """

    def __init__(self, seen: Mapping[int, int]) -> None:
        counts = [seen.get(need, 0) + (need < MOST_NEEDED) for need in range(MOST_NEEDED + 1)]
        self.shares = tuple(count / sum(counts) for count in counts)

    def of_search(self, waiting: int) -> float:
        """Leads finished per request by searching a company where so many wait, going on as far as it pays."""
        finished, requests, best = 0.0, 1.0, 0.0
        for need, share in enumerate(self.shares):
            finished += waiting * share
            requests += waiting * share * need
            best = max(best, finished / requests)
        return best


def worth(lead: Standing, chances: Chances) -> float:
    """Leads finished per request spent on this one."""
    if lead.need == LOOK:
        return math.inf
    return chances.of_search(lead.waiting) if lead.need == WAITS_FOR_SEARCH else 1 / lead.need


def place(lead: Standing, chances: Chances) -> Place:
    """Where a lead stands."""
    return Place(-lead.priority, -worth(lead, chances))


def goes_on(lead: Standing, left: int, latest: Place) -> bool:
    """Whether a lead in hand that turns out to need `left` requests is still due, `latest` being the last due."""
    return left == lead.need or Place(-lead.priority, -1 / left) <= latest


def aged_places(handed: int, places: int) -> int:
    """How many of the next places are aged leads', `handed` having gone before them."""
    return (handed % AGED_SHARE + places) // AGED_SHARE


def work_order(
    leads: Iterable[T], searches: Iterable[T], aged: Iterable[T], chances: Chances, handed: int = 0
) -> Iterator[T]:
    """Merge leads that were looked at, companies to search and aged leads, each best first, into one order.

    `handed` leads have gone before: the aged ones' share is kept over all, however few are merged at a time.
    """
    ranked = merge(leads, searches, key=lambda lead: (*place(lead, chances), lead.id))
    old, turn = iter(aged), handed
    for lead in ranked:
        if turn % AGED_SHARE == AGED_SHARE - 1 and (oldest := next(old, None)) is not None:
            yield oldest
            turn += 1
        yield lead
        turn += 1
    yield from old
