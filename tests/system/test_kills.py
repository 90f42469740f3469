"""Killed at any instant, told to stop in any way: nothing paid is lost, and the next run goes on."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from crash_site import forked, said_last
from soak import seconds, size
from support import people, write_leads
from system_site import FAST, Machine, asked_again, ended, said, site, until

from pipeline.intake import INTAKE
from pipeline.sandbox import Fault, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST)
KILLS = size(20, 200)
WORKERS = 8
PARENT = "import subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)"
"""Whoever starts the command and listens to it."""

ON_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from pipeline.cli import main
main()
"""
"""The command with its standard files' terminal as the one that controls it."""

TOLD_TO_STOP = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]


async def killed(process: Process, sandbox: Sandbox, rng: Random) -> bool:
    """Kill a run at some instant: in its start, in the middle of its requests, or between two of them."""
    more, moment = sandbox.count() + rng.randrange(14), rng.uniform(0, 0.15)
    await until(lambda: sandbox.count() >= more or process.returncode is not None)
    await asyncio.sleep(moment)
    if process.returncode is not None:
        return False
    process.kill()
    await process.communicate()
    return True


@pytest.mark.timeout(seconds(240, 2400))
async def test_kills_at_any_instant_lose_nothing_and_pay_twice_only_what_was_in_flight(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every row has exactly one line in the end, and the ledger never counted less than the server saw."""
    rng = Random(KILLS)
    rows = people(3 * KILLS, 2)
    write_leads(tmp_path / "leads.csv", rows)
    command = (*ENRICH, "--concurrency", WORKERS)
    async with site(tmp_path, latency=(0.02, 0.1)) as (machine, sandbox):
        kills = 0
        for _ in range(KILLS):
            kills += await killed(await machine.start(*command), sandbox, rng)
        done = await machine.run(*command)
    lost = machine.query("SELECT count(*) FROM attempt WHERE outcome = 'lost'")[0][0]
    counted = machine.query("SELECT count(*) FROM attempt WHERE dated IS NULL OR dated > 0")[0][0]
    assert kills >= KILLS - 3, "the list is too short for so many kills"
    assert (done.code, "Done: every row is finished." in done.err) == (0, True)
    assert machine.rows() == list(range(1, len(rows) + 1))
    assert asked_again(sandbox) <= lost <= kills * WORKERS
    assert counted >= sandbox.count()
    record_property("kills at random instants", kills)
    record_property("questions asked again after them", asked_again(sandbox))


@pytest.mark.parametrize(("number", "code"), TOLD_TO_STOP)
async def test_a_run_told_to_stop_keeps_the_answers_under_way(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """It asks nothing more, waits for what is under way, and the next run asks none of it again."""
    write_leads(tmp_path / "leads.csv", rows := people(12, 2))
    command = (*ENRICH, "--concurrency", WORKERS)
    async with site(tmp_path, latency=0.25) as (machine, sandbox):
        process = await machine.start(*command)
        await until(lambda: sandbox.state()["in_flight"] >= 4)
        process.send_signal(number)
        first = await ended(process)
        before = sandbox.count()
        assert (first.code, sandbox.state()["in_flight"]) == (code, 0)
        assert "Interrupted: the answers under way were kept" in first.err
        assert machine.query("SELECT count(*) FROM answer")[0][0] == before
        sandbox.set(latency=0.0)
        assert (await machine.run(*command)).code == 0
    assert before < sandbox.count()
    assert asked_again(sandbox) == 0
    assert machine.rows() == list(range(1, len(rows) + 1))


async def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not want to wait; what was under way counts as spent."""
    write_leads(tmp_path / "leads.csv", people(6, 1))
    async with site(tmp_path, latency=9.0) as (machine, sandbox):
        process = await machine.start(*ENRICH)
        await until(lambda: sandbox.count() == 1)
        process.send_signal(signal.SIGINT)
        await said(process, "Stopping")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = await ended(process)
        assert (told.code, "Traceback" in told.err) == (130, False)
        assert "Leaving at once" in told.err
        assert "were kept" not in told.err
        assert time.monotonic() - began < 5
        sandbox.set(latency=0.0)
        assert (await machine.run(*ENRICH)).code == 0
    assert asked_again(sandbox) == 1
    assert machine.query("SELECT count(*) FROM attempt")[0][0] == sandbox.count()


@pytest.mark.parametrize("presses", [1, 2])
async def test_an_interrupted_verify_says_130_and_nothing_ugly(tmp_path: Path, presses: int) -> None:
    """It is neither a yes nor a no."""
    async with site(tmp_path, latency=2.0) as (machine, sandbox):
        process = await machine.start("verify", "jane.smith@acmecorp.com", *FAST)
        await until(lambda: sandbox.count() == 1)
        process.send_signal(signal.SIGINT)
        if presses == 2:
            await said(process, "Stopping")
            process.send_signal(signal.SIGINT)
        told = await ended(process)
    assert (told.code, "Traceback" in told.err) == (130, False)


async def sleeps_for_a_slot(machine: Machine, sandbox: Sandbox) -> Process:
    """A run that was told by the server to come back in half an hour, and waits."""
    sandbox.set(slow_down_seconds=1800)
    sandbox.script([None, Fault.SLOW_DOWN])
    return await told_to_wait(machine, "Waiting until", "--wait-up-to", "1h")


async def sleeps_for_a_pause(machine: Machine, sandbox: Sandbox) -> Process:
    """A run that was asked to slow down for a minute."""
    sandbox.set(slow_down_seconds=60)
    sandbox.script([None, Fault.SLOW_DOWN])
    return await told_to_wait(machine, "asked to slow down")


async def waits_for_a_deferred_row(machine: Machine, sandbox: Sandbox) -> Process:
    """A run with --wait that has one row left, which may be asked again tomorrow."""
    sandbox.set(fault_endpoint="phones")
    sandbox.script([Fault.CHALLENGE_PAGE])
    process = await told_to_wait(machine, "not settled, waits until", "--wait", "--log-level", "debug")
    await until(lambda: machine.out.read_bytes().count(b"\n") == 5)
    await asyncio.sleep(0.3)  # until it has nothing left to do: nothing shows that
    return process


async def retries(machine: Machine, sandbox: Sandbox) -> Process:
    """A run in the middle of its retries."""
    sandbox.set(faults={Fault.SERVER_ERROR: 1.0})
    process = await machine.start(*ENRICH)
    await until(lambda: sandbox.count() >= 2)
    return process


async def told_to_wait(machine: Machine, words: str, *more: str) -> Process:
    process = await machine.start(*ENRICH, *more)
    await said(process, words)
    return process


Asleep = Callable[[Machine, Sandbox], Awaitable[Process]]


@pytest.mark.parametrize("asleep", [sleeps_for_a_slot, sleeps_for_a_pause, waits_for_a_deferred_row, retries])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 143)])
async def test_a_sleeping_run_wakes_up_to_stop(
    tmp_path: Path, asleep: Asleep, number: signal.Signals, code: int
) -> None:
    """Whatever it waits for, a run told to stop ends within seconds, with its summary."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    async with site(tmp_path) as (machine, sandbox):
        process = await asleep(machine, sandbox)
        before, began = sandbox.count(), time.monotonic()
        process.send_signal(number)
        told = await ended(process)
        assert time.monotonic() - began < 8
        assert (told.code, sandbox.count() - before <= 1) == (code, True)
    assert "Interrupted: the answers under way were kept" in told.err
    assert machine.query("SELECT count(*) FROM attempt WHERE dated IS NULL") == [(0,)]


# --- in the intake, by the terminal, by the parent ----------------------------------------------------


def taken_in(machine: Machine) -> int:
    """Count the rows in the state, if there is one yet."""
    try:
        return int(machine.query("SELECT count(*) FROM lead")[0][0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize(("number", "code"), TOLD_TO_STOP)
async def test_an_interrupted_intake_keeps_what_it_has_read_and_says_so(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Even if the pipe it reads says nothing: with its summary. The whole list then doubles nothing."""
    rows = [{"Company Name": f"Northwind {n} Robotics", "Notes": "-" * 40} for n in range(INTAKE * 5 // 4)]
    text = write_leads(tmp_path / "leads.csv", rows).read_bytes()
    command = (*ENRICH[2:], "--max-requests", "0")
    async with site(tmp_path) as (machine, sandbox):
        process = await machine.start("enrich", "-", *command, stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(text[: len(text) * 9 // 10])
        await until(lambda: taken_in(machine) == INTAKE)
        process.send_signal(number)
        assert process.stderr is not None
        told = (await asyncio.wait_for(process.stderr.read(), 20)).decode()
        assert (await process.wait(), "Traceback" in told) == (code, False)
        process.stdin.close()
        kept = taken_in(machine)
        assert INTAKE <= kept < len(rows)
        assert f"Rows      {kept:,} leads" in told
        assert "the list was not read to its end; the same enrich command takes in the rest" in told
        assert await forked(machine, "resume", *command[2:]) == 0
        assert "the list was not read to its end" in said_last(machine)
        assert await forked(machine, "enrich", "leads.csv", *command) == 0
        assert sandbox.count() == 0
    assert "not read to its end" not in said_last(machine)
    assert machine.query("SELECT count(DISTINCT row), max(row), max(occurrence) FROM lead") == [
        (len(rows), len(rows), 0)
    ]


async def test_a_run_outlives_those_who_listen_to_it(tmp_path: Path) -> None:
    """Its parent is killed and takes the reader of the log along: the list is finished all the same."""
    write_leads(tmp_path / "leads.csv", rows := people(4, 1))
    async with site(tmp_path, latency=0.1) as (machine, sandbox):
        parent = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", PARENT, sys.executable, "-m", "pipeline", *ENRICH, "--log-level", "debug"),
            cwd=tmp_path,
            env=machine.surroundings(),
        )
        await until(lambda: sandbox.count() >= 2)
        parent.kill()
        await parent.wait()
        await until(lambda: machine.query("SELECT stop FROM run") == [("done",)])
        await until(lambda: not machine.query("SELECT 1 FROM attempt WHERE dated IS NULL"))
    assert asked_again(sandbox) == 0
    assert machine.rows() == list(range(1, len(rows) + 1))


async def test_a_closed_terminal_ends_a_run_in_good_order(tmp_path: Path) -> None:
    """The kernel says SIGHUP, and nobody can read the progress bar any more: the answers under way are kept."""
    write_leads(tmp_path / "leads.csv", people(12, 2))
    async with site(tmp_path, latency=0.25) as (machine, sandbox):
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", ON_TERMINAL, "enrich", *map(str, ENRICH[1:]), "--concurrency", str(WORKERS)),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=tmp_path,
            env=machine.surroundings(),
            start_new_session=True,
        )
        os.close(theirs)
        await until(lambda: sandbox.state()["in_flight"] >= 4)
        os.close(ours)
        assert await asyncio.wait_for(process.wait(), 20) == 143
        assert machine.query("SELECT count(*) FROM answer")[0][0] == sandbox.count()
    assert machine.query("SELECT stop FROM run") == [("terminated",)]
