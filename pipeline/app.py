"""What each command does, without its words."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipeline.columns import COMPANY_FIELDS, FIELDS
from pipeline.engine import Engine, JobRun
from pipeline.errors import InputUnusable, StateError, UsageError
from pipeline.facts import gather, keep, used
from pipeline.fetcher import SteppedAside
from pipeline.intake import look_at_suppressed, take_in
from pipeline.jobs import agreed, asked_as_said, begun_or_found, held, unfinished
from pipeline.limits import Halted
from pipeline.model import (
    ERASED_REASON,
    SUPPRESSED_REASON,
    Answer,
    Endpoint,
    Judgement,
    Kind,
    Lead,
    NoReply,
    Outcome,
    Policy,
    Question,
    Questions,
    Stop,
    Stopped,
)
from pipeline.planner import REFUSED_FRESH, TRY_AGAIN, at_most, conclusive
from pipeline.projection import rewrite, write_late_copies
from pipeline.quota import DAY
from pipeline.report import report_of
from pipeline.session import Parts, Session, fetching, known_answers, session
from pipeline.sinks.jsonl import JsonlOutput, StdoutOutput
from pipeline.sources import open_source
from pipeline.suppress_list import suppressed_by
from pipeline.suppressed import is_address
from pipeline.targets import LIST, hubspot_list
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pipeline.facts import Facts
    from pipeline.fetcher import Fetcher
    from pipeline.observe.summary import Report
    from pipeline.settings import Settings
    from pipeline.sources import Source
    from pipeline.store import Store
    from pipeline.store.locks import Lock
    from pipeline.store.records import Job, Work

# --- enrich and resume --------------------------------------------------------------------------------


async def enrich(parts: Parts, leads: str, out: str) -> Report:
    """Take a list in and work on it: use case 1. The same call again goes on where it stopped."""
    return await _make(parts, Kind.ENRICH, leads, out)


async def prospect(parts: Parts, companies: str, out: str) -> Report:
    """Take a list of companies in and find who works there: use case 2. The same call again goes on."""
    return await _make(parts, Kind.PROSPECT, companies, out)


async def _make(parts: Parts, kind: Kind, path: str, out: str) -> Report:
    settings = parts.settings
    name, output = _names(settings, out)
    settings.quota  # noqa: B018 - raises before anything is opened if the plan has no number
    source = await _source(parts, path, COMPANY_FIELDS if kind is Kind.PROSPECT else FIELDS)
    if kind is Kind.ENRICH:
        _refuse_without_email(settings, source)
    suppressed_by(settings, settings.policy.judgement.suppress)  # raises before anything is begun
    key = key_if_needed(settings)
    async with session(parts) as opened:
        job = await begun_or_found(opened, name, output, kind)
        with held(opened, job):
            # another run may have had the job since it was looked up
            job = await agreed(opened, opened.store.jobs.again(job))
            await take_in(opened, job, source, policies_of(settings, job)[0])
            return await work_on(opened, [opened.store.jobs.again(job)], key)


async def resume(parts: Parts, names: Iterable[str], said: Iterable[str] = ()) -> Report:
    """Go on with unfinished jobs in one run on one budget; `said` are questions named on this command line."""
    key = key_if_needed(parts.settings)
    async with session(parts) as opened:
        locks: list[Lock] = []
        try:
            jobs = [await asked_as_said(opened, job, said) for job in unfinished(opened, names, locks)]
            return await work_on(opened, jobs, key)
        finally:
            for lock in locks:
                lock.release()


async def _source(parts: Parts, path: str, fields: Sequence[str]) -> Source:
    settings = parts.settings
    if not path.startswith(LIST):
        return open_source(path, columns=settings.headers, encoding=settings.encoding, fields=fields)
    async with session(parts) as opened:
        contacts = await hubspot_list(opened, path)
    return open_source("-", columns=settings.headers, stdin=contacts, name=path, fields=fields)


def _names(settings: Settings, out: str) -> tuple[str, str]:
    """The job's name and its output: the resolved path, unless --job names it."""
    if out == "-":
        if settings.job is None:
            raise UsageError("Results on standard output have no path to be known by.", "Add --job NAME.")
        return settings.job, "-"
    path = str(Path(out).expanduser().resolve())
    if not out or any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in path):
        what = f"{path!a} can be no output: its name is blank, holds a control character or is not UTF-8."
        raise UsageError(what, "Name another file with -o.")
    return settings.job or path, path


def _refuse_without_email(settings: Settings, source: Source) -> None:
    if settings.steps == (Endpoint.VERIFY,) and "email" not in source.columns:
        what = f"{source.path} has no e-mail column, and nothing but verify is wanted."
        raise InputUnusable(what, 'Name it: --column email="HEADER".')


def key_if_needed(settings: Settings) -> str:
    """The key, unless the run may ask nothing."""
    return "" if settings.max_requests == 0 and settings.api_key is None else settings.key()


