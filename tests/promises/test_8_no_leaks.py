"""Promise 8: nobody's data leaks. Only output and state know the people, only environment and wire know the key."""

from __future__ import annotations

import asyncio
import os
import pty
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr, ValidationError
from support import people, write_leads
from system_site import KEY, Machine, Told, asked_again, ended, site, until

from pipeline.client import Client
from pipeline.sandbox import Fault, Sandbox, SandboxOptions
from pipeline.session import Parts
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLAN = ("--plan", "enterprise", "--daily-quota", "5000", "--wait-up-to", "0", "--concurrency", "4")
PRIVATE = ("out.jsonl", "state.db", "state.db-wal", "state.db-shm", "leads.csv")
"""Files that may know people; the list is the user's own."""

TROUBLE = {
    Fault.BAD_REQUEST: 0.06,
    Fault.SAID_NO: 0.06,
    Fault.NOT_FOUND: 0.05,
    Fault.NUMBERS_AS_STRINGS: 0.05,
    Fault.OTHER_EMAIL: 0.05,
    Fault.SERVER_ERROR: 0.05,
    Fault.CHALLENGE_PAGE: 0.05,
}


OTHERS = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("doctor", "--json"),
    ("doctor", "--probe"),
    ("resume",),
    ("resume", "--json", "--log-level", "debug"),
    ("plan", "leads.csv", "-o", "out.jsonl"),
    ("plan", "leads.csv", "--json"),
    ("report", "out.jsonl", "-o", "report.html"),
    ("report", "out.jsonl", "--json"),
    ("replay", "out.jsonl", "--dry-run"),
    ("replay", "out.jsonl", "--json"),
    ("refresh", "out.jsonl", "--older-than", "1s", "--json", "--log-level", "debug"),
    ("purge", "--older-than", "1s"),
    ("enrich", "leads.csv", "-o", "out.jsonl", "--limit", "3"),
    ("enrich", "more.csv", "-o", "leads.csv"),
)
"""Commands that say much: shown with their errors."""


def secrets(sandbox: Sandbox, rows: Iterable[dict[str, str]]) -> set[str]:
    """Everything personal that went in or came over the wire, and the key."""
    found = {KEY, KEY[8:]}
    for row in rows:
        found |= {row["Last Name"], row["Email"], row["Company Name"]}
        for person in sandbox.world.company(row["Company Name"]).people:
            numbers = {number.number for number in person.numbers}
            found |= {person.last_name, person.email, f"{person.first_name} {person.last_name}", *numbers}
            found.add(person.phone or "")
    return {secret for secret in found if len(secret) > 3}


def shown(text: str, secrets: set[str]) -> list[str]:
    """Secrets that a text shows."""
    return sorted(secret for secret in secrets if secret in text)


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def in_the_process_list(process: int) -> str:
    """What `ps` shows of a process, as Linux tells it."""
    return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()


async def watched(machine: Machine, *command: str) -> tuple[Told, str]:
    """Run a command and look meanwhile at what the process list shows of it."""
    process = await machine.start(*command)
    seen = in_the_process_list(process.pid)
    return await ended(process), seen


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_log_error_summary_or_process_list_shows_a_key_or_a_person(tmp_path: Path, log_format: str) -> None:
    """Debug logs of a night full of trouble, its summary, status, doctor and the lock files."""
    rows = people(12, 2)
    rows += [{**rows[1], "Email": f"{n}.secretive@private-address.example"} for n in range(4)]
    rows += [{**rows[2], "Email": "not an address of Secretive"}]
    write_leads(tmp_path / "leads.csv", rows)
    command = ("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--log-level", "debug", "--log-format", log_format)
    async with site(tmp_path, faults=TROUBLE, latency=0.01) as (machine, sandbox):
        machine.environment["LEADCONTACT_STATE"] = "state.db"
        night, processes = await watched(machine, *command, "--summary", "summary.json")
        await machine.run(*command)
        sandbox.set(faults={Fault.UNAUTHORISED: 1.0})
        (tmp_path / "more.csv").write_text("Company Name\nSecretive Ltd\n")
        denied = await machine.run("enrich", "more.csv", "-o", "more.jsonl", *PLAN)
        others = [await machine.run(*arguments) for arguments in OTHERS]
        private = secrets(sandbox, rows) | {"Secretive", "secretive", "private-address"}
        others.append(await machine.run("verify", rows[-2]["Email"], "--quiet", stdin=None))
        others[-1] = others[-1]._replace(out="")  # the gate's answer names the address it was asked about
    said = "".join(told.out + told.err for told in (night, denied, *others)) + processes
    rest = "".join(
        path.read_text("utf-8", "replace") for path in files(tmp_path) if path.name not in (*PRIVATE, "more.csv")
    )
    assert sandbox.count() > 20
    assert denied.code == 77
    assert "enrich leads.csv" in processes
    assert "summary" in said
    assert shown(said, private) == []
    assert shown(rest, private) == []
    assert len(shown(machine.out.read_text(), private)) > 10, "the search itself must be able to find something"


