"""What is no text, or not in the encoding it is read in, is refused by name, place and remedy."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline.errors import (
    ConfigError,
    InputMissing,
    InputUnusable,
    PipelineError,
)
from pipeline.sources import Source, open_source

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


def refusal(path: str, kind: type[PipelineError] = InputUnusable, **options: Any) -> PipelineError:
    """Open and read all of a list that must be refused."""
    with pytest.raises(kind) as caught:
        list(open_source(path, **options).records())
    assert type(caught.value) is kind
    assert caught.value.what.endswith(".")
    return caught.value


# --- encodings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "told", "read_as"),
    [
        ("utf-8", None, "utf-8"),
        ("utf-8-sig", None, "utf-8-sig"),
        ("utf-8-sig", "UTF8", "utf-8-sig"),
        ("utf-16", None, "utf-16"),
        ("utf-32", None, "utf-32"),
        ("utf-16", "utf-16-le", "utf-16"),
        ("utf-16-le", "utf-16-le", "utf-16-le"),
        ("cp1252", "windows-1252", "cp1252"),
        ("latin-1", "latin1", "iso8859-1"),
    ],
)
def test_encodings_are_read(write: Write, codec: str, told: str | None, read_as: str) -> None:
    source = open_source(write("Société;Prénom\nMüller;Zoë\n", encoding=codec), encoding=told)
    assert source.encoding == read_as
    assert values(source) == [{"Société": "Müller", "Prénom": "Zoë"}]


@pytest.mark.parametrize("rows", [1, 40_000])
def test_a_wrong_encoding_is_named_by_byte_offset_and_line(write: Write, rows: int) -> None:
    """Also far behind what was looked at before reading."""
    good = b"Company,City\r\n" + b"Acme,Rome\r\n" * rows
    path = write(good + b"M\xfcller,Rome\r\n" + b"Acme,Rome\r\n" * rows)
    error = refusal(path)
    assert error.what == f"{path}: byte 0xFC at offset {len(good) + 1}, line {rows + 2}, is not UTF-8."
    assert error.fix == "Say what it is with --encoding, e.g. --encoding cp1252."


def test_the_offset_counts_the_mark_too(write: Write) -> None:
    error = refusal(write(b"\xef\xbb\xbfCompany\nM\xfcller\n"))
    assert "byte 0xFC at offset 12, line 2," in error.what


def test_a_wrong_encoding_is_named_in_a_pipe_too() -> None:
    stdin = io.BytesIO(b"Company\n" + b"Acme\n" * 50_000 + b"M\xfcller\n")
    error = refusal("-", stdin=stdin)
    assert error.what == "stdin: byte 0xFC at offset 250009, line 50002, is not UTF-8."


def test_an_encoding_that_was_told_wrongly(write: Write) -> None:
    error = refusal(write(b"Company\nM\x81ller\n"), encoding="cp1252")
    assert error.what.endswith("byte 0x81 at offset 9, line 2, is not cp1252.")
    assert error.fix == "Leave --encoding out if it is UTF-8, else say what it is."


@pytest.mark.parametrize("told", ["utf-99", "base64", "idna", "undefined", "\0"])
def test_an_encoding_that_does_not_exist(write: Write, told: str) -> None:
    error = refusal(write("Company\nAcme\n"), ConfigError, encoding=told)
    assert error.what == f"--encoding {told!r} is no encoding Python knows."


def test_a_mark_contradicts_the_user(write: Write) -> None:
    path = write("Company\nAcme\n", encoding="utf-8-sig")
    error = refusal(path, encoding="cp1252")
    assert error.what == f"{path} begins with the mark of UTF-8, --encoding says cp1252."
    assert error.fix == "Leave --encoding out."


def test_utf8_read_as_something_else_is_said(write: Write) -> None:
    """cp1252 reads nearly anything: "Müller" would be asked for, and paid for, as "MÃ¼ller"."""
    path = write("Company\nMüller\n")
    assert ", cp1252 as --encoding says, but it reads as UTF-8; " in open_source(path, encoding="cp1252").description
    path = write("Company\nMüller\n", encoding="cp1252")
    assert ", cp1252; " in open_source(path, encoding="cp1252").description


def test_utf16_without_its_mark(write: Write) -> None:
    for codec in ("utf-16-le", "utf-16-be"):
        error = refusal(write("Company\nAcme\n", encoding=codec))
        assert error.fix == f"Say so with --encoding {codec}."
    error = refusal(write("Company\nAcme\n", encoding="utf-16-le"), encoding="utf-16")
    assert error.fix == "Say --encoding utf-16-le or --encoding utf-16-be."


@pytest.mark.parametrize(
    "content",
    [
        bytes(byte for number in range(600) for byte in (number % 256, 0)),
        bytes(byte for number in range(600) for byte in (0, number % 7)),
        b"\x01\x00\x02\x00" * 99,
        b"A\x00B\x00\x00\xdc" * 99,
    ],
    ids=["numbers", "big-endian numbers", "two numbers", "half a surrogate pair"],
)
def test_a_binary_file_with_regular_zeros_is_not_taken_for_utf16(write: Write, content: bytes) -> None:
    """Numbers of two bytes have a zero in every pair, as English in UTF-16 has; naming an encoding cures nothing."""
    error = refusal(write(content))
    assert error.what.endswith("looks like a binary file: it holds zero bytes.")
    assert "--encoding" not in error.fix


# --- what is no list ----------------------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    error = refusal(str(tmp_path / "no.csv"), InputMissing)
    assert error.what == f"There is no file {tmp_path / 'no.csv'}."


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000])
def test_a_name_no_file_can_have(path: str) -> None:
    refusal(path, InputMissing)


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(str(tmp_path)).what == f"{tmp_path} is a folder, not a list."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_we_may_not_read(write: Write) -> None:
    path = write("Company\nAcme\n")
    Path(path).chmod(0)
    assert "Permission denied" in refusal(path, InputMissing).what


@pytest.mark.parametrize("content", ["", "\n \r\n\t\n", "\ufeff", "\ufeff\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a"])
def test_an_empty_file(write: Write, content: str, name: str) -> None:
    path = write(content, name)
    assert refusal(path).what == f"{path} is empty."


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_empty_utf16_file(write: Write, name: str) -> None:
    assert refusal(write("", name, "utf-16")).what.endswith("is empty.")


def test_a_header_and_no_rows(write: Write) -> None:
    path = write("Company,Email\n\n,\n")
    assert refusal(path).what == f"{path} has a header and no rows."


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        (b"PK\x03\x04\x14\0", "a.csv", "an Excel workbook or a zip file"),
        (b"anything", "a.xlsx", "an Excel workbook or a zip file"),
        (b"\xd0\xcf\x11\xe0\xa1", "a.xls", "an old Excel workbook"),
        (b"\x1f\x8b\x08", "a.csv.gz", "a gzip file"),
        (b"%PDF-1.7", "a", "a PDF"),
    ],
)
def test_binary_files_are_named(write: Write, content: bytes, name: str, what: str) -> None:
    path = write(content, name)
    error = refusal(path)
    assert error.what == f"{path} looks like {what}, not like text."
    assert error.fix


def test_zero_bytes_are_no_text(write: Write) -> None:
    assert "looks like a binary file: it holds zero bytes." in refusal(write(b"Company\nAc\0me\n")).what
    late = b"Company\n" + b"Acme\n" * 20_000 + b"Ac\0me\n"
    assert "line 20002 holds a zero byte" in refusal(write(late)).what


@pytest.mark.parametrize("page", ["<!DOCTYPE html>\n<p>", "  <HTML>", "<table><tr>", '<?xml version="1.0"?>'])
def test_a_web_page_is_no_list(write: Write, page: str) -> None:
    path = write(page)
    assert refusal(path).what == f"{path} looks like a web page, not like a list."


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ('Acme,x\n"Bolt,y\nCord,z\n', "a quote that opens in the row at line 3 is not closed by line 4."),
        ('Acme,x\n"Bolt,y', "a quote that opens in line 3 is never closed."),
        ('Acme,x\n"Bolt" Ltd,y\n', "line 3 has text after a closing quote."),
        (
            'Acme,"x\nBolt,"y"\n',
            "line 3 has text after a closing quote (the row begins at line 2).",
        ),
    ],
)
def test_a_misplaced_quote_is_refused_where_it_stands(write: Write, rows: str, what: str) -> None:
    """A quote left open would swallow rows; the line of the row it opened in is told."""
    path = write(f"Company,Notes\n{rows}")
    error = refusal(path)
    assert error.what == f"{path}: {what}"
    assert error.fix == 'Close it, or write a quote that belongs to a quoted cell twice ("").'


def test_a_quote_inside_a_bare_cell_is_text(write: Write) -> None:
    assert values(open_source(write('Company\nThe 5" Pipe Co\n'))) == [{"Company": 'The 5" Pipe Co'}]


def test_a_stray_quote_in_the_header_is_text(write: Write) -> None:
    assert values(open_source(write('Company,5" pipe\nAcme,x\n'))) == [{"Company": "Acme", '5" pipe': "x"}]


def test_a_line_without_end_is_refused(write: Write) -> None:
    error = refusal(write("Company\n" + "x" * (1 << 24) + "\n"))
    assert error.what.endswith("line 2 is longer than 16 million characters.")
