"""The night's flow: leads in the order of work, workers that obey the planner, one writer a job.

    feeder -> queue -> workers: next_step -> Ask: fetch | Defer, Done, Reject: note -> writer -> OUT + state

Nothing is decided here: the planner says what a lead needs, the budget says when the run is over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.errors import PipelineError
from pipeline.events import WORKING_ON, Event, RowDeferred, RowFinished, RowReopened, RowsDue
from pipeline.facts import first_search
from pipeline.fetcher import SteppedAside
from pipeline.limits import Halted
from pipeline.lines import enriched, prospects
from pipeline.model import Answer, Endpoint, Enriched, Lead, Origin, Policy, Question, Status, Stop
from pipeline.normalize import lead_of
from pipeline.order import LAST, LOOK, Place, goes_on, place
from pipeline.planner import Ask, Defer, Done, Reject, next_step, refreshed, settled
from pipeline.protocol import iso
from pipeline.store.records import Committed, Finish, Job, Progress, Work
from pipeline.tasks import cancel, discard, first_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from pipeline.budget import Budget
    from pipeline.facts import Facts
    from pipeline.fetcher import Fetcher
    from pipeline.sinks.jsonl import Output
    from pipeline.store.jobs import Jobs

FREE_AFTER_HALT: Final = 1000
"""Leads still looked at when the run may ask nothing more: some can be finished from what is known."""

LINGER: Final = 0.02
"""Seconds a finished line may wait for others before it is written."""

AT_ONCE: Final = frozenset({Stop.INTERRUPTED, Stop.TERMINATED, Stop.DENIED, Stop.REDIRECT, Stop.CONTRACT})
"""Ends after which not even free rows are looked for."""

Offload = "Callable[..., Awaitable[Any]]"


@dataclass(slots=True)
class JobRun:
    """A job being worked on: its policy, how its rows are read, where its lines go."""

    job: Job
    policy: Policy
    columns: Sequence[Mapping[str, str]]
    output: Output
    has_copies: bool = False
    in_hand: set[int] = field(default_factory=set)
    passed: set[int] = field(default_factory=set)
    aside: list[Work] = field(default_factory=list)
    handed: int = 0
    latest: Place = LAST
    sample_end: int | None = None
    found_before: Callable[[Lead, Work], Facts | None] = lambda _lead, _work: None
    finished: asyncio.Queue[tuple[Finish, list[bytes]] | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=1000)
    )

    def lead(self, work: Work) -> Lead:
        """Read a row of the state as the rules see it."""
        return lead_from(work, self.columns)


def lead_from(work: Work, readings: Sequence[Mapping[str, str]]) -> Lead:
    """Read a row of the state by the headers it came with, newest reading first."""
    record = orjson.loads(work.input)
    return lead_of(work.row, record, columns_of(record, readings), lead_id=work.lead_id, spelling=work.spelling)


def columns_of(record: Mapping[str, Any], readings: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Which field is under which header: rows of an earlier export are read by the headers they came with."""
    if not readings[1:]:
        return readings[0]
    return max(readings, key=lambda columns: sum(header in record for header in columns.values()))


