"""Lists without a header, lists of companies, and Parquet: how they are read, and what is no list of companies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.columns import COMPANY_FIELDS
from pipeline.errors import InputUnusable
from pipeline.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, text: str | None = None, **how: Any) -> tuple[dict[str, str], list[dict[str, Any]]]:
    if text is not None:
        path.write_text(text, "utf-8")
    source = open_source(str(path), fields=COMPANY_FIELDS, **how)
    return source.columns, [record.values for record in source.records()]


def test_plain_lines_are_names_or_domains(tmp_path: Path) -> None:
    """The first line is data, a comma with a space parts nothing, quotes of a spreadsheet go."""
    text = '\ufeffAcme, Inc.\nglobex.com\n\n"Vasquine, S.A."\nhttps://www.initech.com/en\n3M'
    assert read(tmp_path / "names.txt", text)[1] == [
        {"company": "Acme, Inc."},
        {"domain": "globex.com"},
        {"company": "Vasquine, S.A."},
        {"domain": "https://www.initech.com/en"},
        {"company": "3M"},
    ]


def test_plain_lines_have_no_other_columns_to_speak_of(tmp_path: Path) -> None:
    """They have no header at all."""
    (tmp_path / "names.txt").write_text("Acme Corp\nglobex.com\n")
    told = open_source(str(tmp_path / "names.txt"), fields=COMPANY_FIELDS).description
    assert told.endswith('plain lines without a header, UTF-8; company = "company", domain = "domain"')


def test_a_single_line_is_a_list(tmp_path: Path) -> None:
    """Of one company."""
    assert read(tmp_path / "one.csv", "Acme")[1] == [{"company": "Acme"}]


@pytest.mark.parametrize(
    ("header", "company"),
    [
        ("Company", "Company"),
        ("Symbol,Security,Founded", "Security"),
        ("name,website", "name"),
        ("Name,City", "Name"),
        ("Record ID,Company name,Company Domain Name,Email", "Company name"),
        ("Customers", "Customers"),
    ],
)
def test_the_column_of_the_company_is_recognised(tmp_path: Path, header: str, company: str) -> None:
    """Whatever a list of companies calls it; a person's columns mean nothing here."""
    cells = ",".join("x" for _ in header.split(","))
    columns, rows = read(tmp_path / "list.csv", f"{header}\n{cells}\n")
    assert columns["company"] == company
    assert not columns.keys() - set(COMPANY_FIELDS)
    assert len(rows) == 1


def test_a_header_the_user_names_is_a_header(tmp_path: Path) -> None:
    """Also where it alone would have been taken for a company."""
    columns, rows = read(tmp_path / "list.csv", "Targets\nAcme\n", columns={"company": "Targets"})
    assert (columns, rows) == ({"company": "Targets"}, [{"Targets": "Acme"}])


def test_a_table_in_which_nothing_is_a_company_is_refused(tmp_path: Path) -> None:
    """It is not taken for plain lines."""
    with pytest.raises(InputUnusable, match="neither company nor domain"):
        read(tmp_path / "list.csv", "City,Country\nBerlin,DE\n")


def test_parquet_is_read_like_a_csv_of_the_same_table(tmp_path: Path) -> None:
    """What JSON cannot hold becomes text; blank rows are not numbered."""
    cells = {
        "Company": ["Acme", None, "Globex"],
        "Since": [date(2020, 1, 2), None, None],
        "Score": [1.5, None, float("nan")],
        "Worth": [Decimal("1.50"), None, None],
        "Tags": [["a", "b"], None, []],
    }
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table(cells), path)
    source = open_source(str(path))
    assert source.columns == {"company": "Company"}
    assert "Parquet" in source.description
    assert [(record.row, record.values) for record in source.records()] == [
        (1, {"Company": "Acme", "Since": "2020-01-02", "Score": 1.5, "Worth": "1.50", "Tags": ["a", "b"]}),
        (2, {"Company": "Globex", "Since": None, "Score": None, "Worth": None, "Tags": []}),
    ]


def test_a_broken_parquet_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Whatever its name."""
    (tmp_path / "list.csv").write_bytes(b"PAR1\x15\x04 and no more")
    with pytest.raises(InputUnusable, match="cannot be read as Parquet"):
        open_source(str(tmp_path / "list.csv"))
