"""`leadcontact refresh`, the real command: killed at every point of its way, every row has one line, old or new."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson
import pytest
from crash_site import LINE, REQUEST, REWRITE, Crash, Point, forked, said_last
from support import people, write_leads
from system_site import FAST, Machine, asked, site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKERS = 4
PLAN = (*FAST, "--concurrency", WORKERS)
REFRESH = ("refresh", "out.jsonl", "--older-than", "0.001s", *PLAN)
READY = Point("stale rows made ready, nothing asked", "pipeline.store.jobs", "Jobs", "refresh")
CRASHES = [Crash(READY, 1), *(Crash(point, hit) for point in (*REQUEST, *LINE) for hit in (1, 2))]


def lines_by_row(machine: Machine) -> dict[int, bytes]:
    """The output's lines; fails if a row has two, or one is torn."""
    text = machine.out.read_bytes()
    found = [(orjson.loads(line)["row"], line) for line in text.splitlines()]
    assert text.endswith(b"\n")
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.mark.timeout(120)
async def test_a_refresh_killed_at_every_point_leaves_each_row_its_old_line_or_its_new_one(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Never none, never two; and nothing is asked again but what was under way at a crash."""
    listed = people(12, 2)
    write_leads(tmp_path / "leads.csv", listed)
    rows = set(range(1, len(listed) + 1))
    async with site(tmp_path, latency=(0.0, 0.02)) as (machine, sandbox):
        assert await forked(machine, "enrich", "leads.csv", "-o", "out.jsonl", *PLAN) == 0, said_last(machine)
        once, before = Counter(asked(sandbox)), lines_by_row(machine)
        assert before.keys() == rows
        for crash in CRASHES:
            command = REFRESH if crash.point is READY else ("resume", "out.jsonl", *PLAN)
            code = await forked(machine, *command, crash=crash)
            assert code == -9 or (code == 0 and crash.hit > 1), crash
            assert lines_by_row(machine).keys() == rows, crash
        assert await forked(machine, "resume", *PLAN) == 0, said_last(machine)
        lost = machine.query("SELECT count(*) FROM attempt WHERE outcome = 'lost'")[0][0]
        assert sum(max(0, n - 2 * once[question]) for question, n in Counter(asked(sandbox)).items()) <= lost
        assert lost <= len(CRASHES) * WORKERS
        after = lines_by_row(machine)
        assert sum(before[row] != after[row] for row in rows) > len(rows) // 2
        for point in REWRITE:
            assert await forked(machine, *REFRESH, crash=Crash(point, 1)) == -9, point
            assert lines_by_row(machine).keys() == rows, point
        assert await forked(machine, "resume", *PLAN) == 0, said_last(machine)
        assert lines_by_row(machine).keys() == rows
        assert machine.query("PRAGMA integrity_check") == [("ok",)]
    record_property("kills in a refresh, at most", len(CRASHES) + len(REWRITE))


async def test_the_command_tells_before_and_after(tmp_path: Path) -> None:
    """A dry run, the summary's words, the exit codes, and what status shows of flips."""
    write_leads(tmp_path / "leads.csv", people(6, 2))
    async with site(tmp_path) as (machine, sandbox):
        await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *PLAN)
        rows, spent = machine.rows(), sandbox.count()
        dry = await machine.run(*REFRESH, "--dry-run", "--json")
        told = orjson.loads(dry.out)
        assert (dry.code, told["refresh"]["left_out_purged"], sandbox.count()) == (0, 0, spent)
        assert 0 < told["refresh"]["rows"] <= len(rows)
        words = await machine.run(*REFRESH, "--dry-run")
        assert f"at most {told['requests_at_most']:,}" in words.out
        paused = await machine.run(*REFRESH, "--max-requests", "2")
        assert (paused.code, sandbox.count(), machine.rows()) == (0, spent + 2, rows)
        assert f"{told['refresh']['rows']} finished rows rest on answers older than 0.001s" in paused.err
        done = await machine.run("resume", *PLAN)
        assert (done.code, machine.rows()) == (0, rows)
        assert spent + 2 < sandbox.count() <= spent + told["requests_at_most"]
        status = orjson.loads((await machine.run("status", "--json")).out)
        assert sum(flip["asked_again"] for flip in status["flips"]) == sandbox.count() - spent
        assert "answers asked for again after <30 days" in (await machine.run("status")).out
        fresh = await machine.run("refresh", "out.jsonl", "--older-than", "90d", *PLAN)
        assert (fresh.code, sandbox.count() - spent) == (0, sum(flip["asked_again"] for flip in status["flips"]))
        wrong = await machine.run("refresh", "out.jsonl", "--older-than", "soon", *PLAN)
        assert (wrong.code, "such as" in wrong.complaint or "for example 90d" in wrong.complaint) == (64, True)
        sample = await machine.run("enrich", "leads.csv", "-o", "other.jsonl", *PLAN, "--sample", "25%", "--strict")
        assert (sample.code, "Paused: the sample of 25% of the leads is done." in sample.err) == (75, True)
