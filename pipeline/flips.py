"""How often an old answer is no longer true: pairs of successive answers to one question, by endpoint and age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.model import Answer, PhonesReply, SearchReply, VerifyReply

if TYPE_CHECKING:
    from collections.abc import Hashable

DAY: Final = 86_400.0

AGES: Final = (0, 30, 90, 180)
"""Days from which on an answer belongs to the next bucket."""


class Flip(NamedTuple):
    """Of `n` answers at least `age` days old, so many were others when their questions were asked again."""

    endpoint: str
    age: int
    n: int
    changed: int

    @property
    def share(self) -> float:
        """Changed ones of all."""
        return self.changed / self.n

    @property
    def days(self) -> str:
        """The bucket in words."""
        later = [age for age in AGES if age > self.age]
        return f"{self.age}-{later[0]}" if later and self.age else f"<{later[0]}" if later else f">{self.age}"


def age_of(seconds: float) -> int:
    """The bucket of an age."""
    return max((days for days in AGES if seconds >= days * DAY), default=0)


def flipped(before: Answer, after: Answer) -> bool:
    """Whether two answers to one question tell different things."""
    return _substance(before) != _substance(after)


def _substance(answer: Answer) -> Hashable:
    """What a lead would get of an answer: people and addresses, not order, dates, or how sure somebody is."""
    match answer.reply:
        case SearchReply(contacts=contacts):
            return frozenset((one.first_name, one.last_name, one.title, one.email, one.phone) for one in contacts)
        case VerifyReply(valid=valid, deliverable=deliverable):
            return valid, deliverable
        case PhonesReply(phones=phones):
            return frozenset(phone.number for phone in phones)
    return frozenset()
