"""A list on its way into a job: read, recognised, taken in a few thousand rows at a time."""

from __future__ import annotations

import math
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from pipeline.erased import Erased, erased_input
from pipeline.events import RowsDropped, RowsTakenIn
from pipeline.facts import company_asked
from pipeline.model import ERASED, SUPPRESSED_REASON, UNREADABLE, Endpoint
from pipeline.normalize import lead_of, read
from pipeline.order import LOOK, WAITS_FOR_SEARCH
from pipeline.planner import Ask, next_step, unaskable
from pipeline.session import BrokenOff, breakable, few_collections
from pipeline.store.erasure import OWN_COMPANY
from pipeline.store.records import FREE, NO_COMPANY, TO_SEARCH, Job, Progress, Row
from pipeline.suppressed import is_lead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.engine import JobRun
    from pipeline.lists import Record
    from pipeline.model import Lead, Policy
    from pipeline.normalize import Reading
    from pipeline.session import Session
    from pipeline.sources import Source

INTAKE: Final = 4_000
"""Rows taken in with one commit."""


async def take_in(opened: Session, job: Job, source: Source, policy: Policy) -> None:
    """Read the list into the job, unless it is the very file read last time; if rows were added to it, only those.

    Told to stop, it keeps the rows it has read; the next intake begins again with the first.
    """
    settings, jobs = opened.parts.settings, opened.store.jobs
    opened.parts.say(source.description)
    if not settings.prune and _unchanged(job.source, source):
        return
    added_to = not settings.prune and _added_to(job.source, source)
    intake = await jobs.begin_intake(job, opened.budget.clock(), continued=added_to)
    records = source.records_after(job.source["fingerprint"]["size"], job.rows) if added_to else source.records()
    read = {"columns": source.columns, "earlier": _earlier(job.source, source)}
    rows_of = _Rows(source.columns, policy, opened.store.erasing.erased())
    begun = rows = job.rows if added_to else 0
    broken = unranked = 0
    for batch in _batches(opened, records):
        if rows == begun:  # if this intake is cut short, what it took in must still be read as it was meant
            await jobs.update(job.id, source=orjson.dumps(read).decode())
        rows += len(batch)
        broken += sum(record.error is not None for record in batch)
        if ranked := source.columns.get("priority"):
            unranked += sum(_number(record.values.get(ranked)) is None for record in batch)
        before = intake.added, intake.changed
        await jobs.take_in(intake, [*map(rows_of.of, batch)])
        opened.tell(RowsTakenIn(job.id, intake.added - before[0], intake.changed - before[1]))
    if opened.told_to_stop:
        if rows != begun:
            await jobs.update(job.id, next_row=rows)
        return
    told = read | {"fingerprint": _fingerprint(source), "path": source.place}
    gone = await jobs.end_intake(intake, told, rows, prune=settings.prune)
    if unranked:
        opened.parts.say(f"Priorities that are not numbers: {unranked:,}; they count as 0.")
    if broken:
        opened.parts.say(f"Rows that could not be read: {broken:,}; each becomes an `invalid` line with its reason.")
    if gone:
        opened.tell(RowsDropped(job.id, gone))
        opened.parts.say(f"Unfinished rows dropped because the list no longer has them: {gone:,}.")


def _batches(opened: Session, records: Iterator[Record]) -> Iterator[list[Record]]:
    """Read the list some rows at a time, as far as no signal comes."""
    with few_collections(opened):
        while not opened.told_to_stop:
            batch: list[Record] = []
            with suppress(BrokenOff), breakable(opened):
                batch.extend(islice(records, INTAKE))
            if not batch:
                return
            yield batch


def _earlier(told: dict[str, Any], source: Source) -> list[dict[str, str]]:
    """How earlier exports were read, newest first: their pending rows keep the headers they came with."""
    readings = [told["columns"], *told.get("earlier", [])] if told else []
    return [columns for columns in readings if columns != source.columns]


def _unchanged(told: dict[str, Any], source: Source) -> bool:
    """Whether this very file was read last time, in the same way."""
    before, now = told.get("fingerprint"), source.fingerprint
    if before is None or now is None or before["size"] != now.size:
        return False
    if told.get("columns") != source.columns:
        return False
    return bool(before["mtime_ns"] == now.mtime_ns or before["digest"] == source.digest().hex())


def _added_to(told: dict[str, Any], source: Source) -> bool:
    """Whether this is the file read last time with rows added at its end."""
    before, now = told.get("fingerprint"), source.fingerprint
    if before is None or now is None or before["size"] >= now.size or told.get("columns") != source.columns:
        return False
    return source.ends_a_row(before["size"]) and bool(before["digest"] == source.digest(before["size"]).hex())