# --- working ------------------------------------------------------------------------------------------


async def work_on(opened: Session, jobs: list[Job], key: str) -> Report:
    """Work on jobs whose locks are held, on one budget."""
    runs: list[JobRun] = []
    unusable = []
    try:
        for job in jobs:
            try:
                run = await open_run(opened, job)
            except (StateError, OSError) as error:
                if len(jobs) == 1:
                    raise
                unusable.append(str(error))
            else:
                runs.append(run)
                if share := opened.parts.settings.share:
                    await opened.store.jobs.index_sample()
                    run.sample_end = opened.store.jobs.end_of(job.id, share)
        await _until_done(opened, runs, key)
        for run in runs:
            await rewrite_if_stale(opened, run)
    finally:
        for run in runs:
            run.output.close()
    return report_of(opened, runs, unusable)


def run_of(opened: Session, job: Job) -> JobRun:
    """How the job's rows are read and judged, and where its lines go; touches nothing."""
    output = (
        StdoutOutput(job.committed.length) if job.output == "-" else JsonlOutput(Path(job.output), opened.store.path)
    )
    policies = policies_of(opened.parts.settings, job)
    return JobRun(
        job,
        policies[0],
        readings_of(job),
        output,
        has_copies=opened.store.jobs.has_late_copies(job.id),
        found_before=lambda lead, work: _found_before(opened.store, lead, work, policies),
    )


def readings_of(job: Job) -> list[dict[str, str]]:
    """Which field is under which header, in the job's last list and in earlier ones."""
    return [job.source.get("columns", {}), *job.source.get("earlier", [])]


def _found_before(store: Store, lead: Lead, work: Work, policies: Sequence[Policy]) -> Facts | None:
    """What a refreshed row held before, conclusion by conclusion; None for a row that never was refreshed."""
    facts: Facts | None = None
    for at in work.conclusions:
        before = work._replace(fresh_from=0.0)
        known = ((known_answers(store, lead, before, policy, at), policy) for policy in policies)
        answers, policy = next(filter(itemgetter(0), known), ({}, policies[0]))
        then = gather(lead, answers, policy)
        then = then._replace(rests_on=tuple(used(then, answers)))
        facts = then if facts is None else keep(lead, facts, then)
    return facts


async def open_run(opened: Session, job: Job) -> JobRun:
    """Make the job's output fit the state, then it can go on."""
    run, jobs = run_of(opened, job), opened.store.jobs
    lost: list[int] = []
    output, recall = run.output, recaller(opened, job, lost)
    if isinstance(output, JsonlOutput) and (output.open(job.committed, job.replacing) or job.stale):
        await rewrite(run, output, jobs, recall, opened.store.erasing.erased())
    await look_at_suppressed(opened, run)
    for repair in output.repairs if isinstance(output, JsonlOutput) else ():
        opened.parts.say(repair)
    await write_late_copies(run, jobs, recall)
    if lost:
        opened.parts.say(f"Written without answers that were purged: rows {_ranges(lost)} of {job.name}.")
    return run


def recaller(opened: Session, job: Job, lost: list[int]) -> Callable[[Lead, Work], dict[bytes, Answer]]:
    """Find answers to the questions of today, or to those the row was asked under; note rows that lack some."""
    policies = policies_of(opened.parts.settings, job)

    def answers(lead: Lead, work: Work) -> dict[bytes, Answer]:
        found = (opened.answers(lead, work, policy) for policy in policies)
        known = next(filter(None, found), {})
        if any(opened.lacks(lead, known, policy) for policy in policies):
            lost.append(work.row)
        return known

    return answers


def _ranges(rows: list[int]) -> str:
    """Name rows shortly: 3-5, 9."""
    groups: list[list[int]] = []
    for row in sorted(rows):
        if groups and row == groups[-1][-1] + 1:
            groups[-1] = [groups[-1][0], row]
        else:
            groups.append([row])
    return ", ".join("-".join(map(str, group)) for group in groups)


async def rewrite_if_stale(opened: Session, run: JobRun) -> None:
    """Take back lines of rows that are not finished after all."""
    job = opened.store.jobs.find(run.job.name)
    if job is not None and job.stale and isinstance(run.output, JsonlOutput):
        await rewrite(run, run.output, opened.store.jobs, recaller(opened, job, []), opened.store.erasing.erased())


def policies_of(settings: Settings, job: Job) -> list[Policy]:
    """The job's questions, newest first, with the judgement of today (what the user says outranks the job's)."""
    stored = Judgement(**orjson.loads(job.judgement)).model_dump()
    wanted = settings.policy.judgement
    said = {name: getattr(wanted, name) for name in Judgement.model_fields if _was_set(settings, name)}
    judgement = Judgement(**{**stored, **said, "suppress": wanted.suppress or stored["suppress"]})
    suppressed = suppressed_by(settings, judgement.suppress)
    return [
        Policy(questions=Questions(**asked), judgement=judgement, kind=job.kind, suppressed=suppressed)
        for asked in orjson.loads(job.questions)
    ]


