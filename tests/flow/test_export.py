"""`export`: results again as CSV, Parquet or JSONL, flat, safe to open, whole or not at all."""

from __future__ import annotations

import csv
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow.parquet
import pytest
from support import Server, Site, people, write_leads

from pipeline import app
from pipeline.errors import StateError, UsageError
from pipeline.export import Exported, Wish, export
from pipeline.flat import RESULT, cell
from pipeline.sources import open_source

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def done(folder: Path, *more: dict[str, str], **wishes: Any) -> Site:
    site = Site(folder, Server())
    rows = [person | {"email": "a note", "Note": ""} for person in people(3)]
    rows += [dict.fromkeys(rows[0], "") | row for row in more]
    site.night(write_leads(folder / "leads.csv", rows), **PLAN | {"columns": {"email": "Email"}} | wishes)
    return site


def go(site: Site, name: str, **how: Any) -> Exported:
    wish = Wish(**how)
    return site.command(
        lambda parts: export(parts, str(site.out), str(site.folder / name), wish), **PLAN, api_key=None
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def test_a_csv_has_the_results_flat_and_then_the_lists_columns(tmp_path: Path) -> None:
    """One line a line of the output; no key is needed, nothing asked; only the owner can read it."""
    site = done(tmp_path)
    asked = len(site.server.log)
    told = go(site, "x.csv")
    rows = table(tmp_path / "x.csv")
    assert told.lines == len(rows) == len(site.lines())
    assert list(rows[0]) == [*(name for name in RESULT if name != "contact_id"), *_headers()]
    by_row = {line["row"]: line for line in site.lines()}
    for row in rows:
        line = by_row[int(row["row"])]
        assert row["email"] == ((line["email"] or {}).get("value") or "")
        assert row["email_confidence"] == _shown((line["email"] or {}).get("confidence"))
        assert row["phone_e164"] == ((line["phone"] or {}).get("e164") or "")
        assert row["last_name"] == ((line["contact"] or {}).get("last_name") or "")
        assert (row["match_by"], row["input.email"]) == (line["match"]["by"], "a note")
    assert any(row["phone_e164"] for row in rows)
    assert oct((tmp_path / "x.csv").stat().st_mode & 0o777) == "0o600"
    assert len(site.server.log) == asked


def _headers() -> list[str]:
    return ["First Name", "Last Name", "Email", "Company Name", "input.email", "Note"]


def _shown(value: float | None) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])  # noqa: RUF001 - the wide one is meant
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    """Whoever wrote it, headers included; text that has to come back does, but for one quote."""
    assert cell(f'{start}cmd|"/c calc"!A1') == f'\'{start}cmd|"/c calc"!A1'
    site = done(tmp_path, {"Company Name": "n/a", "Note": "=1+1"}, max_requests=0)
    go(site, "x.csv", columns=("Note", "reason"))
    (row,) = table(tmp_path / "x.csv")
    assert (row["Note"], row["reason"]) == ("'=1+1", "company: no company name")


@pytest.mark.parametrize("number", ["+15551234567", "-5", "+0.5", "12"])
def test_a_number_stays_a_number(number: str) -> None:
    """E.164 above all."""
    assert cell(number) == number
    assert cell("+1-555-123-4567") == "'+1-555-123-4567"
    assert (cell(None), cell(value=True), cell(0.9)) == ("", "true", "0.9")


def test_columns_are_chosen_by_flat_or_dotted_names_in_their_order(tmp_path: Path) -> None:
    """Of ours, and of the list's by their header; an unknown one is told with a guess."""
    site = done(tmp_path)
    names = ("Company Name", "email", "email.confidence", "contact.title", "input.email", "row")
    assert go(site, "x.csv", columns=names).columns == [
        *("Company Name", "email", "email_confidence", "title", "input.email", "row")
    ]
    go(site, "x.jsonl", columns=("row", "email.deliverable"))
    line = orjson.loads((tmp_path / "x.jsonl").read_bytes().splitlines()[0])
    assert list(line) == ["row", "email_deliverable"]
    with pytest.raises(UsageError, match="Did you mean email"):
        go(site, "x.csv", columns=("emial",))


