"""The invented companies and people behind the sandbox: the same for the same seed, for ever.

A company *is* its domain: "Acme", "ACME  Corp." and "acme.com" are one company, "acme.de" is another.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from pipeline.sandbox.names import (
    AREA_CODES,
    DECIDING_WORDS,
    FIRST_NAMES,
    FREE_MAIL,
    GUIDE_PEOPLE,
    JOBS,
    LAST_NAMES,
    LEGAL_FORMS,
    folded,
    slug,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

UNKNOWN_SHARE: Final = 0.12
"""Companies the sandbox has never heard of."""

PHONES_SHARE: Final = 0.55
"""People for whom `phones` knows a number."""

ACCEPTED: Final = "250 OK - Mail Accepted"

_CACHED_COMPANIES: Final = 1 << 16
_STRANGERS: Final = 2048
_STYLES: Final = 4
_DOMAIN: Final = re.compile(r"(?:https?://)?(?:www\.)?((?:[a-z0-9-]+\.)+[a-z]{2,})(?:[/?#].*)?")
_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:[a-z0-9-]+\.)+[a-z]{{2,}}")
_SEPARATORS: Final = re.compile(r"[\s,/&]+")

Chances = tuple[tuple[float, T], ...]
"""What can come out of a draw: cumulated share and value, the last share being 1."""

_CONFIDENCES: Final = ((0.55, (90, 99)), (0.85, (70, 89)), (1.0, (50, 69)))
_HEADCOUNTS: Final = ((0.94, (1, 14)), (1.0, (17, 40)))
_SHOWS_PHONE: Final = ((0.6, True), (1.0, False))
_KINDS: Final[Chances[tuple[str, ...]]] = (
    (0.20, ("direct_dial",)),
    (0.32, ("mobile",)),
    (0.39, ("office",)),
    (0.47, ("direct_dial", "mobile")),
    (PHONES_SHARE, ("mobile", "office")),
    (1.0, ()),
)
_COUNTRIES: Final = ((0.7, "US"), (0.88, "GB"), (1.0, "FR"))
_FICTION: Final = {
    ("US", False): "+1-{area}-555-01{two}",
    ("US", True): "+1-{area}-555-01{two}",
    ("GB", False): "+44-20-7946-00{two}",
    ("GB", True): "+44-7700-9000{two}",
    ("FR", False): "+33-1-99-00-{one}-{two}",
    ("FR", True): "+33-6-39-98-{one}-{two}",
}
"""Numbers kept for fiction by NANPA, Ofcom and Arcep: by country and whether mobile."""

_PERSON_CHANCES: Final[tuple[tuple[float, Chances[str]], ...]] = (
    (0.9, ((0.93, "as known"), (0.97, "refused"), (1.0, "greylisted"))),
    (0.7, ((0.82, "as known"), (0.97, "refused"), (1.0, "greylisted"))),
    (0.0, ((0.47, "as known"), (0.97, "refused"), (1.0, "greylisted"))),
)
"""What verify says of the world's people, by how certain `search` was."""

_STRANGER_CHANCES: Final = ((0.45, "verified"), (0.65, "probable"), (0.95, "refused"), (1.0, "greylisted"))
_VERDICT_BANDS: Final = {
    "verified": (90, 99),
    "probable": (70, 89),
    "greylisted": (50, 69),
    "refused": (2, 40),
}
_REFUSALS: Final = {
    "refused": "550 5.1.1 No such user",
    "greylisted": "451 4.7.1 Greylisted, try again later",
}


@dataclass(frozen=True, slots=True)
class Number:
    """A telephone number of a range kept for fiction."""

    number: str
    type: str
    confidence: float
    country_code: str


class Person(NamedTuple):
    """Somebody who does not exist. `phone` is what `search` shows; `numbers` is what `phones` knows."""

    first_name: str
    last_name: str
    email: str
    email_confidence: float
    phone: str | None
    phone_confidence: float | None
    title: str
    department: str
    numbers: tuple[Number, ...]

    @property
    def decides(self) -> bool:
        """Whether `decision_maker_only` lets the person through."""
        return self.department == "Executive" or not DECIDING_WORDS.isdisjoint(self.title.casefold().split())