async def test_the_key_is_in_no_file_at_all(tmp_path: Path) -> None:
    """Not in the output, not in the state, not in what the server logged of us."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    async with site(tmp_path, log_path=tmp_path / "server.log") as (machine, sandbox):
        assert (await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN)).code == 0
        assert asked_again(sandbox) == 0
        files_of_it = list(files(tmp_path))
    assert [path.name for path in files_of_it if KEY[8:].encode() in path.read_bytes()] == []


async def test_whatever_knows_people_is_for_its_owner_alone(tmp_path: Path) -> None:
    """With an open umask, in the middle of a run and after it: output, state and its companions are 0600."""
    write_leads(tmp_path / "leads.csv", people(4, 2))
    async with site(tmp_path, latency=0.1) as (machine, sandbox):
        process = await machine.start("enrich", "leads.csv", "-o", "new/out.jsonl", *PLAN)
        await until(lambda: sandbox.count() > 8)
        during = modes(tmp_path)
        await ended(process)
    after = modes(tmp_path)
    assert {name for name in during if name.startswith("state.db")} == {"state.db", "state.db-wal", "state.db-shm"}
    assert during == dict.fromkeys(during, 0o600)
    assert after == dict.fromkeys(after, 0o600)
    assert "out.jsonl" in after
    assert machine.state.parent.stat().st_mode & 0o777 == 0o700


async def test_an_empty_file_that_stood_open_is_closed_before_people_are_written_into_it(tmp_path: Path) -> None:
    """Somebody touched the output or the state beforehand, readable for all."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    for name in ("out.jsonl", "state.db"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    async with site(tmp_path) as (machine, _):
        told = await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--state", "state.db")
    assert told.code == 0
    assert {name: mode for name, mode in modes(tmp_path).items() if name != "leads.csv"} == {
        "out.jsonl": 0o600,
        "state.db": 0o600,
    }


def modes(folder: Path) -> dict[str, int]:
    """Permissions of everything the command made, but for its lock files, which know nobody."""
    made = (path for path in files(folder) if path.name != "leads.csv" and ".locks" not in str(path))
    return {path.name: path.stat().st_mode & 0o777 for path in made}