class Engine:
    """Works through jobs until they are done or the budget halts."""

    def __init__(
        self,
        jobs: Jobs,
        fetcher: Fetcher,
        budget: Budget,
        tell: Callable[[Event], None],
        *,
        workers: int,
        offload: Callable[..., Awaitable[Any]],
    ) -> None:
        self._jobs = jobs
        self._fetcher = fetcher
        self._budget = budget
        self._tell = tell
        self._workers = workers
        self._offload = offload
        self._queue: asyncio.Queue[tuple[JobRun, Work, Lead] | None] = asyncio.Queue(maxsize=workers)
        self._changed = asyncio.Event()
        self._doubtful: list[tuple[JobRun, Work]] = []

    async def run(self, runs: list[JobRun]) -> None:
        """Finish every lead that can be finished now. Raises whatever a part of it raised."""
        writers = [asyncio.create_task(self._write(run)) for run in runs]
        workers = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        feeder = asyncio.create_task(self._feed(runs))
        try:
            await first_error([feeder, *workers], watching=writers)
            for run in runs:
                await run.finished.put(None)
            await asyncio.gather(*writers)
            await self._reopen_doubtful()
        except PipelineError as error:
            if any(writer.done() for writer in writers):
                await cancel([feeder])
                await self._drain(runs, error, workers)
            raise
        finally:
            await cancel([feeder, *workers, *writers])

    async def _drain(self, runs: list[JobRun], error: PipelineError, workers: list[asyncio.Task[None]]) -> None:
        """Lines cannot be written, but requests under way are paid for: their answers are still kept."""
        self._budget.stop(Stop.TERMINATED, error.what)
        helpers = [asyncio.create_task(discard(run.finished)) for run in runs]
        helpers += [asyncio.create_task(self._queue.put(None)) for _ in workers]
        await asyncio.wait(workers)
        await cancel(helpers)

    # --- leads in ---

    async def _feed(self, runs: list[JobRun]) -> None:
        for run in runs:
            await self._feed_job(run)
        for _ in range(self._workers):
            await self._queue.put(None)

    async def _feed_job(self, run: JobRun) -> None:
        """Hand out the job's ready leads, best first; a few at a time, since every answer changes the order."""
        if due := await self._jobs.wake(run.job.id, self._budget.clock()):
            self._tell(RowsDue(run.job.id, due))
        counts, after_halt = self._jobs.counts(run.job.id), 0
        run.handed = counts.leads - counts.pending
        while self._worth_feeding(after_halt):
            self._changed.clear()
            batch = self._next(run)
            for work, lead in batch:
                if self._budget.stopped is not None:
                    if work.need != LOOK or not self._worth_feeding(after_halt):
                        continue
                    after_halt += 1
                run.in_hand.add(work.id)
                run.handed += 1
                await self._queue.put((run, work, lead))
            if not batch and not await self._more_comes(run):
                return

    async def _more_comes(self, run: JobRun) -> bool:
        """Wait for leads to come back; those that stepped aside come last. False: all is done."""
        if run.aside and len(run.in_hand) == len(run.aside):
            aside, run.aside = run.aside, []
            self._let_go(run, aside)
        elif run.in_hand:
            await self._changed.wait()
        else:
            return False
        return True

    def _next(self, run: JobRun) -> list[tuple[Work, Lead]]:
        """Read the next leads nobody has in hand, after a halt the free ones, and look up what they ask first."""
        most, besides, halted = 2 * self._workers, run.in_hand | run.passed, self._budget.stopped is not None
        if run.sample_end is not None:
            fresh = self._jobs.sampled(run.job.id, run.sample_end, most, besides)
            if halted:  # none is taken from behind one that must be asked: what was cut short stays a fair sample
                fresh = list(takewhile(lambda work: work.need == LOOK, fresh))
        else:
            fresh = self._jobs.ready(run.job.id, most, self._budget.clock(), besides, run.handed)
            if halted:
                fresh = [work for work in fresh if work.need == LOOK]
            run.latest = place(fresh[-1], self._jobs.chances(run.job.id)) if len(fresh) == most else LAST
        leads = [run.lead(work) for work in fresh]
        self._fetcher.expect(question for lead in leads if (question := first_search(lead, run.policy)))
        return list(zip(fresh, leads, strict=True))

    def _let_go(self, run: JobRun, works: Iterable[Work]) -> None:
        run.in_hand.difference_update(work.id for work in works)
        self._changed.set()

    def _worth_feeding(self, after_halt: int) -> bool:
        stopped = self._budget.stopped
        return stopped is None or (stopped.why not in AT_ONCE and after_halt < FREE_AFTER_HALT)

    # --- one lead ---

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            run, work, lead = item
            WORKING_ON.set((run.job.id, work.row))
            await self._advance(run, work, lead)

    async def _advance(self, run: JobRun, work: Work, lead: Lead) -> None:
        """Take a lead as far as it is due: to its line, to a later window, or behind leads that are worth more."""
        answers: dict[bytes, Answer] = {}
        progress = Progress(work.need, searched=False)
        while isinstance(step := next_step(lead, answers, run.policy, self._budget.clock()), Ask):
            progress = _progress(work, lead, answers, run.policy, progress, step.left)
            if progress.searched and not goes_on(work, step.left, run.latest):
                await self._put_back(run, work, progress)
                return
            try:
                await self._ask(step, work, run.policy, answers)
            except SteppedAside:
                run.aside.append(work)
                self._changed.set()
                return
            except Halted:
                run.passed.add(work.id)
                await self._put_back(run, work, _progress(work, lead, answers, run.policy, progress, step.left))
                return
        progress = _progress(work, lead, answers, run.policy, progress, 0 if isinstance(step, Done) else 1)
        self._note_doubt(run, work, answers)
        if isinstance(step, Defer):
            await self._jobs.defer(run.job.id, work, step.until, progress)
            self._let_go(run, [work])
            self._tell(RowDeferred(run.job.id, work.row, step.until))
        else:
            await self._finish(run, work, lead, answers, step, progress)

    async def _put_back(self, run: JobRun, work: Work, progress: Progress) -> None:
        """Leave a lead where it is, noting how far it got."""
        if progress != Progress(work.need, searched=False):
            await self._jobs.put_back(run.job.id, work, progress)
        self._let_go(run, [work])

    def _note_doubt(self, run: JobRun, work: Work, answers: Mapping[bytes, Answer]) -> None:
        """Remember rows that rest on a refusal until a success shows that the API is not refusing everything."""
        if self._budget.doubts(answers):
            self._doubtful.append((run, work))
        elif self._doubtful and not self._budget.in_doubt:
            self._doubtful.clear()

    async def _reopen_doubtful(self) -> None:
        """The contract is broken: what was concluded from refusals is taken back, in one commit."""
        stopped = self._budget.stopped
        if stopped is None or stopped.why is not Stop.CONTRACT:
            return
        works: dict[int, list[Work]] = {}
        for run, work in self._doubtful:
            works.setdefault(run.job.id, []).append(work)
        reopened = [self._jobs.reopen(job, group) for job, group in works.items()]
        await asyncio.gather(*reopened, self._budget.forget_doubtful())
        for run, work in self._doubtful:
            self._tell(RowReopened(run.job.id, work.row))

    async def _ask(self, step: Ask, work: Work, policy: Policy, answers: dict[bytes, Answer]) -> None:
        if len(step.questions) == 1:
            await self._answer(step.questions[0], work, policy, answers)
            return
        asked = [self._answer(question, work, policy, answers) for question in step.questions]
        for result in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _answer(self, question: Question, work: Work, policy: Policy, answers: dict[bytes, Answer]) -> None:
        before = answers.get(question.key)
        after = before.received_at if before else 0.0
        answers[question.key] = await self._fetcher.fetch(
            question, work.taken_in, policy, after, work.replayed_at, work.fresh_from
        )

    async def _finish(
        self,
        run: JobRun,
        work: Work,
        lead: Lead,
        answers: dict[bytes, Answer],
        step: Done | Reject,
        progress: Progress,
    ) -> None:
        if isinstance(step, Done) and (earlier := run.found_before(lead, work)) is not None:
            step = refreshed(lead, step, earlier, answers, run.policy)
        status, facts = (step.status, step.facts) if isinstance(step, Done) else (Status.INVALID, None)
        at = self._budget.clock()
        line = enriched(lead, answers, run.policy, status, step.reason, at, facts=facts)
        copies = self._jobs.copies(work) if run.has_copies else []
        finish = Finish(work, status, step.reason, at, progress, bool(copies))
        if run.policy.prospects:
            found = prospects(lead, facts, run.policy, at) if facts else []
            finish, lines = finish._replace(people=tuple(each.contact_id for each in found)), list(map(encode, found))
        else:
            lines = [encode(line), *copy_lines(line, copies)]
        # A held row's line is replaced by the rewrite that ends the run, never added to.
        await run.finished.put((finish, [] if work.held else lines))
        self._tell(_finished(run, line, work.fresh_from))

    # --- lines out ---

    async def _write(self, run: JobRun) -> None:
        """Append finished lines in groups: first the file, synced, then the state that counts them."""
        closing = False
        while not closing:
            group = [await run.finished.get()]
            if group[0] is not None:
                await asyncio.sleep(LINGER)
            while not run.finished.empty():
                group.append(run.finished.get_nowait())
            closing = None in group
            await self._commit(run, sorted(filter(None, group), key=lambda item: item[0].work.id))

    async def _commit(self, run: JobRun, items: list[tuple[Finish, list[bytes]]]) -> None:
        if not items:
            return
        length, tail = await self._offload(run.output.append, self._distinct(run, items))
        await self._jobs.finish(run.job.id, [finish for finish, _ in items], Committed(length, tail))
        self._let_go(run, [finish.work for finish, _ in items])

    def _distinct(self, run: JobRun, items: list[tuple[Finish, list[bytes]]]) -> list[bytes]:
        """All lines or, of companies that are prospected, those of people found at no company before."""
        if not run.policy.prospects:
            return [line for _, lines in items for line in lines]
        known = self._jobs.people.owners(run.job.id, {person for finish, _ in items for person in finish.people})
        return [
            line
            for finish, lines in items
            for person, line in zip(finish.people, lines, strict=False)
            if known.setdefault(person, finish.work.id) == finish.work.id
        ]