@dataclass(frozen=True, slots=True)
class Company:
    """A company as asked for: `name` is the asker's spelling; no people means unknown to the sandbox."""

    name: str
    domain: str
    people: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an SMTP handshake with an address would say."""

    valid: bool
    deliverable: bool
    confidence: float
    smtp_response: str

    @property
    def greylisted(self) -> bool:
        """Whether the mail server said "later"."""
        return self.smtp_response.startswith("451")


_BAD_SYNTAX: Final = Verdict(
    valid=False, deliverable=False, confidence=0.0, smtp_response="501 5.1.3 Bad address syntax"
)


class World:
    """Everybody there is, made up on demand from `seed` and kept for the next question."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._people = lru_cache(_CACHED_COMPANIES)(self._invent)

    def company(self, asked: str) -> Company:
        """Look up a company by name or domain; never fails, an unknown one has no people."""
        domain = domain_of(asked)
        return Company(_display_name(asked, domain), domain, self._people(domain))

    def by_email(self, email: str) -> Person | None:
        """Find the person with this address, if the world has one."""
        wanted = email.strip().lower()
        people = self._people(wanted.rpartition("@")[2])
        return next((person for person in people if person.email == wanted), None)

    def by_name(self, first_name: str, last_name: str, company: str) -> Person | None:
        """Find somebody of a company by name; case and accents do not matter, an absent part matches all."""
        first, last = folded(first_name.strip()), folded(last_name.strip())
        for person in self.company(company).people:
            if first in ("", folded(person.first_name)) and last in ("", folded(person.last_name)):
                return person
        return None

    def verify(self, email: str) -> Verdict:
        """Say what is known about an address; the same for the same address."""
        wanted = email.strip().lower()
        if not _ADDRESS.fullmatch(wanted):
            return _BAD_SYNTAX
        rng = self._dice("verify", wanted)
        person = self.by_email(wanted)
        return _verdict(rng, person.email_confidence if person else None)

    def numbers(self, email: str, first_name: str, last_name: str, company: str) -> tuple[Number, ...]:
        """Telephone numbers by address, else by name and company; strangers have some too."""
        person = self.by_email(email) if email else self.by_name(first_name, last_name, company)
        if person:
            return person.numbers
        identity = email.strip().lower() or f"{folded(first_name)}|{folded(last_name)}|{domain_of(company)}"
        return _some_numbers(self._dice("phones", identity))

    def _invent(self, domain: str) -> tuple[Person, ...]:
        rng = self._dice("company", domain)
        known = domain in GUIDE_PEOPLE
        if (rng.random() < UNKNOWN_SHARE and not known) or domain in FREE_MAIL:
            return ()
        people = {person.email: person for person in _guide_people(rng, domain)}
        for person in islice(_staff(rng, domain, self.seed), _between(rng, *_drawn(rng, _HEADCOUNTS))):
            people.setdefault(person.email, person)
        return tuple(sorted(people.values(), key=_least_certain_last))

    def _dice(self, *about: str) -> Random:
        return Random(f"{self.seed}:{':'.join(about)}")


@lru_cache(_CACHED_COMPANIES)
def domain_of(asked: str) -> str:
    """Tell a company's domain: "Acme", "ACME  Corp." and "https://www.acme.com/" are all "acme.com"."""
    spelling = asked.strip().casefold()
    as_domain = _DOMAIN.fullmatch(spelling)
    return as_domain.group(1) if as_domain else f"{_label(spelling)}.com"


def _label(name: str) -> str:
    words = [word for part in _SEPARATORS.split(name) if (word := part.replace(".", ""))]
    while len(words) > 1 and words[-1] in LEGAL_FORMS:
        words.pop()
    whole = folded("".join(words))
    if whole.isascii() and (label := slug(whole)):
        return label[:63]
    return "c-" + hashlib.blake2b(whole.encode(errors="replace"), digest_size=6).hexdigest()


def _display_name(asked: str, domain: str) -> str:
    spelling = asked.strip()
    return domain.partition(".")[0].title() if _DOMAIN.fullmatch(spelling.casefold()) else spelling


