"""Two processes, one account: one quota, one price for a question, one run a job."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from support import people, write_leads
from system_site import FAST, asked_again, ended, site, until

if TYPE_CHECKING:
    from pathlib import Path

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
