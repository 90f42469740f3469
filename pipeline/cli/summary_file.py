"""Files written besides the output: refused where they would overwrite what matters, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.settings import Settings

PAGE = b"<!DOCTYPE html>"
"""How a report begins, and any page that may be written over by one."""


def refuse_overwriting(settings: Settings, names: Sequence[str], options: Mapping[str, object]) -> None:
    """Refuse a summary or metrics in the place of the list, an output, the state or a configuration.

    Before anything is spent. `names` are files of this command line, `options` what it said. Raises UsageError,
    ConfigError where another place named the file, or StateError if no summary can be written there.
    """
    for field, place in (("summary", settings.summary), ("metrics_file", settings.metrics_file)):
        if place is None:
            continue
        words = field.replace("_", " "), f"--{field.replace('_', '-')}"
        complaint = UsageError if options.get(field) is not None else ConfigError
        _refuse_taken(settings, Path(place), names, words, complaint)
        if field == "summary":  # metrics that cannot be written do not stop a run
            _refuse_unwritable(Path(place), words)


def refuse_report(settings: Settings, path: Path, names: Iterable[str]) -> None:
    """Refuse a report in such a place, or in that of any file that is no page. Raises UsageError or StateError."""
    _refuse_taken(settings, path, names, ("report", "-o"), UsageError)
    _refuse_unwritable(path, ("report", "-o"))
    place = path.expanduser()
    if place.exists() and not _is_page(place):
        raise UsageError(f"{path} is there already and is no report.", "Name another file with -o.")


def _refuse_taken(
    settings: Settings,
    path: Path,
    names: Iterable[str],
    words: tuple[str, str],
    complaint: type[UsageError | ConfigError],
) -> None:
    what, option = words
    place = path.expanduser()
    if is_taken(settings, place, names):
        raise complaint(
            f"The {what} {place} would overwrite a file that this command needs.", f"Name another file with {option}."
        )


def _refuse_unwritable(path: Path, words: tuple[str, str]) -> None:
    (what, option), place = words, path.expanduser()
    if not _can_be_file(place):
        if not place.absolute().parent.exists():
            raise StateError(f"The folder of the {what} {place} is not there.", f"Make it, or check {option}.")
        raise StateError(f"The {what} {place} cannot be written: no file can be there.", f"Check {option}.")


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
    write_told(path, text, "summary", "--summary")


def write_told(path: Path, text: str, what: str, option: str) -> None:
    """Put a file in place, readable by its owner only; a reader sees the old one or the new one."""
    try:
        write_private(path, text)
    except OSError as error:
        raise StateError(f"The {what} {path} cannot be written ({error.strerror}).", f"Check {option}.") from error


def _is_page(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            start = file.read(len(PAGE))
    except OSError:
        return False
    return not start or start == PAGE


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, whole or not at all. Raises OSError."""
    place = path.expanduser().resolve()
    number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:50]}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


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
