"""A job's results made again from the state: what exports, pushes and reports rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from support import Server, Site, people, write_leads

from pipeline.engine import encode
from pipeline.results import results
from pipeline.session import session

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.session import Parts

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def again(site: Site, **how: Any) -> list[dict[str, Any]]:
    async def read(parts: Parts) -> list[dict[str, Any]]:
        async with session(parts) as opened:
            (job,) = opened.store.jobs.all()
            return [orjson.loads(encode(line)) for line in results(opened, job, **how)]

    return site.command(read, **PLAN)


def told(lines: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Lines by row, but for who paid: whoever reads again finds everything paid."""
    calls = [[call | {"origin": "cache"} for call in line["calls"]] for line in lines]
    return {line["row"]: line | {"calls": mine} for line, mine in zip(lines, calls, strict=True)}


def test_they_are_the_lines_of_the_output_and_cost_nothing(tmp_path: Path) -> None:
    """Duplicates follow their lead."""
    site = Site(tmp_path, Server())
    rows = people(4)
    leads = write_leads(tmp_path / "leads.csv", [*rows, *rows[:3], {"Company Name": "n/a"}])
    site.night(leads, **PLAN)
    asked = len(site.server.log)
    lines = again(site)
    assert told(lines) == told(site.lines())
    assert len(lines) == len(rows) + 4
    assert [line["row"] for line in lines[:2]] == [1, len(rows) + 1]
    assert len(site.server.log) == asked


def test_since_leaves_out_what_was_finished_before(tmp_path: Path) -> None:
    """By when a row was finished, whenever it was paid."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(1)), **PLAN)
    first, moment = len(site.lines()), site.now + 3600.0
    site.night(write_leads(tmp_path / "leads.csv", people(2)), **PLAN, at=moment)
    newer = again(site, since=site.clock_at(moment))
    assert len(newer) == len(site.lines()) - first
    assert all(line["input"]["Company Name"] == "Northwind 1 Robotics" for line in newer)


def test_partial_shows_what_unfinished_rows_already_have(tmp_path: Path) -> None:
    """After the search of a company its rows have an address, finished or not."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(3)), **PLAN, max_requests=2)
    finished, all_ = again(site), again(site, partial=True)
    pending = [line for line in all_ if line["status"] == "pending"]
    assert all_[: len(finished)] == finished
    assert len(all_) == len(people(3))
    assert any(line["email"] for line in pending)
