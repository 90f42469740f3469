"""Which of a company's contacts is the person on the row: promise 6, "The right person".

A row that names somebody takes data only from a contact that is that person by e-mail or by name. Everyone
else is a candidate. Nothing is guessed from likeness: every rung says the same name, written differently.

    row has      contact is taken                                                            by     score
    e-mail       with the same address, whatever its company                                 email  1.00
    name         same first and last name, but for case, accents, punctuation                name   1.00
                 same letters, cut or spelled differently: Müller = Mueller, Jean-Luc =      name   0.98
                 Jean Luc, "Ana García" + "López" = "Ana" + "García López"
                 a middle name or initial, a Jr, a particle on one side only                 name   0.95
                 first and last name swapped                                                 name   0.93
                 nickname: Bob = Robert                                                      name   0.90
                 one of two surnames: García López = García                                  name   0.88
                 initial: J. Smith = Jane Smith, if no other J... Smith is there             name   0.80
    last name    the only contact with that last name                                        name   0.75
    first name   nobody (nor for Jane S.)                                                    none   0
    nobody       the best contact under the questions (`_preference`)                        best   e-mail's

Two differences multiply (Bob Smith-Jones = Robert Jones: 0.79), and below `FLOOR` nobody is taken: an initial
and half a surname together name no one. If two different people stand on the highest rung, neither is taken.
Names count only at the row's own company: a contact of another one is a candidate (`at_company`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple
from unicodedata import normalize

from pipeline.lexicon import DECIDES, DEPUTIES, GENERATIONS, NICKNAMES, PARTICLES, SENIORITY, TITLE_FORMS
from pipeline.normalize import clean_domain, clean_email, company_key, fold_name, split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeline.model import Contact, Lead, Questions

MOST_CANDIDATES: Final = 10

FLOOR: Final = 0.75
EXACT: Final = 1.0
SPELLING: Final = 0.98
MIDDLE: Final = 0.95
SWAPPED: Final = 0.93
NICKNAME: Final = 0.90
PART_OF_SURNAME: Final = 0.88
INITIAL: Final = 0.80
LAST_NAME_ONLY: Final = 0.75


@dataclass(frozen=True, slots=True)
class Match:
    """Who the row turned out to be; `candidates` are the others, best first, at most ten."""

    by: str
    score: float
    contact: Contact | None
    candidates: tuple[Contact, ...]


def match(lead: Lead, contacts: Sequence[Contact], questions: Questions) -> Match:
    """Choose the contact that is the lead's person, or the company's best if the row names nobody.

    The order of `contacts` does not matter. `questions` are preferences for rows that name nobody.
    """
    ranked = best_first(contacts, questions)
    if not lead.names_person:
        best = next((contact for contact in ranked if at_company(lead, contact)), None)
        return _match("best", (best and best.email_confidence) or 0.0, best, ranked)
    scored = [(_score(lead, contact), contact) for contact in ranked]
    nearest = [contact for _, contact in sorted(scored, key=lambda pair: -pair[0])]
    return _by_email(lead, nearest) or _by_name(lead, scored, nearest) or _match("none", 0.0, None, nearest)


def best_first(contacts: Iterable[Contact], questions: Questions) -> list[Contact]:
    """Order contacts by how well they fit the questions, whatever the server's order."""
    return sorted(contacts, key=lambda contact: _preference(contact, questions))


def _match(by: str, score: float, chosen: Contact | None, ranked: Iterable[Contact]) -> Match:
    others = tuple(contact for contact in ranked if contact is not chosen)
    return Match(by if chosen else "none", score, chosen, others[:MOST_CANDIDATES])


def _by_email(lead: Lead, nearest: Sequence[Contact]) -> Match | None:
    same = [contact for contact in nearest if lead.email and _email(contact) == lead.email]
    if not same:
        return None
    named = [contact for contact in same if _score(lead, contact) >= FLOOR]
    if not named and not _one_person(same):
        return None  # a shared mailbox such as info@: it does not say which of them
    return _match("email", EXACT, (named or same)[0], nearest)


def _by_name(lead: Lead, scored: Sequence[tuple[float, Contact]], nearest: Sequence[Contact]) -> Match | None:
    best = max((score for score, _ in scored), default=0.0)
    if best < FLOOR:
        return None
    top = [contact for score, contact in scored if score == best]
    if not _one_person(top) or (best <= INITIAL and not _one_person(_rivals(lead, nearest))):
        return None
    return _match("name", best, top[0], nearest)


def _rivals(lead: Lead, contacts: Iterable[Contact]) -> list[Contact]:
    """Contacts here that a surname with at most an initial could also mean."""
    asked = _person_of(lead)
    return [contact for contact in contacts if at_company(lead, contact) and _could_be(asked, _person_of(contact))]


