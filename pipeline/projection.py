"""The output as a projection: exactly one line a finished row, whatever changed since it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from pipeline.engine import copy_lines, encode
from pipeline.facts import enriched, gather, keep
from pipeline.model import Answer, Enriched, Lead, Status
from pipeline.protocol import iso
from pipeline.store.records import COPIED, DEFERRED, READY, Committed, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.engine import JobRun
    from pipeline.erased import Erased
    from pipeline.sinks.jsonl import JsonlOutput
    from pipeline.store.jobs import Jobs

WITH_LINE: Final = (COPIED, READY, DEFERRED)
"""States besides its status in which a row may have the line of its last conclusion: a duplicate; being refreshed."""


async def write_late_copies(run: JobRun, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]]) -> None:
    """Give a line to duplicates that were taken in after their lead was finished."""
    works = jobs.late_copies(run.job.id)
    if not works:
        return
    lines = [line for work in works for line in copy_lines(line_again(run, work, recall), jobs.copies(work))]
    length, tail = run.output.append(lines)
    await jobs.copied(run.job.id, works, Committed(length, tail))


async def rewrite(
    run: JobRun, output: JsonlOutput, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]], erased: Erased
) -> None:
    """Write the whole output again: lines that still hold are copied, the others are made from the answers."""
    seen: set[int] = set()
    kept = map(erased.cut_line, _kept_lines(run, output, jobs, seen))
    made = _made_lines(run, jobs, recall, seen)
    length, tail = output.write_beside(line for lines in (kept, made) for line in lines)
    await jobs.update(run.job.id, next_length=length, next_tail=tail)
    output.swap()
    await jobs.update(run.job.id, out_length=length, out_tail=tail, next_length=None, next_tail=None, out_stale=0)


def _kept_lines(run: JobRun, output: JsonlOutput, jobs: Jobs, seen: set[int]) -> Iterator[bytes]:
    for line in output.lines():
        try:
            value = orjson.loads(line)
            rows = jobs.lines_of(run.job.id, value["lead_id"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue
        for lead, row, state, finished_at in rows:
            same = row == value.get("row") and iso(finished_at) == value.get("enriched_at")
            if same and lead not in seen and state in (value.get("status"), *WITH_LINE):
                seen.add(lead)
                yield line


def _made_lines(
    run: JobRun, jobs: Jobs, recall: Callable[[Lead, Work], dict[bytes, Answer]], seen: set[int]
) -> Iterator[bytes]:
    for work in jobs.finished(run.job.id):
        copies = [(row, text) for lead, row, text in jobs.copied_rows(work) if lead not in seen]
        if work.id in seen and not copies:
            continue
        line = line_again(run, work, recall)
        if work.id not in seen:
            yield encode(line)
        yield from copy_lines(line, copies)


def line_again(run: JobRun, work: Work, recall: Callable[[Lead, Work], dict[bytes, Answer]]) -> Enriched:
    """Make a row's line from what is known of it; an unfinished row's says `pending`."""
    lead = run.lead(work)
    answers, earlier = recall(lead, work), run.found_before(lead, work)
    facts = keep(lead, earlier, gather(lead, answers, run.policy)) if earlier is not None else None
    status = Status.PENDING if work.state in (READY, DEFERRED) else Status(work.state)
    return enriched(lead, answers, run.policy, status, work.reason, work.finished_at, facts=facts)