# --- small things -------------------------------------------------------------------------------------


def encode(line: Enriched) -> bytes:
    """Write a line."""
    return orjson.dumps(line, default=vars, option=orjson.OPT_APPEND_NEWLINE)


def copy_lines(line: Enriched, copies: Iterable[tuple[int, str]]) -> list[bytes]:
    """Write the lines of a row's duplicates."""
    return [encode(copied_line(line, row, text)) for row, text in copies]


def copied_line(line: Enriched, row: int, text: str) -> Enriched:
    """A duplicate's line: its lead's, with its own row and columns."""
    return line.model_copy(update={"row": row, "input": orjson.loads(text), "duplicate_of": line.row})


def _progress(
    work: Work, lead: Lead, answers: Mapping[bytes, Answer], policy: Policy, before: Progress, left: int
) -> Progress:
    """How far a lead is that needs `left` requests more, once its company's search is settled."""
    question = first_search(lead, policy) if answers else None
    if question is None or not settled(answers.get(question.key)):
        return before
    looks = work.need <= LOOK and before.first_need is None and not policy.prospects
    return Progress(left, searched=True, first_need=left if looks else before.first_need)


def _finished(run: JobRun, line: Enriched, fresh_from: float) -> RowFinished:
    """Say what the row did not need: with its e-mail or phone sure already, no verify or phones was asked.

    What a refreshed row keeps of an earlier conclusion saved nothing: it was asked for again.
    """
    kept = iso(fresh_from)
    asked = {call.endpoint for call in line.calls}
    steps = run.policy.judgement.steps
    return RowFinished(
        job=run.job.id,
        row=line.row,
        status=line.status,
        shared=sum(call.origin is Origin.SHARED for call in line.calls),
        cached=sum(call.origin is Origin.CACHE and call.at > kept for call in line.calls),
        verify_saved=Endpoint.VERIFY in steps and Endpoint.VERIFY not in asked and line.email is not None,
        phones_saved=Endpoint.PHONES in steps and Endpoint.PHONES not in asked and line.phone is not None,
    )
