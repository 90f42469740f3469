"""Bad input: one clear sentence with the fix, the exit code of the contract, no traceback, nothing lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import people, write_leads
from system_site import KEY, Machine

if TYPE_CHECKING:
    from pathlib import Path

SANDBOX = ("--sandbox", "--plan", "enterprise", "--daily-quota", "5000", "--wait-up-to", "0")
GOOD_ROW = b"Acme Corp,jane@acmecorp.com\n"
HEADER = b"Company Name,Email\n"


class Before(NamedTuple):
    """A machine with a finished job, and what all of it looked like."""

    machine: Machine
    output: bytes
    books: list[tuple[object, ...]]

    def check(self) -> None:
        """Fail if a byte of the output or a row of the books changed."""
        assert self.machine.out.read_bytes() == self.output
        assert books(self.machine) == self.books


def books(machine: Machine) -> list[tuple[object, ...]]:
    tables = dict.fromkeys(("tally", "company", "lead", "answer", "attempt", "run"), "*")
    tables["job"] = "id, name, output, questions, judgement, source, out_length, out_tail, out_stale"
    return [
        (table, *row)
        for table, what in tables.items()
        for row in machine.query(f"SELECT {what} FROM {table}", STATE(machine))  # noqa: S608 - names from here
    ]


def STATE(machine: Machine) -> Path:  # noqa: N802 - a place
    return machine.folder / "state.db"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    """Last night's run, which tonight's mistake must not harm."""
    machine = Machine(tmp_path_factory.mktemp("night"), {"LEADCONTACT_STATE": "state.db"})
    write_leads(machine.folder / "good.csv", people(1, 1))
    told = machine.run_alone("enrich", "good.csv", "-o", "out.jsonl", *SANDBOX, "--steps", "search")
    assert told.code == 0, told.err
    return Before(machine, machine.out.read_bytes(), books(machine))


# --- lists --------------------------------------------------------------------------------------------

LISTS: list[tuple[str, bytes | None, int, tuple[str, ...]]] = [
    ("missing.csv", None, 66, ("There is no file missing.csv.", "Check the name")),
    (".", None, 65, ("is a folder, not a list.", "Name the file in it.")),
    ("empty.csv", b"", 65, ("empty.csv is empty.", "Check that the export finished.")),
    ("blank.csv", b"\xef\xbb\xbf\r\n \r\n", 65, ("blank.csv is empty.", "Check that the export finished.")),
    ("header.csv", HEADER, 65, ("has a header and no rows.", "Check that the export finished.")),
    ("empty.jsonl", b"\n", 65, ("empty.jsonl is empty.", "Check that the export finished.")),
    ("binary.csv", HEADER + bytes(range(256)) * 9, 65, ("binary file", "Save it as CSV UTF-8")),
    ("book.xlsx", b"PK\x03\x04" + b"x" * 99, 65, ("looks like an Excel workbook", "Save it as CSV UTF-8")),
    ("page.csv", b"<!DOCTYPE html><html></html>", 65, ("looks like a web page", "Save it as CSV UTF-8")),
    (
        "latin.csv",
        HEADER + "Müller AG,a@b.de\n".encode("cp1252"),
        65,
        ("byte 0xFC at offset 20, line 2, is not UTF-8.", "--encoding cp1252"),
    ),
    (
        "quote.csv",
        HEADER + GOOD_ROW + b'"Acme, Inc.,x\n',
        65,
        ("a quote that opens in line 3 is never closed", "Close it"),
    ),
    (
        "late.csv",
        HEADER + GOOD_ROW * 9 + b'"Acme"Inc.,x\n',
        65,
        ("line 11 has text after a closing quote", "Close it"),
    ),
    ("array.json", b'[{"company": "Acme"}]', 65, ("is one JSON array", "jq -c '.[]'")),
    ("lines.jsonl", b"no\nnor this\n", 65, ("none of the first 2 lines is a JSON object", "jq -c .")),
    ("columns.csv", b"Colour,Size\nred,9\n", 65, ("no usable column", "--column company=")),
    ("twice.csv", b"Company,Company\nAcme,Acme Corp\n", 65, ("which is the company is unclear", "--column company=")),
]


@pytest.mark.parametrize(("name", "content", "code", "words"), LISTS, ids=[name for name, *_ in LISTS])
def test_a_list_that_cannot_be_read_says_what_and_how_to_mend_it(
    before: Before, name: str, content: bytes | None, code: int, words: tuple[str, ...]
) -> None:
    """65 or 66, and last night's output and state stand as they stood."""
    if content is not None:
        (before.machine.folder / name).write_bytes(content)
    told = before.machine.run_alone("enrich", name, "-o", "out.jsonl", *SANDBOX, "--steps", "search")
    assert told.code == code
    assert all(word in told.complaint for word in words), told.complaint
    before.check()