def _could_be(asked: _Person, other: _Person) -> bool:
    letters = {unit[0] for unit in asked.given[:1]}
    near = not letters or not other.given or other.given[0][0] in letters or _given(asked, other) > 0
    return near and _family(asked, other) > 0


def _one_person(contacts: Sequence[Contact]) -> bool:
    return all(_same_person(one, other) for one, other in combinations(contacts, 2))


def _same_person(one: Contact, other: Contact) -> bool:
    named, named_too = _person_of(one), _person_of(other)
    if _email(one) and _email(other):
        nameless = not (named.whole and named_too.whole)
        return _email(one) == _email(other) and (nameless or _agree(named, named_too) >= FLOOR)
    titles = {fold_name(contact.title) for contact in (one, other) if contact.title}
    return named.whole == named_too.whole and not list(titles)[1:]


# --- the ladder ---------------------------------------------------------------------------------------


class _Person(NamedTuple):
    """A name taken apart: given names (hyphens closed up), surnames, and the spellings they compare by."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    generation: str
    spelled_given: frozenset[str]
    spelled_family: frozenset[str]
    whole: frozenset[str]


def _score(lead: Lead, contact: Contact) -> float:
    return _agree(_person_of(lead), _person_of(contact)) if at_company(lead, contact) else 0.0


def _agree(asked: _Person, other: _Person) -> float:
    """Return the rung two names meet on; 0 if they are not known to be one person's."""
    if asked.family and not asked.given:
        return LAST_NAME_ONLY * (_family(asked, other) == EXACT) * _generation(asked, other)
    if not (asked.given and asked.family and other.given and other.family):
        return 0.0
    kin = _family(asked, other)
    straight = kin and kin * _given(asked, other)
    unabridged = not (_is_initial(asked.given[0]) or _is_initial(other.given[0]))
    recut = SPELLING * (unabridged and bool(asked.whole & other.whole))
    swapped = SWAPPED * (unabridged and _are_swapped(asked, other))
    return round(max(straight, recut, swapped) * _generation(asked, other), 4)


def _are_swapped(asked: _Person, other: _Person) -> bool:
    return bool(asked.spelled_given & other.spelled_family and asked.spelled_family & other.spelled_given)


def _generation(asked: _Person, other: _Person) -> float:
    if asked.generation == other.generation:
        return EXACT
    return 0.0 if asked.generation and other.generation else MIDDLE


def _given(asked: _Person, other: _Person) -> float:
    ours, theirs = asked.given, other.given
    if _is_initial(ours[0]) or _is_initial(theirs[0]):
        return _initials(ours, theirs)
    if ours == theirs:
        return EXACT
    if asked.spelled_given & other.spelled_given:
        return SPELLING
    known = MIDDLE if ours[0] == theirs[0] else NICKNAME * _are_nicknames(ours[0], theirs[0])
    return known * _middles_agree(ours[1:], theirs[1:])


def _initials(ours: Sequence[str], theirs: Sequence[str]) -> float:
    if _goes_by_second(ours, theirs) or _goes_by_second(theirs, ours):
        return MIDDLE
    return INITIAL * (ours[0][0] == theirs[0][0] and _middles_agree(ours[1:], theirs[1:]))


def _goes_by_second(names: Sequence[str], other: Sequence[str]) -> bool:
    # J. Robert Oppenheimer is called Robert
    return _is_initial(names[0]) and len(names) > 1 and not _is_initial(other[0]) and names[1] == other[0]


def _middles_agree(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return all(
        a == b or (a[0] == b[0] and (_is_initial(a) or _is_initial(b))) for a, b in zip(ours, theirs, strict=False)
    )


def _is_initial(name: str) -> bool:
    return len(name) == 1 and name.upper() != name  # a Chinese given name of one character is no initial


def _are_nicknames(one: str, other: str) -> bool:
    return not NICKNAMES.get(one, frozenset()).isdisjoint(NICKNAMES.get(other, frozenset()))


def _family(asked: _Person, other: _Person) -> float:
    ours, theirs = asked.family, other.family
    if ours == theirs:
        return EXACT
    if asked.spelled_family & other.spelled_family:
        return SPELLING
    short, long = sorted((_core(ours), _core(theirs)), key=len)
    if not short:
        return 0.0
    if short == long:
        return MIDDLE
    return PART_OF_SURNAME * (short in (long[: len(short)], long[-len(short) :]))


def _core(family: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in family if name not in PARTICLES)


def _person_of(who: Lead | Contact) -> _Person:
    return _person(who.first_name or "", who.last_name or "")


@lru_cache(1 << 16)
def _person(first: str, last: str) -> _Person:
    given, family = split_name(f"{last}, {first}" if last else first)
    if last and not first:
        given, family = None, last
    names = [name for unit in (given or "").split() for name in _units(unit)]
    surnames = fold_name(family or "").split()
    if all(map(_is_initial, surnames)):
        surnames = []  # "Jane S." could be any of them
    generation = _GENERATIONS.get(surnames[-1], "") if surnames[1:] else ""
    spelled_given = _spellings(given or "")
    bare = " ".join((family or "").split()[: -1 if generation else None])
    return _Person(
        given=tuple(names),
        family=tuple(surnames[:-1] if generation else surnames),
        generation=generation,
        spelled_given=spelled_given,
        spelled_family=_spellings(bare),
        whole=_spellings(f"{given or ''} {bare}"),
    )


_GENERATIONS: Final = {word: word for word in GENERATIONS} | {"junior": "jr", "senior": "sr"}
_WRITTEN_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})


