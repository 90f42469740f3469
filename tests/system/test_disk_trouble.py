"""A full disk, an output that was deleted or cut, a state that was copied or damaged: nothing paid is lost."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest
from crash_site import forked, said_last
from soak import size
from support import people, write_leads
from system_site import FAST, Machine, asked_again, ended, site, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST, "--concurrency", 4)


def write_list(folder: Path, companies: int = 6) -> int:
    """Write a list; return how many rows it has."""
    return len(write_leads(folder / "leads.csv", people(companies, 2)).read_bytes().splitlines()) - 1


async def finishes(machine: Machine, rows: int) -> None:
    """With room again the same command finishes the list: a line a row."""
    assert await forked(machine, *ENRICH) == 0, said_last(machine)
    assert machine.rows() == list(range(1, rows + 1))


# --- full disk ----------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system that is soon full; skips where nothing can be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],  # noqa: S607 - where it lies is its affair
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S607


def make_room(disk: Path) -> None:
    """Tidy up the small disk."""
    subprocess.run(["mount", "-o", "remount,size=9m", disk], check=True)  # noqa: S607


@pytest.mark.parametrize("kilobytes", [12, 24])
async def test_a_full_disk_under_the_output_is_74_and_costs_nothing(tmp_path: Path, kilobytes: int) -> None:
    """Answers under way are waited for and kept; with room the lines are written from them, none of them half."""
    rows = write_list(tmp_path)
    with small_disk(tmp_path / "disk", f"{kilobytes}k") as disk:
        async with site(tmp_path) as (machine, sandbox):
            command = ("enrich", "leads.csv", "-o", disk / "out.jsonl", *ENRICH[4:])
            assert await forked(machine, *command) == 74
            assert "out.jsonl cannot be written (No space left on device)." in said_last(machine)
            whole = machine.lines(disk / "out.jsonl")
            assert len(whole) == machine.query("SELECT count(*) FROM lead WHERE finished_at > 0")[0][0]
            make_room(disk)
            assert await forked(machine, *command) == 0
            assert machine.rows(disk / "out.jsonl") == list(range(1, rows + 1))
    assert asked_again(sandbox) == 0
    assert machine.query("SELECT count(*) FROM attempt WHERE outcome = 'lost'") == [(0,)]


@pytest.mark.parametrize("kilobytes", [160, 220, 300])
async def test_a_full_disk_under_the_state_is_74_and_sends_nothing_it_cannot_count(
    tmp_path: Path, kilobytes: int
) -> None:
    """One sentence; at most what was under way is paid again; with room the list is finished."""
    rows = write_list(tmp_path)
    with small_disk(tmp_path / "disk", f"{kilobytes}k") as disk:
        async with site(tmp_path) as (machine, sandbox):
            machine.environment["LEADCONTACT_STATE"] = str(disk / "state.db")
            assert await forked(machine, *ENRICH) == 74
            complaint = said_last(machine).splitlines()[-1]
            assert complaint.startswith("leadcontact: The state file ")
            assert "--state" in complaint
            make_room(disk)
            await finishes(machine, rows)
            counted = machine.query("SELECT count(*) FROM attempt WHERE dated > 0", disk / "state.db")[0][0]
    assert asked_again(sandbox) <= 4
    assert sandbox.count() <= counted


async def test_a_file_that_may_not_grow_is_74(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on file sizes (ulimit -f) is told like a full disk; raised, the same command goes on."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # the limit would stop its data file too
    rows = write_list(tmp_path)
    async with site(tmp_path) as (machine, sandbox):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
        try:
            process = await machine.start(*ENRICH)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        told = await ended(process)
        assert (told.code, "cannot be " in told.complaint) == (74, True)
        await finishes(machine, rows)
    assert asked_again(sandbox) <= 4


# --- the output between two runs ----------------------------------------------------------------------


@pytest.mark.parametrize("left", [0.0, 0.5, 0.97])
async def test_an_output_cut_between_runs_is_written_again_for_nothing(tmp_path: Path, left: float) -> None:
    """In the middle of a list: a line a finished row again, and the rest goes on."""
    rows = write_list(tmp_path)
    async with site(tmp_path) as (machine, sandbox):
        assert await forked(machine, *ENRICH, "--max-requests", 12) == 0
        finished, asked = machine.rows(), sandbox.count()
        os.truncate(machine.out, int(machine.out.stat().st_size * left))
        assert await forked(machine, *ENRICH, "--max-requests", 0) == 0
        assert (machine.rows(), sandbox.count()) == (finished, asked)
        await finishes(machine, rows)
    assert asked_again(sandbox) == 0


@pytest.mark.parametrize("spoil", ["deleted", "cut"])
async def test_an_output_spoilt_while_it_is_written_is_made_whole_by_the_next_run(tmp_path: Path, spoil: str) -> None:
    """Somebody tidies up during the night: the next run has every line, and asks nothing again."""
    rows = write_list(tmp_path)
    async with site(tmp_path, latency=0.02) as (machine, sandbox):
        process = await machine.start(*ENRICH)
        await until(lambda: machine.out.exists() and machine.out.stat().st_size > 0)
        machine.out.unlink() if spoil == "deleted" else os.truncate(machine.out, 0)
        assert (await ended(process)).code == 0
        await finishes(machine, rows)
    assert asked_again(sandbox) == 0


# --- the state ----------------------------------------------------------------------------------------


async def test_a_state_copied_while_a_run_goes_on_is_whole_and_disturbs_nobody(tmp_path: Path) -> None:
    """By SQLite's own backup: the copy finishes the list with what was paid for when it was made."""
    rows = write_list(tmp_path)
    async with site(tmp_path, latency=0.03) as (machine, sandbox):
        process = await machine.start(*ENRICH)
        await until(lambda: sandbox.count() > 8)
        copy = tmp_path / "copy.db"
        with closing(sqlite3.connect(machine.state)) as db, closing(sqlite3.connect(copy)) as target:
            db.backup(target)
        asked_then = sandbox.count()
        told = await ended(process)
        assert (told.code, machine.rows()) == (0, list(range(1, rows + 1)))
        assert machine.query("PRAGMA integrity_check", copy) == [("ok",)]
        machine.out.rename(tmp_path / "first.jsonl")
        machine.environment["LEADCONTACT_STATE"] = str(copy)
        before = sandbox.count()
        await finishes(machine, rows)
        assert sandbox.count() - before <= before - asked_then + 4


