"""Two processes, one account: one quota, one price for a question, one run a job."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
from crash_site import LOCKING, REQUEST, Crash, Point, end_of, forked, said_last, start_forked, stopped
from soak import seconds, size
from support import people, write_leads
from system_site import FAST, asked_again, ended, site, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST)
_, RESERVED, _, ARRIVED, _ = REQUEST
LATE = "SELECT count(*) FROM attempt WHERE dated > strftime('%s', 'now') + 7 * 3600"
"""Requests dated by a clock that is eight hours ahead."""

FREE = ("--plan", "free", "--max-per-second", "50")
OVERLAP = 3
"""Companies of each list that are also in the next."""


@pytest.mark.parametrize("processes", [2, 4])
async def test_processes_on_the_free_plan_send_25_requests_in_all(tmp_path: Path, processes: int) -> None:
    """Not one more, all of them used, and nothing asked twice although the lists share companies."""
    for n in range(processes):
        write_leads(tmp_path / f"{n}.csv", people(10, 2, start=n * (10 - OVERLAP)))
    async with site(tmp_path, latency=(0.01, 0.05)) as (machine, sandbox):
        commands = [("enrich", f"{n}.csv", "-o", f"{n}.jsonl", *FREE) for n in range(processes)]
        nights = await asyncio.gather(*(machine.run(*command) for command in commands))
        assert sandbox.count() == 25
        again = await machine.run("resume", *FREE)
        assert sandbox.count() == 25
    assert [told.code for told in (*nights, again)] == [0] * (processes + 1)
    assert all("Paused: the 25 requests of this window are used." in told.err for told in (*nights, again))
    assert asked_again(sandbox) == 0
    for n in range(processes):
        rows = machine.rows(tmp_path / f"{n}.jsonl")
        assert rows == sorted(set(rows))


async def test_a_question_two_processes_want_at_once_is_paid_for_once(tmp_path: Path) -> None:
    """The same companies in two lists, taken up at the same moment with slow answers: one request each."""
    rows = people(6, 2)
    for n in range(2):
        write_leads(tmp_path / f"{n}.csv", rows)
    async with site(tmp_path, latency=0.3) as (machine, sandbox):
        commands = [("enrich", f"{n}.csv", "-o", f"{n}.jsonl", *FAST, "--concurrency", 4) for n in range(2)]
        nights = await asyncio.gather(*(machine.run(*command) for command in commands))
    assert [told.code for told in nights] == [0, 0]
    assert asked_again(sandbox) == 0
    assert [machine.rows(tmp_path / f"{n}.jsonl") for n in range(2)] == [list(range(1, len(rows) + 1))] * 2


@pytest.mark.parametrize("command", [("enrich", "leads.csv", "-o", "out.jsonl"), ("resume",)])
async def test_a_second_run_of_a_job_says_who_holds_it_and_a_killed_holder_frees_it(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """75 with the process and its start; the lock dies with its process, nobody has to remove a file."""
    write_leads(tmp_path / "leads.csv", people(3, 1))
    async with site(tmp_path, latency=20.0) as (machine, sandbox):
        holder = await machine.start("enrich", "leads.csv", "-o", "out.jsonl", *FAST)
        await until(lambda: sandbox.count() == 1)
        second = await machine.run(*command, *FAST)
        shown = await machine.run("status")
        holder.send_signal(signal.SIGKILL)
        await ended(holder)
        sandbox.set(latency=0.0)
        third = await machine.run(*command, *FAST)
    assert (second.code, third.code) == (75, 0)
    assert (
        f"Another run is working on {machine.out} (process {holder.pid}, since {datetime.now(UTC):%Y-}" in second.err
    )
    assert second.complaint.endswith("Wait for it, or stop that process; its work is kept.")
    assert f"Running   process {holder.pid}, since" in shown.out
    assert asked_again(sandbox) == 1


async def test_resume_leaves_a_held_job_to_its_run_and_does_the_others(tmp_path: Path) -> None:
    """One list being worked on is no reason to let the others wait."""
    for name in ("one", "two", "three"):
        write_leads(tmp_path / f"{name}.csv", people(1, 1, start=10 * len(name) + ord(name[0])))
    async with site(tmp_path) as (machine, sandbox):
        for name in ("two", "three"):
            await machine.run("enrich", f"{name}.csv", "-o", f"{name}.jsonl", *FAST, "--max-requests", "0")
        sandbox.set(latency=20.0)
        holder = await machine.start("enrich", "one.csv", "-o", "one.jsonl", *FAST)
        await until(lambda: sandbox.count() == 1)
        sandbox.set(latency=0.0)
        told = await machine.run("resume", *FAST)
        holder.kill()
        await ended(holder)
    assert told.code == 0
    assert f"(process {holder.pid}, since" in told.err
    assert "It is left to it." in told.err
    assert [machine.rows(tmp_path / f"{name}.jsonl") for name in ("two", "three")] == [[1, 2, 3]] * 2


# --- four processes, stopped processes ----------------------------------------------------------------


@pytest.mark.timeout(seconds(120, 1200))
async def test_of_four_runs_of_one_list_one_works_and_the_others_say_who(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Started at the same moment, over and over: one job runs once, 75 for the rest, nothing asked twice."""
    rows = people(5, 1)
    write_leads(tmp_path / "leads.csv", rows)
    rounds = size(2, 25)
    async with site(tmp_path, latency=0.15) as (machine, sandbox):
        for n in range(rounds):
            command = ("enrich", "leads.csv", "-o", f"{n}.jsonl", *FAST, "--state", tmp_path / f"{n}.db")
            told = await asyncio.gather(*(machine.run(*command) for _ in range(4)))
            refused = [one for one in told if one.code == 75]
            assert sorted(one.code for one in told) == [0] * (4 - len(refused)) + [75] * len(refused)
            assert len(refused) >= 1
            assert all(f"Another run is working on {tmp_path / f'{n}.jsonl'} (process " in one.err for one in refused)
            assert machine.rows(tmp_path / f"{n}.jsonl") == list(range(1, len(rows) + 1))
            assert machine.query("SELECT count(*), max(intake) FROM job", tmp_path / f"{n}.db")[0][0] == 1
    assert asked_again(sandbox) == len(sandbox.log) * (rounds - 1) // rounds
    record_property("processes raced for one job", 4 * rounds)


