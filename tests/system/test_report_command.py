"""`report` as a command: where it writes and where it refuses, what it prints, how it exits."""

from __future__ import annotations

import stat

import orjson
import pytest
from support import people, write_leads
from system_site import Machine

SANDBOX = ("--sandbox", "--state", "state.db")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine after a night in the sandbox."""
    made = Machine(tmp_path_factory.mktemp("night"))
    write_leads(made.folder / "leads.csv", people(2, 2))
    (made.folder / "notes.txt").write_text("mine\n")
    (made.folder / "link.html").symlink_to("leads.csv")
    assert made.run_alone("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX, "--max-requests", "5").code == 0
    return made


def test_it_writes_one_private_page_and_says_the_sentence(machine: Machine) -> None:
    """Mode 0600 under any umask; the next one takes its place; without JOB there is only one to mean."""
    for job in ((), ("out.jsonl",)):
        told = machine.run_alone("report", *job, "-o", "report.html", *SANDBOX)
        assert (told.code, told.out) == (0, "")
        assert "leads with 5 requests: " in told.err
    page = machine.folder / "report.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in machine.folder.glob(".*html*")] == []


def test_json_or_page_may_go_to_stdout_and_one_must_be_wanted(machine: Machine) -> None:
    """--json alone writes no file."""
    told = machine.run_alone("report", "--json", *SANDBOX)
    numbers = orjson.loads(told.out)
    assert (told.code, numbers["schema_version"], numbers["requests"]["sent"]) == (0, 1, 5)
    status = orjson.loads(machine.run_alone("status", "--json", *SANDBOX).out)
    same = ("requests", "saved", "nights")
    assert {name: status[name] for name in same} == {name: numbers[name] for name in same}
    assert machine.run_alone("report", "-o", "-", *SANDBOX).out.endswith("</html>\n")
    assert [machine.run_alone("report", *how, *SANDBOX).code for how in ((), ("--json", "-o", "-"))] == [64, 64]


@pytest.mark.parametrize("place", ["leads.csv", "link.html", "out.jsonl", "state.db", "notes.txt", "."])
def test_it_never_takes_the_place_of_another_file(machine: Machine, place: str) -> None:
    """A list, an output, the state, anything that is no page: refused before a byte is written."""
    before = {path.name: path.read_bytes() for path in machine.folder.iterdir() if path.is_file()}
    told = machine.run_alone("report", "-o", place, *SANDBOX)
    assert told.code == (74 if place == "." else 64)
    assert told.complaint.endswith(("Name another file with -o.", "Check -o."))
    assert {path.name: path.read_bytes() for path in machine.folder.iterdir() if path.is_file()} == before


def test_status_fits_one_screen_and_tells_the_same_story(machine: Machine) -> None:
    """80 columns but for paths, 24 lines."""
    told = machine.run_alone("status", *SANDBOX).out
    lines = told.splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if len(line) > 80 and "/" not in line] == []
    for words in (
        "Requests  5 sent so far: ",
        "Saved     ",
        "Last run  20",
        "It paused at the number of requests",
        "[",
    ):
        assert words in told


def test_which_job_is_meant_is_asked_if_it_is_not_clear(machine: Machine) -> None:
    """Several: they are named. None: how to begin."""
    other = ("enrich", "leads.csv", "-o", "two.jsonl", *SANDBOX[:1], "--max-requests", "0", "--state", "two.db")
    machine.run_alone(*other)
    machine.run_alone("enrich", "leads.csv", "-o", "three.jsonl", *other[4:])
    several = machine.run_alone("report", "-o", "x.html", "--sandbox", "--state", "two.db")
    assert several.code == 64
    assert "three.jsonl" in several.complaint
    none = machine.run_alone("report", "-o", "x.html", "--sandbox", "--state", "none.db")
    assert (none.code, (machine.folder / "none.db").exists()) == (64, False)
    assert "Begin with: leadcontact enrich" in none.complaint
    assert not (machine.folder / "x.html").exists()