def _fingerprint(source: Source) -> dict[str, Any] | None:
    found = source.fingerprint
    if found is None:
        return None
    return {"size": found.size, "mtime_ns": found.mtime_ns, "digest": source.digest().hex()}


async def look_at_suppressed(opened: Session, run: JobRun) -> None:
    """Let rows come at once, as those that cost nothing, that were taken in before they were suppressed."""
    suppressed, job, jobs = run.policy.suppressed, run.job, opened.store.jobs
    named = sorted(chain(suppressed.emails, suppressed.domains, suppressed.companies))
    mark = blake2b("\n".join(named).encode(), digest_size=16).hexdigest() if named else None
    if mark == job.source.get("suppressed"):
        return
    for work in jobs.unfinished(job.id):
        if work.need != LOOK and is_lead(suppressed, run.lead(work)):
            await jobs.put_back(job.id, work, Progress(LOOK, searched=False))
    await jobs.update(job.id, source=orjson.dumps({**job.source, "suppressed": mark}).decode())


class _Rows:
    """Makes rows of the state from records: who each is, what it shares, how early it should come.

    What leads need that have the same fields is the same, so it is asked of the rules once for every kind.
    """

    def __init__(self, columns: dict[str, str], policy: Policy, erased: Erased) -> None:
        self._columns = columns
        self._policy = policy
        self._erased = erased
        self._priority = columns.get("priority")
        self._kinds: dict[tuple[bool, ...], _Kind] = {}

    def of(self, record: Record) -> Row:
        """Make one row."""
        values = record.values if record.error is None else {**record.values, UNREADABLE: record.error}
        found = read(values, self._columns)
        subject = found.what.subject
        lead_id = found.lead_id(subject)
        if self._erased:
            lead = lead_of(record.row, values, self._columns)
            if self._erased.is_row(lead, subject):
                return _erased_row(lead, self._erased)
            values = self._erased.masked(values)
        text = orjson.dumps(values)
        kind = self._kind(record, found, values)
        company_key, company = found.what.company_key, found.what.company or found.what.domain
        if kind.nothing:
            lead_id = _id_of(text) if lead_id.startswith("h:") and not kind.suppressed else lead_id
            company_key = None
        priority = _number(values.get(self._priority)) if self._priority else None
        key = company_key or f"l:{lead_id}"
        return Row(record.row, lead_id, subject, key, company, kind.rank, kind.need, priority or 0.0, text.decode())

    def _kind(self, record: Record, found: Reading, values: dict[str, Any]) -> _Kind:
        if found.unusable or record.error is not None or ERASED in values or self._policy.suppressed:
            return _kind_of(lead_of(record.row, values, self._columns), self._policy)
        what = found.what
        place, named = what.company or what.domain, (what.first_name, what.last_name)
        shape = (place is not None, what.email is not None, *(name is not None for name in named))
        kind = self._kinds.get(shape)
        if kind is None:
            kind = self._kinds[shape] = _kind_of(lead_of(record.row, values, self._columns), self._policy)
        return kind


class _Kind(NamedTuple):
    """Whether a lead waits for its company's search, what it needs without one, or that nothing can be asked."""

    rank: int
    need: int
    nothing: bool = False
    suppressed: bool = False


def _kind_of(lead: Lead, policy: Policy) -> _Kind:
    if (why_not := unaskable(lead, policy)) is not None:
        return _Kind(FREE, LOOK, nothing=True, suppressed=why_not == SUPPRESSED_REASON)
    if Endpoint.SEARCH in policy.judgement.steps and company_asked(lead) is not None:
        return _Kind(TO_SEARCH, WAITS_FOR_SEARCH)
    step = next_step(lead, {}, policy, 0.0)
    return _Kind(NO_COMPANY, step.left if isinstance(step, Ask) else LOOK)


def _erased_row(lead: Lead, erased: Erased) -> Row:
    """Of somebody who was erased only the row's number is kept, and hashes that nobody can turn back."""
    return Row(
        row=lead.row,
        lead_id=erased.row_id(lead.lead_id),
        subject=b"",
        company_key=OWN_COMPANY,
        spelling=None,
        rank=FREE,
        need=LOOK,
        priority=0.0,
        input=erased_input(),
    )


def _id_of(text: bytes) -> str:
    """Know a row that names nobody by all it holds: two such rows are not the same lead."""
    return "h:" + blake2b(text, digest_size=8).hexdigest()


def _number(value: object) -> float | None:
    """A cell's number, 0 for a blank one; None if it is none."""
    try:
        number = float(str(value if value is not None else "").strip() or 0)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
