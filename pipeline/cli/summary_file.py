"""`--summary FILE.json`: refused where it would overwrite what matters, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.settings import Settings


def refuse_overwriting(settings: Settings, names: Iterable[str], *, said: bool) -> None:
    """Refuse a summary that is the list, an output, the state or a configuration, before anything is spent.

    `names` are files of this command line; `said` whether the summary was an option of it. Raises UsageError,
    ConfigError where another place named the file, or StateError if no file can be written there.
    """
    if settings.summary is None:
        return
    place = Path(settings.summary).expanduser()
    if is_taken(settings, place, names):
        complaint = UsageError if said else ConfigError
        raise complaint(
            f"The summary {place} would overwrite a file that this command needs.",
            "Name another file with --summary.",
        )
    if not _can_be_file(place):
        raise StateError(f"The summary {place} cannot be written: no file can be there.", "Check --summary.")


def is_taken(settings: Settings, place: Path, names: Iterable[str]) -> bool:
    """Whether a file is the state, a list, an output of any job, one that settings come from, or one of `names`."""
    from pipeline.session import state_path
    from pipeline.store import Store

    state = state_path(settings)
    books = [f"{state}{end}" for end in ("", "-wal", "-shm")]
    told = (settings.api_key_file, settings.suppress.file if settings.suppress else None)
    taken: list[str | Path] = [*names, *books, *Store.files(state), *filter(None, told)]
    return any(_same(place, Path(other).expanduser()) for other in taken)


def write_summary(path: Path, text: str) -> None:
    """Put a summary in place, readable by its owner only; a reader sees the old one or the new one."""
    place = path.expanduser().resolve()
    try:
        number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:50]}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateError(f"The summary {path} cannot be written ({error.strerror}).", "Check --summary.") from error


def _can_be_file(place: Path) -> bool:
    try:
        return place.is_file() if place.exists() else place.absolute().parent.is_dir()
    except OSError:
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))
    except (OSError, ValueError):
        return False
