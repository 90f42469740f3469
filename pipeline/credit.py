"""What does a call cost, and what is left? Prices learned from lone searches, and the rule for readings.

Only `search` is shown to tell `credits_remaining` (guide, "Endpoint 1"), so a ledger of our own counts between
readings. A reading may already contain the charges of calls still under way: it lowers the ledger only by
what those cannot explain, which is somebody else's spending.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.model import Endpoint, Question

AGREE = 2
"""Lone observations that must fit before a price is believed."""

LONE_SEARCHES = 5
"""The most searches a run sends alone to learn the price; then the ceiling stands for the rest of it."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The most one call can cost, in credits. A search: per contact it may return."""

    verify: int = 1
    phones: int = 1
    search_per_contact: int = 1

    def of(self, question: Question) -> int:
        """The most this question can cost."""
        if question.endpoint is Endpoint.SEARCH:
            return self.search_per_contact * question.limit
        return self.verify if question.endpoint is Endpoint.VERIFY else self.phones


class Seen(NamedTuple):
    """Credits gone between two lone readings: by a search that returned so many, and what was sent before it."""

    gone: int
    contacts: int
    verifies: int = 0
    phones: int = 0


@dataclass(slots=True)
class Prices:
    """What a search is known to cost in this run: a fixed price, a price a contact, both, or not known yet.

    Every lone search gives one observation. A price is known when AGREE observations that returned somebody fit
    it, and all prices that still fit are then reckoned with. What verify and phones cost between two readings is
    not told either, nor need each cost the same: anything up to their ceilings is thought possible.
    """

    ceilings: Ceilings = Ceilings()
    lone: int = 0
    _seen: list[Seen] = field(default_factory=list)
    _believed: list[tuple[int, int]] = field(default_factory=list)
    _booked: list[tuple[int, int]] = field(default_factory=list)

    def reserve(self, question: Question) -> int:
        """Credits to hold back before this question goes."""
        highest = self.ceilings.of(question)
        if question.endpoint is not Endpoint.SEARCH:
            return highest
        known = self._known(question.limit)
        return max([highest, *(seen.gone for seen in self._seen)]) if known is None else known

    def settle(self, question: Question, contacts: int | None) -> int:
        """Credits to count as gone once it was answered; without a usable answer, all that was held back."""
        if question.endpoint is not Endpoint.SEARCH or contacts is None:
            return self.reserve(question)
        known = self._known(contacts)
        if known is None:
            self._booked.append((self.reserve(question), contacts))
        return self.reserve(question) if known is None else known

    def correction(self) -> int:
        """Credits that were counted as gone too many, before the price was known; told once."""
        if not self._believed:
            return 0
        booked, self._booked = self._booked, []
        return sum(cost - (self._known(contacts) or 0) for cost, contacts in booked)

    def learning(self) -> bool:
        """Whether the next search should go alone: no price is known, or several that others could tell apart."""
        return self.lone < LONE_SEARCHES and len(self._believed) != 1

    def observe(self, gone: int | None, contacts: int, verifies: int = 0, phones: int = 0) -> None:
        """Note a lone search and what went before it; `gone` is None for the first, which only sets the gauge."""
        self.lone += 1
        if gone is not None and gone >= 0:
            self._seen.append(Seen(gone, contacts, verifies, phones))
            self._believed = self._hypotheses()

    def forget(self) -> None:
        """A reading that no known price explains: believe the ceilings again."""
        self._seen.clear()
        self._believed.clear()

    def _known(self, contacts: int) -> int | None:
        """The price of a search returning `contacts`, by the dearest reading that fits."""
        if len(self._believed) == 1:
            fixed, each = self._believed[0]
            return fixed + each * contacts
        return max([fixed + each * contacts for fixed, each in self._believed], default=None)

    def _hypotheses(self) -> list[tuple[int, int]]:
        """Prices of a search (fixed, per contact) that explain every observation, whatever the others cost."""
        verify, phones = self.ceilings.verify, self.ceilings.phones
        spans = [
            (seen.gone - verify * seen.verifies - phones * seen.phones, seen.gone, seen.contacts)
            for seen in self._seen
        ]
        return _explaining(spans, self.ceilings.search_per_contact)


def _explaining(spans: list[tuple[int, int, int]], dearest: int) -> list[tuple[int, int]]:
    """Prices (fixed, per contact) that explain what searches cost: (at least, at most, contacts)."""
    telling = [(most, contacts) for _, most, contacts in spans if contacts]
    if len(telling) < AGREE:
        return []
    gone, contacts = telling[0]
    slopes = {*range(dearest + 1), *([gone // contacts] if gone % contacts == 0 else [])}
    slopes |= {(cost - gone) // (many - contacts) for cost, many in telling if many != contacts}
    return [(fixed, each) for each in sorted(slopes) if each >= 0 for fixed in _fixed(each, spans)]


def _fixed(each: int, spans: list[tuple[int, int, int]]) -> range:
    """Fixed parts that fit a price a contact; a search that returned nobody may have been cheaper."""
    least = max(low - each * contacts for low, _, contacts in spans)
    most = min(high - each * contacts for _, high, contacts in spans if contacts)
    return range(max(0, least), most + 1)


def after_reading(ledger: int | None, reading: int, under_way: int) -> int:
    """The ledger after a reading in company: lowered by what calls under way (their ceilings) cannot explain."""
    return reading if ledger is None else min(ledger, reading + under_way)


def affordable(ledger: int | None, under_way: int, ceiling: int, reserve: int) -> bool:
    """Whether a call may go so that, whatever it and those under way cost, the reserve is still there."""
    return ledger is None or ledger - under_way - ceiling >= reserve
