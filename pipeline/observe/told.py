"""What `report` and `status` tell of a list and its account, as values, in a sentence, and for machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.model import Endpoint, Outcome, Status, Stop
from pipeline.observe.summary import UNSURE
from pipeline.protocol import iso
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.forecast import Point, Span
    from pipeline.model import Enriched
    from pipeline.store.ledger import Usage
    from pipeline.store.locks import Holder
    from pipeline.store.past import Night
    from pipeline.store.records import Counts, Did

ENDS: Final = {
    Stop.DONE: "It came to its end.",
    Stop.QUOTA: "It paused because the day's requests were used.",
    Stop.MAX_REQUESTS: "It paused at the number of requests it was allowed.",
    Stop.MAX_CREDITS: "It paused at the number of credits it was allowed.",
    Stop.STOP_AT: "It paused at the time that was set.",
    Stop.SAMPLE: "It paused because its sample was done.",
    Stop.CREDITS: "It stopped because no credits are left but the reserve.",
    Stop.OUTAGE: "It stopped because the API did not answer.",
    Stop.CONTRACT: "It stopped because the API refused one request after another.",
    Stop.DENIED: "It stopped because the API refused the key.",
    Stop.REDIRECT: "It stopped because the API has moved.",
    Stop.INTERRUPTED: "It was interrupted.",
    Stop.TERMINATED: "It was terminated.",
}
"""How a run ended, for people."""

DIED: Final = "It was cut off; what was paid for is kept."
"""The same of a run that did not live to say how."""

SHOWN_NIGHTS: Final = 60
"""The latest nights that the report's JSON holds."""

BINS: Final = 20
"""Parts into which confidences from 0 to 1 are counted."""

USEFUL: Final = frozenset({Outcome.FOUND, Outcome.NOT_FOUND})
"""Outcomes of a request that were worth it; the others went wrong."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What an account's requests and credits went to. `sent`: by endpoint and outcome. `saved`: over all nights."""

    usage: Usage
    quota: int
    reserve_requests: int
    reserve_credits: int
    sent: Mapping[str, Mapping[str, int]]
    nights: Sequence[Night]
    saved: Did
    running: bool

    @property
    def requests(self) -> int:
        """All requests sent so far."""
        return sum(sum(outcomes.values()) for outcomes in self.sent.values())

    @property
    def used(self) -> int:
        """Requests that count in the window of now."""
        return self.usage.used + self.usage.under_way

    @property
    def not_needed(self) -> int:
        """All requests saved so far."""
        return sum(self.saved[1:])

    @property
    def untold(self) -> int:
        """Nights that did not say what they saved."""
        return sum(night.did is None for night in self.nights) - self.running


@dataclass(slots=True)
class Confidences:
    """How sure the values are: counted in BINS parts, by the guide's tiers, and without any confidence."""

    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    verified: int = 0
    probable: int = 0
    risky: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """Rows that have a value."""
        return self.verified + self.probable + self.risky + self.unknown


class Reason(NamedTuple):
    """Why rows are not enriched, how many, and the number of the first of them."""

    status: Status
    reason: str
    rows: int
    example_row: int


class Ahead(NamedTuple):
    """What the unfinished rows still take. `days` come after today; None: never, all requests are reserved."""

    requests: Span
    days: Span | None
    curve: Sequence[Point]
    leads: int
    error: float


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one list, and what it took."""

    job: str
    output: str
    created_at: float
    now: float
    counts: Counts
    holder: Holder | None
    finished_last: int
    """Rows of this list that the last run finished."""

    spending: Spending
    window_over_time: Sequence[tuple[float, int]]
    credits_over_time: Sequence[tuple[float, int]]
    emails: Confidences
    phones: Confidences
    matches: Mapping[str, int]
    reasons: Sequence[Reason]
    ahead: Ahead | None
    samples: Sequence[Enriched]

    @property
    def finished(self) -> int:
        """Leads that have their line."""
        return self.counts.leads - self.counts.pending

    def date_after(self, days: int | None) -> date | None:
        """The date so many days from now, UTC, where the calendar goes that far."""
        try:
            return None if days is None else datetime.fromtimestamp(self.now, UTC).date() + timedelta(days)
        except OverflowError:
            return None


# --- in a sentence ------------------------------------------------------------------------------------


def sentence(story: Story) -> str:
    """The night in one sentence."""
    leads, done, nights = story.counts.leads, story.finished, story.spending.nights
    if not leads:
        return "No row of this list was taken in yet."
    standing = f"{done:,} of {counted(leads, 'lead')} {'is' if done == 1 else 'are'} finished"
    if story.holder is not None:
        sent = nights[-1].requests if story.spending.running else 0
        return f"A run is under way: {standing}, {counted(sent, 'request')} sent in this run so far."
    if not story.spending.requests:
        return f"Nothing was asked yet: {standing}."
    if not story.counts.pending:
        standing = f"all {leads:,} leads are finished" if leads > 1 else "the one lead is finished"
    night = nights[-1]
    found = f"finished {counted(story.finished_last, 'lead')} with {counted(night.requests, 'request')}"
    return f"The run of {day(local(night.started_at))} {found}: {standing}."


def and_then(story: Story) -> list[str]:
    """Sentences after the first: how the last run ended, and when the rest should be done."""
    told = []
    if story.counts.leads and story.holder is None and (nights := story.spending.nights):
        told.append(how_it_ended(nights[-1]))
    return [*told, *filter(None, (finish(story),))]


def how_it_ended(night: Night) -> str:
    """Why a run ended, in a sentence."""
    return DIED if night.stop is None else ENDS[Stop(night.stop)]


def finish(story: Story) -> str | None:
    """When the rest should be done; None if nothing is left."""
    if not story.counts.pending or story.ahead is None:
        return None
    days, nights = story.ahead.days, story.spending.nights
    if days is None:
        return "The rest will not be done: all requests of a day are reserved."
    if story.ahead.leads == 0:
        return f"{counted(story.counts.pending, 'lead')} will be looked at again, in this or a later night."
    if story.holder is None and nights and nights[-1].stop in UNSURE:
        return "When the rest will be done cannot be told before somebody has looked at that."
    likely = days.least if days.least == days.most else days.expected
    if likely is not None:
        return f"The rest should be done {_by(story, likely)}."
    return f"The rest should be done {_by(story, days.least)} at best, and {_by(story, days.most)} at worst."


def _by(story: Story, days: int) -> str:
    then = story.date_after(days)
    return "today" if days == 0 else f"about {day(then)}" if then else "in thousands of years"


def day(of: date) -> str:
    """A date for people: 24 November 2026."""
    return f"{of.day} {of:%B %Y}"


def local(at: float) -> datetime:
    """A moment on the reader's clock."""
    return datetime.fromtimestamp(at).astimezone()


