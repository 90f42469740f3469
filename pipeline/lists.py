"""How the rows of a list are told apart: CSV, JSONL, Parquet, plain lines.

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
import re
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from pipeline import columns as cols
from pipeline import plain, rawtext
from pipeline.errors import InputUnusable
from pipeline.parquet import Table

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pipeline.rawtext import Stream

EXTRA: Final = "_extra"
LINE: Final = "_line"
_KEPT_OF_LINE: Final = 1000
_PEEKED: Final = 100
_SHALLOW: Final = 100
_HEADER_LINES: Final = 100
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
PLAIN: Final = cols.Columns({"company": "company", "domain": "domain"})
_SEP_LINE: Final = re.compile(r'"?sep=([^\w\s"]|\t)"?\s*', re.IGNORECASE)
_QUOTED: Final = re.compile(r'"[^"]*"')
_ARRAY: Final = re.compile(r"\s*\[\s*[\[{\]]")
_OBJECT: Final = re.compile(r'\s*\{\s*["}]')


class Record(NamedTuple):
    """One data row. `error` says in a few words why it cannot be used; `values` is what could be kept."""

    row: int
    values: dict[str, Any]
    error: str | None = None


class Begun(NamedTuple):
    """An input whose beginning has been read: a CSV file's header, a JSONL file's first objects."""

    stream: Stream
    format: str
    encoding: str
    delimiter: str | None
    headers: list[cols.Header]
    records: Callable[[cols.Sift | None], Iterator[Record]]


def begun_with(stream: Stream, suffix: str, told: str | None) -> Begun:
    """Begin with a list that has headers, CSV or JSONL. Raises InputUnusable with the reason."""
    rawtext.check_is_text(stream, suffix)
    encoding = rawtext.encoding_of(stream, told)
    beginning = stream.head.decode(encoding, "replace")
    shape = _FORMATS.get(suffix) or ("jsonl" if _OBJECT.match(beginning) else "csv")
    if suffix not in _CSV and _ARRAY.match(beginning):
        what = f"{stream.name} is one JSON array, not one object a line."
        raise InputUnusable(what, f"Take it apart: jq -c '.[]' {stream.name} > leads.jsonl")
    if shape == "jsonl":
        return _begun_jsonl(stream, encoding)
    return _begun_csv(stream, encoding, "\t" if suffix in {".tsv", ".tab"} else ",")


# --- plain lines and Parquet --------------------------------------------------------------------------


def begun_plain(stream: Stream, suffix: str, told: str | None, fields: Sequence[str]) -> Begun | None:
    """Begin with a list that has no header; None if it has one."""
    rawtext.check_is_text(stream, suffix)
    encoding = rawtext.encoding_of(stream, told)
    if not plain.is_plain(stream.head.decode(encoding, "replace"), lambda cell: cols.is_header(cell, fields)):
        return None
    entries = plain.entries(rawtext.lines(stream, encoding))
    records = (Record(number, plain.company_cells(entry)) for number, entry in enumerate(entries, 1))
    return Begun(stream, "plain", encoding, None, [], _sifting(records))


def begun_parquet(stream: Stream) -> Begun:
    """Begin with a Parquet file, which is read by its name."""
    table = Table(stream.name)
    stream.close()
    headers = cols.headers_of(table.headers)
    keys = [header.key for header in headers]
    records = (Record(number, dict(zip(keys, row, strict=True))) for number, row in enumerate(table.rows(), 1))
    return Begun(stream, "parquet", "", None, headers, _sifting(records))


# --- CSV ----------------------------------------------------------------------------------------------


def _begun_csv(stream: Stream, encoding: str, likely: str) -> Begun:
    """Read the header. One quoted cell may be as long as a line, for all csv readers of this process."""
    csv.field_size_limit(rawtext.LONGEST)
    lines = rawtext.lines(stream, encoding)
    told, opening = _opening(lines)
    delimiter = told or _sniffed("".join(opening), likely)
    reader = csv.reader(chain(opening, lines), delimiter=delimiter, strict=True)
    rows = rows_of(reader, stream.name)
    header = next(rows, None)
    if header is None:
        raise InputUnusable(f"{stream.name} is empty.", "Check that the export finished.")
    first = next(rows, None)
    if first is None:
        raise InputUnusable(f"{stream.name} has a header and no rows.", "Check that the export finished.")
    headers = cols.headers_of(header)
    keys = [header.key for header in headers]
    records = partial(csv_records, chain([first], rows), keys, stream, 0)
    return Begun(stream, "csv", encoding, delimiter, headers, records)


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


def rows_of(reader: Reader, name: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank; say where the row began that cannot be read."""
    done = 0
    try:
        for row in reader:
            done = reader.line_num
            if row and (row[0].strip() or any(map(str.strip, row))):
                yield row
    except csv.Error as error:
        raise rawtext.misquoted(str(error), name, done + 1, reader.line_num) from None


def csv_records(
    rows: Iterable[list[str]], keys: list[str], stream: Stream, before: int = 0, sift: cols.Sift | None = None
) -> Iterator[Record]:
    """Make records of a CSV file's rows, numbered on from `before`, of those alone that the sift wants."""
    width = len(keys)
    wanted, pick = (sift.wanted, sift.places(keys)) if sift else (None, None)
    try:
        for number, cells in enumerate(rows, before + 1):
            if len(cells) != width:
                ragged = _ragged(number, cells, keys)
                if sift is None or sift.of(ragged.values):
                    yield ragged
            elif wanted is None or pick is None or wanted(pick(cells)):
                yield Record(number, dict(zip(keys, cells, strict=False)))
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


def _begun_jsonl(stream: Stream, encoding: str) -> Begun:
    """Read the first objects: their keys are the headers."""
    records = json_records(rawtext.json_lines(stream, encoding), stream)
    peeked = list(islice(records, _PEEKED))
    if not peeked:
        raise InputUnusable(f"{stream.name} is empty.", "Check that the export finished.")
    usable = [record.values for record in peeked if record.error is None]
    if not usable:
        what = f"{stream.name}: none of the first {len(peeked)} lines is a JSON object."
        raise InputUnusable(what, f"Write one object a line: jq -c . {stream.name} > leads.jsonl")
    keys = list(dict.fromkeys(chain.from_iterable(usable)))
    headers = [cols.Header(position, key.strip(), key) for position, key in enumerate(keys, 1)]
    return Begun(stream, "jsonl", encoding, None, headers, _sifting(chain(peeked, records)))


def _sifting(records: Iterator[Record]) -> Callable[[cols.Sift | None], Iterator[Record]]:
    """Leave out what the sift does not want."""
    return lambda sift: records if sift is None else (record for record in records if sift.of(record.values))


def json_records(lines: Iterator[str], stream: Stream, before: int = 0) -> Iterator[Record]:
    """Make records of a JSONL file's lines, numbered on from `before`."""
    try:
        for number, line in enumerate(filter(str.strip, lines), before + 1):
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
