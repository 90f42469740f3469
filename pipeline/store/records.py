"""What the state keeps of a job and its rows, as values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from pipeline.model import FINISHED, Kind, Status

READY, DEFERRED, COPY, COPIED = "ready", "deferred", "copy", "copied"

FINISHED_STATES = frozenset(FINISHED)
"""States of a lead that has its line."""

FREE, TO_SEARCH, NO_COMPANY = 3, 1, 0
"""Ranks of a company: its rows cost nothing, its search is to be asked, there is none. (2: it was answered.)"""


@dataclass(frozen=True, slots=True)
class Committed:
    """How much of an output is accounted for: its length in bytes and a checksum of its end."""

    length: int = 0
    tail: bytes = b""


@dataclass(frozen=True, slots=True)
class Job:
    """What is being made."""

    id: int
    name: str
    output: str
    created_at: float
    questions: str
    judgement: str
    source: dict[str, Any]
    intake: int
    rows: int
    committed: Committed
    replacing: Committed | None
    stale: bool
    kind: Kind = Kind.ENRICH
    late: bool = False
    """Whether duplicates may wait for a line that their lead has."""

    @property
    def cut_short(self) -> bool:
        """Whether the last reading of its list did not come to the list's end."""
        return "path" not in self.source


class Row(NamedTuple):
    """One row on its way into a job."""

    row: int
    lead_id: str
    subject: bytes
    company_key: str
    spelling: str | None
    rank: int
    need: int
    priority: float
    input: str


class Work(NamedTuple):
    """A lead as the state keeps it, on its way to a worker or back into the output."""

    id: int
    row: int
    lead_id: str
    input: str
    taken_in: float
    company: int
    spelling: str | None
    need: int
    priority: float
    waiting: int
    replayed_at: float = 0.0
    fresh_from: float = 0.0
    concluded: str = "[]"
    state: str = READY
    reason: str | None = None
    finished_at: float = 0.0

    @property
    def held(self) -> bool:
        """Whether it is being refreshed: its old line stays in the output until the new one is there."""
        return self.finished_at > 0 and self.state in (READY, DEFERRED)

    @property
    def conclusions(self) -> list[float]:
        """When a refreshed lead was finished before, oldest first."""
        return list(orjson.loads(self.concluded))


class Standing(NamedTuple):
    """How far a lead has got, as its job's list is counted."""

    state: str
    taken_in: float
    replayed_at: float
    fresh_from: float


class Progress(NamedTuple):
    """How far a lead got in this run, for the order of work.

    `need`: requests it still needs. `searched`: its company's search is settled. `first_need`: what it needed when
    that was first seen, if it was seen now.
    """

    need: int
    searched: bool
    first_need: int | None = None


class Finish(NamedTuple):
    """A lead that is done: what it became."""

    work: Work
    status: Status
    reason: str | None
    at: float
    progress: Progress = Progress(0, searched=False)
    has_copies: bool = True
    people: tuple[str, ...] = ()
    """Who was found at a company that is prospected, by `contact_id`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many leads of a job are in each state. Duplicates share their lead's result and are counted apart."""

    by_status: dict[Status, int]
    deferred: int
    duplicates: int

    @property
    def leads(self) -> int:
        """All leads taken in; the sum of the states, whatever happens (promise 5)."""
        return sum(self.by_status.values())

    @property
    def pending(self) -> int:
        """Leads not finished yet."""
        return self.by_status[Status.PENDING]


class Did(NamedTuple):
    """What a run did: rows that got their line, and requests that were not needed, by the rule that saved them."""

    finished: int = 0
    shared: int = 0
    answered: int = 0
    sure_emails: int = 0
    sure_phones: int = 0


@dataclass(slots=True)
class Intake:
    """One reading of a list into a job; remembers only what it needs to tell duplicates from old rows.

    `continued`: it goes on where the reading with this number ended, with the rows that were added since.
    """

    job: int
    number: int
    now: float
    continued: bool = False
    companies: dict[str, tuple[int, int]] = field(default_factory=dict)
    occurrences: Counter[str] = field(default_factory=Counter)
    added: int = 0
    changed: int = 0


JOB = """SELECT id, account, name, output, created_at, questions, judgement, source, intake, next_row,
 out_length, out_tail, next_length, next_tail, out_stale, kind, late FROM job"""


def job_of(row: tuple[Any, ...]) -> Job:
    """Make a job of its row."""
    job, _, name, output, created, questions, judgement, source, intake, rows, *written = row
    length, tail, next_length, next_tail, stale, kind, late = written
    return Job(
        id=job,
        name=name,
        output=output,
        created_at=created,
        questions=questions,
        judgement=judgement,
        source=orjson.loads(source),
        intake=intake,
        rows=rows,
        committed=Committed(length, tail),
        replacing=None if next_length is None else Committed(next_length, next_tail),
        stale=bool(stale),
        kind=Kind(kind),
        late=bool(late),
    )
