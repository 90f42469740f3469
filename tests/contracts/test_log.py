"""What a run says: for people or for machines, as loud as wanted, and never a key or anybody's data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, get_args

import orjson
import pytest

from pipeline import events
from pipeline.events import (
    WORKING_ON,
    AccountShut,
    CircuitChanged,
    ClockDiffers,
    CreditsForgotten,
    CreditsRead,
    PermitGiven,
    RequestSettled,
    RequestsLost,
    RowDeferred,
    RowFinished,
    RowReopened,
    RowsDropped,
    RowsDue,
    RowsTakenIn,
    RunStopped,
    Waiting,
)
from pipeline.model import Endpoint, Outcome, Status
from pipeline.observe.log import Log
from pipeline.protocol import verify_question

if TYPE_CHECKING:
    from pipeline.events import Event

NOW = 1_800_000_000.0
KEY = verify_question("jane.smith@acmecorp.com").key.hex()

EVENTS: dict[str, Event] = {
    "permit": PermitGiven(Endpoint.VERIFY, KEY, alone=True, probe=False),
    "lost": RequestsLost(2),
    "taken in": RowsTakenIn(1, 40, 2),
    "dropped": RowsDropped(1, 3),
    "due": RowsDue(1, 5),
    "reopened": RowReopened(1, 17),
    "forgotten": CreditsForgotten(),
    "shut": AccountShut(NOW + 3_600),
    "settled": RequestSettled(Endpoint.VERIFY, KEY, Outcome.AMBIGUOUS, 503),
    "denied": RequestSettled(Endpoint.VERIFY, KEY, Outcome.DENIED),
    "finished": RowFinished(1, 17, Status.PARTIAL),
    "deferred": RowDeferred(1, 17, NOW + 60),
    "credits": CreditsRead(1_234, alone=True),
    "clock": ClockDiffers(-400.0),
    "circuit": CircuitChanged("open"),
    "waiting": Waiting("quota", NOW + 3_600),
    "stopped": RunStopped("quota", "Paused: the 25 requests of this window are used."),
}


def told(events: list[Event], fmt: str = "text", level: str = "info", *, quiet: bool = False) -> list[str]:
    stream = io.StringIO()
    log = Log(fmt=fmt, level=level, run="a1b2c3d4", quiet=quiet, stream=stream, now=lambda: NOW)
    for event in events:
        log.event(event)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        ("error", set()),
        ("warning", {"denied", "clock", "circuit"}),
        ("info", {"denied", "clock", "circuit", "waiting", "lost", "forgotten", "shut"}),
        ("debug", set(EVENTS) - {"stopped"}),
    ],
)
def test_a_level_lets_through_what_is_as_serious(level: str, heard: set[str]) -> None:
    """Debug tells every request; info what changes the run's course; warning what somebody should look at."""
    assert {name for name, event in EVENTS.items() if told([event], level=level)} == heard


@pytest.mark.parametrize(("level", "heard"), [("debug", len(EVENTS) - 1), ("info", 3), ("warning", 3), ("error", 0)])
def test_quiet_keeps_warnings(level: str, heard: int) -> None:
    """`--quiet` silences information; who asks for debug by name still gets it."""
    assert len(told(list(EVENTS.values()), level=level, quiet=True)) == heard


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("settled", f"verify {KEY[:12]} ambiguous HTTP 503"),
        ("permit", f"verify {KEY[:12]} may go"),
        ("lost", "A run died with 2 requests under way; they count as spent."),
        ("taken in", "Rows taken in: 40 new, 2 changed"),
        ("dropped", "Rows dropped: 3"),
        ("due", "Rows whose time has come: 5"),
        ("reopened", "Row 17: pending again, its question was refused with all others"),
        ("forgotten", "The billing cycle turned; the credits are read anew."),
        ("finished", "Row 17: partial"),
        ("credits", "Credits told: 1,234"),
        ("circuit", "The API is failing; requests pause but for single probes."),
    ],
)
def test_people_get_a_sentence(name: str, words: str) -> None:
    """Text lines say what happened, with the question's hash where one is needed."""
    assert told([EVENTS[name]], level="debug") == [words]


