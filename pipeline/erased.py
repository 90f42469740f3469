"""Who must stay out, and how they are cut from what the API says and from what we wrote.

Only the e-mail identifies a person. Nobody's address is kept for this: a keyed hash recognises it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.addresses import clean_email
from pipeline.model import ERASED, Lead

if TYPE_CHECKING:
    from collections.abc import Iterable

_ADDRESS: Final = re.compile(r"[^\s\"<>()\[\]{},;:|\\@]+@[^\s\"'<>()\[\]{},;:|=/?&\\@]+")
_BEFORE: Final = re.compile(r".*[=/?&']")
"""What may stand before an address without a space: a quote, or the rest of a link."""

_ESCAPED: Final = re.compile(r"\\[nrtbf]")
_GONE: Final = "[erased]"
_MARKER: Final = orjson.dumps({ERASED: True}).decode()


@dataclass(frozen=True, slots=True)
class Erased:
    """The marks of erased addresses and rows, made with this state file's own key."""

    key: bytes
    marks: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.marks)

    def mark(self, what: str | bytes) -> bytes:
        """The keyed hash of something."""
        text = what.encode("utf-8", "surrogatepass") if isinstance(what, str) else what
        return blake2b(text, key=self.key, digest_size=16).digest()

    def having(self, marks: Iterable[bytes]) -> Erased:
        """The same with more marks."""
        return Erased(self.key, self.marks | frozenset(marks))

    def address_mark(self, address: str) -> bytes:
        """What recognises an address."""
        return self.mark(tidy(address))

    # --- recognising ---

    def is_address(self, text: str | None) -> bool:
        """Whether this is, as a whole, the address of somebody erased."""
        if text is None or "@" not in text:
            return False
        return any(self.address_mark(way) in self.marks for way in {text, _BEFORE.sub("", text)})

    def names(self, text: str | None) -> bool:
        """Whether somebody erased is named anywhere in a text."""
        if text is None or "@" not in text:
            return False
        return self.is_address(text) or any(map(self.is_address, _ADDRESS.findall(text)))

    def is_row(self, lead: Lead, subject: bytes) -> bool:
        """Whether a row of a list is about somebody erased: by its address, or because it was erased before."""
        named = map(self.names, (lead.email, lead.lead_id, lead.company))
        return any(named) or self.row_mark(subject) in self.marks

    def row_mark(self, subject: bytes) -> bytes:
        """What keeps an erased row out if its list is read again."""
        return self.mark(b"row:" + subject)

    def row_id(self, lead_id: str) -> str:
        """What an erased row is called."""
        return f"erased:{self.mark('id:' + lead_id).hex()}"

    # --- cutting ---

    def cut(self, body: bytes) -> bytes:
        """An answer without the erased: their records are gone, other mentions blanked. Else the very same bytes."""
        if not self.marks or (b"@" not in body and b"\\u" not in body):
            return body
        try:
            value = orjson.loads(body)
            left = self.without(value)
            return body if left == value else orjson.dumps(_counted(value, left))
        except orjson.JSONDecodeError:
            return b"" if self.names(body.decode("utf-8", "replace")) else body
        except (RecursionError, orjson.JSONEncodeError):
            return b""  # nested too deeply to be an answer, or to be searched

    def cut_line(self, line: bytes) -> bytes:
        """A line of the output without the erased, if it is about somebody else; else the very same bytes."""
        if not self.marks or b"@" not in line:
            return line
        value = orjson.loads(line)
        left = {name: (self.without if name == "candidates" else self.masked)(item) for name, item in value.items()}
        return line if left == value else orjson.dumps(left, option=orjson.OPT_APPEND_NEWLINE)

    def cut_torn(self, line: bytes) -> bytes:
        """A line that may be torn; empty if it names somebody erased."""
        try:
            return line if self.cut_line(line) is line else b""
        except orjson.JSONDecodeError:
            text = _ESCAPED.sub(" ", line.decode("utf-8", "replace"))
            return b"" if self.names(text) else line

    def without(self, value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
        """A JSON value without records of the erased."""
        match value:
            case dict():
                if self._is_record(value):
                    return {}
                return {self.masked(name): self.without(item) for name, item in value.items()}
            case list():
                return [self.without(item) for item in value if not self._about(item)]
            case _:
                return self.masked(value)

    def masked(self, value: Any) -> Any:  # noqa: ANN401 - as above
        """A JSON value in which the addresses of the erased are blanked and all else stays."""
        match value:
            case str():
                if "@" not in value:
                    return value
                return _GONE if self.is_address(value) else _ADDRESS.sub(self._blank, value)
            case dict():
                return {self.masked(name): self.masked(item) for name, item in value.items()}
            case list():
                return [self.masked(item) for item in value]
            case _:
                return value

    def _blank(self, found: re.Match[str]) -> str:
        return _GONE if self.is_address(found[0]) else found[0]

    def _is_record(self, value: dict[str, Any]) -> bool:
        return any(isinstance(item, str) and self.is_address(item) for item in value.values())

    def _about(self, item: object) -> bool:
        """Whether an entry of a list is a record of somebody erased, however deep their address lies in it."""
        return isinstance(item, dict) and (self._is_record(item) or any(map(self._about, item.values())))


def _counted(whole: Any, left: Any) -> Any:  # noqa: ANN401 - as above
    """A search's answer that tells how many contacts were cut from it: whom it does not show may be one of them."""
    match whole, left:
        case {"data": {"contacts": [*before]}}, {"data": {"contacts": [*after]} as data} if len(after) < len(before):
            earlier = data.get(ERASED)  # from a server it may be anything
            data[ERASED] = len(before) - len(after) + (earlier if isinstance(earlier, int) else 0)
    return left


def tidy(address: str) -> str:
    """An address as it is compared: without case, spaces, `mailto:` and a closing full stop."""
    bare = address.strip().rstrip(".!?").casefold()
    return bare if bare.isascii() and not bare.startswith(("mailto:", "<")) else clean_email(bare) or bare


def erased_input() -> str:
    """What an erased row keeps of its columns: that it was erased."""
    return _MARKER
