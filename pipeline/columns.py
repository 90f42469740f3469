"""Which header of a list is which field: the names CRM exports use, ranked, and what the user says.

Headers are compared without case, accents, spaces and punctuation. Of two headers known for one field the
better rank is taken and the other told; two of the same rank are a coin toss and refused.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.errors import InputUnusable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FIELDS: Final = (
    "company",
    "domain",
    "email",
    "first_name",
    "last_name",
    "name",
    "title",
    "id",
    "priority",
)
"""What a column can be; `priority` only if the user says so."""

COMPANY_FIELDS: Final = ("company", "domain", "id", "priority")
"""What a column of a list of companies can be."""

_NEEDED: Final = ("company", "domain", "email")

_KNOWN: Final = {
    "company": """
        company name, organization name, organisation name, name of company, firmenname, nom de l'entreprise,
        nom de la société, nombre de la empresa
        > company, organization, organisation, account name, firma, unternehmen, entreprise, société,
        empresa, azienda, bedrijf, person organization, lead organization, deal organization, employer,
        current company, company account
        > account
        > associated company, primary company, primary associated company
    """,
    "domain": """
        company domain name, company domain, domain, domain name, organization domain, primary domain
        > website, website url, company website, company website url, company url, homepage,
        webseite, internetseite, site web, site internet, sitio web, sito web, organization website,
        account website
    """,
    "email": """
        email, email address, mail, mail address, email adresse, mailadresse, courriel, adresse email,
        adresse mail, adresse électronique, correo, correo electrónico, contact email, person email, lead email,
        primary email
        > work email, work email address, business email, company email, professional email,
        person email work, email work
    """,
    "first_name": """
        first name, given name, forename, vorname, prénom, nombre de pila, voornaam, person first name,
        contact first name, fname, first
    """,
    "last_name": """
        last name, surname, family name, nachname, familienname, nom de famille, nom, apellido, apellidos,
        cognome, achternaam, person last name, contact last name, lname, last
    """,
    "name": """
        full name, contact full name, vollständiger name, nom complet, nombre completo, nome completo
        > contact name, person name, lead name, ansprechpartner, kontaktname, contact person,
        person contact person
        > name, contact, person
    """,
    "title": """
        job title, contact title, person job title, berufsbezeichnung, jobtitel, intitulé du poste
        > title
        > position, job position, funktion, fonction, poste, cargo, puesto, functie
        > role, job role, rolle
    """,
    "id": """
        record id, contact record id, hs object id
        > id, row id
        > crm id, external id
        > lead id, prospect id
        > contact id, person id, apollo contact id
    """,
}
"""Field -> synonyms by rank, best first; two of one rank are a coin toss. A company's id is no row's id."""

_COMPANIES: Final = (
    *("name", "security", "customer", "client", "partner", "supplier", "vendor", "issuer", "business", "firm"),
    *("companies", "customers", "clients", "partners", "accounts", "prospects"),
)
"""Headers of the company, best first, in a list that is about companies and has none of the usual ones."""

_SHOWN: Final = 12
_SHOWN_LENGTH: Final = 40
_DATA: Final = re.compile(r"[@{}]|https?:|\d{6}")


def fold(header: str) -> str:
    """Reduce a header to what is compared: "E-Mail_Address " -> "emailaddress", "Prénom" -> "prenom"."""
    plain = unicodedata.normalize("NFKD", header).casefold()
    return "".join(filter(str.isalnum, plain))


def _ranks() -> dict[str, tuple[str, int]]:
    return {
        fold(name): (field, rank)
        for field, groups in _KNOWN.items()
        for rank, group in enumerate(groups.split(">"))
        for name in group.split(",")
    }


_RANKS: Final = _ranks()
_MANY: Final = frozenset({"emails", "domains", "websites", "emailaddresses", "entry"})


class Header(NamedTuple):
    """One column: its 1-based position, its name in the file, and the unique key its cells go by."""

    position: int
    name: str
    key: str


class Columns(NamedTuple):
    """Which field is found under which key, and the headers that would have done but came second."""

    fields: dict[str, str]
    passed_over: tuple[tuple[str, str], ...] = ()


def headers_of(names: Sequence[str]) -> list[Header]:
    """Give each column a key of its own: a nameless one is "column 5", a repeated one "Name (2)"."""
    taken: set[str] = set()
    headers = []
    for position, raw in enumerate(names, 1):
        name = raw.strip()
        base = key = name or f"column {position}"
        again = 1
        while key in taken:
            again += 1
            key = f"{base} ({again})"
        taken.add(key)
        headers.append(Header(position, name, key))
    return headers


def is_header(cell: str, fields: Sequence[str]) -> bool:
    """Whether the only cell of a list's first line is a header rather than an entry."""
    name = fold(cell)
    return name in _COMPANIES or (name in _RANKS and _RANKS[name][0] in fields) or name in _MANY


