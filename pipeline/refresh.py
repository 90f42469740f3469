"""`refresh`: rows whose answers grew stale are asked again; what was found before stays where less is found now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pipeline.app import key_if_needed, open_run, requests_at_most, run_of, work_on
from pipeline.errors import UsageError
from pipeline.facts import first_search
from pipeline.jobs import held, named_jobs
from pipeline.observe.summary import Refreshed
from pipeline.planner import conclusive, recall, settled
from pipeline.session import known_answers, session
from pipeline.written import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.engine import JobRun
    from pipeline.model import Lead
    from pipeline.observe.summary import Report
    from pipeline.session import Parts, Session
    from pipeline.store.records import Job, Work

TOGETHER: Final = 500
"""Rows made ready with one commit."""


async def refresh(parts: Parts, name: str, older_than: str) -> Report:
    """Make stale rows ready again and work on the job, in one run on one budget. The same call again goes on."""
    age, key = age_of(older_than), key_if_needed(parts.settings)
    async with session(parts) as opened:
        job = _job(opened, name)
        with held(opened, job):
            job = _job(opened, name)
            run = await open_run(opened, job)  # refuses an output that is not ours before anything changes
            run.output.close()
            told = await _reopen(opened, run, opened.budget.clock() - age)
            report = await work_on(opened, [opened.store.jobs.again(job)], key)
            return replace(report, refreshed=replace(told, older_than=older_than))


async def stale(parts: Parts, name: str, older_than: str) -> Refreshed:
    """Say what `refresh` would do; change and spend nothing."""
    age = age_of(older_than)
    async with session(parts) as opened:
        run = run_of(opened, _job(opened, name))
        found = _Stale(opened, run, opened.budget.clock() - age)
        requests = requests_at_most(opened, run, (work for work, _ in found.works()))
        return Refreshed(found.rows, found.purged, older_than, requests)


def age_of(older_than: str) -> float:
    """Seconds of --older-than."""
    age = duration(older_than)
    if not age:
        raise UsageError(f'--older-than "{older_than}" is not a duration.', "Say for example 90d or 48h.")
    return age


def _job(opened: Session, name: str) -> Job:
    (job,) = named_jobs(opened, [name])
    if job.output == "-":
        raise UsageError(
            f"The lines of {job.name} went to standard output, where none can be replaced.",
            "Enrich the list again into a file.",
        )
    return job


async def _reopen(opened: Session, run: JobRun, fresh_from: float) -> Refreshed:
    found = _Stale(opened, run, fresh_from)
    some: list[tuple[Work, bool]] = []
    for one in found.works():
        some.append(one)
        if len(some) == TOGETHER:
            await opened.store.jobs.refresh(run.job.id, some, fresh_from)
            some = []
    await opened.store.jobs.refresh(run.job.id, some, fresh_from)
    return Refreshed(found.rows, found.purged)


class _Stale:
    """Finds finished rows that rest on an answer to whose question there is none newer than a moment."""

    def __init__(self, opened: Session, run: JobRun, fresh_from: float) -> None:
        self.rows = self.purged = 0
        self._opened = opened
        self._store = opened.store
        self._run = run
        self._fresh_from = fresh_from

    def works(self) -> Iterator[tuple[Work, bool]]:
        """Each as it will be asked, with whether its company's search is to be asked."""
        for work in self._store.jobs.finished(self._run.job.id):
            lead = self._run.lead(work)
            if self._is_stale(lead, work):
                self.rows += 1
                due = work._replace(fresh_from=self._fresh_from)
                yield due, self._searches(lead, due)

    def _is_stale(self, lead: Lead, work: Work) -> bool:
        policy, ledger = self._run.policy, self._store.ledger
        answers = known_answers(self._store, lead, work, policy, work.finished_at)
        if work.finished_at <= self._fresh_from and self._opened.lacks(lead, answers, policy):
            self.purged += 1
            return False  # what was found before is known no more, so it could not be kept
        old = [answer for answer in answers.values() if answer.received_at <= self._fresh_from]
        return any(
            conclusive(answer.outcome, answer.reply)
            and recall(ledger.history(answer.question), work.taken_in, policy, 0.0, self._fresh_from) is None
            for answer in old
        )

    def _searches(self, lead: Lead, due: Work) -> bool:
        question = first_search(lead, self._run.policy)
        if question is None:
            return False
        history = self._store.ledger.history(question)
        return not settled(recall(history, due.taken_in, self._run.policy, due.replayed_at, due.fresh_from))
