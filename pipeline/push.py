"""`push`: a job's sure contacts into another system; what was pushed is noted, and the next push goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.errors import PipelineError
from pipeline.jobs import held, named_jobs
from pipeline.results import results
from pipeline.session import session
from pipeline.sinks.contacts import Left, Person, Sure, chunks, filled_subject, outgoing
from pipeline.store.delivering import Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from pipeline.erased import Erased
    from pipeline.model import Stop
    from pipeline.session import Parts, Session
    from pipeline.sinks.contacts import Delivered, Sink
    from pipeline.store.records import Job
    from pipeline.targets import Target

SHOWN: Final = 1000
"""Rows that a dry run names; it counts all of them."""

LOOKED_UP: Final = 500
"""People looked up at once among what was pushed before."""

ALREADY: Final = Left("nothing new since the last push")


@dataclass(slots=True)
class Pushed:
    """What one push did with a job's lines; `results` and `left` together count each of them once."""

    job: str
    sink: str
    dry_run: bool
    results: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    """Lines that a broken-off push did not come to."""
    rows: list[Delivered] = field(default_factory=list)
    stopped: PipelineError | None = None
    signal: Stop | None = None

    @property
    def over(self) -> bool:
        """Whether something stopped it."""
        return self.stopped is not None

    @property
    def lines(self) -> int:
        """Lines the job has."""
        return self.results.total() + self.left.total() + self.waiting


async def push(
    parts: Parts, names: Sequence[str], target: Target, *, dry_run: bool = False, again: bool = False
) -> list[Pushed]:
    """Push jobs; `again`: also what was pushed or refused before. A dry run only reads.

    Raises what stops it before the first line; what stops it later is in the result's `stopped`.
    """
    told: list[Pushed] = []
    async with session(parts) as opened, target.connect(opened) as sink:
        whose = f"{target.name} {await sink.open()}".strip()
        erased = await opened.store.deliveries.marker()
        for job in named_jobs(opened, names):
            with held(opened, job):
                one = _Push(opened, job, sink, erased, Pushed(job.name, whose, dry_run), again=again)
                told.append(await one.run())
            if one.told.over:
                break
    return told


class _Push:
    """One job on its way into one sink."""

    def __init__(self, opened: Session, job: Job, sink: Sink, erased: Erased, told: Pushed, *, again: bool) -> None:
        self.told = told
        self._opened = opened
        self._job = job
        self._sink = sink
        self._erased = erased
        self._again = again
        self._columns = job.source.get("columns", {})

    async def run(self) -> Pushed:
        """Go through the lines, a batch at a time; what stops it is told, and the rest is counted."""
        fresh = (person for some in chunks(self._people(), LOOKED_UP) for person in self._new(some))
        for batch in chunks(fresh, self._sink.batch):
            done: set[str] = set()
            if self._opened.told_to_stop:
                break
            if not self.told.over:
                try:
                    async for delivered in self._outcomes(batch):
                        await self._note(delivered)
                        done |= {one.person.key for one in delivered}
                except PipelineError as error:
                    self.told.stopped = error
            self.told.waiting += len(batch) - len(done)
        stopped = self._opened.budget.stopped
        self.told.signal = stopped.why if stopped is not None else None
        return self.told

    def _people(self) -> Iterator[Person]:
        """Whoever may leave; who may not is counted."""
        settings = self._opened.parts.settings
        sure = Sure(settings.min_confidence, settings.min_phone_confidence)
        for line in results(self._opened, self._job):
            one = outgoing(line, self._columns, sure)
            why = one if isinstance(one, Left) else self._sink.refusal(one)
            if isinstance(one, Person) and why is None:
                yield one
            elif why is not None:
                self.told.left[why.why] += 1

    def _new(self, people: Sequence[Person]) -> Iterator[Person]:
        """Those of whom there is something that was not pushed before."""
        keys = (person.key for person in people)
        known = {} if self._again else self._opened.store.deliveries.known(self._job.id, self.told.sink, keys)
        for person in people:
            if known.get(person.key) == self._sink.digest(person):
                self.told.left[ALREADY.why] += 1
            else:
                yield person

    async def _outcomes(self, batch: Sequence[Person]) -> AsyncIterator[list[Delivered]]:
        if self.told.dry_run:
            yield await self._sink.preview(batch)
            return
        async for delivered in self._sink.deliver(batch):
            yield delivered

    async def _note(self, delivered: Sequence[Delivered]) -> None:
        """Count what became of people, and but for a dry run remember it."""
        told = self.told
        told.results.update(one.result for one in delivered)
        told.rows += delivered[: SHOWN - len(told.rows)]
        if told.dry_run or not delivered:
            return
        rows = [self._delivery(one) for one in delivered]
        await self._opened.store.deliveries.note(self._job.id, told.sink, rows, self._opened.parts.now())

    def _delivery(self, one: Delivered) -> Delivery:
        person = one.person
        mark = self._erased.address_mark(person.email)
        filled = filled_subject(person, self._columns) if person.record is not None and one.properties else None
        return Delivery(person.key, one.result, one.record, self._sink.digest(person), mark, filled)