def recognise(
    headers: Sequence[Header], told: Mapping[str, str], where: str, fields: Sequence[str] = FIELDS
) -> Columns:
    """Tell which header is which field; `told` (field -> header, "" for none) goes before what is recognised.

    Only `fields` are looked for. Raises UsageError for an unknown field, InputUnusable for a header that is not
    there, an ambiguous one,
    or a list in which nothing says whom to ask about.
    """
    for field in told:
        if field not in FIELDS:
            raise UsageError(f"--column {field}=… names no field.", _meant(field, FIELDS, "Fields"))
    told = {field: name for field, name in told.items() if field in fields}
    named = {field: _told(field, name.strip(), headers, where) for field, name in told.items() if name.strip()}
    used = {key for field, key in named.items() if field != "priority"}  # a priority may be another field too
    found, passed_over = _found([header for header in headers if header.key not in used], told, where, fields)
    named = {field: key for field in FIELDS if (key := named.get(field) or found.get(field))}
    if not any(field in named for field in _NEEDED):
        raise _nothing_usable(headers, where, fields)
    return Columns(named, tuple(passed_over))


def guesses(headers: Sequence[Header]) -> dict[str, str]:
    """The likeliest header of each field, also where it would be a coin toss: to be shown, not to be used."""
    worst_first = sorted(_readings(headers, {}), key=lambda reading: (-reading[2], -reading[0].position))
    return {field: header.key for header, field, _ in worst_first}


def _told(field: str, name: str, headers: Sequence[Header], where: str) -> str:
    """Find the header the user named; "Name (1)" is the first of several called Name."""
    ways: tuple[Callable[[Header], bool], ...] = (
        lambda header: header.name == name,
        lambda header: header.key == name,
        lambda header: f"{header.key} (1)" == name,
        lambda header: fold(header.name) == fold(name) != "",
    )
    for fits in ways:
        if fitting := [header for header in headers if fits(header)]:
            if len(fitting) > 1:
                raise _twice(field, fitting[0], fitting[1], where)
            return fitting[0].key
    fix = "The first line looks like data: put a header line above it."
    if not _look_like_data(headers):
        fix = _meant(name, [header.key for header in headers], "Headers")
    raise InputUnusable(f"{where} has no column {_quoted(name)} ({field}).", fix)


