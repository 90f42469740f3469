"""The list of whom not to ask about: the user's file and their settings, read into what the rules compare."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import InputMissing, PipelineError
from pipeline.sources import open_source
from pipeline.suppressed import joined, suppressed_of
from pipeline.whom import Suppressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.settings import Settings
    from pipeline.sources import Source

FIELDS: Final = ("email", "domain", "company")


def suppressed_by(settings: Settings, file: str | None) -> Suppressed:
    """Whom the settings and the file name together. Raises InputMissing or InputUnusable for the file."""
    told = settings.suppress
    named = suppressed_of(chain(told.emails, told.domains, told.companies)) if told else Suppressed()
    if file is None:
        return named
    return joined(named, _read(file, _version(file)))


def _version(file: str) -> tuple[int, int]:
    try:
        found = Path(file).stat()
    except OSError as error:
        raise InputMissing(
            f"The list of whom not to ask about, {file}, cannot be read ({error.strerror}).",
            "Put it back, or name another with --suppress.",
        ) from None
    return found.st_mtime_ns, found.st_size


@lru_cache(4)
def _read(file: str, _version: tuple[int, int]) -> Suppressed:
    try:
        source = open_source(file, fields=FIELDS)
        return suppressed_of(_entries(source))
    except PipelineError as error:
        error.args = (f"--suppress: {error}",)
        raise


def _entries(source: Source) -> Iterator[str]:
    """What each row names: its address alone, since a person is not their company; else domain and company."""
    for record in source.records():
        cells = {field: str(record.values.get(header) or "") for field, header in source.columns.items()}
        if cells.get("email", "").strip():
            yield cells["email"]
        else:
            yield from (cells.get("domain", ""), cells.get("company", ""))
