"""Several lists and exports in one state do not get into each other's way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support import people, write_leads
from system_site import FAST, site

if TYPE_CHECKING:
    from pathlib import Path


async def test_rows_of_an_earlier_export_are_read_by_the_headers_they_came_with(tmp_path: Path) -> None:
    """A new export with renamed headers must not turn pending people into rows that name nobody (promise 6)."""
    command = ("-o", "out.jsonl", *FAST, "--steps", "search")
    (tmp_path / "may.csv").write_text("Company,Last Name\nNorthwind 1 Robotics,Nobody\n")
    (tmp_path / "june.csv").write_text("Organisation Name,Nachname\nNorthwind 3 Robotics,Nobody\n")
    async with site(tmp_path) as (machine, _):
        await machine.run("enrich", "may.csv", *command, "--max-requests", "0")
        await machine.run("enrich", "june.csv", *command)
    assert {line["match"]["by"] for line in machine.lines()} == {"none"}


async def test_one_unusable_output_does_not_keep_resume_from_the_other_jobs(tmp_path: Path) -> None:
    """The nightly `resume` over five lists goes on with four, and still exits with 74."""
    async with site(tmp_path) as (machine, _):
        for n in range(2):
            write_leads(tmp_path / f"{n}.csv", people(1, 1, start=n))
            await machine.run("enrich", f"{n}.csv", "-o", f"{n}.jsonl", *FAST, "--max-requests", "1")
        (tmp_path / "0.jsonl").write_text('{"theirs":1}\n')
        told = await machine.run("resume", *FAST)
    assert told.code == 74
    assert machine.rows(tmp_path / "1.jsonl") == [1, 2, 3]


async def test_an_output_that_is_no_file_begins_no_job_and_holds_none_up(tmp_path: Path) -> None:
    """`-o /dev/null` is refused before it is noted; a pipe put where an output was is left to itself by `resume`."""
    async with site(tmp_path) as (machine, _):
        for n in range(2):
            write_leads(tmp_path / f"{n}.csv", people(1, 1, start=n))
            await machine.run("enrich", f"{n}.csv", "-o", f"{n}.jsonl", *FAST, "--max-requests", "0")
        refused = await machine.run("enrich", "0.csv", "-o", "/dev/null", *FAST)
        jobs = machine.query("SELECT count(*) FROM job")
        (tmp_path / "0.jsonl").unlink()
        os.mkfifo(tmp_path / "0.jsonl")
        told = await machine.run("resume", *FAST)
    assert (refused.code, jobs) == (74, [(2,)])
    assert "/dev/null is no ordinary file. Name a file with -o" in refused.complaint
    assert (told.code, "0.jsonl is no ordinary file" in told.err) == (74, True)
    assert machine.rows(tmp_path / "1.jsonl") == [1, 2, 3]


async def test_changed_questions_are_78_with_what_changed_unless_new_policy(tmp_path: Path) -> None:
    """Another body is another bill, so the user says so; judgement may change freely."""
    write_leads(tmp_path / "leads.csv", people(4, 1))
    command = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST)
    async with site(tmp_path) as (machine, sandbox):
        first = await machine.run(*command, "--max-requests", "3")
        changed = await machine.run(*command, "--limit", "5", "--titles", "CEO,CTO")
        before = sandbox.count()
        wished = await machine.run(*command, "--limit", "5", "--titles", "CEO,CTO", "--new-policy")
        judged = await machine.run(*command, "--limit", "5", "--titles", "CEO,CTO", "--min-confidence", "0.8")
    codes = (first.code, changed.code, wished.code, judged.code)
    assert (codes, before) == ((0, 78, 0, 0), 3)
    assert "This job asks other questions than this command: limit 10 -> 5; titles  -> CEO,CTO." in changed.complaint
    assert "add --new-policy for its" in changed.complaint
    assert {entry.body["limit"] for entry in sandbox.log[3:] if "limit" in entry.body} == {5}
    assert machine.rows() == list(range(1, 13))