def _found(
    headers: Sequence[Header], told: Mapping[str, str], where: str, fields: Sequence[str]
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Recognise columns by name; also return pairs of a header passed over and the one taken instead."""
    candidates: dict[str, list[tuple[int, Header]]] = {}
    readings = _readings(headers, told)
    if fields is not FIELDS:
        readings = _narrowed(readings, headers, fields)
    for header, field, rank in readings:
        if field not in told:
            candidates.setdefault(field, []).append((rank, header))
    found, passed_over = {}, []
    for field, ranked in candidates.items():
        (rank, best), *others = sorted(ranked)
        if others and others[0][0] == rank:
            raise _twice(field, best, others[0][1], where)
        found[field] = best.key
        passed_over += [(other.key, best.key) for _, other in others]
    return found, passed_over


def _readings(headers: Sequence[Header], told: Mapping[str, str]) -> list[tuple[Header, str, int]]:
    """Look each header up; three names mean another thing in other company."""
    known = [(header, *_RANKS[folded]) for header in headers if (folded := fold(header.name)) in _RANKS]
    names = {fold(header.name) for header, _, _ in known}
    fields = {field for _, field, _ in known} | told.keys()
    meant = {}
    if "nom" in names and "first_name" not in fields:
        meant["nom"] = "name"
    if {"name", "vorname"} <= names and "last_name" not in fields:
        meant["name"] = "last_name"
    if "domain" in fields and not fields & {"company", "email", "first_name", "last_name", "title"}:
        meant["name"] = "company"
    return [(header, meant.get(fold(header.name), field), rank) for header, field, rank in known]


def _narrowed(
    readings: list[tuple[Header, str, int]], headers: Sequence[Header], fields: Sequence[str]
) -> list[tuple[Header, str, int]]:
    """Only these fields; where none is a company, what a list of companies may call it."""
    kept = [reading for reading in readings if reading[1] in fields]
    if any(field == "company" for _, field, _ in kept):
        return kept
    names = [(header, fold(header.name)) for header in headers]
    return kept + [(header, "company", _COMPANIES.index(name)) for header, name in names if name in _COMPANIES]


def _twice(field: str, one: Header, other: Header, where: str) -> InputUnusable:
    positions = f"columns {one.position} and {other.position}"
    if one.name == other.name:
        what = f"{where}: {positions} are both called {_quoted(one.name)}, so which is the {field} is unclear."
        first, second = _quoted(f"{one.name} (1)"), _quoted(other.key)
        return InputUnusable(what, f"Rename one, or say --column {field}={first} or --column {field}={second}.")
    what = f"{where}: {_quoted(one.name)} and {_quoted(other.name)} ({positions}) could both be the {field}."
    return InputUnusable(what, f"Say which: --column {field}={_quoted(one.key)}.")


def _nothing_usable(headers: Sequence[Header], where: str, fields: Sequence[str]) -> InputUnusable:
    needed = "neither company, domain nor e-mail" if "email" in fields else "neither company nor domain"
    what = f"{where} has no usable column: {needed} is among its headers"
    how = 'Name one with --column, e.g. --column company="HEADER"'
    if _look_like_data(headers):
        hint = "; if the first line is already data, put a header line above it, e.g. company."
        return InputUnusable(f"{what}.", how + hint)
    return InputUnusable(f"{what} ({_listed([header.key for header in headers])}).", f"{how}.")


def _look_like_data(headers: Sequence[Header]) -> bool:
    """Guess that the header is missing: then its names are cells, and no message may show them."""
    return len(headers) == 1 or any(_DATA.search(header.name) for header in headers)


def _meant(word: str, words: Sequence[str], kind: str) -> str:
    by_fold = {fold(each): each for each in words}
    close = difflib.get_close_matches(fold(word), by_fold, n=1)
    guess = f"Did you mean {_quoted(by_fold[close[0]])}? " if close else ""
    return f"{guess}{kind}: {_listed(words)}."


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(map(_quoted, words[:_SHOWN])) + more


def _quoted(header: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in header)
    short = printable if len(printable) <= _SHOWN_LENGTH else f"{printable[: _SHOWN_LENGTH - 1]}…"
    return f'"{short}"'


def described(columns: Columns, total: int) -> str:
    """Say for people which header became which field; nobody should have to guess what was bought."""
    named = ", ".join(f"{field} = {_quoted(key)}" for field, key in columns.fields.items())
    others = max(0, total - len(set(columns.fields.values())))  # plain lines have no header at all
    rest = f"; {others} other column{'s' * (others != 1)} carried through" if others else ""
    told = "".join(f"; {_quoted(key)} is not used, {_quoted(taken)} is" for key, taken in columns.passed_over)
    return f"{named}{rest}{told}"


class Sift(NamedTuple):
    """Which rows are wanted: those for which `wanted` says yes to their cells under these headers."""

    headers: Sequence[str]
    wanted: Callable[[Sequence[Any]], bool]

    def of(self, values: Mapping[str, Any]) -> bool:
        """Whether a row made already is wanted."""
        return self.wanted([values.get(header, "") for header in self.headers])

    def places(self, keys: list[str]) -> Callable[[Sequence[str]], Sequence[str]]:
        """How to pick the cells out of a row."""
        found = [keys.index(header) for header in self.headers]
        return itemgetter(*found) if found[1:] else lambda cells: [cells[place] for place in found]