def _was_set(settings: Settings, judgement_field: str) -> bool:
    return judgement_field.removesuffix("_hours") in settings.model_fields_set


async def _until_done(opened: Session, runs: list[JobRun], key: str) -> None:
    """Work until nothing is left that may be asked now; with --wait, until nothing is left."""
    something = any(_something_ready(opened, run) for run in runs) or _next_due(opened, runs) is not None
    if opened.budget.stopped is not None or not something:
        return
    opened.parts.begin(sum(opened.store.jobs.counts(run.job.id).pending for run in runs), opened.usage().used)
    async with fetching(opened, key) as fetcher:
        await opened.store.jobs.begin_run(opened.parts.owner, opened.started_at)
        engine = Engine(
            opened.store.jobs,
            fetcher,
            opened.budget,
            opened.tell,
            workers=opened.budget.limits.workers,
            offload=opened.parts.offload,
        )
        with suppress(asyncio.CancelledError):
            await engine.run(runs)
            while (due := _next_due(opened, runs)) is not None:
                await opened.budget.sleep(max(0.0, due - opened.budget.clock()))
                await engine.run(runs)
        stopped = opened.budget.stopped
        await opened.store.jobs.end_run(
            opened.parts.owner,
            stopped.why if stopped else Stop.DONE,
            opened.budget.spent.requests,
            opened.budget.clock(),
            opened.tallies.did,
        )


def _something_ready(opened: Session, run: JobRun) -> bool:
    jobs, job, end = opened.store.jobs, run.job.id, run.sample_end
    ready = jobs.ready(job, 1) if end is None else jobs.sampled(job, end, 1)
    due = jobs.next_due(job, end)
    return bool(ready) or (due is not None and due <= opened.budget.clock())


def _next_due(opened: Session, runs: list[JobRun]) -> float | None:
    """With --wait: when the next deferred lead may be asked; else nothing is waited for."""
    if not opened.parts.settings.wait or opened.budget.stopped is not None:
        return None
    dues = [opened.store.jobs.next_due(run.job.id, run.sample_end) for run in runs]
    return min((due for due in dues if due is not None), default=None)


def requests_at_most(opened: Session, run: JobRun, works: Iterable[Work]) -> int:
    """Requests these rows may need, repeats apart: a question that rows share counts once."""
    keys: set[bytes] = set()
    follow = 0
    for work in works:
        lead = run.lead(work)
        open_, more = at_most(lead, known_answers(opened.store, lead, work, run.policy), run.policy)
        keys |= open_
        follow += more
    return len(keys) + follow


# --- questions without a list -------------------------------------------------------------------------


async def ask(parts: Parts, questions: list[Question], *, fresh: bool = False) -> tuple[list[Answer | None], Report]:
    """Answer single questions on the shared ledger; None where the run halted before, the report says why.

    `fresh` asks even if the journal has an answer.
    """
    key = parts.settings.key()
    async with session(parts) as opened, fetching(opened, key) as fetcher:
        taken_in = parts.now() + (REFUSED_FRESH + DAY if fresh else 0)
        answers: list[Answer | None] = [None] * len(questions)
        with suppress(asyncio.CancelledError):  # a second Ctrl-C
            asked = (answered(opened, fetcher, question, taken_in) for question in questions)
            answers = list(await asyncio.gather(*asked))
        report = report_of(opened, [], [])
        return answers, replace(report, stopped=opened.budget.stopped or Stopped(Stop.DONE, _asked_sentence(answers)))


def _asked_sentence(answers: Iterable[Answer | None]) -> str:
    open_ = sum(answer is not None and not conclusive(answer.outcome, answer.reply) for answer in answers)
    if not open_:
        return "Done: every question is answered."
    hours = TRY_AGAIN / 3600
    return f"Done for now: {counted(open_, 'question')} not settled; asked again by a call {hours:.0f} hours later."


async def answered(opened: Session, fetcher: Fetcher, question: Question, taken_in: float) -> Answer | None:
    """Answer one question, from the journal if it may be; None if it would have to be asked and the run halted."""
    if opened.store.erasing.erased().names(question.body.decode()):
        return Answer(question, Outcome.REFUSED, NoReply(reason=ERASED_REASON), opened.parts.now())
    settings = opened.parts.settings
    suppressed = suppressed_by(settings, settings.policy.judgement.suppress)
    if is_address(suppressed, orjson.loads(question.body).get("email")):
        return Answer(question, Outcome.REFUSED, NoReply(reason=SUPPRESSED_REASON), opened.parts.now())
    while True:
        try:
            tried = opened.budget.clock() - TRY_AGAIN  # what was not settled before that is asked again
            return await fetcher.fetch(question, taken_in, opened.parts.settings.policy, tried)
        except SteppedAside:
            continue  # there may be nobody else to ask for
        except Halted:
            return None