async def test_a_stopped_run_keeps_its_job_and_goes_on_when_it_is_woken(tmp_path: Path) -> None:
    """SIGSTOP is not death: 75 for another run; woken, it finishes, and nothing was asked twice."""
    write_leads(tmp_path / "leads.csv", rows := people(2, 1))
    # slow enough that no commit is in hand when the answer comes: whoever is stopped in one keeps the state locked
    async with site(tmp_path, latency=0.2) as (machine, sandbox):
        holder = start_forked(machine, *ENRICH, "--concurrency", 1, crash=Crash(ARRIVED, 3, signal.SIGSTOP))
        await until(partial(stopped, holder))
        assert await forked(machine, *ENRICH) == 75
        assert f"(process {holder.pid}, since" in said_last(machine)
        os.kill(holder.pid or 0, signal.SIGCONT)
        assert await end_of(holder) == 0
    assert asked_again(sandbox) == 0
    assert machine.rows() == list(range(1, len(rows) + 1))


async def test_a_run_that_looked_before_another_finished_does_not_act_on_what_it_saw(tmp_path: Path) -> None:
    """Stopped between its look at the job and its lock, for as long as another run needs for the whole list.

    Woken, it must not cut the output back to the length it remembers, nor take equal rows for duplicates.
    """
    write_leads(tmp_path / "leads.csv", rows := people(4, 1))
    async with site(tmp_path) as (machine, sandbox):
        assert await forked(machine, *ENRICH, "--max-requests", 3) == 0
        for command in (ENRICH, ("resume", *FAST)):
            write_leads(tmp_path / "leads.csv", rows := [*rows, *people(1, 1, start=len(rows))])
            if command != ENRICH:
                assert await forked(machine, *ENRICH, "--max-requests", 0) == 0
            late = start_forked(machine, *command, crash=Crash(LOCKING, 2, signal.SIGSTOP))
            await until(partial(stopped, late))
            assert await forked(machine, *ENRICH) == 0
            os.kill(late.pid or 0, signal.SIGCONT)
            assert await end_of(late) == 0
            assert machine.rows() == list(range(1, len(rows) + 1))
            assert not (tmp_path / "out.jsonl.torn-1").exists()
    assert machine.query("SELECT count(*) FROM lead WHERE original IS NOT NULL") == [(0,)]
    assert asked_again(sandbox) == 0


@pytest.mark.parametrize("point", [RESERVED, ARRIVED])
async def test_a_run_that_wakes_after_hours_sends_and_counts_nothing_stale(tmp_path: Path, point: Point) -> None:
    """A closed lid: the wall clock has jumped, the loop's has not. Another list was worked on meanwhile.

    What was reserved and not sent is given back; what had been answered is dated when it is read; and the ledger
    counts every request that the server saw.
    """
    write_leads(tmp_path / "leads.csv", rows := people(4, 1))
    write_leads(tmp_path / "other.csv", others := people(3, 1, start=50))
    # slow enough that no commit is in hand when the answer comes: whoever is stopped in one keeps the state locked
    async with site(tmp_path, latency=0.3) as (machine, sandbox):
        asleep = start_forked(machine, *ENRICH, "--concurrency", 1, crash=Crash(point, 3, signal.SIGSTOP))
        await until(lambda: stopped(asleep))
        assert await forked(machine, "enrich", "other.csv", "-o", "other.jsonl", *FAST) == 0
        before = sandbox.count()
        (tmp_path / "hours").write_text("8")
        os.kill(asleep.pid or 0, signal.SIGCONT)
        assert await end_of(asleep) == 0, said_last(machine)
    withdrawn = machine.query("SELECT count(*) FROM attempt WHERE outcome = 'withdrawn' AND dated = 0")[0][0]
    assert withdrawn == (point is RESERVED)
    stale = machine.query("SELECT count(*) FROM attempt WHERE dated > 0 AND dated < reserved_at - 1")
    assert stale == [(0,)]
    late = machine.query(LATE)[0][0]
    assert late == sandbox.count() - before + (point is ARRIVED)
    assert machine.query("SELECT count(*) FROM attempt WHERE dated > 0") == [(sandbox.count(),)]
    assert asked_again(sandbox) == 0
    assert machine.rows() == list(range(1, len(rows) + 1))
    assert machine.rows(tmp_path / "other.jsonl") == list(range(1, len(others) + 1))
