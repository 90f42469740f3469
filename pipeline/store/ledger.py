"""Money and answers: every request reserved before it is sent, every answer kept before it is used.

A reservation is one guarded insert inside the group's `BEGIN IMMEDIATE`, so it is exact over all processes
that share the file. What it guards, in this order: nobody else is asking the same question, it was not
answered a moment ago, the account is not shut, the window has a slot, the credits leave the reserve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pipeline.credit import affordable, after_reading
from pipeline.model import UNSENT, Answer, Endpoint, Origin, Outcome, Question, Stop
from pipeline.protocol import decode
from pipeline.quota import GUARD, Window, date_of, latest_possible
from pipeline.store.books import Books, Counted
from pipeline.store.flipping import count_flip, flips_of
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping

    from pipeline.flips import Flip
    from pipeline.store.commit import Committer, Transaction


# --- what is asked of the ledger, and what it says ----------------------------------------------------


class Reservation(NamedTuple):
    """A wish to send one question now, and the limits it must keep."""

    question: Question
    now: float
    window: Window
    quota: int
    ceiling: int
    reserve_credits: int
    newer_than: float = 0.0
    """When the newest answer the caller has seen came; a newer one means there is no need to ask."""

    beyond_reserve: bool = False
    """A probe the user asked for: may go although the credits are at the reserve or the account is shut."""


class Granted(NamedTuple):
    """The request may go; `attempt` is its row in the ledger."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """Another run is asking the same question at this moment."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The question was answered since the caller looked."""


@dataclass(frozen=True, slots=True)
class NoSlot:
    """The window is full, or the server shut the account (429: quota, 402: credits); nothing goes before `opens`."""

    opens: float
    shut: Stop | None = None


@dataclass(frozen=True, slots=True)
class NoCredits:
    """This call might cut into the reserve. `under_way` calls may yet turn out cheaper."""

    credits: int
    under_way: int


Decision = Granted | Claimed | Answered | NoSlot | NoCredits


class Settlement(NamedTuple):
    """What an attempt came to. `status` and `body` are kept if the outcome is one that is journaled."""

    attempt: int
    question: Question
    outcome: Outcome
    now: float
    cost: int
    status: int = 0
    body: bytes | None = None
    reading: int | None = None
    since: int = 0
    """The attempt of the lone reading before, to say whether anything came between."""


