"""A line of the output as flat columns, and as cells that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.model import Enriched

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 - the wide forms count too, says OWASP
"""What makes a spreadsheet compute a cell (OWASP, "CSV Injection")."""

_NUMBER: Final = re.compile(r"[+-]\d+(?:\.\d+)?")
"""A sign and digits compute to themselves: a number, or a telephone number in E.164."""


def _at(path: str) -> Callable[[Enriched], Any]:
    """Read a field of a line; None where what holds it is absent."""
    first, _, rest = path.partition(".")
    if not rest:
        return attrgetter(first) if first != "contact_id" else lambda line: getattr(line, first, None)
    return lambda line: getattr(found, rest) if (found := getattr(line, first)) is not None else None


_FIELDS: Final = """
    row int, lead_id str, contact_id str, status str, reason str, duplicate_of int, match.by str, match.score float,
    contact.first_name str, contact.last_name str, contact.title str, contact.department str, contact.company str,
    email.value str, email.confidence float, email.tier str, email.deliverable bool, email.source str,
    email.checked_at str, phone.value str, phone.e164 str, phone.confidence float, phone.type str, phone.source str,
    enriched_at str
"""
_TYPES: Final = {"str": str, "int": int, "float": float, "bool": bool}


def flat_name(path: str) -> str:
    """The column of a field: `email.value` is `email`, `email.tier` is `email_tier`, a contact's go by themselves."""
    return path.removesuffix(".value").removeprefix("contact.").replace(".", "_")


def _result() -> dict[str, tuple[Callable[[Enriched], Any], type]]:
    fields = (field.split() for field in _FIELDS.split(","))
    return {flat_name(path): (_at(path), _TYPES[kind]) for path, kind in fields}


RESULT: Final = _result()
"""The columns of a result, in order: how each is read off a line, and what it holds."""


def cell(value: object) -> str:
    """A value as a cell of CSV."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else safe(str(value))


def safe(text: str) -> str:
    """A text with a quote before it if a spreadsheet would compute it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
