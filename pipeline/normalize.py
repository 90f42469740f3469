"""How a cell of the user's list becomes an address, a domain, a company key, a name: or is refused.

Everything here is conservative, because two firms taken for one share an answer, and that puts the wrong
people on a lead; one firm taken for two costs a request.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline import lexicon
from pipeline.addresses import clean_domain, clean_email, domain_of, e164, is_free_mail, is_host
from pipeline.model import Lead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "clean_company",
    "clean_domain",
    "clean_email",
    "company_key",
    "e164",
    "fold_name",
    "is_askable_company",
    "lead_of",
    "read",
    "split_name",
    "subject_of",
]

_MEMORY: Final = 1 << 14

# --- text ---------------------------------------------------------------------------------------------


class _Folding(dict[int, str]):
    """A `str.translate` table that decides each character once.

    Letters with their marks and digits stay, what is invisible vanishes, the rest parts words.
    """

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        self[code] = chr(code) if kind[0] in "LMN" else "" if kind == "Cf" else " "
        return self[code]


_APOSTROPHES: Final = dict.fromkeys(map(ord, "'’ʼ‘`´"), "")  # noqa: RUF001 - the look-alikes are the point
_COMPANY_TABLE: Final = _Folding(_APOSTROPHES | {ord(c): c for c in "+#."} | {ord("&"): " and "})
_NAME_TABLE: Final = _Folding(
    _APOSTROPHES
    | dict.fromkeys(range(0x300, 0x370), "")
    | {ord(letter): plain for letter, plain in lexicon.PLAIN_LETTERS.items()}
)
_SPACE: Final = re.compile(r"[\s\x00-\x1f\x7f\u200b\ufeff\ud800-\udfff]+")


def _tidy(text: str) -> str:
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return unicodedata.normalize("NFC", _SPACE.sub(" ", text)).strip()


@lru_cache(_MEMORY)
def fold_name(text: str) -> str:
    """Return a person's name for comparing, without case, accents, punctuation: `Ødegård-Łoś`, `odegard los`.

    Only Latin, Greek and Cyrillic lose their marks; in other scripts the marks are the vowels.
    """
    if text.isascii():
        lower = text.lower()
        return " ".join((lower if lower.replace(" ", "").isalnum() else lower.translate(_NAME_TABLE)).split())
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", " ".join(folded.translate(_NAME_TABLE).split()))


# --- company ------------------------------------------------------------------------------------------

_TRADE_MARKS: Final = re.compile("[™®©℠]")
_SHARE_CLASS: Final = re.compile(r"\s*\((?:class|series) [a-z0-9]\)$", re.IGNORECASE)
_LAST_THE: Final = re.compile(r"^(.*\S)(?:,\s*the|\s*\(the\))$", re.IGNORECASE)
_DOTTED_FORMS: Final = re.compile(r"(?<=\S)[\s,]+(?:s\.\s?p\.\s?a|p\.\s?c|p\.\s?a)\.?$")
_INITIALS: Final = re.compile(r"\b(\w)\.\s?(?=\w(?:\W|$))")
_LONGEST_FORM: Final = max(map(len, lexicon.LEGAL_FORMS))


@lru_cache(_MEMORY)
def clean_company(text: str) -> str | None:
    """Return the name as written (NFC, single spaces); None for blanks, placeholders, mere punctuation."""
    tidy = _tidy(text)
    bare = tidy.strip(" .-_*?!/\\\"'()[]<>")
    if not any(map(str.isalnum, bare)) or (len(bare) == 1 and not bare.isalpha()):
        return None
    return None if tidy.casefold() in lexicon.NO_COMPANY or bare.casefold() in lexicon.NO_COMPANY else tidy


@lru_cache(_MEMORY)
def company_key(company: str | None, domain: str | None) -> str | None:
    """Return what rows must have in common to share a company's answer; None where nothing may be shared.

    `d:acme.com` if the domain is known (as `clean_domain` returns it, never free mail), else `n:` and the
    folded name: NFKC, no case, punctuation or repeated spaces, `&` = `and`, trailing legal forms cut but
    never to nothing. A name of fewer than two letters or digits is asked about but not shared.
    """
    if domain and not is_free_mail(domain):
        return f"d:{domain}"
    clean = clean_company(company) if company else None
    name = _fold_company(clean) if clean else ""
    return f"n:{name}" if sum(map(str.isalnum, name)) > 1 else None


def is_askable_company(company: str | None) -> bool:
    """Tell whether the API can be asked about this name, shared answer or not (`X` can, `n/a` cannot)."""
    return bool(company and clean_company(company))


def _fold_company(text: str) -> str:
    name = _SHARE_CLASS.sub("", _TRADE_MARKS.sub("", text))
    name = _LAST_THE.sub(r"the \1", name)
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    name = _INITIALS.sub(r"\1", _DOTTED_FORMS.sub("", name))
    return " ".join(_without_form(name.translate(_COMPANY_TABLE).replace(".", " ").split()))


def _without_form(words: list[str]) -> list[str]:
    while size := _form_length(words):
        words = words[:-size]
    return [*words[:-1], "co"] if words[-2:] == ["and", "company"] else words


def _form_length(words: list[str]) -> int:
    for size in range(min(_LONGEST_FORM, len(words) - 1), 0, -1):
        before = words[-size - 1]
        if tuple(words[-size:]) in lexicon.LEGAL_FORMS and before != "and" and words[:-size] != ["the"]:
            return size
    return 0


# --- people -------------------------------------------------------------------------------------------

_ASIDE: Final = re.compile(r"\s*(?:\([^()]*\)|\"[^\"]*\"|“[^“”]*”)\s*")


@lru_cache(_MEMORY)
def split_name(full: str) -> tuple[str | None, str | None]:
    """Return (first, last) of a full name: `Smith, Jane`, `Dr. Jane A. Smith Jr., PhD`, `Ann van Berg`.

    Forms of address and degrees are cut, particles and Jr/III stay with the last name, middle names with
    the first. A single word is a first name, unless it was addressed (`Dr. Smith`).
    """
    parts = [part.split() for part in _ASIDE.sub(" ", _tidy(full)).split(",")]
    parts = [part for part in parts[:1] if part] + [part for part in parts[1:] if not _are_degrees(part, full)]
    if not parts[1:]:
        return _split_words(parts[0], full) if parts else (None, None)
    given, family = [word for part in parts[1:] for word in part], parts[0]
    suffix = [word for word in given if _all_in([word], lexicon.GENERATIONS)]
    given = [word for word in given if word not in suffix]
    if not given:
        return _split_words(family + suffix, full)
    return _join(_bare_words(given, full)), _join(_bare_words(family, full) + suffix)


def _split_words(words: list[str], full: str) -> tuple[str | None, str | None]:
    names = _bare_words(words, full)
    was_addressed = _all_in(words[:1], lexicon.HONORIFICS)
    if not names[1:] and not was_addressed:
        return _join(names), None
    is_junior = bool(names[2:]) and _all_in(names[-1:], lexicon.GENERATIONS)
    start = len(names) - 1 - is_junior
    while start > 1 and names[start - 1].lower() in lexicon.PARTICLES:
        start -= 1
    if start == 1 and names[0].islower() and names[0] in lexicon.PARTICLES:
        start = 0
    return _join(names[:start]), _join(names[start:])


def _bare_words(words: list[str], full: str) -> list[str]:
    names = list(words)
    while names and _all_in(names[:1], lexicon.HONORIFICS):
        names.pop(0)
    while names[2:] and _are_degrees(names[-1:], full):
        names.pop()
    return names


def _are_degrees(words: list[str], full: str) -> bool:
    shouted = full.isupper()
    return all(
        word in lexicon.CREDENTIALS or (word in lexicon.SHORT_CREDENTIALS and capital and not shouted)
        for word, capital in ((word.replace(".", "").lower(), word.isupper()) for word in words)
    )


def _all_in(words: list[str], known: frozenset[str]) -> bool:
    return all(word.replace(".", "").lower() in known for word in words)


def _join(words: list[str]) -> str | None:
    return " ".join(words) or None


# --- the lead -----------------------------------------------------------------------------------------

NOT_EMAIL: Final = "not an e-mail address"
NOT_DOMAIN: Final = "not a web address"
NOT_OWN_DOMAIN: Final = "free-mail or social site, not a company's domain"
NOT_COMPANY: Final = "no company name"
NOT_NAME: Final = "no name"
NOT_TEXT: Final = "not text"


class What(NamedTuple):
    """What matters about a lead: who, and at which company. Cells that are absent or unusable are None."""

    company: str | None
    company_key: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    domain: str | None

    @property
    def subject(self) -> bytes:
        """16 bytes that change when any of it does."""
        company = self.company_key or (self.company or "").casefold()
        name = fold_name(f"{self.first_name or ''} {self.last_name or ''}")
        text = f"{company}\x1f{name}\x1f{self.email or ''}\x1f{self.domain or ''}"
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Reading(NamedTuple):
    """A row as it was read: what matters of it, its id and title, and by field why a filled cell was not used."""

    what: What
    id: str | None
    title: str | None
    unusable: dict[str, str]

    def lead_id(self, subject: bytes) -> str:
        """What the row's lead is called: by its id or, without one, by what matters."""
        return self.id or f"h:{subject[:8].hex()}"


