"""Whatever comes: what was written comes back, and nothing raises but our own errors."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import columns
from pipeline.errors import (
    InputUnusable,
)
from pipeline.sources import Source, open_source

if TYPE_CHECKING:
    from pathlib import Path

Write: TypeAlias = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes, name: str = "leads.csv", encoding: str = "utf-8") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(path)

    return write


def values(source: Source) -> list[dict[str, Any]]:
    return [record.values for record in source.records()]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=20)
LATIN = st.text(st.characters(codec="latin-1", exclude_characters="\0\r"), max_size=20)
ANYWAY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@ANYWAY
@given(
    data=st.data(),
    delimiter=st.sampled_from(",;\t|"),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_was_written_comes_back(
    write: Write,
    data: st.DataObject,
    delimiter: str,
    codec: str,
    end: str,
    quoting: Any,
) -> None:
    """Any cells, in any delimiter, line end, quoting and encoding we read."""
    cells = LATIN if codec == "latin-1" else CELLS
    rows = data.draw(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([["Company", "a, b; c", "Row"], *([*row, "r"] for row in rows)])
    path = write(text.getvalue(), encoding=codec)
    source = open_source(path, encoding="latin-1" if codec == "latin-1" else None)
    assert source.delimiter == delimiter
    assert [(record.row, *record.values.values(), record.error) for record in source.records()] == [
        (number, *row, "r", None) for number, row in enumerate(rows, 1)
    ]


@ANYWAY
@given(st.lists(st.dictionaries(CELLS, st.none() | st.booleans() | CELLS | st.lists(CELLS)), min_size=1))
def test_objects_come_back(write: Write, objects: list[dict[str, Any]]) -> None:
    objects = [{**each, "company": "Acme"} for each in objects]
    path = write(b"\n".join(orjson.dumps(each) for each in objects), "a.jsonl")
    told = {"company": "company", **dict.fromkeys(set(columns.FIELDS) - {"company"}, "")}
    assert values(open_source(path, columns=told)) == objects


PIECES = st.sampled_from(
    [
        b"Company",
        b"Email",
        b'"',
        b",",
        b";",
        b"\n",
        b"\r",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"{",
        b"}",
        b'"a":',
        b"[",
        b"sep=",
        b"\xfc",
        b"\t",
    ]
)
BYTES = (
    st.binary(max_size=200)
    | st.lists(PIECES, max_size=40).map(b"".join)
    | st.lists(PIECES, max_size=30).map(lambda pieces: b"Company," + b"".join(pieces))
)


@settings(ANYWAY, max_examples=500)
@given(
    content=BYTES,
    name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.json", "a", "a.txt", "a.xls"]),
    told=st.sampled_from([{}, {"company": "column 1"}, {"email": "a"}]),
    encoding=st.sampled_from(
        [None, "utf-8", "cp1252", "utf-16", "utf-16-le", "shift_jis", "utf-7", "utf-32", "iso2022_jp"]
    ),
)
def test_nothing_raises_but_our_own_errors(
    write: Write, content: bytes, name: str, told: dict[str, str], encoding: str | None
) -> None:
    """Whatever the bytes are, the user gets rows or one sentence; and every row can be written down again."""
    rows = []
    with suppress(InputUnusable):
        rows = list(open_source(write(content, name), columns=told, encoding=encoding).records())
    assert [row.row for row in rows] == list(range(1, len(rows) + 1))
    assert all(orjson.dumps(row.values) for row in rows)


def test_what_could_not_be_written_down_again_is_told_as_it_is_read(write: Write) -> None:
    """JSON is read deeper than it is written; such a row is `invalid`, its neighbours are as they were."""
    lines = [b'{"company":"Acme","x":' + b"[" * deep + b"]" * deep + b"}" for deep in (1, 240, 300, 900)]
    records = list(open_source(write(b"\n".join(lines), "a.jsonl")).records())
    assert [record.error for record in records] == [None, None, "nested too deep", "nested too deep"]
    assert all(orjson.dumps({"input": record.values}) for record in records)
