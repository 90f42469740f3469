"""Promise 5 under hostile input: whatever a file holds, no traceback, no row lost, none doubled.

Seeds in the manner of csv-spectrum and of JSON's edge cases are cut, joined and spoilt; each file goes through the
real reading and intake into a state and an output. A reader of a few lines, written from RFC 4180, and Python's own
json module say independently which rows there are.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from soak import SOAKING, seconds, size
from support import Server, Site
from system_site import Machine

from pipeline.errors import InputUnusable
from pipeline.lists import LINE
from pipeline.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Callable

CSVS = [
    "a,Company\n1,Acme\n2,Globex\n",
    'Company,City,Email\n"Acme, Inc.",Rome,jane@acme.com\n',
    'Company,Notes\n"Acme ""the"" Corp",x\n"",y\n"""",z\n',
    'Company,Notes\r\nAcme,"one\r\ntwo"\r\n"Globex\n\nCorp",""\r\n',
    "Company;Prénom;Nom\nMüller AG;Zoë;王\nʤ;;\n",
    "Company\tEmail\nAcme\tjane@acme.com\n\n\nGlobex\t\n",
    "Company,Email\nAcme\nGlobex,a@b.de,\nUmbrella,,,too,many\n",
    "sep=;\nCompany;Email\nAcme;\n",
    'Company,JSON\nAcme,"{""type"": ""Point"", ""coordinates"": [102.0, 0.5]}"\n',
    "Company|Id\nAcme|1\nAcme|1\nGlobex|1\n",
    "Company,Email\n=cmd|'/C calc'!A0,+1@x.de\n",
    "Company,Email\nAcme,jane@acme.com\nAcme,jane@acme.com\n ,\n",
]
JSONLS = [
    '{"company": "Acme", "email": "jane@acme.com"}\n{"company": "Globex"}\n',
    '{"company": null}\n{"company": 1e400}\n{"company": ["Acme"]}\n{"company": {"name": "Acme"}}\n',
    '{"company": "A\\u0000cme", "é": "\\ud83d\\ude00"}\n{"company": "\\ud800"}\n',
    '{"company": "Acme", "company": "Globex"}\n[1, 2]\n"text"\n3\nnull\n',
    '{"company": 123456789012345678901234567890, "x": -0.0, "y": NaN}\n{"company": true}\n',
    '{"company": "Acme"} {"company": "Globex"}\n{"company": "Acme"},\n{"company": "Acme\n',
    '\ufeff{"company": "Acme"}\r\n\r\n{"company": "Globex"}\r\n',
    '{"company": "x", "deep": ' + "[" * 300 + "]" * 300 + '}\n{"": "", "company": ""}\n',
]
SPOILERS = [
    '"',
    ",",
    "\n",
    "\r\n",
    "\r",
    ";",
    "\t",
    '""',
    '",',
    "Acme",
    "\0",
    "\ufeff",
    "{",
    "}",
    "\\",
    "é",
    " ",
    "\u2028",
]
CODECS = ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]
FILES = size(250, 10_000)


def spoilt(chance: Random, seeds: list[str]) -> str:
    """Join, cut, double and spoil seeds, now and then not at all."""
    text = chance.choice(seeds)
    for _ in range(chance.choice([0, 0, 1, 2, 4, 8])):
        at, length = chance.randrange(len(text) + 1), chance.randrange(12)
        match chance.randrange(5):
            case 0:
                text = text[:at] + chance.choice(SPOILERS) + text[at:]
            case 1:
                text = text[:at] + text[at + length :]
            case 2:
                text += chance.choice(seeds).partition("\n")[2]
            case 3:
                text = text[:at] + text[at : at + length] * 2 + text[at + length :]
            case 4:
                lines = text.splitlines(keepends=True)
                chance.shuffle(lines)
                text = "".join(lines)
    return text


def encoded(text: str, codec: str, chance: Random) -> bytes:
    """Put it into bytes, and spoil one of those now and then."""
    body = bytearray(text.encode(codec, "replace"))
    if body and chance.random() < 0.1:
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body)


# --- the oracle ---------------------------------------------------------------------------------------


def csv_rows(text: str, delimiter: str) -> list[list[str]]:
    """The rows of a CSV text that are not blank, by RFC 4180, letter by letter."""
    rows: list[list[str]] = [[]]
    cell, quoted = "", False
    letters = [*text, "\n"]
    at = 0
    while at < len(letters):
        letter = letters[at]
        if quoted:
            if letter != '"':
                cell += letter
            elif letters[at + 1] == '"':
                cell, at = cell + '"', at + 1
            else:
                quoted = False
        elif letter == '"' and not cell and (at == 0 or letters[at - 1] in {delimiter, "\n", "\r"}):
            quoted = True
        elif letter == delimiter:
            rows[-1].append(cell)
            cell = ""
        elif letter in "\r\n":
            rows[-1].append(cell)
            cell = ""
            rows.append([])
        else:
            cell += letter
        at += 1
    return [row for row in rows if any(map(str.strip, row))]


