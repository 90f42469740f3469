"""A job's results as values, made again from what was paid for: what exports, pushes and reports are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.app import recaller, run_of
from pipeline.engine import columns_of, copied_line
from pipeline.model import Contact
from pipeline.normalize import lead_of
from pipeline.projection import line_again, prospects_again
from pipeline.suppressed import is_contact, is_lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.engine import JobRun
    from pipeline.model import Answer, Enriched, Lead
    from pipeline.session import Session
    from pipeline.store.records import Job, Work

    Recall = Callable[[Lead, Work], dict[bytes, Answer]]


def results(
    opened: Session, job: Job, *, since: float = 0.0, partial: bool = False, lost: list[int] | None = None
) -> Iterator[Enriched]:
    """Yield a job's lines in the order its leads were taken in, each followed by its duplicates'; asks nothing.

    `since` (Unix seconds): only rows finished since then. `partial`: after them the rows that are not finished yet,
    with what they have so far and the status `pending`. A row that is being refreshed shows its last conclusion
    only with `partial`, as far as it is known again. Of a `prospect` job every line is a contact (`Prospect`).
    Whoever is suppressed by now is left out, though the output may still show them. Rows that lack answers which
    were purged are noted in `lost`.
    """
    run = run_of(opened, job)
    recall = recaller(opened, job, [] if lost is None else lost)
    lines = _contacts if run.policy.prospects else _rows
    yield from (line for line in lines(opened, run, recall, since, partial=partial) if not _suppressed(run, line))


def _rows(opened: Session, run: JobRun, recall: Recall, since: float, *, partial: bool) -> Iterator[Enriched]:
    jobs = opened.store.jobs
    for work in jobs.finished(run.job.id):
        if work.finished_at < since:
            continue
        line = line_again(run, work, recall)
        yield line
        for _, row, text in jobs.copied_rows(work):
            yield copied_line(line, row, text)
    for work in jobs.unfinished(run.job.id) if partial else ():
        yield line_again(run, work, recall)


def _contacts(opened: Session, run: JobRun, recall: Recall, since: float, *, partial: bool) -> Iterator[Enriched]:
    """Of everybody one line, at the first company they were found at."""
    jobs = opened.store.jobs
    for work in jobs.finished(run.job.id):
        owned = jobs.people.owned(work.id) if work.finished_at >= since else set()
        yield from (line for line in prospects_again(run, work, recall) if line.contact_id in owned) if owned else ()
    unfinished: set[str] = set()
    for work in jobs.unfinished(run.job.id) if partial else ():
        lines = prospects_again(run, work, recall)
        known = unfinished | jobs.people.owners(run.job.id, (line.contact_id for line in lines)).keys()
        unfinished |= {line.contact_id for line in lines}
        yield from (line for line in lines if line.contact_id not in known or work.held)


def _suppressed(run: JobRun, line: Enriched) -> bool:
    """Whether the row or who was found for it is not to be told of any more."""
    suppressed = run.policy.suppressed
    if not suppressed:
        return False
    lead = lead_of(line.row, line.input, columns_of(line.input, run.columns))
    shown = Contact(email=line.email and line.email.value, company=line.contact and line.contact.company)
    return is_lead(suppressed, lead) or is_contact(suppressed, shown)
