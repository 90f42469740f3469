"""What a lead list says, row by row: CSV and JSONL, from a file or a pipe, in memory that does not grow.

The rules for odd rows:
- rows are numbered from 1 after the header; entirely blank ones are skipped and not numbered;
- a CSV row with too few cells is filled up with ""; blank cells beyond the header are dropped;
- a CSV row with more filled cells than the header has columns cannot be trusted (an unquoted comma shifts
  what follows it, and a shifted row buys a stranger's data): it gets an `error` and keeps them in "_extra";
- a misplaced quote makes all that follows doubtful: the whole file is refused;
- a JSONL line that is not an object gets an `error` and keeps its beginning in "_line".
"""

from __future__ import annotations

import csv
import os
import re
import stat
import sys
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import orjson

from pipeline import columns as cols
from pipeline import rawtext
from pipeline.errors import InputMissing, InputUnusable, InternalError, UsageError

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pipeline.rawtext import Stream

EXTRA: Final = "_extra"
LINE: Final = "_line"

_KEPT_OF_LINE: Final = 1000
_PEEKED: Final = 100
_SHALLOW: Final = 100
_HEADER_LINES: Final = 100
_BLOCK: Final = 1 << 20
_DELIMITERS: Final = ",;\t|"
_FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_CSV: Final = {suffix for suffix, shape in _FORMATS.items() if shape == "csv"}
_TABBED: Final = {".tsv", ".tab"}
_SEP_LINE: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')
_ARRAY: Final = re.compile(r"\s*\[\s*[\[{\]]")
_OBJECT: Final = re.compile(r'\s*\{\s*["}]')
_QUOTE_FIX: Final = 'Close it, or write a quote that belongs to a quoted cell twice ("").'


