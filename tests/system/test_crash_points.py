"""Killed at every named point of a run, and started again until the list is done: nothing lost or paid twice."""

from __future__ import annotations

import csv
from random import Random
from typing import TYPE_CHECKING

import pytest
from crash_site import CREATION, INTAKE, LINE, REQUEST, REWRITE, Crash, forked, said_last
from soak import size
from support import people, write_leads
from system_site import Machine, asked_again, site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.sandbox import Sandbox

WORKERS = 4
QUOTA = 400
PLAN = ("--plan", "enterprise", "--daily-quota", QUOTA, "--concurrency", WORKERS)
ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *PLAN)


def list_with_ids(folder: Path, companies: int) -> int:
    """Write a list whose rows are known by an id; return how many they are."""
    rows = [{"Record ID": str(n), **row} for n, row in enumerate(people(companies, 2), 1)]
    write_leads(folder / "leads.csv", rows)
    return len(rows)


def rename_somebody(machine: Machine) -> None:
    """Change who a finished row asks for: its line must go, in a rewrite of the output."""
    with (machine.folder / "leads.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[-1]["Last Name"] += "son"
    write_leads(machine.folder / "leads.csv", rows)


def delete_output(machine: Machine) -> None:
    """Let the whole output be written again from the state."""
    machine.out.unlink(missing_ok=True)


def check(machine: Machine, sandbox: Sandbox, crashes: int) -> None:
    """What must hold after any crash: in the server's log, in the ledger, in the output."""
    if not machine.state.exists() or not machine.query("SELECT 1 FROM sqlite_master WHERE name = 'lead'"):
        assert sandbox.count() == 0
        return
    assert machine.query("PRAGMA integrity_check") == [("ok",)]
    counted = machine.query("SELECT count(*) FROM attempt WHERE dated IS NULL OR dated > 0")[0][0]
    doubtful = machine.query("SELECT count(*) FROM attempt WHERE dated IS NULL OR outcome = 'lost'")[0][0]
    assert sandbox.count() <= counted <= QUOTA
    assert asked_again(sandbox) <= doubtful <= crashes * WORKERS
    if machine.out.exists() and machine.query("SELECT 1 FROM job"):
        check_lines(machine)


def check_lines(machine: Machine) -> None:
    """What the state accounts for is in the output: whole lines, one a finished row."""
    ((length, announced, stale),) = machine.query("SELECT out_length, next_length, out_stale FROM job")
    text = machine.out.read_bytes()
    counted = text[: len(text) if len(text) == announced else length]
    assert len(counted) in (length, announced)
    assert counted.endswith(b"\n") or not counted
    finished = machine.query("SELECT count(*) FROM lead WHERE state NOT IN ('ready', 'deferred', 'copy')")[0][0]
    assert stale or counted.count(b"\n") == finished


def crashes_of(rng: Random) -> list[Crash]:
    """Every point at least once, the later ones at another passage each round."""
    creation = [Crash(point, 1) for point in CREATION]
    intake = [Crash(point, 1) for point in INTAKE]
    working = [Crash(point, hit) for point in (*REQUEST, *LINE) for hit in (1, rng.randint(2, 4))]
    rng.shuffle(working)
    return [*creation, *intake, Crash(INTAKE[1], 3), *working]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("round_", range(size(1, 12)))
async def test_a_run_killed_at_every_point_finishes_its_list(
    tmp_path: Path, round_: int, record_property: Callable[[str, object], None]
) -> None:
    """At the creation of the state, in the intake, around each request and each line, in the middle of a rewrite.

    After each crash: the server saw no more than the ledger counts, a question was asked again only if a request
    for it was under way at a crash, and every finished row has one whole line.
    """
    rows = list_with_ids(tmp_path, companies := 16)
    crashes = crashes_of(Random(round_))
    async with site(tmp_path, latency=(0.0, 0.02)) as (machine, sandbox):
        for n, crash in enumerate(crashes, 1):
            while (code := await forked(machine, *ENRICH, crash=crash)) == 0:
                rows = list_with_ids(tmp_path, companies := companies + 8)  # it ended before the point was passed
            assert code == -9, crash
            check(machine, sandbox, n)
        await finish(machine, sandbox, rows, len(crashes))
        again = asked_again(sandbox)
        for point in REWRITE:
            for spoil in (rename_somebody, delete_output):
                spoil(machine)
                assert await forked(machine, *ENRICH, crash=Crash(point, 1)) == -9, (point, spoil)
                check(machine, sandbox, len(crashes))
        await finish(machine, sandbox, rows, len(crashes))
        assert asked_again(sandbox) == again, "a rewrite costs nothing"
    record_property("kills at named points", len(crashes) + 2 * len(REWRITE))
    record_property("questions asked again after them", again)


async def finish(machine: Machine, sandbox: Sandbox, rows: int, crashes: int) -> None:
    """Let the command end: every row has its line, and nothing lies about but copies of lines not accounted for."""
    assert await forked(machine, *ENRICH) == 0, said_last(machine)
    check(machine, sandbox, crashes)
    assert machine.rows() == list(range(1, rows + 1))
    left = {path.name.partition(".torn-")[0] for path in machine.folder.iterdir() if "out.jsonl" in path.name}
    assert left == {"out.jsonl"}
