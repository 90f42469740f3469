"""A list on its way into a job: read, recognised, taken in a few thousand rows at a time."""

from __future__ import annotations

import math
from contextlib import suppress
from hashlib import blake2b
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.erased import Erased, erased_input
from pipeline.events import RowsDropped, RowsTakenIn
from pipeline.facts import company_asked
from pipeline.model import SUPPRESSED_REASON, UNREADABLE, Endpoint
from pipeline.normalize import lead_of, subject_of
from pipeline.order import LOOK, WAITS_FOR_SEARCH
from pipeline.planner import Ask, next_step, unaskable
from pipeline.session import BrokenOff, breakable
from pipeline.store.erasure import OWN_COMPANY
from pipeline.store.records import FREE, NO_COMPANY, TO_SEARCH, Job, Progress, Row
from pipeline.suppressed import is_lead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.engine import JobRun
    from pipeline.model import Lead, Policy
    from pipeline.session import Session
    from pipeline.sources import Record, Source

INTAKE: Final = 2000
"""Rows taken in with one commit."""


async def take_in(opened: Session, job: Job, source: Source, policy: Policy) -> None:
    """Read the list into the job, unless it is the very file read last time.

    Told to stop, it keeps the rows it has read; the next intake begins again with the first.
    """
    settings, jobs = opened.parts.settings, opened.store.jobs
    opened.parts.say(source.description)
    if not settings.prune and _unchanged(job.source, source):
        return
    intake = await jobs.begin_intake(job, opened.budget.clock())
    read = {"columns": source.columns, "earlier": _earlier(job.source, source)}
    erased = opened.store.erasing.erased()
    rows = broken = unranked = 0
    for batch in _batches(opened, source):
        if not rows:  # if this intake is cut short, what it took in must still be read as it was meant
            await jobs.update(job.id, source=orjson.dumps(read).decode())
        rows += len(batch)
        broken += sum(record.error is not None for record in batch)
        if ranked := source.columns.get("priority"):
            unranked += sum(_number(record.values.get(ranked)) is None for record in batch)
        before = intake.added, intake.changed
        await jobs.take_in(intake, [_row(record, source, policy, erased) for record in batch])
        opened.tell(RowsTakenIn(job.id, intake.added - before[0], intake.changed - before[1]))
    if opened.told_to_stop:
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


def _batches(opened: Session, source: Source) -> Iterator[list[Record]]:
    """Read the list some rows at a time, as far as no signal comes."""
    records = source.records()
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


def _fingerprint(source: Source) -> dict[str, Any] | None:
    found = source.fingerprint
    if found is None:
        return None
    return {"size": found.size, "mtime_ns": found.mtime_ns, "digest": source.digest().hex()}


def _row(record: Record, source: Source, policy: Policy, erased: Erased) -> Row:
    """Make a row of the state from a record: who it is, what it shares, how early it should come."""
    values = dict(record.values)
    if record.error is not None:
        values[UNREADABLE] = record.error
    lead = lead_of(record.row, values, source.columns)
    if erased and erased.is_row(lead, subject_of(lead)):
        return _erased_row(lead, erased)
    values = erased.masked(values) if erased else values
    text = orjson.dumps(values)
    why_not = unaskable(lead, policy)
    nothing = why_not is not None
    rank, need = (FREE, LOOK) if nothing else _standing(lead, policy)
    known = why_not in (None, SUPPRESSED_REASON) or not lead.lead_id.startswith("h:")
    lead_id = lead.lead_id if known else _id_of(text)
    return Row(
        row=record.row,
        lead_id=lead_id,
        subject=subject_of(lead),
        company_key=lead.company_key if lead.company_key and not nothing else f"l:{lead_id}",
        spelling=lead.company or lead.domain,
        rank=rank,
        need=need,
        priority=_number(values.get(source.columns.get("priority", ""))) or 0.0,
        input=text.decode(),
    )


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


def _standing(lead: Lead, policy: Policy) -> tuple[int, int]:
    """Say whether a lead waits for its company's search, or what it needs without one."""
    if Endpoint.SEARCH in policy.judgement.steps and company_asked(lead) is not None:
        return TO_SEARCH, WAITS_FOR_SEARCH
    step = next_step(lead, {}, policy, 0.0)
    return NO_COMPANY, step.left if isinstance(step, Ask) else LOOK


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