def read(record: Mapping[str, Any], columns: Mapping[str, str]) -> Reading:
    """Read a row: `columns` maps our field names to the headers of `record`."""
    cells, unusable = _cells(record, columns)
    email = _cleaned(cells, "email", clean_email, NOT_EMAIL, unusable) if "email" in cells else None
    company = _cleaned(cells, "company", clean_company, NOT_COMPANY, unusable) if "company" in cells else None
    domain = _domain(cells.get("domain"), email, unusable)
    first, last = _names(cells, unusable)
    what = What(company, company_key(company, domain), first, last, email, domain)
    return Reading(what, cells.get("id"), cells.get("title"), unusable)


def lead_of(
    row: int,
    record: Mapping[str, Any],
    columns: Mapping[str, str],
    *,
    lead_id: str | None = None,
    spelling: str | None = None,
) -> Lead:
    """Return the lead in data row `row` (1-based): `columns` maps our field names to the headers of `record`.

    A filled cell that cannot be used is named in `unusable`, with the reason and never the value. A lead that is
    known already brings its `lead_id` and how its company is spelled in questions.
    """
    found = read(record, columns)
    what = found.what
    return Lead(
        row=row,
        lead_id=lead_id or found.id or found.lead_id(what.subject),
        input=dict(record),
        title=found.title,
        unusable=found.unusable,
        spelling=spelling,
        **what._asdict(),
    )


