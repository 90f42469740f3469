"""A job's results as values, made again from what was paid for: what exports, pushes and reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.app import recaller, run_of
from pipeline.engine import copied_line
from pipeline.projection import line_again

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.model import Enriched
    from pipeline.session import Session
    from pipeline.store.records import Job


def results(opened: Session, job: Job, *, since: float = 0.0, partial: bool = False) -> Iterator[Enriched]:
    """Yield a job's lines in the order its leads were taken in, each followed by its duplicates'; asks nothing.

    `since` (Unix seconds): only rows finished since then. `partial`: after them the rows that are not finished yet,
    with what they have so far and the status `pending`. A row that is being refreshed shows its last conclusion
    only with `partial`, as far as it is known again.
    """
    run, jobs = run_of(opened, job), opened.store.jobs
    recall = recaller(opened, job, [])
    for work in jobs.finished(job.id):
        if work.finished_at < since:
            continue
        line = line_again(run, work, recall)
        yield line
        for _, row, text in jobs.copied_rows(work):
            yield copied_line(line, row, text)
    for work in jobs.unfinished(job.id) if partial else ():
        yield line_again(run, work, recall)
