"""The closing report of a run, put together from its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline import halts
from pipeline.model import Stop, Stopped
from pipeline.observe.summary import JobReport, Report, local_time
from pipeline.session import finish_days

if TYPE_CHECKING:
    from pipeline.engine import JobRun
    from pipeline.session import Session


def report_of(opened: Session, runs: list[JobRun], unusable: list[str]) -> Report:
    """Count what the run did and what is left."""
    budget, jobs = opened.budget, opened.store.jobs
    reports = [
        JobReport(
            name=run.job.name,
            output=run.job.output,
            counts=jobs.counts(run.job.id),
            rows=run.job.rows,
            cut_short=run.job.cut_short,
            kind=run.job.kind,
            contacts=jobs.people.count(run.job.id),
            finished_now=opened.tallies.finished[run.job.id],
        )
        for run in runs
    ]
    pending = sum(report.counts.pending for report in reports)
    usage, closed = opened.usage(), budget.stopped is not None and budget.stopped.why is Stop.QUOTA
    return Report(
        jobs=reports,
        stopped=budget.stopped
        or _paused(opened, runs)
        or Stopped(Stop.DONE, _done_sentence(reports, _due(opened, runs))),
        requests=budget.spent.by_endpoint,
        outcomes={outcome.value: n for outcome, n in budget.spent.outcomes.items()},
        saved=opened.tallies.saved,
        credits_watched=usage.credits is not None,
        usage=usage,
        quota=budget.limits.quota,
        reserve_credits=budget.limits.reserve_credits,
        state=opened.store.path,
        started_at=opened.started_at,
        ended_at=budget.clock(),
        finish_days=finish_days(opened.store, budget.limits, usage, pending, budget.clock(), closed=closed),
        unusable=unusable,
        flips=opened.store.ledger.flips(),
    )


def _paused(opened: Session, runs: list[JobRun]) -> Stopped | None:
    """Whether the run ended because its sample is done: what is still ready is not in it."""
    share, jobs = opened.parts.settings.share, opened.store.jobs
    if share is None or not any(jobs.ready(run.job.id, 1) for run in runs):
        return None
    who = f"{share.leads:,} leads" if share.leads is not None else f"{share.text} of the leads"
    waits = any(jobs.next_due(run.job.id, run.sample_end) is not None for run in runs)
    return Stopped(Stop.SAMPLE, f"Paused: the sample of {who} is done{halts.BUT_WAITING if waits else ''}.")


def _due(opened: Session, runs: list[JobRun]) -> float | None:
    """When the first row may be asked about again that was not settled."""
    dues = (opened.store.jobs.next_due(run.job.id) for run in runs)
    return min((due for due in dues if due is not None), default=None)


def _done_sentence(reports: list[JobReport], due: float | None) -> str:
    if pending := sum(report.counts.pending for report in reports):
        wait = "row waits" if pending == 1 else "rows wait"
        when = f" ({local_time(due)} at the earliest)" if due is not None else ""
        why = "no usable answer, or a mail server that said later"
        return f"Done for now: {pending:,} {wait} for a later window{when}: not settled, by {why}."
    if any(report.cut_short for report in reports):
        return "Done for now: every row taken in is finished."
    return "Done: every row is finished."