class Record(NamedTuple):
    """One data row. `error` says in a few words why it cannot be used; `values` is what could be kept."""

    row: int
    values: dict[str, Any]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one version of a file from another at no cost; `Source.digest` tells for certain."""

    size: int
    mtime_ns: int


class _Begun(NamedTuple):
    """An input whose beginning has been read: a CSV file's header, a JSONL file's first objects."""

    stream: Stream
    format: str
    encoding: str
    delimiter: str | None
    headers: list[cols.Header]
    records: Iterator[Record]


class Source:
    """A lead list ready to be read.

    `columns` maps our field names to keys of the records' values; `description` tells people how the list was
    understood. `path` is "-" for stdin, `fingerprint` None for anything that can be read only once.
    """

    def __init__(self, path: str, begin: Callable[[], tuple[_Begun, cols.Columns]]) -> None:
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
        self._begun: _Begun | None = begun
        if self.fingerprint is not None:
            begun.stream.close()
            self._begun = None

    def records(self) -> Iterator[Record]:
        """Read all rows: a file as often as wanted, a pipe once. Raises InputUnusable where the file breaks."""
        begun, self._begun = self._begun, None
        if begun is not None:
            return begun.records
        if self.fingerprint is None:
            raise InternalError("A pipe was to be read twice.")
        begun, _ = self._begin()
        if begun.headers != self._headers:
            begun.stream.close()
            raise InputUnusable(f"{begun.stream.name} changed while it was read.", "Start again.")
        return begun.records

    def digest(self) -> bytes:
        """Hash every byte of the file (BLAKE2b, 16 bytes); not for pipes."""
        if self.fingerprint is None:
            raise InternalError("A pipe has no digest.")
        whole = blake2b(digest_size=16)
        with _opened(self.path) as file:
            while block := file.read(_BLOCK):
                whole.update(block)
        return whole.digest()


def open_source(
    path: str,
    *,
    columns: Mapping[str, str] = {},
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
) -> Source:
    """Look at a lead list ("-" is stdin) and say how it will be read; its rows are read by `records`.

    `columns` is the user's own field -> header, "" for none. Raises InputMissing, InputUnusable, UsageError
    (a field that does not exist) and ConfigError (an encoding that does not exist).
    """

    def begin() -> tuple[_Begun, cols.Columns]:
        if path == "-":
            stream = rawtext.Stream("stdin", stdin or sys.stdin.buffer, lent=True)
        else:
            stream = rawtext.Stream(path, _opened(path))
        try:
            begun = _begun(stream, Path(path).suffix.lower(), encoding)
            return begun, cols.recognise(begun.headers, columns, stream.name)
        except BaseException:
            stream.close()
            raise

    return Source(path, begin)


def look(path: str) -> tuple[str, list[cols.Header]]:
    """Say how a list would be read, and name its columns, whatever they mean. Raises as `open_source` does."""
    stream = rawtext.Stream(path, _opened(path))
    try:
        begun = _begun(stream, Path(path).suffix.lower(), None)
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


def _description(begun: _Begun, found: cols.Columns) -> str:
    return f"{_read_as(begun)}; {cols.described(found, len(begun.headers))}"


def _read_as(begun: _Begun) -> str:
    delimiter = "tab" if begun.delimiter == "\t" else f'"{begun.delimiter}"'
    doubt = rawtext.doubt(begun.stream, begun.encoding)
    shape = f"CSV, delimiter {delimiter}" if begun.format == "csv" else "JSONL"
    return f"{begun.stream.name}: {shape}, {rawtext.label(begun.encoding)}{doubt}"


def _begun(stream: Stream, suffix: str, told: str | None) -> _Begun:
    rawtext.check_is_text(stream, suffix)
    encoding = rawtext.encoding_of(stream, told)
    beginning = stream.head.decode(encoding, "replace")
    shape = _FORMATS.get(suffix) or ("jsonl" if _OBJECT.match(beginning) else "csv")
    if suffix not in _CSV and _ARRAY.match(beginning):
        what = f"{stream.name} is one JSON array, not one object a line."
        raise InputUnusable(what, f"Take it apart: jq -c '.[]' {stream.name} > leads.jsonl")
    if shape == "jsonl":
        return _begun_jsonl(stream, encoding)
    return _begun_csv(stream, encoding, "\t" if suffix in _TABBED else ",")


# --- CSV ----------------------------------------------------------------------------------------------


def _begun_csv(stream: Stream, encoding: str, likely: str) -> _Begun:
    """Read the header. One quoted cell may be as long as a line, for all csv readers of this process."""
    csv.field_size_limit(rawtext.LONGEST)
    lines = rawtext.lines(stream, encoding)
    told, opening = _opening(lines)
    delimiter = told or _sniffed("".join(opening), likely)
    reader = csv.reader(chain(opening, lines), delimiter=delimiter, strict=True)
    rows = _rows(reader, stream.name)
    header = next(rows, None)
    if header is None:
        raise InputUnusable(f"{stream.name} is empty.", "Check that the export finished.")
    first = next(rows, None)
    if first is None:
        raise InputUnusable(f"{stream.name} has a header and no rows.", "Check that the export finished.")
    headers = cols.headers_of(header)
    records = _csv_records(chain([first], rows), [header.key for header in headers], stream)
    return _Begun(stream, "csv", encoding, delimiter, headers, records)


def _opening(lines: Iterator[str]) -> tuple[str | None, list[str]]:
    """Read up to the end of the header; also return the delimiter that Excel's `sep=;` line names."""
    told = None
    opening: list[str] = []
    for line in islice(lines, _HEADER_LINES):
        first = told is None and not any(map(str.strip, opening))
        sep = _SEP_LINE.fullmatch(line) if first else None
        if sep:
            told = sep[1]
        opening.append("\n" if sep else line)
        if opening[-1].strip() and "".join(opening).count('"') % 2 == 0:
            break
    return told, opening


def _sniffed(header: str, likely: str) -> str:
    """Tell the delimiter by the header line alone: cells of data hold commas of their own."""
    bare = _QUOTED.sub("", header)
    return max(likely + _DELIMITERS, key=bare.count)


