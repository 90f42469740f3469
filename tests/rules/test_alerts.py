"""When people are told: each change once, however many nights it lasts; an all-clear after a whole night without."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.alerts import ENOUGH, Alert, DayEnd, Subject, Thresholds, Watch, spent_a_day
from pipeline.events import CircuitChanged, Event, RequestSettled, RunStopped
from pipeline.model import Endpoint, Outcome, Stop


def ends(*credits_: int | None, pending: tuple[int, ...] = ()) -> list[DayEnd]:
    """Days one after another that ended with so many credits, or so many rows."""
    days = [date(2026, 2, 24) + timedelta(days=n) for n in range(len(credits_ or pending))]
    rows = pending or (0,) * len(days)
    return [DayEnd(day, rows[n], credits_[n] if credits_ else None) for n, day in enumerate(days)]


PLENTY = ends(100_010, 100_000)


def settled(outcome: Outcome, n: int = 1) -> list[Event]:
    return [RequestSettled(Endpoint.SEARCH, f"{number:x}", outcome) for number in range(n)]


def night(
    known: dict[Subject, int],
    events: list[Event],
    *,
    used: int = 0,
    days: list[DayEnd] = PLENTY,
) -> list[Alert]:
    """What is told in a night at 100 requests a day, each thing once; what was told is known afterwards."""
    watch = Watch(known)
    told = [alert for alert in (*map(watch.see, events), watch.used(used, 100)) if alert]
    for alert in told:
        known[alert.subject] = alert.level
    last = watch.ended(days, reserve=10)
    known.update({alert.subject: alert.level for alert in last})
    return [*told, *last]


def levels(alerts: list[Alert]) -> list[tuple[str, int]]:
    return [(alert.subject, alert.level) for alert in alerts]


FINE = settled(Outcome.FOUND, 5)


@pytest.mark.parametrize(
    ("used", "level", "words"),
    [(79, None, ""), (80, 1, "80 of the day's 100 requests are used: 80 %."), (95, 2, "95 %"), (100, 2, "100 %")],
)
def test_the_quota_is_told_at_its_percents(used: int, level: int | None, words: str) -> None:
    """80 and 95, at that many and not one earlier."""
    alert = Watch({}).used(used, 100)
    assert (alert and alert.level) == level
    assert words in (alert.sentence if alert else "")


def test_a_quota_that_fills_every_night_is_told_once_and_its_all_clear_once() -> None:
    """Ten full nights, two easy ones, a full one again: four alerts in all."""
    known: dict[Subject, int] = {}
    nights = [levels(night(known, FINE, used=used)) for used in (*[100] * 10, 30, 30, 100)]
    assert nights == [[("quota", 2)], *[[]] * 9, [("quota", 0)], [], [("quota", 2)]]


def test_between_its_percents_a_quota_does_not_go_up_and_down() -> None:
    """Once 95 was told, a night at 85 is no news, nor is the next at 95."""
    known: dict[Subject, int] = {}
    assert [levels(night(known, FINE, used=used)) for used in (85, 100, 85, 100)] == [
        [("quota", 1)],
        [("quota", 2)],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [(90, 10, False), (89, 11, True), (ENOUGH - 4, 3, False), (ENOUGH - 3, 3, True), (500, 11, True)],
)
def test_errors_are_told_over_ten_percent_of_the_last_hundred(good: int, bad: int, *, told: bool) -> None:
    """More than 10 of 100; of a small run's share from twenty requests on; of the last, however long the run."""
    alerts = night({}, [*settled(Outcome.FOUND, good), *settled(Outcome.AMBIGUOUS, bad)])
    assert levels(alerts) == ([("errors", 1)] if told else [])


@pytest.mark.parametrize("outcome", [Outcome.NOT_FOUND, Outcome.SAID_NO, Outcome.SLOW_DOWN, Outcome.WITHDRAWN])
def test_answers_and_what_never_went_are_no_errors(outcome: Outcome) -> None:
    """Nobody found is an answer."""
    assert night({}, settled(outcome, 200)) == []