def subject_of(lead: Lead) -> bytes:
    """Return 16 bytes that change when what matters about a lead does: company, name, e-mail or domain."""
    return What(lead.company, lead.company_key, lead.first_name, lead.last_name, lead.email, lead.domain).subject


TOO_LONG: Final = "characters, too long"
_LONGEST: Final = {"company": 300, "first_name": 300, "last_name": 300, "name": 300, "email": 1000, "domain": 2000}
"""Characters beyond which a cell is something else, pasted: a row with one is not paid for."""

_NEVER_TOO_LONG: Final = min(_LONGEST.values())
_NOT_CELLS: Final = (list, dict, tuple, bytes)
_FIELDS: Final = frozenset({"id", "company", "domain", "email", "first_name", "last_name", "name", "title"})


def _cells(record: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    cells: dict[str, str] = {}
    unusable: dict[str, str] = {}
    for field, header in columns.items():
        value = record.get(header)
        if value == "" or field not in _FIELDS:
            continue
        text = _tidy(value) if isinstance(value, str) else _scalar(value)
        if text is None:
            unusable[field] = NOT_TEXT
        elif len(text) > _NEVER_TOO_LONG and len(text) > _LONGEST.get(field, len(text)):
            unusable[field] = f"{len(text):,} {TOO_LONG}"
        elif text and text not in lexicon.NULLS:
            cells[field] = text
    if "id" in cells and cells["id"].casefold() in lexicon.NO_NAME:
        del cells["id"]
    return cells, unusable


def _scalar(value: object) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN, the one value that is not itself
        return ""
    if isinstance(value, _NOT_CELLS):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Parquet and pandas make 12345.0 of a column of ids with a gap
    return str(value)


def _cleaned(
    cells: Mapping[str, str],
    field: str,
    clean: Callable[[str], str | None],
    why: str,
    unusable: dict[str, str],
) -> str | None:
    found = clean(cells[field])
    if found is None:
        unusable[field] = why
    return found


def _domain(cell: str | None, email: str | None, unusable: dict[str, str]) -> str | None:
    found = clean_domain(cell) if cell else None
    if cell and not found:
        unusable["domain"] = NOT_OWN_DOMAIN if is_host(cell) else NOT_DOMAIN
    return found or (domain_of(email) if email else None)


def _names(cells: Mapping[str, str], unusable: dict[str, str]) -> tuple[str | None, str | None]:
    first = _cleaned(cells, "first_name", _clean_name, NOT_NAME, unusable) if "first_name" in cells else None
    last = _cleaned(cells, "last_name", _clean_name, NOT_NAME, unusable) if "last_name" in cells else None
    name = _cleaned(cells, "name", _clean_name, NOT_NAME, unusable) if "name" in cells else None
    if name and not (first and last):
        split = split_name(name)
        return first or split[0], last or split[1]
    return first, last


def _clean_name(text: str) -> str | None:
    if text.isalpha():
        return None if text.casefold() in lexicon.NO_NAME else text
    if "@" in text or text.casefold() in lexicon.NO_NAME or not any(map(str.isalpha, text)):
        return None
    return text