def _rows(reader: Reader, name: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank; say where the row began that cannot be read."""
    done = 0
    try:
        for row in reader:
            done = reader.line_num
            if row and (row[0].strip() or any(map(str.strip, row))):
                yield row
    except csv.Error as error:
        raise _misquoted(str(error), name, done + 1, reader.line_num) from None


def _misquoted(why: str, name: str, begins: int, ends: int) -> InputUnusable:
    if "expected after" in why:
        row = "" if begins == ends else f" (the row begins at line {begins})"
        return InputUnusable(f"{name}: line {ends} has text after a closing quote{row}.", _QUOTE_FIX)
    if begins == ends:
        return InputUnusable(f"{name}: a quote that opens in line {begins} is never closed.", _QUOTE_FIX)
    what = f"{name}: a quote that opens in the row at line {begins} is not closed by line {ends}."
    return InputUnusable(what, _QUOTE_FIX)


def _csv_records(rows: Iterable[list[str]], keys: list[str], stream: Stream) -> Iterator[Record]:
    width = len(keys)
    try:
        for number, cells in enumerate(rows, 1):
            if len(cells) == width:
                yield Record(number, dict(zip(keys, cells, strict=False)))
            else:
                yield _ragged(number, cells, keys)
    finally:
        stream.close()


def _ragged(number: int, cells: list[str], keys: list[str]) -> Record:
    values: dict[str, Any] = dict.fromkeys(keys, "")
    values.update(zip(keys, cells, strict=False))
    extra = cells[len(keys) :]
    if not any(map(str.strip, extra)):
        return Record(number, values)
    return Record(number, {**values, EXTRA: extra}, f"{len(cells)} cells for {len(keys)} columns")


# --- JSONL --------------------------------------------------------------------------------------------


def _begun_jsonl(stream: Stream, encoding: str) -> _Begun:
    """Read the first objects: their keys are the headers."""
    records = _json_records(rawtext.json_lines(stream, encoding), stream)
    peeked = list(islice(records, _PEEKED))
    if not peeked:
        raise InputUnusable(f"{stream.name} is empty.", "Check that the export finished.")
    usable = [record.values for record in peeked if record.error is None]
    if not usable:
        what = f"{stream.name}: none of the first {len(peeked)} lines is a JSON object."
        raise InputUnusable(what, f"Write one object a line: jq -c . {stream.name} > leads.jsonl")
    keys = list(dict.fromkeys(chain.from_iterable(usable)))
    headers = [cols.Header(position, key.strip(), key) for position, key in enumerate(keys, 1)]
    return _Begun(stream, "jsonl", encoding, None, headers, chain(peeked, records))


def _json_records(lines: Iterator[str], stream: Stream) -> Iterator[Record]:
    try:
        for number, line in enumerate(filter(str.strip, lines), 1):
            yield _json_record(number, line)
    finally:
        stream.close()


def _json_record(number: int, line: str) -> Record:
    try:
        values = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _broken(number, line, _why(line, error))
    if not isinstance(values, dict):
        return _broken(number, line, "not a JSON object")
    if line.count("[") + line.count("{") > _SHALLOW and not _can_be_written(values):
        return _broken(number, line, "nested too deep")
    return Record(number, values)


def _can_be_written(values: dict[str, Any]) -> bool:
    """Whether an output line can hold the row: JSON is read four times as deep as it is written."""
    try:
        orjson.dumps({"line": {"input": values}})
    except TypeError:
        return False
    return True


def _why(line: str, error: orjson.JSONDecodeError) -> str:
    if len(line) >= rawtext.LONGEST:
        return "line longer than 16 million characters"
    if any("\udc80" <= letter <= "\udcff" for letter in line):
        return "not UTF-8"
    return f"not JSON at character {min(error.pos, len(line.rstrip())) + 1}"


def _broken(number: int, line: str, why: str) -> Record:
    kept = line[:_KEPT_OF_LINE].strip().encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Record(number, {LINE: kept}, why)
