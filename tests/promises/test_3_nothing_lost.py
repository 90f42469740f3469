"""Promise 3: nothing paid is lost; an answer is durable before anything is done with it.

Real processes: `system/test_kills.py`, `test_crash_points.py`, `test_power_loss.py`, `test_disk_trouble.py`.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

from pipeline import engine, fetcher
from pipeline.engine import Engine
from pipeline.store.jobs import Jobs

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0, "steps": "search,verify,phones"}


class PowerCut(BaseException):
    """The process ends here."""


def cut(*_: Any, **__: Any) -> Any:
    raise PowerCut


def questions(server: Server) -> list[str]:
    return [entry.question for entry in server.log if entry.good]


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Engine, "_finish"), (Engine, "_commit"), (Jobs, "finish"), (engine, "enriched"), (engine, "next_step")],
    ids=["before the line", "before it is written", "between output and its length", "while decoding", "planning"],
)
def test_an_answer_survives_a_crash_of_all_that_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str
) -> None:
    """Whatever dies after the answer came, the next run does not pay for it again."""
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site = Site(tmp_path, Server(latency=0.05))
    real, calls = getattr(owner, name), 0

    def dies_later(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise PowerCut
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies_later)
        with pytest.raises(PowerCut):
            site.night(leads, **PLAN)
    in_flight = sum(1 for entry in site.server.log if not entry.answered)
    report = site.night(leads, **PLAN)
    asked = questions(site.server)
    assert report.pending == 0
    assert len(asked) - len(set(asked)) <= in_flight
    rows = [line["row"] for line in site.lines()]
    assert sorted(rows) == sorted(set(rows))


def test_the_raw_bytes_are_in_the_journal_before_they_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer as it came over the wire is what is kept."""
    site = Site(tmp_path, Server())
    with monkeypatch.context() as patch:
        patch.setattr(fetcher, "Answer", cut)
        with pytest.raises(PowerCut):
            site.night(write_leads(tmp_path / "leads.csv", people(2)), **PLAN)
    with sqlite3.connect(tmp_path / "state.db") as db:
        bodies = db.execute("SELECT body FROM answer").fetchall()
    db.close()
    assert len(bodies) == sum(entry.good for entry in site.server.log)
    assert all(body.startswith(b'{"success":true') for (body,) in bodies)


def test_a_deleted_output_is_written_again_for_nothing(tmp_path: Path) -> None:
    """OUT is a projection of what was paid for."""
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site = Site(tmp_path, Server())
    site.night(leads, **PLAN)
    before, asked = site.lines(), len(site.server.log)
    site.out.unlink()
    site.night(leads, **PLAN)
    again = site.lines()
    assert len(site.server.log) == asked
    for line in (*before, *again):
        line["calls"] = [{**call, "origin": "any"} for call in line["calls"]]
    assert sorted(again, key=lambda line: line["row"]) == sorted(before, key=lambda line: line["row"])


@pytest.mark.parametrize("torn", [b'{"schema_version":1,"row":9', b"\xe2\x82"])
def test_a_torn_last_line_is_cut_and_eats_nothing(tmp_path: Path, torn: bytes) -> None:
    """A crash in the middle of an append leaves half a line; it must not swallow the next one (T3.1)."""
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site = Site(tmp_path, Server())
    site.night(leads, **PLAN, max_requests=8)
    with site.out.open("ab") as file:
        file.write(torn)
    report = site.night(leads, **PLAN)
    assert report.pending == 0
    assert len(site.lines()) == report.jobs[0].counts.leads
    assert not list(tmp_path.glob("*.torn-*"))


def test_whole_lines_the_state_does_not_know_are_copied_aside(tmp_path: Path) -> None:
    """What somebody else appended is not ours to throw away."""
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site = Site(tmp_path, Server())
    site.night(leads, **PLAN, max_requests=8)
    with site.out.open("ab") as file:
        file.write(b'{"mine":1}\n')
    site.night(leads, **PLAN)
    assert (tmp_path / "out.jsonl.torn-1").read_bytes() == b'{"mine":1}\n'
    assert all("mine" not in line for line in site.lines())


def test_stopping_keeps_the_answers_under_way(tmp_path: Path) -> None:
    """What was asked when the run was told to stop is answered, kept and used."""
    leads = write_leads(tmp_path / "leads.csv", people(20))
    site = Site(tmp_path, Server(latency=2.0))
    site.night(leads, **PLAN, max_requests=9)
    asked = questions(site.server)
    site.night(leads, **PLAN)
    again = questions(site.server)
    assert len(asked) == 9
    assert len(again) == len(set(again))
