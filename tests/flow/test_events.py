"""Events tell all: who heard them knows how every row, permit, the circuit and the credits stand."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from soak import size
from support import Server, Site, people, write_leads

from pipeline.circuit import State
from pipeline.events import (
    AccountShut,
    CircuitChanged,
    CreditsForgotten,
    PermitGiven,
    RequestSettled,
    RequestsLost,
    RowDeferred,
    RowFinished,
    RowReopened,
    RowsDropped,
    RowsDue,
    RowsTakenIn,
)
from pipeline.model import JOURNALED, Status
from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 5_000, "wait_up_to": 0}
TROUBLE = {Fault.SERVER_ERROR: 0.15, Fault.SAID_NO: 0.1, Fault.NOT_JSON: 0.1, Fault.DROP: 0.05}


def heard(site: Site, kind: type) -> list[Any]:
    """All events of a kind so far."""
    return [event for event in site.events if isinstance(event, kind)]


def query(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(site.folder / "state.db")) as db:
        return db.execute(sql).fetchall()


def rows_as_heard(site: Site) -> tuple[Counter[str], int]:
    """How many rows stand where, by the events alone, and how many of those that waited are due again."""
    rows: dict[int, str] = {}
    for event in site.events:
        match event:
            case RowFinished():
                rows[event.row] = str(event.status)
            case RowDeferred():
                rows[event.row] = "deferred"
            case RowReopened():
                rows[event.row] = "ready"
    return Counter(rows.values()), len(rows)


@pytest.mark.parametrize("seed", range(size(4, 40)))
def test_the_books_can_be_kept_from_the_events_alone(tmp_path: Path, seed: int) -> None:
    """After nights full of trouble: rows, attempts, circuit and credits by the events are those of the state."""
    site = Site(tmp_path, Server(seed=seed, credits=9_000, latency=(0.05, 0.3), faults=TROUBLE))
    leads = write_leads(tmp_path / "leads.csv", people(20, 2, seed=seed))
    for night in range(3):
        site.night(leads, at=night * 90_000, concurrency=4, **PLAN)

    states, known = rows_as_heard(site)
    stands = Counter({state: n for state, n in query(site, "SELECT state, n FROM tally") if n})
    assert sum(event.new for event in heard(site, RowsTakenIn)) == sum(stands.values())
    assert states + Counter(ready=sum(stands.values()) - known) == stands

    given = Counter(event.key for event in heard(site, PermitGiven))
    settled = heard(site, RequestSettled)
    assert given == Counter(event.key for event in settled)
    assert Counter(str(event.outcome) for event in settled) == Counter(
        dict(query(site, "SELECT outcome, count(*) FROM attempt GROUP BY outcome"))
    )
    assert sum(event.cost for event in settled) == query(site, "SELECT sum(cost) FROM attempt")[0][0]
    answers = query(site, "SELECT count(*) FROM answer WHERE status > 0")[0][0]
    assert sum(event.outcome in JOURNALED for event in settled) == answers
    assert settled[-1].credits == query(site, "SELECT credits FROM account")[0][0]


def test_rows_that_waited_are_told_when_they_are_due(tmp_path: Path) -> None:
    """Deferred tonight, due two nights later: as many come back as went."""
    server = Server(faults={Fault.SAID_NO: 0.3})
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site.night(leads, **PLAN)
    deferred = len(heard(site, RowDeferred))
    site.night(leads, at=2 * 90_000, **PLAN)
    assert deferred > 0
    assert [event.rows for event in heard(site, RowsDue)] == [deferred]


def test_the_circuit_tells_each_of_its_states_once(tmp_path: Path) -> None:
    """Ill, well again, ill and given up: each change is told, and nothing between."""
    server = Server()
    server.account.line_up([*[None] * 4, *[Fault.SERVER_ERROR] * 3, *[None] * 9, *[Fault.SERVER_ERROR] * 99])
    site = Site(tmp_path, server)
    site.night(write_leads(tmp_path / "leads.csv", people(20)), concurrency=1, **PLAN)
    assert [event.state for event in heard(site, CircuitChanged)] == [
        State.OPEN,
        State.CLOSED,
        State.OPEN,
        State.BROKEN,
    ]


def test_what_a_broken_contract_takes_back_is_told(tmp_path: Path) -> None:
    """Rows finished by refusals that were nobody's fault are told as pending again."""
    server = Server(faults={Fault.BAD_REQUEST: 1.0})
    site = Site(tmp_path, server)
    site.night(write_leads(tmp_path / "leads.csv", people(30)), concurrency=2, **PLAN)
    finished = {event.row for event in heard(site, RowFinished)}
    assert finished
    assert {event.row for event in heard(site, RowReopened)} == finished


def test_the_purse_and_the_door_are_told(tmp_path: Path) -> None:
    """A billing cycle that turned, an account the server shut for a time, requests a dead run left behind."""
    server = Server(credits=500)
    site = Site(tmp_path, server)
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site.night(leads, max_requests=2, **PLAN)
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as db:
        db.execute("UPDATE attempt SET dated = NULL, outcome = NULL WHERE id = 1")
    server.account.change({"faults": {Fault.SLOW_DOWN: 1.0}, "slow_down_seconds": 7_200})
    site.night(leads, at=6 * 86_400, credits_renew_day=1, **PLAN)
    assert [event.requests for event in heard(site, RequestsLost)] == [1]
    assert len(heard(site, CreditsForgotten)) == 1
    assert len(heard(site, AccountShut)) == 1


def test_a_changed_list_tells_what_came_changed_and_went(tmp_path: Path) -> None:
    """One record a commit, with counts."""
    site = Site(tmp_path, Server())
    first = [{"Id": str(n), "Company Name": f"Northwind {n} Robotics", "Last Name": "Nobody"} for n in range(5)]
    leads = write_leads(tmp_path / "leads.csv", first)
    site.night(leads, max_requests=0, **PLAN)
    second = [{**first[0], "Last Name": "Someone"}, *first[1:3], {**first[4], "Id": "77"}]
    write_leads(leads, second)
    site.night(leads, max_requests=0, prune=True, **PLAN)
    assert [(event.new, event.changed) for event in heard(site, RowsTakenIn)] == [(5, 0), (1, 1)]
    assert [event.rows for event in heard(site, RowsDropped)] == [2]
    assert {event.status for event in heard(site, RowFinished)} <= {Status.INVALID}
