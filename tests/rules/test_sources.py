"""Lists come as people export them: what can be read is read and said; an odd row costs only itself."""

from __future__ import annotations

import gc
import io
import os
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pipeline.errors import (
    InputUnusable,
    InternalError,
    PipelineError,
)
from pipeline.lists import Record
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


# --- CSV as it comes ----------------------------------------------------------------------------------


def test_says_how_the_list_was_read(write: Write) -> None:
    """Nobody should have to guess what was bought (T5.2)."""
    path = write("\ufeffRecord ID;Company Name;Email Address;City;Owner\r\n1;Acme;a@b.example;Rome;X\r\n")
    source = open_source(path)
    assert source.description == (
        f'{path}: CSV, delimiter ";", UTF-8 with BOM; company = "Company Name", email = "Email Address",'
        ' id = "Record ID"; 2 other columns carried through'
    )
    assert (source.format, source.delimiter, source.encoding) == ("csv", ";", "utf-8-sig")
    assert source.columns == {"company": "Company Name", "email": "Email Address", "id": "Record ID"}


def test_every_column_comes_as_it_is(write: Write) -> None:
    source = open_source(write('Company,Notes\nAcme,"a, ""b""\r\nc"\n  Spaced  ,=1+1\n'))
    assert list(source.records()) == [
        Record(1, {"Company": "Acme", "Notes": 'a, "b"\r\nc'}, None),
        Record(2, {"Company": "  Spaced  ", "Notes": "=1+1"}, None),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_by_the_header_alone(write: Write, delimiter: str) -> None:
    row = delimiter.join(["Acme", '"1,2;3|4\t5,6;7"'])
    source = open_source(write(f'Company{delimiter}"Notes, long; and | odd"\n{row}\n'))
    assert source.delimiter == delimiter
    assert values(source) == [{"Company": "Acme", "Notes, long; and | odd": "1,2;3|4\t5,6;7"}]


def test_a_header_may_hold_quoted_newlines(write: Write) -> None:
    source = open_source(write('"Notes\nof, the, sales, team";Company\nhi;Acme\n'))
    assert (source.delimiter, values(source)[0]["Company"]) == (";", "Acme")


def test_tab_is_likely_in_a_tsv_file(write: Write) -> None:
    assert open_source(write("Company, legal\tEmail\nAcme\ta@b.example\n", "leads.tsv")).delimiter == "\t"


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\r\n', "\ufeffSEP=;\r\n"])
def test_excels_sep_line_is_honoured(write: Write, line: str) -> None:
    source = open_source(write(f"{line}Company;a,b,c\r\nAcme;1\r\n"))
    assert values(source) == [{"Company": "Acme", "a,b,c": "1"}]


@pytest.mark.parametrize("before", ['Company;Feet 6",Inch', "sep=;\nCompany"])
def test_a_row_that_reads_like_excels_sep_line_is_a_row(write: Write, before: str) -> None:
    """Also below a header in which a stray quote lets the next line look like its second half."""
    source = open_source(write(f"{before}\nsep=;\nAcme\n"), columns={"company": "Company"})
    assert [row["Company"] for row in values(source)] == ["sep=", "Acme"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(write: Write, end: str) -> None:
    source = open_source(write(end.join(["Company,Email", "Acme,", "Bolt,b@c.example"])))
    assert [row["Company"] for row in values(source)] == ["Acme", "Bolt"]


def test_blank_rows_are_skipped_and_not_numbered(write: Write) -> None:
    source = open_source(write("\n\nCompany,Email\n\nAcme,\n,\n  , \t\nBolt,\n\n"))
    assert [(record.row, record.values["Company"]) for record in source.records()] == [
        (1, "Acme"),
        (2, "Bolt"),
    ]


def test_short_rows_are_filled_up(write: Write) -> None:
    source = open_source(write("Company,Email,City\nAcme\n"))
    assert list(source.records()) == [Record(1, {"Company": "Acme", "Email": "", "City": ""}, None)]


def test_blank_cells_beyond_the_header_are_dropped(write: Write) -> None:
    source = open_source(write("Company,Email\nAcme,,, ,\n"))
    assert list(source.records()) == [Record(1, {"Company": "Acme", "Email": ""}, None)]


def test_a_shifted_row_is_not_trusted(write: Write) -> None:
    """An unquoted comma shifts cells: the row is kept, nothing is bought for it, the rest go on."""
    source = open_source(write("Company,Email\nSmith, Jones & Co,a@b.example\nAcme,\n"))
    assert list(source.records()) == [
        Record(
            1,
            {"Company": "Smith", "Email": " Jones & Co", "_extra": ["a@b.example"]},
            "3 cells for 2 columns",
        ),
        Record(2, {"Company": "Acme", "Email": ""}, None),
    ]


def test_a_huge_cell_is_read(write: Write) -> None:
    source = open_source(write(f'Company,Notes\nAcme,"{"x" * 300_000}"\n'))
    assert len(values(source)[0]["Notes"]) == 300_000


def test_nameless_and_repeated_columns_are_kept_apart(write: Write) -> None:
    source = open_source(write("Company,Note,,Note,column 3,Note (2)\nAcme,1,2,3,4,5\n"))
    assert values(source) == [
        {"Company": "Acme", "Note": "1", "column 3": "2", "Note (2)": "3", "column 3 (2)": "4", "Note (2) (2)": "5"}
    ]


# --- columns ------------------------------------------------------------------------------------------


def test_the_header_that_came_second_is_told(write: Write) -> None:
    source = open_source(write("Company,Email,Work Email\nAcme,a@b.example,c@d.example\n"))
    assert source.description.endswith('1 other column carried through; "Work Email" is not used, "Email" is')


def test_a_coin_toss_is_refused(write: Write) -> None:
    path = write("Company,Account Name\nAcme,Bolt\n")
    error = refusal(path)
    assert error.what == f'{path}: "Company" and "Account Name" (columns 1 and 2) could both be the company.'
    assert error.fix == 'Say which: --column company="Company".'
    assert open_source(path, columns={"company": "Account Name"}).columns == {"company": "Account Name"}


def test_a_repeated_header_that_matters_is_refused(write: Write) -> None:
    path = write("Email,Company,Email\na@b.example,Acme,c@d.example\n")
    error = refusal(path)
    assert error.what == f'{path}: columns 1 and 3 are both called "Email", so which is the email is unclear.'
    assert error.fix == 'Rename one, or say --column email="Email (1)" or --column email="Email (2)".'
    assert refusal(path, columns={"email": "Email"}).what == error.what
    assert open_source(path, columns={"email": "Email (1)"}).columns["email"] == "Email"
    assert open_source(path, columns={"email": "Email (2)"}).columns["email"] == "Email (2)"


# --- JSONL --------------------------------------------------------------------------------------------


def test_jsonl_is_read_and_nested_values_are_carried(write: Write) -> None:
    path = write('\ufeff{"company":"Acme","tags":["a",{"b":null}],"n":7}\r\n\n{"company":"Bolt","late":1}', "a.jsonl")
    source = open_source(path)
    assert list(source.records()) == [
        Record(1, {"company": "Acme", "tags": ["a", {"b": None}], "n": 7}, None),
        Record(2, {"company": "Bolt", "late": 1}, None),
    ]
    assert source.description == (
        f'{path}: JSONL, UTF-8 with BOM; company = "company"; 3 other columns carried through'
    )
    assert (source.format, source.delimiter) == ("jsonl", None)


@pytest.mark.parametrize("name", ["a.ndjson", "a.json", "a", "a.data"])
def test_jsonl_is_told_by_suffix_or_by_its_first_byte(write: Write, name: str) -> None:
    assert open_source(write('\n {"company":"Acme"}\n', name)).format == "jsonl"


def test_a_broken_line_does_not_stop_the_others(write: Write) -> None:
    long = '{"company": ' + "x" * 5000
    lines = [
        b'{"company":"A"}',
        b'{"company":',
        b"[1]",
        b'{"company":"M\xfc"}',
        long.encode(),
        b"NaN",
        b'{"company":"B"}',
    ]
    got = list(open_source(write(b"\n".join(lines), "a.jsonl")).records())
    assert [(record.row, record.error) for record in got] == [
        (1, None),
        (2, "not JSON at character 12"),
        (3, "not a JSON object"),
        (4, "not UTF-8"),
        (5, "not JSON at character 13"),
        (6, "not JSON at character 1"),
        (7, None),
    ]
    assert [record.values for record in got[1:4]] == [
        {"_line": '{"company":'},
        {"_line": "[1]"},
        {"_line": '{"company":"M\ufffd"}'},
    ]
    assert len(got[4].values["_line"]) == 1000


def test_an_endless_line_costs_only_itself(write: Write) -> None:
    endless = '{"company":"' + "x" * (2 * (1 << 24) + 5) + '"}'
    source = open_source(write(f'{{"company":"A"}}\n{endless}\n{{"company":"B"}}\n', "a.jsonl"))
    assert [(record.row, record.error) for record in source.records()] == [
        (1, None),
        (2, "line longer than 16 million characters"),
        (3, None),
    ]


def test_jsonl_in_another_encoding(write: Write) -> None:
    text = '{"company":"Müller"}\n'
    assert values(open_source(write(text, "a.jsonl", "utf-16"))) == [{"company": "Müller"}]
    path = write(text, "b.jsonl", "cp1252")
    assert values(open_source(path, encoding="cp1252")) == [{"company": "Müller"}]
    assert "byte 0xFC at offset 13, line 1" in refusal(path, encoding="ascii").what


def test_one_array_is_refused_with_the_way_to_take_it_apart(write: Write) -> None:
    for name in ("a.json", "a", "a.jsonl"):
        path = write('[\n {"company": "Acme"}]', name)
        error = refusal(path)
        assert error.what == f"{path} is one JSON array, not one object a line."
        assert error.fix == f"Take it apart: jq -c '.[]' {path} > leads.jsonl"


def test_pretty_printed_json_is_refused(write: Write) -> None:
    path = write('{\n "company": "Acme"\n}\n', "a.json")
    assert refusal(path).what == f"{path}: none of the first 3 lines is a JSON object."


@pytest.mark.parametrize(("name", "rows", "odd"), [("leads.csv", 62, 1), ("companies.csv", 15, 0)])
def test_the_lists_we_ship_are_read(name: str, rows: int, odd: int) -> None:
    """Only the row that an unquoted comma shifted cannot be used."""
    records = list(open_source(str(Path(__file__).parents[2] / "data" / name)).records())
    assert (len(records), sum(record.error is not None for record in records)) == (rows, odd)


# --- files, pipes and memory --------------------------------------------------------------------------


def test_stdin_is_read_once_and_stays_open() -> None:
    stdin = io.BytesIO(b"Company\n" + b"Acme\n" * 100_000)
    source = open_source("-", stdin=stdin)
    assert source.fingerprint is None
    assert source.path == "-"
    assert source.description.startswith('stdin: CSV, delimiter ",", UTF-8; company = "Company"')
    assert sum(1 for _ in source.records()) == 100_000
    gc.collect()
    assert not stdin.closed
    for again in (source.records, source.digest):
        with pytest.raises(InternalError):
            again()


def test_jsonl_from_stdin() -> None:
    lines = b"".join(b'{"email":"a%d@b.example"}\n' % n for n in range(500))
    records = list(open_source("-", stdin=io.BytesIO(lines)).records())
    assert [record.row for record in records] == list(range(1, 501))


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    """As `enrich <(gunzip -c leads.csv.gz)` gives it."""
    read, write = os.pipe()
    os.write(write, b"Company\nAcme\n")
    os.close(write)
    source = open_source(f"/dev/fd/{read}")
    os.close(read)
    assert (source.fingerprint, values(source)) == (None, [{"Company": "Acme"}])


def test_a_file_is_read_as_often_as_wanted_and_known_by_its_print(write: Write) -> None:
    path = write("Company\nAcme\n")
    source = open_source(path)
    assert values(source) == values(source) == [{"Company": "Acme"}]
    assert source.fingerprint is not None
    assert (source.fingerprint.size, source.fingerprint.mtime_ns) == (13, Path(path).stat().st_mtime_ns)
    assert len(source.digest()) == 16
    before = source.digest()
    write("Company\nBolt\n")
    assert source.digest() != before


def test_another_file_in_its_place_is_noticed(write: Write) -> None:
    source = open_source(write("Company\nAcme\n"))
    path = write("Email\na@b.example\n")
    with pytest.raises(InputUnusable) as caught:
        source.records()
    assert caught.value.what == f"{path} changed while it was read."


def test_a_reader_that_stops_early_leaves_no_file_open(write: Write) -> None:
    rows = open_source(write("Company\n" + "Acme\n" * 50_000)).records()
    assert next(rows).row == 1
    del rows
    gc.collect()


@pytest.mark.parametrize(
    ("name", "head", "row"), [("a.csv", b"Company,Email\n", b"Acme,\n"), ("a.jsonl", b"", b'{"company":"A"}\n')]
)
def test_memory_does_not_grow_with_the_list(write: Write, name: str, head: bytes, row: bytes) -> None:
    path = write(head + row * 100_000, name)
    tracemalloc.start()
    assert sum(1 for _ in open_source(path).records()) == 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


# --- a part of the rows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "added"),
    [
        ("leads.csv", "\ufeffCompany;City\nAcme;Bonn\n\n", 'Bolt;"a\nb"\n\nCup;x;y\n'),
        ("leads.jsonl", '{"company":"Acme"}\n\n', '{"company":"Bolt"}\n{"company":3}\n'),
    ],
)
def test_rows_added_are_read_and_numbered_as_if_the_whole_list_was(
    tmp_path: Path, name: str, before: str, added: str
) -> None:
    path = tmp_path / name
    path.write_text(before + added, "utf-8")
    source, size = open_source(str(path)), len(before.encode())
    assert source.ends_a_row(size)
    assert list(source.records_after(size, 1)) == list(source.records())[1:]


def test_nobody_can_begin_in_the_middle_of_a_row_or_of_wide_characters(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Company\nAcme\nBo", "utf-8")
    (tmp_path / "b.csv").write_text("Company\nAcme\n", "utf-16")
    narrow, wide = (open_source(str(tmp_path / name)) for name in ("a.csv", "b.csv"))
    assert (narrow.ends_a_row(13), narrow.ends_a_row(15), wide.ends_a_row(28)) == (True, False, False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("leads.csv", "City,Company\nBonn,Acme\nRome,Bolt\nOslo\nOslo,Acme,x\n"),
        (
            "leads.jsonl",
            '{"City":"Bonn","Company":"Acme"}\n{"Company":"Bolt"}\n{"City":"Oslo"}\nnot JSON\n{"Company":"Acme"}\n',
        ),
    ],
)
@pytest.mark.parametrize("fields", [[], ["company"], ["company", "city"]])
def test_sifting_looks_at_every_row_and_yields_the_wanted_ones_whole(
    tmp_path: Path, name: str, text: str, fields: list[str]
) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    source, looked_at = open_source(str(path), columns={"company": "Company", "title": "City"}), []

    def wanted(cells: Sequence[str]) -> bool:
        looked_at.append(tuple(cells))
        return "Acme" in cells

    asked = ["title" if field == "city" else field for field in fields]
    every = list(source.records())
    headers = [source.columns[field] for field in asked]
    told = [tuple(record.values.get(header, "") for header in headers) for record in every]
    assert list(source.sifted(asked, wanted)) == [
        record for record, cells in zip(every, told, strict=True) if "Acme" in cells
    ]
    assert looked_at == told
