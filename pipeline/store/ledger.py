"""Money and answers: every request reserved before it is sent, every answer kept before it is used.

A reservation is one guarded insert inside the group's `BEGIN IMMEDIATE`, so it is exact over all processes
that share the file. What it guards, in this order: nobody else is asking the same question, it was not
answered a moment ago, the account is not shut, the window has a slot, the credits leave the reserve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.credit import affordable, after_reading
from pipeline.model import Answer, Origin, Outcome, Question
from pipeline.protocol import decode
from pipeline.quota import Window, date_of, latest_possible
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pipeline.store.commit import Committer


# --- what is asked of the ledger, and what it says ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reservation:
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


@dataclass(frozen=True, slots=True)
class Granted:
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
    """The window is full, or the server has shut the account; nothing may go before `opens`."""

    opens: float
    shut: bool = False


@dataclass(frozen=True, slots=True)
class NoCredits:
    """This call might cut into the reserve. `under_way` calls may yet turn out cheaper."""

    credits: int
    under_way: int


Decision = Granted | Claimed | Answered | NoSlot | NoCredits


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to. `status` and `body` are kept if the outcome is one that is journaled."""

    attempt: int
    question: Question
    outcome: Outcome
    now: float
    cost: int
    status: int = 0
    body: bytes | None = None
    reading: int | None = None
    lone: bool = False
    """Sent with nothing else of this run under way: its reading may set the ledger up as well as down."""
    since: int = 0
    """The attempt of the lone reading before, to say whether anything came between."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The ledger after a settlement.

    `alone`: the reading set it. `adjacent`: nothing was sent between the lone reading before and this one.
    `surprise`: the reading is lower than all we know of explains.
    """

    credits: int | None
    alone: bool = False
    adjacent: bool = False
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
        self._counted = _Counted()

    async def reserve(self, wish: Reservation) -> Decision:
        """Reserve a request, durably, or say why it may not go."""
        return await self._committer.run(lambda db: self._reserve(db, wish))

    async def settle(self, settlement: Settlement) -> Settled:
        """Note what became of a request and keep its answer, durably, in one transaction."""
        return await self._committer.run(lambda db: self._settle(db, settlement))

    async def note(self, question: Question, reason: str, now: float) -> None:
        """Write into the journal that a question was given up for this window."""
        row = (self._account, question.key, question.endpoint, 0, now, None, reason.encode())
        await self._committer.run(lambda db: db.execute(SQL["keep_answer"], row) and None)

    async def shut(self, until: float | None) -> None:
        """Send nothing before `until`; None opens the account."""
        await self._committer.run(lambda db: db.execute(SQL["shut"], (until, self._account)) and None)

    async def forget_credits(self) -> None:
        """Treat the credits as never told, so that one search may ask."""
        await self._committer.run(lambda db: db.execute(SQL["forget_credits"], (self._account,)) and None)

    async def forget_answers(self, questions: set[bytes], since: float) -> None:
        """Drop the answers of a broken contract: they say nothing about the leads."""

        def drop(db: sqlite3.Connection) -> None:
            rows = [(self._account, key, since) for key in questions]
            db.executemany(SQL["forget_answers"], rows)

        await self._committer.run(drop)

    async def recover(self) -> int:
        """Settle what dead runs left under way, at its ceiling; return how many that were."""
        return await self._committer.run(self._recover)

    def history(self, question: Question) -> list[Answer]:
        """All answers to a question, newest first, decoded."""
        rows = self._reader.execute(SQL["history"], (self._account, question.key))
        return [_answer(question, *row) for row in rows]

    def usage(self, window: Window, quota: int, now: float) -> Usage:
        """Count what the window holds."""
        since = window.since(now)
        dated = self._reader.execute(SQL["count_dated"], (self._account, since)).fetchone()[0]
        under_way = self._reader.execute(SQL["under_way"], (self._account,)).fetchone()[0]
        credits_, at, shut = self._reader.execute(SQL["account"], (self._account,)).fetchone()
        full = dated + under_way >= quota
        opens = _opens(self._reader, self._account, window, quota, under_way, now) if full else None
        return Usage(dated, under_way, credits_, at, shut, opens)

    # --- inside the transaction ---

    def _reserve(self, db: sqlite3.Connection, wish: Reservation) -> Decision:
        claim = db.execute(SQL["open_claim"], (self._account, wish.question.key)).fetchone()
        if claim is not None:
            if self._alive(claim[1]):
                return Claimed()
            self._recover(db)
        newest = db.execute(SQL["newest_answer"], (self._account, wish.question.key)).fetchone()
        if newest is not None and newest[0] > wish.newer_than:
            return Answered()
        refusal = self._no_slot(db, wish) or self._no_credits(db, wish)
        if refusal is not None:
            return refusal
        question = wish.question
        row = (self._account, question.key, question.endpoint, self._owner, wish.ceiling, wish.now)
        return Granted(int(db.execute(SQL["reserve"], row).lastrowid or 0))

    def _no_slot(self, db: sqlite3.Connection, wish: Reservation) -> NoSlot | None:
        shut_until = db.execute(SQL["account_credits"], (self._account,)).fetchone()[1]
        if shut_until is not None and shut_until > wish.now and not wish.beyond_reserve:
            return NoSlot(shut_until, shut=True)
        since = wish.window.since(wish.now)
        last = db.execute(SQL["last_attempt"]).fetchone()[0] or 0
        if self._counted.at_most(last, since) < wish.quota:
            return None
        under_way = db.execute(SQL["under_way"], (self._account,)).fetchone()[0]
        dated = db.execute(SQL["count_dated"], (self._account, since)).fetchone()[0]
        self._counted = _Counted(dated + under_way, last, since)
        if dated + under_way < wish.quota:
            return None
        return NoSlot(_opens(db, self._account, wish.window, wish.quota, under_way, wish.now))

    def _no_credits(self, db: sqlite3.Connection, wish: Reservation) -> NoCredits | None:
        ledger = db.execute(SQL["account_credits"], (self._account,)).fetchone()[0]
        if ledger is None or wish.beyond_reserve:
            return None
        many, held = db.execute(SQL["under_way"], (self._account,)).fetchone()
        if affordable(ledger, held, wish.ceiling, wish.reserve_credits):
            return None
        return NoCredits(ledger - held, many)

    def _settle(self, db: sqlite3.Connection, done: Settlement) -> Settled:
        dated = 0 if done.outcome is Outcome.NOT_SENT else date_of(done.now)
        db.execute(SQL["settle"], (dated, done.outcome, done.cost, done.attempt))
        if done.body is not None:
            question = done.question
            row = (
                self._account,
                question.key,
                question.endpoint,
                done.status,
                done.now,
                done.reading,
                done.body,
            )
            db.execute(SQL["keep_answer"], row)
        return self._count_credits(db, done)

    def _count_credits(self, db: sqlite3.Connection, done: Settlement) -> Settled:
        ledger = db.execute(SQL["account_credits"], (self._account,)).fetchone()[0]
        if ledger is None and done.reading is None:
            return Settled(None)
        many, held = db.execute(SQL["under_way"], (self._account,)).fetchone()
        alone = done.lone and done.reading is not None and many == 0 and not self._others(db, done, done.attempt)
        adjacent = alone and done.since > 0 and not self._others(db, done, done.since)
        counted = None if ledger is None else ledger - done.cost
        left = counted if done.reading is None else after_reading(counted, done.reading, held)
        surprise = counted is not None and left is not None and left < counted
        if alone:
            left = done.reading
        read_at = None if done.reading is None else done.now
        db.execute(SQL["set_credits"], (left, read_at, self._account))
        return Settled(left, alone, adjacent, surprise and not alone)

    def _others(self, db: sqlite3.Connection, done: Settlement, since: int) -> bool:
        row = db.execute(SQL["company_after"], (self._account, since, done.attempt)).fetchone()
        return bool(row[0])

    def _recover(self, db: sqlite3.Connection) -> int:
        orphans = db.execute(SQL["orphans"], (self._account,)).fetchall()
        alive = {owner: self._alive(owner) for _, owner, _, _ in orphans}
        lost = [orphan for orphan in orphans if not alive[orphan[1]]]
        for attempt, _, reserved_at, ceiling in lost:
            db.execute(SQL["settle"], (latest_possible(reserved_at), Outcome.LOST, ceiling, attempt))
            db.execute(SQL["charge"], (ceiling, self._account))
        return len(lost)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A count of the window, and what it can have grown to: attempts only ever get higher ids."""

    count: int = 1 << 62
    last: int = 0
    since: int = 0

    def at_most(self, last: int, since: int) -> int:
        """An upper bound of the count now; no bound if the window moved back."""
        return self.count + last - self.last if since >= self.since else 1 << 62


def _opens(db: sqlite3.Connection, account: int, window: Window, quota: int, under_way: int, now: float) -> float:
    """When the next slot opens: when the oldest request that fills the quota leaves the window."""
    if under_way >= quota:
        return window.opens(now, None)
    row = db.execute(SQL["slot_date"], (account, window.since(now), quota - under_way - 1)).fetchone()
    return window.opens(now, row[0] if row else None)


def _answer(question: Question, status: int, body: bytes, received_at: float) -> Answer:
    verdict = decode(question, status, body)
    return Answer(question, verdict.outcome, verdict.reply, received_at, Origin.CACHE, 1)
