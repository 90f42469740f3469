"""The output as a projection: exactly one line a finished row, whatever changed since it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.engine import copy_lines, encode
from pipeline.facts import gather, keep
from pipeline.lines import enriched, prospects
from pipeline.model import SUPPRESSED_REASON, Answer, Enriched, Lead, Prospect, Status
from pipeline.protocol import iso
from pipeline.store.records import COPIED, DEFERRED, READY, Committed, Work
from pipeline.whom import Suppressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.engine import JobRun
    from pipeline.erased import Erased
    from pipeline.facts import Facts
    from pipeline.sinks.jsonl import JsonlOutput
    from pipeline.store.jobs import Jobs

WITH_LINE: Final = (COPIED, READY, DEFERRED)
"""States besides its status in which a row may have the line of its last conclusion: a duplicate; being refreshed."""


async def write_late_copies(run: JobRun, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]]) -> None:
    """Give a line to duplicates that were taken in after their lead was finished."""
    if not run.job.late:
        return
    works = jobs.late_copies(run.job.id)
    written = () if run.policy.prospects else works  # a company named twice has the same people
    lines = [line for work in written for line in copy_lines(line_again(run, work, recall), jobs.copies(work))]
    length, tail = run.output.append(lines)
    await jobs.copied(run.job.id, works, Committed(length, tail))


async def rewrite(
    run: JobRun, output: JsonlOutput, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]], erased: Erased
) -> None:
    """Write the whole output again: lines that still hold are copied, the others are made from the answers."""
    kept_lines, made_lines = (
        (_kept_prospects, _made_prospects) if run.policy.prospects else (_kept_lines, _made_lines)
    )
    seen: set[tuple[int, str]] = set()
    kept = map(erased.cut_line, kept_lines(run, output, jobs, seen))
    made = made_lines(run, jobs, recall, seen)
    length, tail = output.write_beside(line for lines in (kept, made) for line in lines)
    await jobs.update(run.job.id, next_length=length, next_tail=tail)
    output.swap()
    await jobs.update(run.job.id, out_length=length, out_tail=tail, next_length=None, next_tail=None, out_stale=0)


def _rows_of(line: bytes, run: JobRun, jobs: Jobs) -> Iterator[tuple[dict[str, Any], int, str]]:
    """The rows of which a line still is the conclusion: the line's value, their ids and states."""
    try:
        value = orjson.loads(line)
        rows = jobs.lines_of(run.job.id, value["lead_id"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return
    for lead, row, state, finished_at in rows:
        if row == value.get("row") and iso(finished_at) == value.get("enriched_at"):
            yield value, lead, state


def _kept_lines(run: JobRun, output: JsonlOutput, jobs: Jobs, seen: set[tuple[int, str]]) -> Iterator[bytes]:
    for line in output.lines():
        for value, lead, state in _rows_of(line, run, jobs):
            if (lead, "") not in seen and state in (value.get("status"), *WITH_LINE):
                seen.add((lead, ""))
                yield line


def _made_lines(
    run: JobRun, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]], seen: set[tuple[int, str]]
) -> Iterator[bytes]:
    for work in jobs.finished(run.job.id):
        copies = [(row, text) for lead, row, text in jobs.copied_rows(work) if (lead, "") not in seen]
        there = (work.id, "") in seen
        if there and not copies:
            continue
        line = line_again(run, work, recall)
        if not there:
            yield encode(line)
        yield from copy_lines(line, copies)


def _kept_prospects(run: JobRun, output: JsonlOutput, jobs: Jobs, seen: set[tuple[int, str]]) -> Iterator[bytes]:
    for line in output.lines():
        for value, lead, _ in _rows_of(line, run, jobs):
            who = (lead, str(value.get("contact_id")))
            if who not in seen and who[1] in jobs.people.owned(lead):
                seen.add(who)
                yield line


def _made_prospects(
    run: JobRun, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]], seen: set[tuple[int, str]]
) -> Iterator[bytes]:
    for work in jobs.finished(run.job.id):
        missing = {person for person in jobs.people.owned(work.id) if (work.id, person) not in seen}
        lines = prospects_again(run, work, recall) if missing else []
        yield from (encode(line) for line in lines if line.contact_id in missing)


def line_again(run: JobRun, work: Work, recall: Callable[[Lead, Work], dict[bytes, Answer]]) -> Enriched:
    """Make a row's line from what is known of it; an unfinished row's says `pending`."""
    lead = run.lead(work)
    answers = recall(lead, work)
    facts, status = _facts_again(run, work, lead, answers), _status(work) or Status(work.state)
    return enriched(lead, answers, run.policy, status, work.reason, work.finished_at, facts=facts)


def prospects_again(run: JobRun, work: Work, recall: Callable[[Lead, Work], dict[bytes, Answer]]) -> list[Prospect]:
    """Make the lines of everybody found at a company, whoever else has them too."""
    lead = run.lead(work)
    facts = _facts_again(run, work, lead, recall(lead, work))
    return prospects(lead, facts, run.policy, work.finished_at, _status(work))


def _status(work: Work) -> Status | None:
    return Status.PENDING if work.state in (READY, DEFERRED) else None


def _facts_again(run: JobRun, work: Work, lead: Lead, answers: dict[bytes, Answer]) -> Facts:
    policy = run.policy
    facts, earlier = gather(lead, answers, policy), run.found_before(lead, work)
    if facts.suppressed and work.reason != SUPPRESSED_REASON:  # its line is older than that wish
        facts = gather(lead, answers, policy.model_copy(update={"suppressed": Suppressed()}))
    return keep(lead, earlier, facts) if earlier is not None else facts