async def test_a_plain_copy_of_the_state_file_is_an_older_state_and_no_ruin(tmp_path: Path) -> None:
    """`cp` without the write-ahead log: what the copy holds is whole, or it is refused in one sentence with 74."""
    write_list(tmp_path)
    async with site(tmp_path, latency=0.01) as (machine, sandbox):
        process = await machine.start(*ENRICH)
        copies = [tmp_path / f"{n}.db" for n in range(4)]
        for n, copy in enumerate(copies):
            await until(lambda goal=4 * n: sandbox.count() > goal)  # type: ignore[misc]
            shutil.copyfile(machine.state, copy)
        assert (await ended(process)).code == 0
        asked = sandbox.count()
        for copy in copies:
            machine.environment["LEADCONTACT_STATE"] = str(copy)
            command = ("enrich", "leads.csv", "-o", f"{copy.stem}.jsonl", *FAST, "--max-requests", 0)
            code = await forked(machine, *command)
            assert code == 0 or (code, "leadcontact: " in said_last(machine)) == (74, True)
    assert sandbox.count() == asked


@pytest.mark.parametrize("round_", range(size(5, 60)))
async def test_a_damaged_state_is_one_sentence_and_never_a_spoilt_output(tmp_path: Path, round_: int) -> None:
    """Whatever page was overwritten: the run ends with 74 and says what to do, or the damage did not matter."""
    rng = Random(round_)
    write_list(tmp_path, 3)
    async with site(tmp_path) as (machine, sandbox):
        assert await forked(machine, *ENRICH, "--max-requests", 5) == 0
        output = machine.out.read_bytes()
        with machine.state.open("r+b") as file:
            pages = machine.state.stat().st_size // 4096
            for page in rng.sample(range(pages), 1 + round_ % 3):
                file.seek(page * 4096 + rng.randrange(2048))
                file.write(rng.randbytes(rng.choice([16, 400, 2000])))
        code = await forked(machine, *ENRICH)
        said = said_last(machine)
    assert code in (0, 74), said
    assert machine.out.read_bytes().startswith(output)
    assert code == 0 or said.splitlines()[-1].startswith("leadcontact: "), said
    assert "Traceback" not in said
    assert asked_again(sandbox) <= sandbox.count()