@pytest.mark.parametrize(("seconds", "words"), [(-400.0, "400 s behind"), (7_200.0, "7,200 s ahead of")])
def test_a_clock_that_differs_is_told_with_its_side(seconds: float, words: str) -> None:
    """Whose clock rules, and by how much it differs."""
    (line,) = told([ClockDiffers(seconds)])
    assert words in line
    assert "the server's rules" in line


@pytest.mark.parametrize("state", ["open", "closed", "broken"])
def test_every_state_of_the_circuit_has_its_words(state: str) -> None:
    """A run that pauses, recovers or gives up says so."""
    assert len(told([CircuitChanged(state)])) == 1


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_machines_get_every_event_with_its_run_and_time(name: str) -> None:
    """One JSON object a line: when, which run, what, and the event's own fields."""
    (line,) = told([EVENTS[name]], "json", "debug")
    value = orjson.loads(line)
    head = {"at": "2027-01-15T08:00:00.000+00:00", "run": "a1b2c3d4", "event": type(EVENTS[name]).__name__}
    assert head.items() <= value.items()
    assert set(value) - set(head) == {"job", "row", *type(EVENTS[name])._fields}


def test_every_kind_of_event_is_told_here() -> None:
    """A new kind of event needs its words, and its place in these tests."""
    assert {type(event) for event in EVENTS.values()} == set(get_args(events.Event))


def test_a_request_is_told_with_the_row_it_was_made_for() -> None:
    """The budget knows no rows; the task that asks does. What is about another row says its own."""
    token = WORKING_ON.set((3, 99))
    try:
        lines = told([EVENTS["permit"], EVENTS["settled"], EVENTS["finished"]], "json", "debug")
    finally:
        WORKING_ON.reset(token)
    assert [(value["job"], value["row"]) for value in map(orjson.loads, lines)] == [(3, 99), (3, 99), (1, 17)]
    (line,) = told([EVENTS["settled"]], "json", "debug")
    assert (orjson.loads(line)["job"], orjson.loads(line)["row"]) == (None, None)


def test_the_end_of_a_run_is_told_to_machines_and_left_to_the_summary_for_people() -> None:
    """People read it once, in the summary."""
    stopped = [EVENTS["stopped"]]
    assert told(stopped) == []
    assert orjson.loads(told(stopped, "json")[0])["why"] == "quota"


def test_many_workers_that_wait_for_one_slot_say_it_once() -> None:
    """Fifty workers sleep for the same slot; a later slot is news."""
    waits: list[Event] = [Waiting("quota", NOW + 600 + n / 100) for n in range(50)]
    lines = told([*waits, Waiting("slow_down", NOW + 700)])
    assert [("the window is full" in line, "slow down" in line) for line in lines] == [(True, False), (False, True)]


def test_a_wait_the_server_asked_for_is_not_called_a_full_window() -> None:
    """After a long 429 the window may be half empty by our count: the line says whose word it is."""
    (line,) = told([Waiting("shut", NOW + 600)])
    assert "the server wants nothing before" in line
    assert "full" not in line


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_sentences_and_cautions_have_their_levels(fmt: str) -> None:
    """What a command tells is information, what it warns of is a warning, in both formats."""
    heard = {}
    for level in ("info", "warning", "error"):
        stream = io.StringIO()
        log = Log(fmt=fmt, level=level, run="r", stream=stream, now=lambda: NOW)
        log.say("Plan free.")
        log.caution("Odd.")
        heard[level] = ["Plan free." in stream.getvalue(), "Odd." in stream.getvalue()]
    assert heard == {"info": [True, True], "warning": [False, True], "error": [False, False]}


def test_the_summary_is_one_line_for_machines() -> None:
    """The closing summary fits a log pipeline."""
    stream = io.StringIO()
    Log(fmt="json", level="info", run="r", stream=stream, now=lambda: NOW).summary({"jobs": [{"leads": 3}]})
    value = orjson.loads(stream.getvalue())
    assert (value["event"], value["run"], value["summary"]) == ("summary", "r", {"jobs": [{"leads": 3}]})


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_no_event_can_tell_a_value(fmt: str) -> None:
    """Hashes, numbers and our own words: neither the address asked about nor its parts are in any line."""
    text = "\n".join(told(list(EVENTS.values()), fmt, "debug"))
    assert KEY[:12] in text
    assert [word for word in ("jane", "smith", "acmecorp", "@", "lc_live", "Bearer") if word in text] == []