def test_jsonl_is_the_lines_as_they_are(tmp_path: Path) -> None:
    """But for who paid."""
    site = done(tmp_path)
    go(site, "x.jsonl")
    lines = [orjson.loads(line) for line in (tmp_path / "x.jsonl").read_bytes().splitlines()]
    assert [list(line) for line in lines] == [list(line) for line in site.lines()]
    assert {line["row"]: line["email"] for line in lines} == {line["row"]: line["email"] for line in site.lines()}


def test_parquet_has_one_schema_whatever_the_rows(tmp_path: Path) -> None:
    """Also with no row at all; and it is a list that can be read again."""
    site = done(tmp_path)
    go(site, "x.parquet")
    go(site, "none.parquet", since="2100-01-01")
    full, none = (pyarrow.parquet.read_table(tmp_path / name) for name in ("x.parquet", "none.parquet"))
    assert full.schema == none.schema
    assert (full.num_rows, none.num_rows) == (len(site.lines()), 0)
    kinds = {"row": "int64", "email": "string", "email_confidence": "double", "email_deliverable": "bool"}
    assert {name: str(full.schema.field(name).type) for name in kinds} == kinds
    assert sorted(full.column("row").to_pylist()) == sorted(line["row"] for line in site.lines())
    go(site, "again.parquet", columns=("company", "email", "row"))
    source = open_source(str(tmp_path / "again.parquet"))
    assert source.columns == {"company": "company", "email": "email"}
    assert len([record for record in source.records() if record.values["row"]]) == full.num_rows


def test_partial_and_since_choose_the_rows(tmp_path: Path) -> None:
    """As `results` does."""
    site = done(tmp_path, max_requests=2)
    finished, everything = go(site, "x.csv").lines, go(site, "y.csv", partial=True).lines
    assert 0 < finished < everything == len(people(3))
    assert {row["status"] for row in table(tmp_path / "y.csv")} > {"pending"}
    assert go(site, "x.csv", since="2100-01-01").lines == 0


def test_contacts_of_companies_have_their_id(tmp_path: Path) -> None:
    """A prospect's columns are a result's and `contact_id`."""
    site = Site(tmp_path, Server())
    companies = write_leads(tmp_path / "companies.csv", [{"Company": "Globex"}])
    work = lambda parts: app.prospect(parts, str(companies), str(site.out))  # noqa: E731 - as any command
    site.command(work, **PLAN, steps="search")
    go(site, "x.csv")
    rows = table(tmp_path / "x.csv")
    assert {row["contact_id"] for row in rows} == {line["contact_id"] for line in site.lines()}
    assert {row["Company"] for row in rows} == {"Globex"}


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """What fails in the middle leaves the file of yesterday and no other."""
    site = done(tmp_path)
    go(site, "x.csv")
    before = (tmp_path / "x.csv").read_bytes()
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute("UPDATE lead SET state = 'odd' WHERE id = (SELECT max(id) FROM lead)")
        db.commit()
    with pytest.raises(ValueError, match="odd"):
        go(site, "x.csv")
    assert (tmp_path / "x.csv").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".x.csv")]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In a sentence with exit code 74."""
    with pytest.raises(StateError, match="cannot be written") as refused:
        go(done(tmp_path, max_requests=0), "no/folder.csv")
    assert refused.value.exit_code == 74


def test_a_name_that_says_no_format_is_refused(tmp_path: Path) -> None:
    """Unless the format is said."""
    site = done(tmp_path, max_requests=0)
    with pytest.raises(UsageError, match="says no format"):
        go(site, "x.xlsx")
    assert go(site, "x", format="csv").format == "csv"
    with pytest.raises(UsageError, match="standard output"):
        site.command(lambda parts: export(parts, str(site.out), "-", Wish(format="parquet")), **PLAN)
