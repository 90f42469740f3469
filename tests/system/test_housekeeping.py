"""`replay`, `forget` and `purge` as commands: what they print, how they exit, and that nobody's data is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from support import people, write_leads
from system_site import FAST, Machine, ended, site, until

from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST, "--concurrency", "1")


def traces(folder: Path, address: str) -> list[str]:
    """Files other than the user's own list that hold an address."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".csv")
    return [path.name for path in files if address.encode() in path.read_bytes().lower()]


async def test_replay_then_resume_finishes_what_was_refused(tmp_path: Path) -> None:
    """A night of refusals, a dry run, a replay, and a good night."""
    write_leads(tmp_path / "leads.csv", people(3, 1))
    async with site(tmp_path) as (machine, sandbox):
        sandbox.script([Fault.BAD_REQUEST])
        assert (await machine.run(*COMMAND, "--steps", "search")).code == 0
        before = machine.out.read_bytes()
        dry = await machine.run("replay", "out.jsonl", "--dry-run", "--json")
        assert machine.out.read_bytes() == before
        shown = await machine.run("replay", "out.jsonl", "--dry-run", "--reason", "refused", "--since", "2d")
        told = await machine.run("replay", "out.jsonl", "--reason", "refused")
        rows = len(machine.lines())
        resumed = await machine.run("resume", "out.jsonl", *FAST)
    plan = orjson.loads(dry.out)
    assert {name: plan[name] for name in ("schema_version", "dry_run", "requests_at_most")} == {
        "schema_version": 1,
        "dry_run": True,
        "requests_at_most": 1,
    }
    assert sum(reason["rows"] for reason in plan["reasons"]) == plan["rows"] == before.count(b"\n") - rows > 0
    assert (told.code, resumed.code) == (0, 0)
    assert "out.jsonl --reason refused --since 2d" in shown.out.splitlines()[-1]
    assert "pending again, for at most 1 request" in told.out
    assert len(machine.lines()) == before.count(b"\n")
    assert "refused" not in machine.out.read_text()


async def test_forget_leaves_no_byte_and_names_nobody(tmp_path: Path) -> None:
    """The person is in the list and in others' candidates; afterwards in no file but the user's own list."""
    rows = people(1, 3)
    write_leads(tmp_path / "leads.csv", rows)
    async with site(tmp_path) as (machine, sandbox):
        assert (await machine.run(*COMMAND, "--summary", "summary.json")).code == 0
        person = sandbox.world.company(rows[0]["Company Name"]).people[0]
        assert person.email in machine.out.read_text()
        told = await machine.run("forget", person.email.upper())
        asked = sandbox.count()
        checked = await machine.run("verify", person.email, *FAST)
        again = await machine.run("forget", person.email, "--json")
        assert sandbox.count() == asked, "nobody asks about them"
    assert traces(tmp_path, person.email) == []
    assert (told.code, checked.code, again.code) == (0, 1, 0)
    assert "kept out" in told.out
    assert person.email not in (told.out + told.err + again.out + again.err).lower()
    assert "erased" in checked.out
    assert orjson.loads(again.out)["rows"] == 0
    assert machine.out.stat().st_mode & 0o777 == 0o600


async def test_forget_waits_for_nobody(tmp_path: Path) -> None:
    """While a run is under way: exit 75 with its process, and nothing is removed."""
    write_leads(tmp_path / "leads.csv", people(40, 2))
    async with site(tmp_path, latency=2.0) as (machine, sandbox):
        process = await machine.start(*COMMAND)
        await until(lambda: sandbox.count() > 0)
        told = await machine.run("forget", "jane.smith@acmecorp.com")
        purged = await machine.run("purge", "--older-than", "1h")
        replayed = await machine.run("replay", "out.jsonl")
        process.terminate()
        assert (await ended(process)).code == 143
    for command in (told, purged, replayed):
        assert command.code == 75
        assert f"process {process.pid}" in command.complaint


async def test_purge_tells_what_it_drops(tmp_path: Path) -> None:
    """Nothing is old yet; an age without a unit is a usage error."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, _):
        assert (await machine.run(*COMMAND)).code == 0
        told = await machine.run("purge", "--older-than", "90d", "--dry-run", "--json")
        all_of_it = await machine.run("purge", "--older-than", "0s")
        wrong = await machine.run("purge", "--older-than", "90")
    assert orjson.loads(told.out) == {
        "schema_version": 1,
        "answers": 0,
        "size": 0,
        "needed": 0,
        "dry_run": True,
        "compacted": False,
    }
    assert "were dropped" in all_of_it.out
    assert machine.query("SELECT count(*) FROM answer") == [(0,)]
    assert machine.query("SELECT count(*) > 0 FROM attempt WHERE dated > 0") == [(1,)]
    assert (told.code, all_of_it.code, wrong.code) == (0, 0, 64)


def test_the_commands_explain_themselves(tmp_path: Path) -> None:
    """--help of each ends with an example."""
    machine = Machine(tmp_path)
    for command in ("replay", "forget", "purge"):
        told = machine.run_alone(command, "--help")
        assert told.code == 0
        assert f"leadcontact {command} " in told.out
