"""Lists without a header: one name, domain or address a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pipeline.addresses import is_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_CELLS: Final = re.compile(r"[;\t|]|,(?!\s)")
"""Where a line is parted into cells; "Acme, Inc." is one name."""

_JSON: Final = re.compile(r"\s*[\[{]")
_QUOTED: Final = re.compile(r'"((?:[^"]|"")*)"')


def is_plain(beginning: str, is_header: Callable[[str], bool]) -> bool:
    """Tell whether a text's first line is an entry: of one cell, and no header that is known."""
    first = next((line for line in beginning.splitlines() if line.strip()), "")
    bare = _QUOTED.sub("x", first)
    if _JSON.match(first) or _CELLS.search(bare):
        return False
    return not any(is_header(unquoted(cell)) for cell in (first, *bare.split(",")))


def entries(lines: Iterable[str]) -> Iterator[str]:
    """Yield what stands in the lines that are not blank."""
    return filter(None, map(unquoted, lines))


def unquoted(line: str) -> str:
    """What a line says without the quotes a spreadsheet may have put around it."""
    text = line.strip().strip("\ufeff").strip()
    quoted = _QUOTED.fullmatch(text)
    return quoted[1].replace('""', '"').strip() if quoted else text


def company_cells(entry: str) -> dict[str, str]:
    """A company as it is named: by its domain, or by its name."""
    return {"domain" if is_host(entry) else "company": entry}