def _staff(rng: Random, domain: str, seed: int) -> Iterator[Person]:
    """Give strangers jobs without end; the house has one pattern for addresses and exceptions from it."""
    pool = _strangers(seed)
    house_style = _between(rng, 0, _STYLES - 1)
    while True:
        person, locals_ = pool[_between(rng, 0, _STRANGERS - 1)]
        exception = rng.random() * _STYLES * 10
        style = int(exception) if exception < _STYLES else house_style
        yield person._replace(email=f"{locals_[style]}@{domain}")


@lru_cache(8)
def _strangers(seed: int) -> tuple[tuple[Person, tuple[str, ...]], ...]:
    """Make the people companies hire, with the ways to write their address; once, as it takes a while."""
    rng = Random(f"{seed}:strangers")
    return tuple(_stranger(rng) for _ in range(_STRANGERS))


def _stranger(rng: Random) -> tuple[Person, tuple[str, ...]]:
    (first, short), (last, tail) = _pick(rng, FIRST_NAMES), _pick(rng, LAST_NAMES)
    person = _person(rng, (first, last), _pick(rng, JOBS), "", _confidence(rng))
    return person, (f"{short}.{tail}", f"{short[0]}.{tail}", f"{short[0]}{tail}", f"{short}.{tail}")


def _least_certain_last(person: Person) -> float:
    return -person.email_confidence


def _guide_people(rng: Random, domain: str) -> Iterator[Person]:
    for first, last, title, department, local in GUIDE_PEOPLE.get(domain, ()):
        yield _person(rng, (first, last), (department, title), f"{local}@{domain}", 0.98)


def _person(rng: Random, name: tuple[str, str], job: tuple[str, str], email: str, known: float) -> Person:
    numbers = _some_numbers(rng)
    phone: str | None = None
    phone_confidence: float | None = None
    if _drawn(rng, _SHOWS_PHONE):
        phone = numbers[0].number if numbers else _number(rng, "direct_dial").number
        phone_confidence = _confidence(rng)
    department, title = job
    return Person(*name, email, known, phone, phone_confidence, title, department, numbers)


def _drawn(rng: Random, chances: Chances[T]) -> T:
    roll = rng.random()
    for share, value in chances:
        if roll < share:
            return value
    raise AssertionError("the last share of a table of chances is 1")


def _between(rng: Random, low: int, high: int) -> int:
    """Draw as `randint` does, five times as fast; a company nobody asked for yet is dozens of draws."""
    return low + int(rng.random() * (high - low + 1))


def _pick(rng: Random, table: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    return table[int(rng.random() * len(table))]


def _confidence(rng: Random) -> float:
    """Spread over the guide's tiers: 55 % verified, 30 % probable, 15 % risky."""
    return _between(rng, *_drawn(rng, _CONFIDENCES)) / 100


def _some_numbers(rng: Random) -> tuple[Number, ...]:
    return tuple(_number(rng, kind) for kind in _drawn(rng, _KINDS))


def _number(rng: Random, kind: str) -> Number:
    country = _drawn(rng, _COUNTRIES)
    one, two = f"{_between(rng, 0, 99):02}", f"{_between(rng, 0, 99):02}"
    pattern = _FICTION[country, kind == "mobile"]
    number = pattern.format(area=AREA_CODES[int(one) % len(AREA_CODES)], one=one, two=two)
    return Number(number, kind, _confidence(rng), country)


def _verdict(rng: Random, known: float | None) -> Verdict:
    """Judge an address; one of the world's people mostly exists, about as certainly as `search` said."""
    if known is None:
        came = _drawn(rng, _STRANGER_CHANCES)
    else:
        came = _drawn(rng, next(chances for least, chances in _PERSON_CHANCES if known >= least))
    if known is not None and came == "as known":
        confidence = min(0.99, round(known + _between(rng, -1, 1) / 100, 2))
    else:
        confidence = _between(rng, *_VERDICT_BANDS[came]) / 100
    refusal = _REFUSALS.get(came)
    return Verdict(valid=True, deliverable=not refusal, confidence=confidence, smtp_response=refusal or ACCEPTED)