# --- for machines -------------------------------------------------------------------------------------


def as_json(story: Story) -> dict[str, Any]:
    """Give the report a stable shape (schema_version 1)."""
    counts = story.counts
    told = {
        "schema_version": 1,
        "job": story.job,
        "output": story.output,
        "at": iso(story.now),
        "sentence": sentence(story),
        "running": story.holder is not None,
        "rows": {
            "leads": counts.leads,
            **{status.value: counts.by_status[status] for status in Status},
            "deferred": counts.deferred,
            "duplicates": counts.duplicates,
            "finished_by_last_run": story.finished_last,
        },
        **spending_json(story.spending),
        "over_time": {
            "window": [{"at": iso(at), "used": n} for at, n in story.window_over_time],
            "credits": [{"at": iso(at), "left": n} for at, n in story.credits_over_time],
        },
        "email": _confidences_json(story.emails),
        "phone": _confidences_json(story.phones),
        "match": dict(story.matches),
        "reasons": [reason._asdict() for reason in story.reasons],
        "ahead": _ahead_json(story, story.ahead) if story.ahead else None,
    }
    return told | ({"samples": [line.model_dump(mode="json") for line in story.samples]} if story.samples else {})


def spending_json(told: Spending) -> dict[str, Any]:
    """What requests and credits went to, for `report` and `status`."""
    return {
        "quota": {
            "requests": told.quota,
            "used": told.used,
            "left": max(0, told.quota - told.used),
            "reserve": told.reserve_requests,
        },
        "credits": {
            "left": told.usage.credits,
            "read_at": iso(told.usage.credits_at) if told.usage.credits_at else None,
            "reserve": told.reserve_credits,
        },
        **past_json(told),
    }


def past_json(told: Spending) -> dict[str, Any]:
    """What was sent and saved over all nights, and the latest of them."""
    return {
        "requests": {
            "sent": told.requests,
            **{endpoint.value: dict(told.sent.get(endpoint, {})) for endpoint in Endpoint},
        },
        "saved": _saved_json(told.saved) | {"nights_untold": told.untold},
        "nights": [_night_json(night, told) for night in told.nights[-SHOWN_NIGHTS:]],
    }


def _saved_json(did: Did) -> dict[str, int]:
    return {
        "shared_by_company": did.shared,
        "answered_before": did.answered,
        "verify_search_was_sure": did.sure_emails,
        "phones_search_was_sure": did.sure_phones,
    }


def _night_json(night: Night, told: Spending) -> dict[str, Any]:
    return {
        "running": told.running and night is told.nights[-1],
        "started_at": iso(night.started_at),
        "ended_at": iso(night.ended_at) if night.ended_at else None,
        "stop": night.stop,
        "requests": night.requests,
        "finished": night.did.finished if night.did else None,
        "saved": _saved_json(night.did) if night.did else None,
    }


def _confidences_json(told: Confidences) -> dict[str, Any]:
    return {
        "rows": told.total,
        "verified": told.verified,
        "probable": told.probable,
        "risky": told.risky,
        "unknown": told.unknown,
        "bins": told.bins,
    }


def _ahead_json(story: Story, ahead: Ahead) -> dict[str, Any]:
    days = None if ahead.days is None else ahead.days._asdict()
    return {
        "leads": ahead.leads,
        "error": round(ahead.error, 4),
        "requests": ahead.requests._asdict(),
        "days": days,
        "finished": None if days is None else {name: _iso_after(story, n) for name, n in days.items()},
        "curve": [point._asdict() | {"date": _iso_after(story, point.day)} for point in ahead.curve],
    }


def _iso_after(story: Story, days: int | None) -> str | None:
    then = story.date_after(days)
    return then.isoformat() if then else None