def test_an_input_that_may_not_be_read_is_66(before: Before) -> None:
    """Root may read everything, so a loop of links stands for the missing permission."""
    (before.machine.folder / "loop.csv").symlink_to("loop.csv")
    told = before.machine.run_alone("enrich", "loop.csv", "-o", "out.jsonl", *SANDBOX)
    assert (told.code, "loop.csv cannot be opened: " in told.complaint) == (66, True)
    before.check()


def test_a_list_that_breaks_late_is_mended_and_goes_on(tmp_path: Path) -> None:
    """What was taken in before the broken line is kept, and is read as the list was; mended, each row is finished."""
    machine = Machine(tmp_path)
    header, rows = b"Company Name,Last Name\n", [b"Northwind %d Robotics,Nobody\n" % n for n in range(2500)]
    leads, command = tmp_path / "leads.csv", ("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX, "--max-requests")
    leads.write_bytes(header + b"".join(rows) + b'"torn')
    first = machine.run_alone(*command, "0")
    meanwhile = machine.run_alone("resume", *SANDBOX, "--max-requests", "3", "--steps", "search")
    leads.write_bytes(header + b"".join(rows[:2200]) + b",Nobody\n")
    second = machine.run_alone(*command, "12", "--steps", "search")
    assert (first.code, meanwhile.code, second.code) == (65, 0, 0)
    assert "never closed" in first.complaint
    assert "Rows      2,201 leads = " in second.err
    assert " 1 invalid + 0 failed" in second.err
    assert {line["match"]["by"] for line in machine.lines()} == {"none"}
    assert machine.rows() == sorted({*machine.rows()})


# --- lists that are odd and work ----------------------------------------------------------------------


def test_a_cell_of_a_hundred_thousand_characters_travels_through(tmp_path: Path) -> None:
    """Somebody pasted a whole thread into the notes."""
    machine, notes = Machine(tmp_path), "x" * 100_000
    (tmp_path / "leads.csv").write_text(f"Company Name,Notes\nNorthwind 1 Robotics,{notes}\n")
    assert machine.run_alone("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX).code == 0
    assert [line["input"]["Notes"] == notes for line in machine.lines()] == [True]


def test_a_company_or_a_person_of_absurd_length_is_not_paid_for(tmp_path: Path) -> None:
    """Not even where the rest of the row could be asked about: a row that holds a whole text is not about anybody."""
    machine, text = Machine(tmp_path), "x" * 120_000
    rows = (f"{text},Jane,a@acme.com", f"Acme Corp,{text},", f"Acme Corp,,{text}@acme.com")
    (tmp_path / "leads.csv").write_text("\n".join(("Company Name,First Name,Email", *rows)))
    told = machine.run_alone("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX)
    assert (told.code, "Requests  0 sent" in told.err) == (0, True)
    reasons = [f"{field}: 120,000 characters, too long" for field in ("company", "first_name")]
    assert [line["reason"] for line in machine.lines()] == [*reasons, "email: 120,009 characters, too long"]
    assert {line["status"] for line in machine.lines()} == {"invalid"}


def test_a_broken_jsonl_line_is_invalid_and_the_rest_goes_on(tmp_path: Path) -> None:
    """The row says at which character; its neighbours are enriched."""
    machine = Machine(tmp_path)
    good = b'{"company": "Northwind 1 Robotics"}\n'
    (tmp_path / "leads.jsonl").write_bytes(good + b'{"company": "Acme\n' + good.replace(b"1", b"2"))
    told = machine.run_alone("enrich", "leads.jsonl", "-o", "out.jsonl", *SANDBOX)
    assert told.code == 0
    assert "Rows that could not be read: 1; each becomes an `invalid` line with its reason." in told.err
    reasons = {line["row"]: (line["status"] == "invalid", line["reason"]) for line in machine.lines()}
    assert reasons[2] == (True, "row: not JSON at character 18")
    assert [reasons[row][0] for row in (1, 3)] == [False, False]


def test_the_named_encoding_reads_what_was_not_utf8(tmp_path: Path) -> None:
    """Do what the message said, and it works."""
    machine = Machine(tmp_path)
    (tmp_path / "latin.csv").write_bytes(HEADER + "Müller Söhne AG,\n".encode("cp1252"))
    told = machine.run_alone("enrich", "latin.csv", "-o", "out.jsonl", *SANDBOX, "--encoding", "cp1252")
    assert (told.code, "cp1252" in told.err) == (0, True)
    assert machine.lines()[0]["input"]["Company Name"] == "Müller Söhne AG"


# --- configuration ------------------------------------------------------------------------------------

ENRICH = ("enrich", "good.csv", "-o", "out.jsonl")
KEYED = {"LEADCONTACT_API_KEY": KEY}
SETTINGS: dict[str, tuple[tuple[str, ...], dict[str, str], int, tuple[str, ...]]] = {
    "no key": (ENRICH, {}, 78, ("There is no API key.", "leadcontact init", "--sandbox")),
    "blank key": (
        ENRICH,
        {"LEADCONTACT_API_KEY": "  "},
        78,
        ("LEADCONTACT_API_KEY is blank", "Settings > API Access"),
    ),
    "empty key": (ENRICH, {"LEADCONTACT_API_KEY": ""}, 78, ("LEADCONTACT_API_KEY is blank", "Settings > API Access")),
    "odd key": (ENRICH, {"LEADCONTACT_API_KEY": "lc_live_“x”"}, 78, ("a character that no key has", "Copy it again")),
    "plain http": (
        (*ENRICH, "--base-url", "http://api.leadcontact.ai/v1"),
        KEYED,
        78,
        ("base_url must begin with https://", "Change --base-url"),
    ),
    "typo in the environment": (
        ENRICH,
        {**KEYED, "LEADCONTACT_DAILY_QOUTA": "9"},
        78,
        ("LEADCONTACT_DAILY_QOUTA", "Did you mean LEADCONTACT_DAILY_QUOTA?"),
    ),
    "typo in the file": ((*ENRICH, "--config", "typo.toml"), KEYED, 78, ("conçurrency", "is not a setting")),
    "near miss in the file": ((*ENRICH, "--config", "near.toml"), KEYED, 78, ("Did you mean concurrency?",)),
    "no such file": ((*ENRICH, "--config", "none.toml"), KEYED, 78, ("none.toml cannot be read", "Check --config")),
    "a key in the file": ((*ENRICH, "--config", "key.toml"), {}, 78, ("holds an api_key", "LEADCONTACT_API_KEY")),
    "no number a day": (
        (*ENRICH, "--plan", "enterprise"),
        KEYED,
        78,
        ("enterprise plan has no fixed number", "--daily-quota N"),
    ),
    "an impatient timeout": ((*ENRICH, "--timeout", "2s"), KEYED, 78, ("The setting timeout", "Change --timeout")),
    "stdout without a name": (
        ("enrich", "good.csv", "-o", "-"),
        KEYED,
        64,
        ("Results on standard output", "--job NAME"),
    ),
    "a field nobody knows": ((*ENRICH, "--column", "compny=Name"), KEYED, 64, ("names no field", "company")),
    "a job nobody knows": (("resume", "nowhere.jsonl"), KEYED, 64, ("There is no job nowhere.jsonl", "begin with")),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_wrong_setting_is_named_with_its_fix(before: Before, case: str) -> None:
    """78 for what is configured, 64 for what is said; nothing is opened, asked or written."""
    arguments, environment, code, words = SETTINGS[case]
    folder = before.machine.folder
    (folder / "typo.toml").write_text('"conçurrency" = 3\n', "utf-8")
    (folder / "near.toml").write_text("concurency = 3\n")
    (folder / "key.toml").write_text(f'api_key = "{KEY}"\n')
    told = before.machine.run_alone(*arguments, **environment)
    assert told.code == code
    assert all(word in told.complaint for word in words), told.complaint
    assert KEY not in told.err + told.out
    before.check()


LONG = 300 * "a"
SAYS = {
    "an output in other bytes": ((*ENRICH[:3], b"o\xff.jsonl"), 64, "is not text in UTF-8"),
    "a list in other bytes": (("enrich", b"i\xff.csv", *ENRICH[2:]), 64, "is not text in UTF-8"),
    "a job in other bytes": ((*ENRICH, "--job", b"j\xff"), 64, "export LC_ALL=C.UTF-8"),
    "an output with two lines": ((*ENRICH[:3], "a\nb"), 64, "holds a control character"),
    "an output without a name": ((*ENRICH[:3], ""), 64, "its name is blank"),
    "a list without a name": (("enrich", "", *ENRICH[2:]), 64, "The list has no name. Name a file"),
    "an output too long": ((*ENRICH[:3], LONG), 74, "cannot be written (File name too long)"),
    "an output too long to be rewritten": ((*ENRICH[:3], LONG[:253]), 74, "cannot be written (File name too long)"),
    "a list too long": (("enrich", LONG, *ENRICH[2:]), 66, "cannot be opened: File name too long"),
    "a device for a list": (("enrich", "/dev/zero", *ENRICH[2:]), 65, "/dev/zero is a device, not a list."),
    "a summary too long": ((*ENRICH, "--summary", LONG), 74, "cannot be written: no file can be there"),
}


@pytest.mark.parametrize("case", SAYS)
def test_a_name_that_cannot_be_is_refused_with_a_sentence(before: Before, case: str) -> None:
    """Whatever bytes a shell hands over, it is never our fault (70)."""
    arguments, code, words = SAYS[case]
    told = before.machine.run_alone(*arguments, "--sandbox")
    assert (told.code, words in told.err, "Traceback" in told.err) == (code, True, False), told.err
    before.check()


def test_a_locale_without_letters_is_told_how_to_have_some(before: Before) -> None:
    """Cron on an old machine: LC_ALL=C makes bytes of every umlaut."""
    told = before.machine.run_alone(*ENRICH[:3], "ö.jsonl", "--sandbox", LC_ALL="C", PYTHONUTF8="0")
    assert (told.code, "export LC_ALL=C.UTF-8" in told.err) == (64, True), told.err
    before.check()


def test_a_list_to_verify_needs_an_email_column_and_an_output(before: Before) -> None:
    """What was meant is said: the column, or -o."""
    (before.machine.folder / "nobody.csv").write_text("Company Name\nAcme Corp\n")
    column = before.machine.run_alone("verify", "nobody.csv", "-o", "verified.jsonl", "--sandbox")
    output = before.machine.run_alone("verify", "nobody.csv", "--sandbox")
    assert (column.code, output.code) == (65, 64)
    assert "nobody.csv has no e-mail column" in column.complaint
    assert '--column email="HEADER"' in column.complaint
    assert output.complaint.endswith("To verify a list: verify nobody.csv -o OUT.jsonl")
    before.check()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*ENRICH, "--daily-qouta", "5"), "No such option"),
        ((*ENRICH, f"--api-key={KEY}"), "No such option"),
        (("enrich", "good.csv"), "Missing option '-o'"),
        (("enrich", "-o", "out.jsonl"), "Missing argument 'LEADS'"),
        (("enrihc", "good.csv"), "No such command 'enrihc'"),
        ((*ENRICH, "--plan", "gold"), "'gold' is not one of 'free'"),
        ((*ENRICH, "--column", "company"), '"company" is not FIELD=HEADER'),
        (("verify", "a@b.co", "c@d.co", "-o", "x.jsonl"), "name one list to verify"),
    ],
)
def test_a_command_that_cannot_mean_anything_is_64(before: Before, arguments: tuple[str, ...], words: str) -> None:
    """With the usage line; a key given where keys do not go is not shown again."""
    told = before.machine.run_alone(*arguments, **KEYED)
    assert (told.code, words in told.err, "Traceback" in told.err) == (64, True, False), told.err
    assert told.err.startswith("Usage: leadcontact")
    assert KEY not in told.err + told.out
    before.check()