def json_rows(text: str) -> list[dict[str, Any] | None]:
    """The lines of a JSONL text that are not blank: what Python reads of them, or None for no object."""
    found: list[dict[str, Any] | None] = []
    for line in text.split("\n"):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            found.append(value if isinstance(value, dict) else None)
    return found


# --- the proof ----------------------------------------------------------------------------------------


class Books:
    """One state that takes in list after list, each as a job of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = Site(folder, Server())
        self.files = self.rows = 0

    def take_in(self, content: bytes, suffix: str, encoding: str | None) -> None:
        """Take a file in twice, spend nothing, and compare state and output with what the oracle says is in it."""
        self.files += 1
        leads = self.folder / f"{self.files}{suffix}"
        leads.write_bytes(content)
        self.site.name = f"out-{self.files}"
        try:
            source = open_source(str(leads), encoding=encoding)
            expected = oracle(content.decode(source.encoding, "replace"), source.format, source.delimiter)
            for _ in range(2):
                self.site.night(leads, max_requests=0, encoding=encoding)
        except InputUnusable:
            return
        self.rows += len(expected)
        self._compare(expected)

    def _compare(self, expected: list[Any]) -> None:
        with closing(sqlite3.connect(self.folder / "state.db")) as db:
            job = db.execute("SELECT id FROM job WHERE name = ?", (str(self.site.out),)).fetchone()[0]
            rows = db.execute("SELECT row, input FROM lead WHERE job = ? ORDER BY row", (job,)).fetchall()
        assert [row for row, _ in rows] == list(range(1, len(expected) + 1))
        for (_, text), row in zip(rows, expected, strict=True):
            assert same(json.loads(text), row)
        lines = [line["row"] for line in self.site.lines()]
        assert len(lines) == len(set(lines))


def oracle(text: str, kind: str, delimiter: str | None) -> list[Any]:
    """The data rows of a file, as the oracle reads them."""
    if kind == "jsonl":
        return json_rows(text)
    text = re.sub(r'\A(\s*)"?sep=([^\w\s"]|\t)"?[ \t]*(?=[\r\n])', r"\1", text.lstrip("\ufeff"), flags=re.IGNORECASE)
    header, *rows = csv_rows(text, delimiter or ",")
    return [(len(header), row) for row in rows]


def same(kept: dict[str, Any], row: Any) -> bool:
    """Whether the state kept what the oracle read: every cell in its order, every object, every line's beginning."""
    if isinstance(row, tuple):
        width, cells = row
        extra = kept.pop("_extra", [])
        kept.pop("_unreadable", None)
        told = [*list(kept.values())[:width], *extra]
        return told[: len(cells)] == cells[: len(told)] and not any(map(str.strip, cells[len(told) :]))
    return LINE in kept if row is None else LINE in kept or kept.keys() == row.keys()


@pytest.mark.timeout(seconds(120, 3_600))
def test_no_file_loses_or_doubles_a_row(record_property: Callable[[str, object], None]) -> None:
    """Files of every kind through reading and intake, each taken in twice."""
    with tempfile.TemporaryDirectory() as folder:
        books = Books(Path(folder))

        @settings(
            max_examples=FILES,
            deadline=None,
            database=None,
            derandomize=not SOAKING,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(seed=st.integers(0, 2**64), kind=st.sampled_from(["csv", "jsonl"]), codec=st.sampled_from(CODECS))
        def takes_in(seed: int, kind: str, codec: str) -> None:
            chance = Random(seed)
            text = spoilt(chance, CSVS if kind == "csv" else JSONLS)
            suffix = chance.choice([f".{kind}", f".{kind}", f".{kind}", ".txt" if kind == "csv" else ".json", ""])
            books.take_in(encoded(text, codec, chance), suffix, codec if codec == "cp1252" else None)

        takes_in()
        record_property("hostile files", books.files)
        record_property("rows of them that could be read", books.rows)
        assert books.rows > books.files // 4


@pytest.mark.parametrize("seed", range(size(3, 100)))
def test_the_command_ends_in_one_sentence_or_in_every_row(tmp_path: Path, seed: int) -> None:
    """The whole command on a hostile file: 0 with every row in the books, or 65 with a sentence."""
    chance = Random(seed)
    kind = chance.choice(["csv", "jsonl"])
    (tmp_path / f"leads.{kind}").write_bytes(
        encoded(spoilt(chance, CSVS if kind == "csv" else JSONLS), "utf-8", chance)
    )
    machine = Machine(tmp_path)
    told = machine.run_alone("enrich", f"leads.{kind}", "-o", "out.jsonl", "--sandbox", "--state", "state.db")
    assert told.code in (0, 65), told.err
    if told.code == 65:
        assert told.complaint
        return
    rows = machine.query("SELECT row FROM lead", tmp_path / "state.db")
    assert sorted(row for (row,) in rows) == list(range(1, len(rows) + 1))
    assert len(machine.rows()) == len(set(machine.rows()))
