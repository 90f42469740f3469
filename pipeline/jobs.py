"""Which job is meant: begun, found by its name, held against other runs, and asked as it was begun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipeline.errors import ConfigError, JobHeld, UsageError
from pipeline.model import Kind, Questions
from pipeline.sinks.jsonl import JsonlOutput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.session import Session
    from pipeline.store.jobs import Jobs
    from pipeline.store.locks import Lock
    from pipeline.store.records import Job


def named_jobs(opened: Session, names: Iterable[str]) -> list[Job]:
    """Find jobs by their name or by their output; raises UsageError listing those there are."""
    known = {job.name: job for job in opened.store.jobs.all()}
    found = {name: known.get(name) or known.get(str(Path(name).expanduser().resolve())) for name in names}
    if missing := [name for name, job in found.items() if job is None]:
        begin = "None is here yet: begin with enrich, or check --state, --account and --sandbox."
        raise UsageError(
            f"There is no job {missing[0]}.", f"Jobs of this account: {', '.join(known)}." if known else begin
        )
    return [job for job in found.values() if job is not None]


async def begun_or_found(opened: Session, name: str, output: str, kind: Kind = Kind.ENRICH) -> Job:
    """Find the job or begin it. Raises UsageError if there is one of another kind."""
    settings, jobs = opened.parts.settings, opened.store.jobs
    policy = settings.policy
    job = jobs.find(name)
    if job is None and output != name and (other := jobs.find(output)) is not None:
        job = other
    if job is not None:
        _refuse_other_kind(job, kind)
        return job
    if output != "-":
        target = JsonlOutput(Path(output), opened.store.path)
        target.refuse_foreign()
        target.refuse_unwritable()
    return await jobs.create(
        name,
        output,
        questions=orjson.dumps([policy.questions.model_dump(mode="json")]).decode(),
        judgement=policy.judgement.model_dump_json(),
        now=opened.parts.now(),
        kind=kind,
    )


def _refuse_other_kind(job: Job, kind: Kind) -> None:
    if job.kind is not kind:
        raise UsageError(
            f"{job.name} is a job of `{job.kind}`, and its lines are not those of `{kind}`.",
            "Name another output with -o, or another --job.",
        )


async def agreed(opened: Session, job: Job) -> Job:
    """Note the judgement of today; what is asked stays as it was unless --new-policy. Under the job's lock only."""
    policy = opened.parts.settings.policy
    await keep_questions(opened, job, policy.questions)
    await opened.store.jobs.update(job.id, judgement=policy.judgement.model_dump_json())
    return opened.store.jobs.again(job)


async def asked_as_said(opened: Session, job: Job, said: Iterable[str]) -> Job:
    """A job to go on with: as it was begun, but for questions the user named just now."""
    wanted = opened.parts.settings.policy.questions
    frozen = Questions(**orjson.loads(job.questions)[0])
    changes = {name: getattr(wanted, name) for name in said}
    await keep_questions(opened, job, frozen.model_copy(update=changes))
    return opened.store.jobs.again(job)


async def keep_questions(opened: Session, job: Job, wanted: Questions) -> None:
    """Freeze changed questions if nothing waits for the old ones, or the user says --new-policy."""
    history = orjson.loads(job.questions)
    if Questions(**history[0]) == wanted:
        return
    if not opened.parts.settings.new_policy:
        refuse_changed(opened.store.jobs, job, wanted)
    history = [wanted.model_dump(mode="json"), *history]
    await opened.store.jobs.update(job.id, questions=orjson.dumps(history).decode())
    await opened.store.jobs.search_again(job.id)


def refuse_changed(jobs: Jobs, job: Job, wanted: Questions) -> None:
    """Raise ConfigError if unfinished rows would be asked by other questions: another body is another bill."""
    frozen = Questions(**orjson.loads(job.questions)[0])
    changed = [
        f"{name} {_shown(getattr(frozen, name))} -> {_shown(getattr(wanted, name))}"
        for name in Questions.model_fields
        if getattr(frozen, name) != getattr(wanted, name)
    ]
    pending = jobs.counts(job.id).pending
    if pending and changed:
        again = jobs.answered_companies(job.id)
        raise ConfigError(
            f"This job asks other questions than this command: {'; '.join(changed)}.",
            f"Run it as before, or add --new-policy for its {pending:,} unfinished "
            f"rows, which asks {again:,} answered searches again.",
        )


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


class held:  # noqa: N801 - reads as the `with` statement it serves
    """Hold a job's lock; raises JobHeld naming who has it."""

    def __init__(self, opened: Session, job: Job) -> None:
        self._lock = opened.store.locks.job(job.id)
        self._name = job.name

    def __enter__(self) -> None:
        if not self._lock.acquire():
            raise _held_by(self._lock, self._name)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _held_by(lock: Lock, name: str) -> JobHeld:
    holder = lock.holder()
    return JobHeld(
        f"Another run is working on {name} (process {holder.pid}, since {holder.since}).",
        "Wait for it, or stop that process; its work is kept.",
    )


def unfinished(opened: Session, names: Iterable[str], locks: list[Lock]) -> list[Job]:
    """Jobs to go on with, by the priority of their best waiting row, then age, each with its lock taken.

    One that another run holds is left to it.
    """
    jobs = opened.store.jobs
    named = named_jobs(opened, names)
    chosen = named or [job for job in jobs.all() if jobs.counts(job.id).pending]
    chosen.sort(key=lambda job: (-jobs.best_waiting(job.id), job.id))
    ours = []
    for job in chosen:
        lock = opened.store.locks.job(job.id)
        if lock.acquire():
            locks.append(lock)
            ours.append(jobs.again(job))  # another run may have had it since it was looked up
        elif named or len(chosen) == 1:
            raise _held_by(lock, job.name)
        else:
            opened.parts.say(f"{_held_by(lock, job.name).what} It is left to it.")
    return ours