# --- output and state ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("theirs.jsonl", ("exists and the state", "state.db did not write it", "--job or --state")),
        ("folder", ("is a folder.", "Name a file with -o.")),
        ("good.csv/out.jsonl", ("cannot be written (its folder is a file)", "name another output with -o")),
        ("/proc/none/out.jsonl", ("cannot be written", "name another output with -o")),
    ],
)
def test_an_output_that_is_not_ours_or_not_writable_is_74(
    before: Before, output: str, words: tuple[str, ...]
) -> None:
    """Somebody else's file keeps every byte; nothing is asked for rows that could not be written."""
    folder = before.machine.folder
    (folder / "theirs.jsonl").write_bytes(b'{"schema_version":1,"row":1}\n')
    (folder / "folder").mkdir(exist_ok=True)
    told = before.machine.run_alone("enrich", "good.csv", "-o", output, *SANDBOX)
    assert told.code == 74
    assert all(word in told.complaint for word in words), told.complaint
    assert (folder / "theirs.jsonl").read_bytes() == b'{"schema_version":1,"row":1}\n'
    assert before.machine.out.read_bytes() == before.output
    assert not before.machine.query("SELECT 1 FROM lead WHERE job > 1", STATE(before.machine))


def test_an_output_that_somebody_else_rewrote_is_left_alone(tmp_path: Path) -> None:
    """A finished output replaced by an editor's version: 74, and not a byte of it changes."""
    machine = Machine(tmp_path)
    write_leads(tmp_path / "leads.csv", people(1, 1))
    command = ("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX, "--steps", "search")
    assert machine.run_alone(*command).code == 0
    theirs = machine.out.read_bytes().replace(b"Northwind", b"NORTHWIND")
    machine.out.write_bytes(theirs)
    told = machine.run_alone(*command)
    assert (told.code, "is left alone" in told.complaint) == (74, True)
    assert machine.out.read_bytes() == theirs


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (x)")


STATES = {
    "newer": (newer, ("was written by a newer version", "Upgrade leadcontact-pipeline")),
    "no database": (
        lambda path: path.write_bytes(b"hello " * 999),
        ("is not a state file", "another file with --state"),
    ),
    "another program's": (foreign, ("is not a state file", "another file with --state")),
    "folder": (lambda path: path.mkdir(), ("cannot be opened", "another file with --state")),
}


@pytest.mark.parametrize("case", STATES)
@pytest.mark.parametrize("command", [(*ENRICH, *SANDBOX), ("resume", *SANDBOX), ("status", "--sandbox")])
def test_a_state_that_cannot_be_used_is_74_and_untouched(before: Before, case: str, command: tuple[str, ...]) -> None:
    """Not one command opens it by force."""
    make, words = STATES[case]
    path = before.machine.folder / f"{case}-{command[0]}.db"
    make(path)
    bytes_before = path.read_bytes() if path.is_file() else b""
    told = before.machine.run_alone(*command, "--state", path.name)
    assert told.code == 74
    assert all(word in told.complaint for word in words), told.complaint
    assert (path.read_bytes() if path.is_file() else b"") == bytes_before
    before.check()


def test_a_state_below_a_file_is_74(before: Before) -> None:
    """There can be no such folder."""
    told = before.machine.run_alone(*ENRICH, *SANDBOX, "--state", "good.csv/state.db")
    assert (told.code, "cannot be opened" in told.complaint) == (74, True)
    before.check()
