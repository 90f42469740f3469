"""`export`: a job's results again, from what was paid for, as JSONL, CSV or Parquet; costs nothing."""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline import parquet
from pipeline.engine import encode
from pipeline.errors import StateError, UsageError
from pipeline.flat import RESULT, cell, flat_name
from pipeline.jobs import named_jobs
from pipeline.lists import EXTRA, LINE
from pipeline.model import ERASED, UNREADABLE, Kind
from pipeline.replay import moment
from pipeline.results import results
from pipeline.session import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from pipeline.model import Enriched
    from pipeline.session import Parts, Session
    from pipeline.store.records import Job

FORMATS: Final = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}

NO_COLUMNS: Final = frozenset({ERASED, UNREADABLE, EXTRA, LINE})
"""Keys of an input that are ours, not the list's."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written where; `lost`: rows whose answers were purged."""

    job: str
    output: str
    format: str
    lines: int
    columns: list[str]
    lost: int


@dataclass(frozen=True, slots=True)
class Wish:
    """Which lines, and which columns of them; none named: all."""

    columns: tuple[str, ...] = ()
    partial: bool = False
    since: str = ""
    format: str | None = None


async def export(parts: Parts, name: str, out: str, wish: Wish) -> Exported:
    """Write a job's results to a file, atomically and for its owner only, or to standard output."""
    shape = format_of(out, wish.format)
    since = moment(wish.since, parts.now()) if wish.since else 0.0
    async with session(parts) as opened:
        (job,) = named_jobs(opened, [name])
        with opened.store.snapshot():
            columns = _columns(wish.columns, _headers(opened, job), job.kind)
            lost: list[int] = []
            lines = results(opened, job, since=since, partial=wish.partial, lost=lost)
            flat = shape != "jsonl" or bool(wish.columns)
            counted = _Counted(lines)
            _write(out, shape, counted, columns if flat else {})
    return Exported(job.name, out, shape, counted.n, list(columns) if flat else [], len(lost))


class _Counted:
    """Lines, counted as they go by."""

    def __init__(self, lines: Iterable[Enriched]) -> None:
        self.n = 0
        self._lines = lines

    def __iter__(self) -> Iterator[Enriched]:
        for line in self._lines:
            self.n += 1
            yield line


def format_of(out: str, told: str | None = None) -> str:
    """How to write: as told, else by the file's name. Raises UsageError where neither says."""
    shape = told or (FORMATS.get(Path(out).suffix.lower()) if out != "-" else "jsonl")
    if shape is None:
        raise UsageError(f"{out} says no format.", "Name it .csv, .parquet or .jsonl, or say --format.")
    if shape == "parquet" and out == "-":
        raise UsageError("Parquet cannot be written to standard output.", "Name a file with -o.")
    return shape


# --- columns ------------------------------------------------------------------------------------------


def _headers(opened: Session, job: Job) -> list[str]:
    """Every column the job's rows came with, in the order they are first met."""
    found: dict[str, None] = {}
    for kept in opened.store.erasing.rows(job.id):
        found.update(dict.fromkeys(orjson.loads(kept.work.input)))
    return [name for name in found if name not in NO_COLUMNS]


def _columns(wanted: Sequence[str], headers: Sequence[str], kind: Kind) -> dict[str, Callable[[Enriched], Any]]:
    """Name -> how it is read off a line; a column of the list that is called like one of ours is `input.NAME`."""
    ours = {name: read for name, (read, _) in RESULT.items() if kind is Kind.PROSPECT or name != "contact_id"}
    theirs = {(f"input.{name}" if name in ours else name): _of_input(name) for name in headers}
    every = ours | theirs
    if not wanted:
        return every
    chosen = {}
    for name in wanted:
        known = next((way for way in (name, flat_name(name), name.removeprefix("input.")) if way in every), None)
        if known is None:
            close = get_close_matches(name, every, n=1)
            fix = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(every)}."
            raise UsageError(f"There is no column {name}.", fix)
        chosen[known] = every[known]
    return chosen


def _of_input(name: str) -> Callable[[Enriched], Any]:
    return lambda line: _text(line.input.get(name))


def _text(value: object) -> str | None:
    """A cell of the list as text, whatever JSON it was."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


# --- writing ------------------------------------------------------------------------------------------


def _write(out: str, shape: str, lines: Iterable[Enriched], columns: dict[str, Callable[[Enriched], Any]]) -> None:
    rows = ([read(line) for read in columns.values()] for line in lines)
    with _target(out) as file:
        if shape == "parquet":
            parquet.write(file, {name: RESULT[name][1] if name in RESULT else str for name in columns}, rows)
        elif shape == "csv":
            file.writelines(_csv(columns, rows))
        elif columns:
            file.writelines(encoded(dict(zip(columns, row, strict=True))) for row in rows)
        else:
            file.writelines(map(encode, lines))


def encoded(row: dict[str, Any]) -> bytes:
    """A flat line of JSONL."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _csv(names: Iterable[str], rows: Iterable[list[Any]]) -> Iterator[bytes]:
    """The header, then a line a row."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in chain([list(names)], rows):
        writer.writerow(map(cell, row))
        yield text.getvalue().encode("utf-8", "replace")
        text.seek(0)
        text.truncate()


@contextmanager
def _target(out: str) -> Iterator[BinaryIO]:
    """Open where it goes: standard output, or a file that is put in place when it is whole."""
    if out == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    place = Path(out).expanduser().resolve()
    try:
        number, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:50]}.")
        try:
            with os.fdopen(number, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StateError(
            f"{out} cannot be written ({error.strerror}).", "Check its folder, or name another."
        ) from error
