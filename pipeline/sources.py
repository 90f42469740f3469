"""What a list says, row by row, of a file or a pipe, in memory that does not grow; `lists` knows the formats."""

from __future__ import annotations

import csv
import os
import stat
import sys
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from pipeline import columns as cols
from pipeline import rawtext
from pipeline.errors import InputMissing, InputUnusable, InternalError, UsageError
from pipeline.lists import (
    PLAIN,
    Begun,
    Record,
    begun_parquet,
    begun_plain,
    begun_with,
    csv_records,
    json_records,
    rows_of,
)
from pipeline.parquet import is_parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one version of a file from another at no cost; `Source.digest` tells for certain."""

    size: int
    mtime_ns: int


class Source:
    """A lead list ready to be read.

    `columns` maps our field names to keys of the records' values; `description` tells people how the list was
    understood. `path` is "-" for stdin, `fingerprint` None for anything that can be read only once.
    """

    def __init__(self, path: str, begin: Callable[[], tuple[Begun, cols.Columns]]) -> None:
        begun, found = begin()
        self.path = path
        self.format = begun.format
        self.encoding = begun.encoding
        self.delimiter = begun.delimiter
        self.columns: dict[str, str] = found.fields
        self.description = _description(begun, found)
        self.fingerprint = _fingerprint(path)
        self.place = path if path == "-" else os.fsencode(Path(path).resolve()).decode("utf-8", "replace")
        self._begin = begin
        self._headers = begun.headers
        self._begun: Begun | None = begun
        if self.fingerprint is not None:
            begun.stream.close()
            self._begun = None

    def records(self) -> Iterator[Record]:
        """Read all rows: a file as often as wanted, a pipe once. Raises InputUnusable where the file breaks."""
        return self._read(None)

    def sifted(self, fields: Iterable[str], wanted: Callable[[Sequence[Any]], bool]) -> Iterator[Record]:
        """Read all rows, but yield only those `wanted` by their cells in these fields of `columns`.

        Making records of cells is most of what reading costs.
        """
        return self._read(cols.Sift([self.columns[field] for field in fields], wanted))

    def _read(self, sift: cols.Sift | None) -> Iterator[Record]:
        begun, self._begun = self._begun, None
        if begun is not None:
            return begun.records(sift)
        if self.fingerprint is None:
            raise InternalError("A pipe was to be read twice.")
        begun, _ = self._begin()
        if begun.headers != self._headers:
            begun.stream.close()
            raise InputUnusable(f"{begun.stream.name} changed while it was read.", "Start again.")
        return begun.records(sift)

    def records_after(self, size: int, rows: int) -> Iterator[Record]:
        """Read the rows that were added to a file that had so many bytes and rows; `ends_a_row` must hold there."""
        file = _opened(self.path)
        file.seek(size)
        stream = rawtext.Stream(f"{self.path} (after its first {size:,} bytes)", file)
        encoding = "utf-8" if self.encoding in rawtext.UTF8 else self.encoding
        if self.format == "jsonl":
            return json_records(rawtext.json_lines(stream, encoding), stream, rows)
        reader = csv.reader(rawtext.lines(stream, encoding), delimiter=self.delimiter or ",", strict=True)
        return csv_records(rows_of(reader, stream.name), [header.key for header in self._headers], stream, rows)

    def ends_a_row(self, size: int) -> bool:
        """Whether one can begin to read after so many bytes, with which a file once ended: after a line's end."""
        if self.format not in ("csv", "jsonl") or self.encoding.startswith(("utf-16", "utf-32")):
            return False
        with _opened(self.path) as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def digest(self, size: int | None = None) -> bytes:
        """Hash every byte of the file, or its first ones (BLAKE2b, 16 bytes); not for pipes."""
        if self.fingerprint is None:
            raise InternalError("A pipe has no digest.")
        hashed, left = blake2b(digest_size=16), sys.maxsize if size is None else size
        with _opened(self.path) as file:
            while block := file.read(min(_BLOCK, left)):
                hashed.update(block)
                left -= len(block)
        return hashed.digest()


def open_source(
    path: str,
    *,
    columns: Mapping[str, str] = {},
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
    fields: Sequence[str] = cols.FIELDS,
    name: str = "stdin",
) -> Source:
    """Look at a list ("-" is stdin, or what goes by `name`) and say how its rows will be read by `records`.

    `fields` are those to look for; without all of them, a list may also be plain lines. `columns` is the user's own
    field -> header, "" for none. Raises InputMissing, InputUnusable, UsageError (a field that does not exist) and
    ConfigError (an encoding that does not exist).
    """

    def begin() -> tuple[Begun, cols.Columns]:
        if path == "-":
            stream = rawtext.Stream(name, stdin or sys.stdin.buffer, lent=name == "stdin")
        else:
            stream = rawtext.Stream(path, _opened(path))
        try:
            suffix = Path(path).suffix.lower()
            if is_parquet(stream.head, suffix) and path != "-":
                begun = begun_parquet(stream)
            elif fields is cols.FIELDS or columns or not (bare := begun_plain(stream, suffix, encoding, fields)):
                begun = begun_with(stream, suffix, encoding)
            else:
                return bare, PLAIN
            return begun, cols.recognise(begun.headers, columns, stream.name, fields)
        except BaseException:
            stream.close()
            raise

    return Source(path, begin)


def look(path: str) -> tuple[str, list[cols.Header]]:
    """Say how a list would be read, and name its columns, whatever they mean. Raises as `open_source` does."""
    stream = rawtext.Stream(path, _opened(path))
    try:
        begun = begun_with(stream, Path(path).suffix.lower(), None)
        return _read_as(begun), begun.headers
    finally:
        stream.close()


def _opened(path: str) -> BinaryIO:
    if not path:
        raise UsageError("The list has no name.", "Name a file, or - for stdin.")
    try:
        if stat.S_ISCHR(Path(path).stat().st_mode) and not path.startswith(("/dev/stdin", "/dev/fd/", "/proc/")):
            raise InputUnusable(f"{path} is a device, not a list.", "Name a file, or - for stdin.")
        return Path(path).open("rb")
    except IsADirectoryError as error:
        raise InputUnusable(f"{path} is a folder, not a list.", "Name the file in it.") from error
    except FileNotFoundError as error:
        raise InputMissing(f"There is no file {path}.", "Check the name and the folder.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such name is possible"
        raise InputMissing(f"{path} cannot be opened: {why}.", "Check the name and its permissions.") from error


def _fingerprint(path: str) -> Fingerprint | None:
    if path == "-":
        return None
    found = Path(path).stat()
    return Fingerprint(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _description(begun: Begun, found: cols.Columns) -> str:
    return f"{_read_as(begun)}; {cols.described(found, len(begun.headers))}"


def _read_as(begun: Begun) -> str:
    if begun.format == "parquet":
        return f"{begun.stream.name}: Parquet"
    delimiter = "tab" if begun.delimiter == "\t" else f'"{begun.delimiter}"'
    doubt = rawtext.doubt(begun.stream, begun.encoding)
    shapes = {"csv": f"CSV, delimiter {delimiter}", "jsonl": "JSONL", "plain": "plain lines without a header"}
    return f"{begun.stream.name}: {shapes[begun.format]}, {rawtext.label(begun.encoding)}{doubt}"
