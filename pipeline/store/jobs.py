"""Lists and rows: what is being made of which input, which lead is next, and how far the output has got."""

from __future__ import annotations

import math
from collections import Counter
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.errors import ConfigError
from pipeline.model import FINISHED, Judgement, Kind, Status
from pipeline.order import AGED, ENOUGH, Chances, aged_places, work_order
from pipeline.sample import PLACES
from pipeline.store.finishing import finish_leads, note_progress
from pipeline.store.people import People
from pipeline.store.records import (
    COPIED,
    COPY,
    DEFERRED,
    JOB,
    READY,
    Committed,
    Counts,
    Did,
    Finish,
    Intake,
    Job,
    Progress,
    Row,
    Standing,
    Work,
    job_of,
)
from pipeline.store.reopening import prune_leads, reopen_row
from pipeline.store.sql import SQL
from pipeline.store.takein import TakeIn, count

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.sample import Sample
    from pipeline.store.commit import Committer, Transaction


class Jobs:
    """The jobs of one account in one state file."""

    def __init__(self, committer: Committer, reader: sqlite3.Connection, account: int) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account
        self.people = People(reader)

    # --- jobs ---

    def find(self, name: str) -> Job | None:
        """Find a job by its name; raises ConfigError if it belongs to another account."""
        row = self._reader.execute(f"{JOB} WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        if row[1] != self._account:
            raise self._other_account(name, row[1])
        return job_of(row)

    def again(self, job: Job) -> Job:
        """The job as it is now."""
        return self.find(job.name) or job

    def _other_account(self, job: str, theirs: int) -> ConfigError:
        names = dict(self._reader.execute("SELECT id, name FROM account").fetchall())
        (host, _, name), (our_host, _, our_name) = names[theirs].partition(" "), names[self._account].partition(" ")
        place = "--sandbox" if host == "sandbox" else "--base-url"
        ways = {place: host != our_host, f"--account {name}": name != our_name}
        how = " and ".join(option for option, differs in ways.items() if differs)
        return ConfigError(
            f"The job {job} belongs to the account {name} at {host}, and this is {our_name} at {our_host}.",
            f"Say its {how}, or choose another --job or --state.",
        )

    def all(self) -> list[Job]:
        """List all jobs of the account, oldest first."""
        rows = self._reader.execute(f"{JOB} WHERE account = ? ORDER BY id", (self._account,))
        return [job_of(row) for row in rows]

    async def create(
        self,
        name: str,
        output: str,
        *,
        questions: str,
        judgement: str,
        now: float,
        kind: Kind = Kind.ENRICH,
    ) -> Job:
        """Begin a job, unless another run has begun it a moment before."""
        row = (self._account, name, output, now, questions, judgement, kind)
        await self._run(SQL["create_job"], row)
        job = self.find(name)
        assert job is not None  # noqa: S101 - it was committed in the line above
        return job

    async def update(self, job: int, **columns: object) -> None:
        """Change columns of a job."""
        assignments = ", ".join(f"{column} = ?" for column in columns)
        await self._run(f"UPDATE job SET {assignments} WHERE id = ?", (*columns.values(), job))  # noqa: S608 - names from the code

    def counts(self, job: int) -> Counts:
        """How many leads are in each state."""
        tally = Counter(dict(self._reader.execute(SQL["tally"], (job,)).fetchall()))
        by_status: dict[Status, int] = {status: tally[status] for status in FINISHED}
        by_status[Status.PENDING] = tally[READY] + tally[DEFERRED]
        return Counts(by_status, tally[DEFERRED], tally[COPY] + tally[COPIED])

    def answered_companies(self, job: int) -> int:
        """How many companies with waiting rows have had their search answered."""
        return int(self._reader.execute(SQL["answered_companies"], (job,)).fetchone()[0])

    async def search_again(self, job: int) -> None:
        """Forget which searches were answered: the questions changed."""

        def again(tx: Transaction) -> None:
            tx.db.execute(SQL["search_again"], (job,))
            tx.db.execute(SQL["wait_for_search"], (job,))

        await self._committer.run(again)

    def has_late_copies(self, job: int) -> bool:
        """Whether some duplicate has no line yet (its lead may be pending still)."""
        return bool(dict(self._reader.execute(SQL["tally"], (job,))).get(COPY))

    def best_waiting(self, job: int) -> float:
        """The highest priority among its waiting leads; less than any number if there are none."""
        return float(self._reader.execute(SQL["best_waiting"], (job,)).fetchone()[0])

    # --- taking rows in ---

    async def begin_intake(self, job: Job, now: float, *, continued: bool = False) -> Intake:
        """Start reading a list into a job, or go on with what was added to the list read last."""
        if continued:
            return Intake(job.id, job.intake, now, continued=True)
        await self.update(job.id, intake=job.intake + 1)
        return Intake(job.id, job.intake + 1, now)

    async def take_in(self, intake: Intake, rows: Sequence[Row]) -> None:
        """Take in some rows, durably."""
        taken = await self._committer.run(lambda tx: TakeIn(tx.db, intake).all(rows))
        taken.tell(intake)

    async def end_intake(self, intake: Intake, source: dict[str, Any], rows: int, *, prune: bool) -> int:
        """Note what was read; with `prune`, drop unfinished leads the list no longer has. Returns how many."""

        def end(tx: Transaction) -> int:
            db = tx.db
            gone = prune_leads(db, intake) if prune else 0
            values = (orjson.dumps(source).decode(), rows, intake.job)
            db.execute("UPDATE job SET source = ?, next_row = ? WHERE id = ?", values)
            return gone

        return await self._committer.run(end)

    # --- work ---

    async def wake(self, job: int, now: float) -> int:
        """Make deferred leads whose time has come ready again; return how many."""

        def wake(tx: Transaction) -> int:
            db = tx.db
            companies = Counter(company for (company,) in db.execute(SQL["wake"], (job, now)).fetchall())
            db.executemany(SQL["waiting"], [(n, company) for company, n in companies.items()])
            count(db, job, {DEFERRED: -companies.total(), READY: companies.total()})
            return companies.total()

        return await self._committer.run(wake)

    def ready(
        self, job: int, limit: int, now: float = 0.0, besides: Iterable[int] = (), handed: int = 0
    ) -> list[Work]:
        """The next leads in the order of work, `besides` those in hand; fewer than `limit` only if that is all."""
        in_hand = orjson.dumps(list(besides)).decode()

        def stream(name: str, most: int) -> list[Work]:
            return [Work(*row) for row in self._reader.execute(SQL[name], (job, in_hand, most))]

        leads, searches = stream("leads_next", limit), stream("searches_next", limit)
        aged = [work for work in stream("oldest", aged_places(handed, limit)) if work.taken_in < now - AGED]
        ordered = {work.id: work for work in work_order(leads, searches, aged, self.chances(job), handed)}
        return list(ordered.values())[:limit]

    async def index_sample(self) -> None:
        """Make what samples are read by, unless it is there; that reads all leads of the state."""
        await self._run(SQL["index_sample"], ())

    def sampled(self, job: int, before: int, limit: int, besides: Iterable[int] = ()) -> list[Work]:
        """The next leads of a sample that ends before that place, in the order of their places."""
        in_hand = orjson.dumps(list(besides)).decode()
        return [Work(*row) for row in self._reader.execute(SQL["sampled_next"], (job, before, in_hand, limit))]

    def end_of(self, job: int, sample: Sample) -> int:
        """The place before which a job's sample ends. Costs what the sample has leads, whatever the list has."""
        if sample.leads is None:
            return math.ceil((sample.share or 0.0) * PLACES)
        states = (READY, DEFERRED, *FINISHED)
        places = merge(*(self._reader.execute(SQL["places"], (job, state)) for state in states))
        last = next(islice(places, sample.leads - 1, None), (PLACES,))
        return int(last[0]) + 1

    def chances(self, job: int) -> Chances:
        """What leads need after their search: this job's experience or, while it is short, the account's."""
        own = dict(self._reader.execute(SQL["chances"], (job,)).fetchall())
        if sum(own.values()) >= ENOUGH:
            return Chances(own)
        return Chances(dict(self._reader.execute(SQL["account_chances"], (self._account,)).fetchall()))

    def experience(self) -> tuple[int, int]:
        """Leads of the account finished so far, invalid ones apart, and the requests sent meanwhile."""
        finished, requests = self._reader.execute(SQL["experience"], (self._account,)).fetchone()
        return finished, requests

    def rest_until(self, now: float) -> float:
        """When the first unfinished lead of the account may be asked again; now, if one is ready."""
        jobs = [job.id for job in self.all()]
        if any(self.ready(job, 1) for job in jobs):
            return now
        return max(now, min((due for job in jobs if (due := self.next_due(job)) is not None), default=now))

    def seen(self, judgement: Judgement) -> Counter[int]:
        """Leads by what they needed after their search, in jobs that wanted the same."""
        seen: Counter[int] = Counter()
        for job in self.all():
            if Judgement.model_validate_json(job.judgement).wants == judgement.wants:
                seen.update(dict(self._reader.execute(SQL["chances"], (job.id,)).fetchall()))
        return seen

    def standing(self, job: int, lead_id: str, subject: bytes) -> Standing | None:
        """How far a lead of a list is, unless what matters about it changed."""
        ids = lead_id, f"{lead_id}~{subject.hex()[:8]}"
        row = self._reader.execute(SQL["standing"], (job, *ids, subject)).fetchone()
        return Standing(*row) if row else None

    def spelling(self, job: int, company_key: str) -> str | None:
        """How a company is called in the job's questions."""
        row = self._reader.execute(SQL["spelling"], (job, company_key)).fetchone()
        return row[0] if row else None

    def next_due(self, job: int, before: int | None = None) -> float | None:
        """When the earliest deferred lead may be asked again, of all or of a sample that ends before that place."""
        if before is None:
            row = self._reader.execute(SQL["earliest_deferred"], (job,)).fetchone()
        else:
            row = self._reader.execute(SQL["sampled_due"], (job, before)).fetchone()
        due: float | None = row[0]
        return due

    def copies(self, work: Work) -> list[tuple[int, str]]:
        """Row number and input of the lead's duplicates that have no line yet."""
        rows = self._reader.execute(SQL["copies"], (work.id,))
        return [(row, text) for _, row, text in rows]

    def late_copies(self, job: int) -> list[Work]:
        """Finished leads that got a duplicate since."""
        return [Work(*row) for row in self._reader.execute(SQL["late_copies"], (job,))]

    async def finish(self, job: int, finishes: Sequence[Finish], committed: Committed) -> None:
        """Note finished leads together with the output's new length."""
        await self._committer.run(lambda tx: finish_leads(tx.db, job, finishes, committed))

    async def copied(self, job: int, works: Sequence[Work], committed: Committed) -> None:
        """Note that all late duplicates have their lines."""

        def note(tx: Transaction) -> None:
            db = tx.db
            n = sum(db.execute(SQL["copied"], (work.id,)).rowcount for work in works)
            count(db, job, {COPY: -n, COPIED: n})
            db.execute("UPDATE job SET late = 0 WHERE id = ?", (job,))
            db.execute(SQL["out_committed"], (committed.length, committed.tail, job))

        await self._committer.run(note)

    async def defer(self, job: int, work: Work, until: float, progress: Progress) -> None:
        """Leave a lead until a later time."""

        def defer(tx: Transaction) -> None:
            db = tx.db
            db.execute(SQL["defer"], (until, progress.need, work.id))
            db.execute(SQL["waiting"], (-1, work.company))
            count(db, job, {READY: -1, DEFERRED: 1})
            note_progress(db, job, [(work, progress)])

        await self._committer.run(defer)

    async def reopen(self, job: int, works: Sequence[Work]) -> None:
        """Take back what was concluded about leads: they are ready again, and their lines must go."""

        def reopen(tx: Transaction) -> None:
            for work in works:
                reopen_row(tx.db, job, work)
            tx.db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (job,))

        await self._committer.run(reopen)

    def replayable(self, job: int, since: float) -> list[Work]:
        """Rows given up or resting on a refused question, finished since then."""
        return [Work(*row) for row in self._reader.execute(SQL["replayable"], (job, since))]

    def newest_answer(self) -> float:
        """When the account's youngest answer came; what is in the journal now came no later."""
        return float(self._reader.execute(SQL["newest_of_all"], (self._account,)).fetchone()[0])

    async def replay(self, job: int, works: Sequence[Work], up_to: float) -> None:
        """Make finished leads ready again; what settled nothing `up_to` then counts no longer for them."""

        def replay(tx: Transaction) -> None:
            for work in works:
                reopen_row(tx.db, job, work)
            tx.db.executemany(SQL["replay"], [(up_to, work.id) for work in works])
            tx.db.execute("UPDATE job SET out_stale = 1 WHERE id = ?", (job,))

        await self._committer.run(replay)

    async def refresh(self, job: int, works: Sequence[tuple[Work, bool]], fresh_from: float) -> None:
        """Make finished leads ready again though their lines stay; of each: whether its search is to be asked."""

        def refresh(tx: Transaction) -> None:
            for work, search in works:
                concluded = orjson.dumps([*work.conclusions, work.finished_at]).decode()
                if search:
                    tx.db.execute(SQL["search_company_again"], (work.company,))
                tx.db.execute(SQL["refresh"], (fresh_from, concluded, search, work.id))
                tx.db.execute(SQL["waiting"], (1, work.company))
                count(tx.db, job, {work.state: -1, READY: 1})

        await self._committer.run(refresh)

    async def put_back(self, job: int, work: Work, progress: Progress) -> None:
        """Leave a lead for later, noting how far it got, so that it comes when it is due."""

        def put(tx: Transaction) -> None:
            db = tx.db
            db.execute(SQL["put_back"], (progress.need, work.id))
            note_progress(db, job, [(work, progress)])

        await self._committer.run(put)

    # --- the output ---

    def finished(self, job: int) -> Iterator[Work]:
        """All finished leads, to write the output again."""
        last = 0
        while rows := self._reader.execute(SQL["finished"], (job, last, 500)).fetchall():
            yield from (Work(*row) for row in rows)
            last = rows[-1][0]

    def unfinished(self, job: int) -> Iterator[Work]:
        """All leads that are ready or deferred."""
        last = 0
        while rows := self._reader.execute(SQL["unfinished"], (job, last)).fetchall():
            yield from (Work(*row) for row in rows)
            last = rows[-1][0]

    def lines_of(self, job: int, lead_id: str) -> list[tuple[int, int, str, float]]:
        """Id, row, state and last conclusion of the rows that a line with this lead_id may stand for."""
        return self._reader.execute(SQL["lines_of"], (job, lead_id)).fetchall()

    def copied_rows(self, work: Work) -> list[tuple[int, int, str]]:
        """Id, row and input of all duplicates of a lead."""
        return self._reader.execute(SQL["copied_rows"], (work.id,)).fetchall()

    async def _run(self, sql: str, values: tuple[object, ...]) -> None:
        await self._committer.run(lambda tx: tx.db.execute(sql, values) and None)

    # --- runs ---

    async def begin_run(self, owner: str, now: float) -> None:
        """Note that a run started."""
        await self._run(SQL["begin_run"], (self._account, owner, now))

    async def end_run(self, owner: str, stop: str, requests: int, now: float, did: Did) -> None:
        """Note how a run ended and what it did."""
        await self._run(SQL["end_run"], (now, stop, requests, *did, owner))

    def key_mark(self) -> str | None:
        """The short hash of the key last used with this account."""
        row = self._reader.execute("SELECT key_mark FROM account WHERE id = ?", (self._account,)).fetchone()
        return row[0] if row else None

    async def set_key_mark(self, mark: str) -> None:
        """Remember which key is used with this account."""
        await self._run("UPDATE account SET key_mark = ? WHERE id = ?", (mark, self._account))