def _units(word: str) -> list[str]:
    names = fold_name(word).split()
    return names if all(map(_is_initial, names)) else ["".join(names)]


def _spellings(text: str) -> frozenset[str]:
    both = (fold_name(text), fold_name(normalize("NFC", text).lower().translate(_WRITTEN_OUT)))
    return frozenset(name.replace(" ", "") for name in both if name)


# --- the company --------------------------------------------------------------------------------------


def at_company(lead: Lead, contact: Contact) -> bool:
    """Tell whether nothing speaks against the contact being of the lead's company."""
    if not contact.company or contact.company == lead.company or not (lead.company or lead.domain):
        return True
    domain = clean_domain("x@" + _email(contact).rpartition("@")[2]) if contact.email else None
    if lead.domain and domain == lead.domain:
        return True
    label = (lead.domain or "").partition(".")[0].replace("-", "")
    if (_firm_names(lead.company or "") | {label}) & _firm_names(contact.company):
        return True
    return not lead.company and domain is None


@lru_cache(1 << 16)
def _firm_names(company: str) -> frozenset[str]:
    """Return the name closed up, with its legal form and without; Estée = Estee, The X = X & Co = X."""
    key = company_key(company, None) or ""
    name = fold_name(key.removeprefix("n:")).removeprefix("the ").removesuffix(" and co")
    return frozenset(name.replace(" ", "") for name in (name, fold_name(company)) if name)


def _email(contact: Contact) -> str:
    address = (contact.email or "").strip().lower()
    return address if address.isascii() else clean_email(address) or address


# --- the best for a row that names nobody -------------------------------------------------------------


def _preference(contact: Contact, questions: Questions) -> tuple[object, ...]:
    """Return what the best is sorted by, smallest first.

    Filters of the questions met, then e-mail confidence, phone confidence and seniority; an address beats
    none. The last only makes the order independent of the server's.
    """
    return (
        -_fit(contact, questions),
        -((contact.email_confidence or 0.0) if contact.email else -1.0),
        -((contact.phone_confidence or 0.0) if contact.phone else -1.0),
        -_seniority(contact.title or ""),
        contact.email or "",
        contact.first_name or "",
        contact.last_name or "",
        contact.title or "",
        contact.phone or "",
        contact.company or "",
        contact.department or "",
        -1.0 if contact.email_confidence is None else contact.email_confidence,
        -1.0 if contact.phone_confidence is None else contact.phone_confidence,
    )


def _fit(contact: Contact, questions: Questions) -> int:
    """Count the filters the contact meets; the server may have ignored them."""
    if not (questions.titles or questions.departments or questions.decision_maker_only):
        return 0
    departments = {fold_name(department) for department in questions.departments}
    met: Iterable[bool] = (
        any(_has_title(contact.title or "", wanted) for wanted in questions.titles),
        fold_name(contact.department or "") in departments,
        questions.decision_maker_only and _seniority(contact.title or "") >= DECIDES,
    )
    return sum(met)


def _has_title(title: str, wanted: str) -> bool:
    words, asked = _title_words(title), _title_words(wanted)
    return bool(asked) and asked <= words and not (words & DEPUTIES) - asked


@lru_cache(1 << 14)
def _seniority(title: str) -> int:
    words = _title_words(title)
    return 0 if words & DEPUTIES else max((SENIORITY.get(word, 0) for word in words), default=0)


@lru_cache(1 << 14)
def _title_words(title: str) -> frozenset[str]:
    folded = f" {fold_name(title)} "
    for long, short in TITLE_FORMS.items():
        folded = folded.replace(f" {long} ", f" {short} ")
    return frozenset(folded.split()) - {"of", "the", "and", "for"}