def test_an_api_that_falters_every_night_is_told_once() -> None:
    """The circuit opens and closes many times; it is well only after a whole night without."""
    known: dict[Subject, int] = {}
    falters: list[Event] = [*FINE, CircuitChanged("open"), CircuitChanged("closed"), CircuitChanged("open"), *FINE]
    assert [levels(night(known, events)) for events in (falters, falters, FINE, FINE)] == [
        [("api", 1)],
        [],
        [("api", 0)],
        [],
    ]


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (Stop.OUTAGE, ("api", 2)),
        (Stop.CONTRACT, ("api", 2)),
        (Stop.REDIRECT, ("api", 2)),
        (Stop.DENIED, ("key", 2)),
        (Stop.CREDITS, ("credits", 2)),
        (Stop.QUOTA, None),
        (Stop.STOP_AT, None),
        (Stop.INTERRUPTED, None),
    ],
)
def test_ends_after_which_somebody_must_act_are_told(why: Stop, told: tuple[str, int] | None) -> None:
    """And normal nightly life is not."""
    known: dict[Subject, int] = {}
    stopped: list[Event] = [RunStopped(why, "…")]
    assert levels(night(known, stopped)) == ([told] if told else [])
    assert night(known, stopped) == []


def test_a_run_that_asked_nothing_clears_nothing() -> None:
    """An intake, or a window that is full from the start, says nothing about key, API or credits."""
    known = dict.fromkeys(Subject, 2)
    assert night(known, []) == []
    assert {alert.level for alert in night(known, FINE)} == {0}
    assert set(known.values()) == {0}


LOW = [("credits", 1)]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (ends(810, 710), []),
        (ends(809, 709), LOW),
        (ends(1_009, 909, 809, 709), LOW),
        (ends(105, 5), LOW),
        (ends(5, 5), []),
        (ends(709), []),
        (ends(809, 709, None), []),
        (ends(809, None, 609), LOW),
    ],
)
def test_credits_are_told_in_days_of_use(days: list[DayEnd], told: list[tuple[str, int]]) -> None:
    """Less than seven days above the reserve of ten; one day gives no rate, and what is not told no days."""
    assert levels(night({}, FINE, days=days)) == told


@pytest.mark.parametrize(("days", "rate"), [(ends(500, 400, 1_300, 1_200), 200 / 3), (ends(9, 9), None), ([], None)])
def test_credits_that_are_bought_do_not_hide_what_is_spent(days: list[DayEnd], rate: float | None) -> None:
    """Only what went down between two days counts, over all days between them."""
    assert spent_a_day(days) == rate


def test_credits_that_nobody_tells_any_more_are_not_passed_off_as_plenty() -> None:
    """An all-clear needs a number."""
    assert night({Subject.CREDITS: 1}, FINE, days=ends(None)) == []


@pytest.mark.parametrize(
    ("pending", "told"),
    [
        ((1, 2, 3, 4), True),
        ((9, 1, 2, 3, 4), True),
        ((2, 3, 4), False),
        ((1, 2, 3, 3), False),
        ((0, 100_000, 98_000, 96_000), False),
    ],
)
def test_a_backlog_is_told_when_it_has_grown_three_days_in_a_row(pending: tuple[int, ...], *, told: bool) -> None:
    """A large list taken in once is no growing backlog."""
    assert levels(night({}, FINE, days=ends(pending=pending))) == ([("backlog", 1)] if told else [])


def test_a_run_is_told_as_unfinished_once_and_as_in_time_again() -> None:
    """Late, late again, in time."""
    known: dict[Subject, int] = {}
    for expected in (1, None):
        watch = Watch(known, Thresholds())
        alert = watch.unfinished_at("07:00")
        assert (alert and alert.level) == expected
        known[Subject.FINISH] = 1
    assert levels(night(known, FINE)) == [("finish", 0)]