async def test_an_inner_failure_shows_where_and_nothing_of_whom(tmp_path: Path) -> None:
    """A defect of ours names a line of our code, never the text of the error, which may hold a person."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, _):
        await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--max-requests", "1")
        machine.execute("UPDATE lead SET input = '{broken Secretive'")
        told = await machine.run("resume", *PLAN)
    assert told.code == 70
    assert "Please report this line." in told.complaint
    assert "Secretive" not in told.err


async def test_the_progress_bar_shows_counts_and_nobody(tmp_path: Path) -> None:
    """On a terminal, where it is drawn again and again."""
    rows = people(12, 2)
    write_leads(tmp_path / "leads.csv", rows)
    ours, theirs = pty.openpty()
    async with site(tmp_path, latency=0.05) as (machine, sandbox):
        process = await machine.start("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, stderr=theirs, TERM="xterm")
        os.close(theirs)
        drawn = await asyncio.to_thread(everything, ours)
        await process.wait()
        private = secrets(sandbox, rows)
    assert process.returncode == 0
    assert "requests left" in drawn
    assert shown(drawn, private) == []


def everything(terminal: int) -> str:
    """All that is shown on a terminal until its last writer is gone."""
    told = b""
    with suppress(OSError):  # how Linux says so
        while piece := os.read(terminal, 1 << 16):
            told += piece
    os.close(terminal)
    return told.decode()


def test_settings_and_errors_show_no_key(tmp_path: Path) -> None:
    """However settings are dumped, and whatever goes wrong with them."""
    settings = Settings(api_key=SecretStr(KEY), state=tmp_path / "state.db")
    dumps = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    dumps += [repr(Client("http://127.0.0.1:1/v1", KEY, timeout=10, connections=1)), f"{settings!r:.9999}"]
    dumps += [repr(Parts(settings, lambda _: None, lambda _: None)), repr(SandboxOptions(key=KEY))]
    for wrong in ({"api_key": KEY, "timeout": KEY}, {"api_key": KEY, "no_such": KEY}):
        with pytest.raises(ValidationError) as caught:
            Settings(**wrong)
        dumps += [str(caught.value), repr(caught.value)]
    assert [dump for dump in dumps if KEY in dump or KEY[8:] in dump] == []
    assert settings.key() == KEY


def test_errors_with_a_broken_list_quote_no_cell(tmp_path: Path) -> None:
    """A list that cannot be read is told by line and column, never by what stands there."""
    machine = Machine(tmp_path, {"LEADCONTACT_API_KEY": KEY})
    head, person = b"Company Name,Last Name,Email\n", b"Secretive Ltd,Secretive,jane.secretive@example.org\n"
    lists = [
        head + person + b'"Secretive',
        head + person + b'"Secretive"x,y,z\n',
        head + person + b"Secretive \xff\n",
        person * 3,
        b"Colour\n" + person,
        head + person + b"\0" + person,
    ]
    for content in lists:
        (tmp_path / "leads.csv").write_bytes(content)
        told = machine.run_alone("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--log-level", "debug")
        assert told.code == 65
        assert shown(told.out + told.err, {"Secretive", "secretive", KEY}) == []


COMMANDS = [("enrich", "leads.csv", "-o", "out.jsonl"), ("export", "out.jsonl", "-o", "x.csv")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_state_quotes_no_row(tmp_path: Path, command: tuple[str, ...]) -> None:
    """SQLite shows what it cannot decode; that is somebody's lead, and cron would mail it."""
    machine = Machine(tmp_path, {"LEADCONTACT_API_KEY": KEY})
    row = {"Company Name": "Acme", "Last Name": "Secretive", "Email": "jane.secretive@example.org"}
    write_leads(tmp_path / "leads.csv", [row])
    taken = ("enrich", "leads.csv", "-o", "out.jsonl", "--sandbox", "--state", "s.db", "--max-requests", "0")
    assert machine.run_alone(*taken).code == 0
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        db.execute("UPDATE lead SET input = CAST(replace(CAST(input AS BLOB), X'41', X'FF') AS TEXT)")
        db.commit()
    (tmp_path / "leads.csv").write_text("Company Name\nAcme\n")
    more = ("--partial",) if command[0] == "export" else ()
    told = machine.run_alone(*command, *more, "--sandbox", "--state", "s.db")
    assert (told.code, "The state file cannot be read" in told.err) == (74, True), told.err
    assert shown(told.out + told.err, {"Secretive", "secretive"}) == []


async def test_an_output_its_owner_opened_to_others_stays_open_and_doctor_says_so(tmp_path: Path) -> None:
    """New files are 0600; who opens his output by chmod may, nights only append to it, and doctor names it."""
    write_leads(tmp_path / "leads.csv", people(4, 1))
    async with site(tmp_path) as (machine, _):
        assert (await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN, "--max-requests", "8")).code == 0
        assert machine.out.stat().st_size
        closed = await machine.run("doctor")
        machine.out.chmod(0o644)
        assert (await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN)).code == 0
        opened = await machine.run("doctor")
    assert machine.out.stat().st_mode & 0o777 == 0o644
    assert "can be read by others" not in closed.out
    assert f"{machine.out} can be read by others (mode 644)" in opened.out
    assert "chmod 600" in opened.out
    assert opened.code == 0
