"""`purge`: old answers leave the state; the attempts, which are what was spent, stay."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pipeline.app import policies_of, run_of
from pipeline.errors import UsageError
from pipeline.jobs import held
from pipeline.planner import ahead
from pipeline.session import every_account, known_answers, state_path
from pipeline.store import Store
from pipeline.written import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.session import Parts, Session
    from pipeline.store.records import Job


@dataclass(frozen=True, slots=True)
class Purged:
    """What was dropped, or would be."""

    answers: int
    size: int
    """Bytes of the answers themselves."""
    needed: int
    """Questions spared because unfinished rows may still use their answers."""
    dry_run: bool
    compacted: bool = False


async def purge(parts: Parts, older_than: str, *, dry_run: bool = False) -> Purged:
    """Drop answers older than that which no unfinished row needs, in all accounts of the state."""
    age = duration(older_than)
    if age is None:
        raise UsageError(f'--older-than "{older_than}" is not a duration.', "Say for example 90d or 48h.")
    before = parts.now() - age
    answers = size = needed = 0
    with every_account(parts) as sessions, ExitStack() as stack:
        for opened in sessions:
            keep: set[bytes] = set()
            for job in opened.store.jobs.all():
                stack.enter_context(held(opened, job))
                keep.update(_needed(opened, job))
            found = opened.store.erasing.purgeable(before, keep)
            answers, size, needed = answers + found.answers, size + found.size, needed + len(keep)
            if found.answers and not dry_run:
                await opened.store.erasing.purge(before, keep)
    compacted = bool(answers) and not dry_run and Store.compact(state_path(parts.settings))
    return Purged(answers, size, needed, dry_run, compacted)


def _needed(opened: Session, job: Job) -> Iterator[bytes]:
    """Questions whose answers rows without a line rest on, or may come to rest on."""
    run, store = run_of(opened, job), opened.store
    for work in chain(store.jobs.unfinished(job.id), store.jobs.late_copies(job.id)):
        lead = run.lead(work)
        for policy in policies_of(opened.parts.settings, job):
            answers = known_answers(store, lead, work, policy)
            yield from answers
            for at in work.conclusions:
                yield from known_answers(store, lead, work._replace(fresh_from=0.0), policy, at)
            yield from (question.key for question in ahead(lead, answers, policy))
