"""When must somebody be told? What a run shows, held against what people were told before.

A subject (quota, credits …) has a level: 0 well, 1 look, 2 act. Within a run a level only rises; where the run ends,
what stands is told. It is well again only after a whole run without it: so a quota that fills every night, or an
API that falters every night, is told once. A run that asked nothing clears nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.events import CircuitChanged, Event, RequestSettled, RunStopped
from pipeline.model import UNSENT, Outcome, Stop
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date


class Subject(StrEnum):
    """What an alert is about."""

    QUOTA = "quota"
    CREDITS = "credits"
    ERRORS = "errors"
    API = "api"
    KEY = "key"
    FINISH = "finish"
    BACKLOG = "backlog"


LAST: Final = 100
"""Requests of which the share that failed is told."""

ENOUGH: Final = 20
"""Requests before which no share is told: a run of a small plan never sends more."""

FAILED: Final = frozenset(
    {Outcome.AMBIGUOUS, Outcome.NOT_SENT, Outcome.UNEXPECTED, Outcome.REFUSED, Outcome.DENIED, Outcome.REDIRECT}
)

GIVEN_UP: Final = {
    Stop.OUTAGE: "The API does not answer properly and was given up for this run; all rows are kept.",
    Stop.CONTRACT: "The API refuses question after question: it has probably changed. Nothing was concluded.",
    Stop.REDIRECT: "The API's address sends us elsewhere, and nothing follows it: set base_url to its real address.",
}

WELL: Final = {
    Subject.QUOTA: "The day's requests suffice again.",
    Subject.CREDITS: "The credits suffice again.",
    Subject.ERRORS: "Requests succeed again.",
    Subject.API: "The API answers again.",
    Subject.KEY: "The API key is accepted again.",
    Subject.FINISH: "The run ended in time again.",
    Subject.BACKLOG: "The backlog no longer grows.",
}


class Alert(NamedTuple):
    """Something to tell: level 0 is the all-clear."""

    subject: Subject
    level: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on people want to know."""

    quota_percents: Sequence[int] = (80, 95)
    credits_days: float = 7.0
    error_percent: float = 10.0
    backlog_days: int = 3


class DayEnd(NamedTuple):
    """How an account stood when a day's last run ended: rows pending in all lists, and credits if ever told."""

    day: date
    pending: int
    credits: int | None = None


@dataclass(slots=True)
class Watch:
    """Shown what happens, it says what to tell. `known` are the levels people were told of, by subject."""

    known: Mapping[Subject, int]
    thresholds: Thresholds = Thresholds()
    asked: int = 0
    _open: dict[Subject, Alert] = field(default_factory=dict)
    _last: deque[bool] = field(default_factory=lambda: deque(maxlen=LAST))

    # --- while the run goes ---

    def see(self, event: Event) -> Alert | None:
        """Take note of an event; return what it gives to tell."""
        match event:
            case RequestSettled(outcome=outcome) if outcome is not Outcome.WITHDRAWN:
                self.asked += outcome not in UNSENT
                return self._errors(failed=outcome in FAILED)
            case CircuitChanged(state="open"):
                return self._rise(Subject.API, 1, "The API is failing; requests pause but for single probes.")
            case RunStopped(why=why):
                return self._stopped(Stop(why))
        return None

    def _stopped(self, why: Stop) -> Alert | None:
        if why in GIVEN_UP:
            return self._rise(Subject.API, 2, GIVEN_UP[why])
        if why is Stop.DENIED:
            return self._rise(Subject.KEY, 2, "The API key is refused; nothing more was sent. Check it.")
        if why is Stop.CREDITS:
            return self._rise(Subject.CREDITS, 2, "The credits are at the reserve or used up; nothing more is asked.")
        return None

    def _errors(self, *, failed: bool) -> Alert | None:
        self._last.append(failed)
        n, failures = len(self._last), sum(self._last) if failed else 0
        if n < ENOUGH or 100 * failures <= self.thresholds.error_percent * n:
            return None
        return self._rise(Subject.ERRORS, 1, f"{failures} of the last {n} requests failed.")

    def used(self, used: int, quota: int) -> Alert | None:
        """So much of the window's requests is used."""
        passed = [percent for percent in sorted(self.thresholds.quota_percents) if 100 * used >= percent * quota]
        if not passed:
            return None
        sentence = f"{used:,} of the day's {quota:,} requests are used: {100 * used // quota} %."
        return self._rise(Subject.QUOTA, len(passed), sentence)

    def unfinished_at(self, clock: str) -> Alert | None:
        """It is the time by which the run should have ended."""
        return self._rise(Subject.FINISH, 1, f"The run is not finished at {clock}.")

    def broke_off(self, day: str) -> Alert | None:
        """The run before this one never came to its end."""
        return self._rise(
            Subject.FINISH, 1, f"The run of {day} did not finish: it was killed or the machine stopped."
        )

    # --- where it ends ---

    def ended(self, days: Sequence[DayEnd], reserve: int = 0) -> list[Alert]:
        """Say what the run as a whole gives to tell, after days that ended so, today's last."""
        told = bool(days) and days[-1].credits is not None
        if self.asked:
            self._credits(days, reserve)
            self._backlog([day.pending for day in days])
        alerts = [alert for subject, alert in self._open.items() if alert.level > self.known.get(subject, 0)]
        if self.asked:
            unknown = set() if told else {Subject.CREDITS}
            well = [subject for subject, level in self.known.items() if level and subject not in self._open]
            alerts += [Alert(subject, 0, WELL[subject]) for subject in well if subject not in unknown]
        return alerts

    def _credits(self, days: Sequence[DayEnd], reserve: int) -> None:
        a_day = spent_a_day(days)
        if a_day is None or (left := (days[-1].credits or 0) - reserve) >= a_day * self.thresholds.credits_days:
            return
        lasting = counted(max(0, int(left / a_day)), "more day")
        sentence = (
            f"The credits last about {lasting}: {left:,} above the reserve, {a_day:,.0f} a day at the present rate."
        )
        self._rise(Subject.CREDITS, 1, sentence)

    def _backlog(self, pending: Sequence[int]) -> None:
        last = pending[-self.thresholds.backlog_days - 1 :]
        if len(last) > self.thresholds.backlog_days and all(a < b for a, b in pairwise(last)):
            grew = counted(self.thresholds.backlog_days, "day")
            self._rise(Subject.BACKLOG, 1, f"The backlog has grown {grew} in a row: {last[-1]:,} rows are pending.")

    def _rise(self, subject: Subject, level: int, sentence: str) -> Alert | None:
        """Note a level; return the alert if it is higher than what this run saw and people know."""
        seen = self._open[subject].level if subject in self._open else 0
        if level <= seen:
            return None
        self._open[subject] = alert = Alert(subject, level, sentence)
        return alert if level > self.known.get(subject, 0) else None


def spent_a_day(days: Sequence[DayEnd]) -> float | None:
    """Credits that went a day of late, whoever spent them; what was bought meanwhile is left out.

    None: not known, or none were spent.
    """
    told = [day for day in days if day.credits is not None]
    if len(told) < 2 or told[-1] is not days[-1]:  # noqa: PLR2004 - a rate takes two
        return None
    spent = sum(max(0, (a.credits or 0) - (b.credits or 0)) for a, b in pairwise(told))
    return spent / (told[-1].day - told[0].day).days or None