class Settled(NamedTuple):
    """The ledger after a settlement.

    `alone`: the reading set it. `between`: what else was answered between the lone reading before and this one, by
    endpoint; None if that does not tell what this search cost.
    `surprise`: the reading is lower than all we know of explains.
    """

    credits: int | None
    alone: bool = False
    between: Mapping[str, int] | None = None
    surprise: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What `status` shows of an account."""

    used: int
    under_way: int
    credits: int | None
    credits_at: float | None
    shut_until: float | None
    opens: float | None


# --- the ledger ---------------------------------------------------------------------------------------


class Ledger:
    """The account's attempts, answers and credits in one state file."""

    def __init__(
        self,
        committer: Committer,
        reader: sqlite3.Connection,
        account: int,
        owner: str,
        alive: Callable[[str], bool],
    ) -> None:
        self._committer = committer
        self._reader = reader
        self._account = account
        self._owner = owner
        self._alive = alive
        self._counted = Counted()
        self._beside: set[int] = set()

    async def reserve(self, wish: Reservation) -> Decision:
        """Reserve a request, durably, or say why it may not go."""
        return await self._committer.run(lambda tx: self._reserve(tx, wish))

    async def settle(self, settlement: Settlement) -> Settled:
        """Note what became of a request and keep its answer, durably, in one transaction."""
        settled = await self._committer.run(lambda tx: self._settle(tx, settlement))
        self._beside.discard(settlement.attempt)
        return settled

    async def note(self, question: Question, reason: str, now: float) -> None:
        """Write into the journal that a question was given up for this window."""
        row = (self._account, question.key, question.endpoint, 0, now, None, reason.encode())
        await self._committer.run(lambda tx: tx.db.execute(SQL["keep_answer"], row) and None)

    async def shut(self, until: float | None, why: Stop = Stop.QUOTA) -> None:
        """Send nothing before `until`; None opens the account."""

        def shut(tx: Transaction) -> None:
            books = self._books(tx)
            books.shut_until, books.shut_why = until, why
            tx.db.execute(SQL["shut"], (until, why, self._account))

        await self._committer.run(shut)

    async def note_clock(self, offset: float) -> None:
        """Keep how many seconds the server's clock is ahead, for the runs to come."""
        await self._committer.run(lambda tx: tx.db.execute(SQL["clock"], (offset, self._account)) and None)

    def clock_offset(self, now: float) -> float:
        """How far the server's clock is ahead of ours; nothing is known if that puts us before the last request."""
        offset, last = self._reader.execute(SQL["clock_offset"], (self._account,)).fetchone()
        return float(offset) if last is None or now + offset >= last - GUARD else 0.0

    async def forget_credits(self) -> None:
        """Treat the credits as never told, so that one search may ask."""

        def forget(tx: Transaction) -> None:
            books = self._books(tx)
            books.credits = books.read_at = None

        await self._committer.run(forget)

    async def forget_answers(self, questions: set[bytes], since: float) -> None:
        """Drop the answers of a broken contract: they say nothing about the leads."""

        def drop(tx: Transaction) -> None:
            rows = [(self._account, key, since) for key in questions]
            tx.db.executemany(SQL["forget_answers"], rows)

        await self._committer.run(drop)

    async def recover(self) -> int:
        """Settle what dead runs left under way, at its ceiling; return how many that were."""
        return await self._committer.run(self._recover)

    def history(self, question: Question) -> list[Answer]:
        """All answers to a question, newest first, decoded."""
        return self.histories([question])[question.key]

    def histories(self, questions: Iterable[Question]) -> dict[bytes, list[Answer]]:
        """The same for many questions in one look: by key, newest first, decoded."""
        asked = {question.key: question for question in questions}
        found: dict[bytes, list[Answer]] = {key: [] for key in asked}
        select = SQL["history"].replace("(?)", f"({', '.join('?' * len(asked))})")
        for key, *row in self._reader.execute(select, (self._account, *asked)):
            found[key].append(_answer(asked[key], *row))
        return found

    def usage(self, window: Window, quota: int, now: float) -> Usage:
        """Count what the window holds."""
        since = window.since(now)
        dated = self._reader.execute(SQL["count_dated"], (self._account, since)).fetchone()[0]
        under_way = self._reader.execute(SQL["under_way"], (self._account,)).fetchone()[0]
        credits_, at, shut, _ = self._reader.execute(SQL["account"], (self._account,)).fetchone()
        full = dated + under_way >= quota
        opens = _opens(self._reader, self._account, window, quota, under_way, now) if full else None
        return Usage(dated, under_way, credits_, at, shut, opens)

    def latest_costs(self) -> dict[str, list[int]]:
        """What the latest answers were counted at, by endpoint, newest first."""
        costs: dict[str, list[int]] = {}
        for endpoint, cost in self._reader.execute(SQL["latest_costs"], (self._account,)):
            costs.setdefault(endpoint, []).append(cost)
        return costs

    def flips(self) -> list[Flip]:
        """How often answers were others when their questions were asked again."""
        return flips_of(self._reader, self._account)

    # --- inside the transaction ---

    def _books(self, tx: Transaction) -> Books:
        """Open the account's books once a transaction; they are written back at its end."""
        books = tx.shared.get(self)
        if books is None:
            books = tx.shared[self] = Books(tx.db, self._account)
            books.counted = self._counted
            tx.before_commit.append(books.write)
            tx.after_commit.append(lambda: self._keep_count(books))
        return books

    def _keep_count(self, books: Books) -> None:
        """Only a committed count may be built on: a rolled back attempt's id is given out again."""
        self._counted = books.counted

    def _reserve(self, tx: Transaction, wish: Reservation) -> Decision:
        question, books = wish.question, self._books(tx)
        refusal = self._no_slot(tx.db, books, wish) or _no_credits(books, wish)
        if refusal is not None:
            return self._no_need(tx, wish) or refusal
        row = (self._account, question.key, question.endpoint, self._owner, wish.ceiling, wish.now)
        inserted = tx.db.execute(SQL["reserve"], (*row, self._account, question.key, wish.newer_than))
        if inserted.rowcount < 1:
            return self._no_need(tx, wish) or self._reserve(tx, wish)
        attempt = int(inserted.lastrowid or 0)
        (self._beside.add if books.under_way else self._beside.discard)(attempt)
        books.reserved(attempt, wish.ceiling)
        return Granted(attempt)

    def _no_need(self, tx: Transaction, wish: Reservation) -> Answered | Claimed | None:
        """Whether the question was just answered or a living run is asking it; what a dead one left is settled."""
        newest = tx.db.execute(SQL["newest_answer"], (self._account, wish.question.key)).fetchone()
        if newest is not None and newest[0] > wish.newer_than:
            return Answered()
        claim = tx.db.execute(SQL["open_claim"], (self._account, wish.question.key)).fetchone()
        if claim is None:
            return None
        if self._alive(claim[1]):
            return Claimed()
        self._recover(tx)
        return None

    def _no_slot(self, db: sqlite3.Connection, books: Books, wish: Reservation) -> NoSlot | None:
        if books.shut_until is not None and books.shut_until > wish.now and not wish.beyond_reserve:
            return NoSlot(books.shut_until, Stop(books.shut_why or Stop.QUOTA))
        since = wish.window.since(wish.now)
        if books.counted.at_most(books.last, since) < wish.quota:
            return None
        dated = db.execute(SQL["count_dated"], (self._account, since)).fetchone()[0]
        books.counted = Counted(dated + books.under_way, books.last, since)
        if dated + books.under_way < wish.quota:
            return None
        return NoSlot(_opens(db, self._account, wish.window, wish.quota, books.under_way, wish.now))

    def _settle(self, tx: Transaction, done: Settlement) -> Settled:
        dated, books = 0 if done.outcome in UNSENT else date_of(done.now), self._books(tx)
        held = tx.db.execute(SQL["settle"], (dated, done.outcome, done.cost, done.attempt)).fetchone()
        late = held is None
        if late:
            done = self._late(tx.db, done)
        else:
            books.settled(held[0])
        if done.body is not None:
            question = done.question
            count_flip(tx.db, self._account, question, done.status, done.body, done.now)
            row = (self._account, question.key, question.endpoint, done.status, done.now, done.reading, done.body)
            tx.db.execute(SQL["keep_answer"], row)
        return self._count_credits(tx.db, books, done, late=late)

    @staticmethod
    def _late(db: sqlite3.Connection, done: Settlement) -> Settlement:
        """Settled before, so charged before; only an attempt that was taken for lost still lacks its answer."""
        lost = db.execute(SQL["outcome"], (done.attempt,)).fetchone() == (Outcome.LOST,)
        return done._replace(cost=0, body=done.body if lost else None)

    def _count_credits(self, db: sqlite3.Connection, books: Books, done: Settlement, *, late: bool) -> Settled:
        if books.credits is None and done.reading is None:
            return Settled(None)
        counted = None if books.credits is None else books.credits - done.cost
        if done.reading is None:
            books.credits = counted
            return Settled(counted)
        alone = not late and not self._in_company(db, books, done)
        between = self._between(db, done) if alone and done.since > 0 else None
        left = done.reading if alone else after_reading(counted, done.reading, books.held)
        books.credits, books.read_at = left, done.now
        return Settled(left, alone, between, surprise=not alone and counted is not None and left < counted)

    def _in_company(self, db: sqlite3.Connection, books: Books, done: Settlement) -> bool:
        return books.under_way > 0 or done.attempt in self._beside or self._others(db, done, done.attempt)

    def _between(self, db: sqlite3.Connection, done: Settlement) -> dict[str, int] | None:
        """Answers between two lone readings, by endpoint; None if a search or a call that failed is among them."""
        rows = db.execute(SQL["between"], (self._account, done.since, done.attempt)).fetchall()
        if any(endpoint == Endpoint.SEARCH or outcome != Outcome.FOUND for endpoint, outcome, _ in rows):
            return None
        return {endpoint: n for endpoint, _, n in rows}

    def _others(self, db: sqlite3.Connection, done: Settlement, since: int) -> bool:
        row = db.execute(SQL["company_after"], (self._account, since, done.attempt)).fetchone()
        return bool(row[0])

    def _recover(self, tx: Transaction) -> int:
        books = self._books(tx)
        orphans = tx.db.execute(SQL["orphans"], (self._account,)).fetchall()
        alive = {owner: self._alive(owner) for _, owner, _, _ in orphans}
        lost = [orphan for orphan in orphans if not alive[orphan[1]]]
        for attempt, _, reserved_at, ceiling in lost:
            tx.db.execute(SQL["settle"], (latest_possible(reserved_at), Outcome.LOST, ceiling, attempt))
            books.settled(ceiling)
            books.credits = None if books.credits is None else books.credits - ceiling
        return len(lost)


def _no_credits(books: Books, wish: Reservation) -> NoCredits | None:
    if books.credits is None or wish.beyond_reserve:
        return None
    if affordable(books.credits, books.held, wish.ceiling, wish.reserve_credits):
        return None
    return NoCredits(books.credits - books.held, books.under_way)


def _opens(db: sqlite3.Connection, account: int, window: Window, quota: int, under_way: int, now: float) -> float:
    """When the next slot opens: when the oldest request that fills the quota leaves the window."""
    if under_way >= quota:
        return window.opens(now, None)
    row = db.execute(SQL["slot_date"], (account, window.since(now), quota - under_way - 1)).fetchone()
    return window.opens(now, row[0])


def _answer(question: Question, status: int, body: bytes, received_at: float) -> Answer:
    verdict = decode(question, status, body)
    return Answer(question, verdict.outcome, verdict.reply, received_at, Origin.CACHE, 1)
