"""Where concrete parts, the clock and the signals meet: everything that spends goes through a Session."""

from __future__ import annotations

import asyncio
import gc
import math
import signal
import time
import uuid
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipeline.budget import Budget
from pipeline.credit import Ceilings
from pipeline.events import CreditsForgotten, Event, RequestsLost
from pipeline.fetcher import Fetcher
from pipeline.limits import Limits
from pipeline.model import Answer, Lead, Policy, Stop
from pipeline.observe.summary import days_needed
from pipeline.observe.tallies import Tallies
from pipeline.planner import Ask, next_step, recall
from pipeline.quota import DAY, Window
from pipeline.settings import FOREVER
from pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pipeline.erased import Erased
    from pipeline.model import Permit
    from pipeline.protocol import RawReply
    from pipeline.settings import Settings
    from pipeline.store.ledger import Usage
    from pipeline.store.records import Work
    from pipeline.wire import Sender

SIGNALS: Final = {
    signal.SIGINT: Stop.INTERRUPTED,
    signal.SIGTERM: Stop.TERMINATED,
    signal.SIGHUP: Stop.TERMINATED,
}

YOUNG: Final = 20_000
"""New objects after which a run looks for cyclic garbage."""


# --- the parts of a run -------------------------------------------------------------------------------


UPTIME: Final = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time
"""Seconds since the machine started, its sleep included, where the system counts them."""


def steady_clock(wall: Callable[[], float] = time.time, uptime: Callable[[], float] = UPTIME) -> Callable[[], float]:
    """A clock that begins with the time of day and goes on with the uptime.

    So a clock that is set while a run is under way moves no window under it.
    """
    start = wall() - uptime()
    return lambda: start + uptime()


@dataclass(slots=True)
class Parts:
    """Things a run is made of, and the places where tests put other clocks and executors.

    `signals`: the process is ours, so signals end the run in good order, and its garbage collector is ours to set.
    """

    settings: Settings
    tell: Callable[[Event], None]
    say: Callable[[str], None]
    now: Callable[[], float] = field(default_factory=steady_clock)
    offload: Callable[..., Awaitable[Any]] = asyncio.to_thread
    inline_state: bool = False
    durable_state: bool = True
    signals: bool = True
    connect: Callable[[Session, str], AbstractAsyncContextManager[Sender]] | None = None
    begin: Callable[[int, int], None] = lambda _pending, _used: None
    beside: Callable[[Session], AbstractAsyncContextManager[None]] = lambda _opened: nullcontext()
    beyond_reserve: bool = False
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)


class Session:
    """An open state with a budget: everything that spends goes through one."""

    def __init__(self, parts: Parts, store: Store) -> None:
        self.parts = parts
        self.store = store
        self.tallies = Tallies()
        self.told_to_stop = self.breakable = False
        self.started_at = parts.now()
        self.budget = Budget(store.ledger, limits_of(parts), parts.now, self.tell)

    def tell(self, event: Event) -> None:
        """Pass an event to those who count and those who show."""
        self.tallies(event)
        self.parts.tell(event)

    def answers(self, lead: Lead, work: Work, policy: Policy) -> dict[bytes, Answer]:
        """Collect what is already known of a lead, without asking."""
        return known_answers(self.store, lead, work, policy)

    def lacks(self, lead: Lead, answers: dict[bytes, Answer], policy: Policy) -> bool:
        """Whether a lead's next answer is one that was dropped as too old."""
        step = next_step(lead, answers, policy, math.inf)
        questions = step.questions if isinstance(step, Ask) else ()
        return any(self.store.erasing.was_purged(question.key) for question in questions)

    def usage(self) -> Usage:
        """What the account's window holds now."""
        limits = self.budget.limits
        return self.store.ledger.usage(limits.window, limits.quota, self.budget.clock())


def known_answers(
    store: Store, lead: Lead, work: Work, policy: Policy, until: float = math.inf
) -> dict[bytes, Answer]:
    """Follow the planner as far as the journal goes, or went at an earlier moment."""
    answers: dict[bytes, Answer] = {}
    while isinstance(step := next_step(lead, answers, policy, 0.0), Ask):
        before = len(answers)
        for question in step.questions:
            history = [answer for answer in store.ledger.history(question) if answer.received_at <= until]
            known = recall(history, work.taken_in, policy, work.replayed_at, work.fresh_from)
            if known is not None:
                answers[question.key] = known
        if len(answers) == before:
            break
    return answers


def finish_days(
    store: Store, limits: Limits, usage: Usage, pending: int, now: float, *, closed: bool = False
) -> int | None:
    """Days the account's pending leads will take beyond this window, at the requests a lead has cost so far.

    `closed`: this window takes no more. None: not known yet.
    """
    daily = max(1, limits.quota - limits.reserve_requests)
    closed = closed or (usage.shut_until or 0.0) > now
    left = 0 if closed else max(0, daily - usage.used - usage.under_way)
    days = days_needed(pending, *store.jobs.experience(), left=left, daily=daily)
    return None if days is None else max(days, math.ceil((store.jobs.rest_until(now) - now) / DAY) if pending else 0)


def limits_of(parts: Parts) -> Limits:
    """The run's limits, as the settings and the plan say."""
    settings, plan = parts.settings, parts.settings.plan_of
    return Limits(
        quota=settings.quota,
        window=Window(settings.window_zone if settings.window == "calendar" else None),
        reserve_requests=settings.reserve_requests,
        reserve_credits=settings.reserve_credits,
        max_requests=settings.max_requests,
        max_credits=settings.max_credits,
        wait_up_to=FOREVER if settings.wait else settings.wait_up_to,
        concurrency=settings.concurrency or plan.concurrency,
        max_per_second=settings.max_per_second or plan.max_per_second,
        spread=settings.pace == "spread",
        stop_at=settings.stop_moment(parts.now()),
        ceilings=Ceilings(
            verify=settings.verify_credits,
            phones=settings.phones_credits,
            search_per_contact=settings.search_credits_per_contact,
        ),
        beyond_reserve=parts.beyond_reserve,
    )


def state_path(settings: Settings) -> Path:
    """Where the state lives: one file for all jobs, because the quota belongs to the plan, not to a folder."""
    if settings.state is not None:
        return settings.state.expanduser().resolve()
    from platformdirs import user_state_path  # noqa: PLC0415 - not needed when --state is given

    name = "sandbox.db" if settings.sandbox else "state.db"
    return user_state_path("leadcontact-pipeline") / name


def account_of(settings: Settings) -> str:
    """Whose quota and credits: the API's host and the account's name."""
    host = "sandbox" if settings.sandbox else urlsplit(settings.base_url).netloc
    return f"{host} {settings.account}"


@asynccontextmanager
async def session(parts: Parts) -> AsyncIterator[Session]:
    """Open the state, show that this run is alive, and settle what dead runs left under way.

    From then on signals end the run in good order.
    """
    path = state_path(parts.settings)
    account, inline, durable = account_of(parts.settings), parts.inline_state, parts.durable_state
    with Store.open(path, account, owner=parts.owner, inline=inline, durable=durable) as store:
        alive = store.locks.run(parts.owner)
        alive.acquire()
        try:
            opened = Session(parts, store)
            if lost := await store.ledger.recover():
                opened.tell(RequestsLost(lost))
            await _renew_credits(opened)
            with _signals(opened):
                async with parts.beside(opened):
                    yield opened
        finally:
            alive.path.unlink(missing_ok=True)
            alive.release()


@contextmanager
def every_account(parts: Parts) -> Iterator[list[Session]]:
    """Open the state as each of its accounts sees it, that of the settings first. Nothing is spent through these."""
    path, ours = state_path(parts.settings), account_of(parts.settings)
    with ExitStack() as stack:

        def opened(account: str) -> Session:
            store = Store.open(path, account, inline=parts.inline_state, durable=parts.durable_state)
            return Session(parts, stack.enter_context(store))

        first = opened(ours)
        yield [first, *(opened(name) for name in first.store.accounts() if name != ours)]


async def _renew_credits(opened: Session) -> None:
    """On the day the billing cycle turns, the old reading says nothing any more."""
    parts, store = opened.parts, opened.store
    day = parts.settings.credits_renew_day
    usage = store.ledger.usage(Window(), 1, parts.now())
    if day is None or usage.credits_at is None:
        return
    read, today = (datetime.fromtimestamp(at, UTC).date() for at in (usage.credits_at, parts.now()))
    renewed = today.replace(day=min(day, 28 if today.month == 2 else 30))  # noqa: PLR2004 - shortest months
    if today >= renewed > read:
        await store.ledger.forget_credits()
        opened.tell(CreditsForgotten())


@asynccontextmanager
async def fetching(session: Session, key: str) -> AsyncIterator[Fetcher]:
    """Connect to the API; the stop time ends the run in good order."""
    await _note_key(session, key)
    connect = session.parts.connect or _client
    with _stop_at(session), few_collections(session):
        async with connect(session, key) as sender:
            erased = session.store.erasing.erased()
            fetcher = Fetcher(session.store.ledger, session.budget, Discreet(sender, erased) if erased else sender)
            try:
                yield fetcher
            finally:
                await fetcher.close()


@dataclass(frozen=True, slots=True)
class Discreet:
    """Whatever the API says of people who were erased ends here, before it is kept or read."""

    sender: Sender
    erased: Erased

    async def send(self, permit: Permit) -> RawReply:
        """Send, and cut the answer."""
        raw = await self.sender.send(permit)
        return raw._replace(body=self.erased.cut(raw.body))


@contextmanager
def few_collections(session: Session) -> Iterator[None]:
    """Look for cyclic garbage seldom: leads leave next to none, and looking costs up to a fifth of the CPU.

    Not in another program's process, which has garbage of its own.
    """
    if not session.parts.signals:
        yield
        return
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _client(session: Session, key: str) -> AbstractAsyncContextManager[Sender]:
    from pipeline.client import Client  # noqa: PLC0415 - aiohttp costs 0.2 s, for nothing if all is answered

    settings = session.parts.settings
    return Client(
        settings.base_url,
        key,
        timeout=settings.timeout,
        connections=session.budget.limits.concurrency,
        trust_env=settings.trust_env,
    )


async def _note_key(session: Session, key: str) -> None:
    mark = blake2b(key.encode(), digest_size=4, person=b"key mark").hexdigest()
    before = session.store.jobs.key_mark()
    if before == mark:
        return
    if before is not None:
        session.parts.say(
            "The API key changed; ledger and answers stay, since they belong to the account. For another "
            "customer's key use another --account."
        )
    await session.store.jobs.set_key_mark(mark)


class _stop_at:  # noqa: N801 - reads as the `with` statement it serves
    """Stop the run at the time of day the user set."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._handle: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        settings = self._session.parts.settings
        now = self._session.parts.now()
        if (moment := settings.stop_moment(now)) is not None:
            sentence = f"Paused: it is {settings.stop_at}, the time of --stop-at."
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(moment - now, self._session.budget.stop, Stop.STOP_AT, sentence)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.cancel()


LEFT: Final = "Interrupted twice: requests under way were left and count as spent, the other rows are pending."


class _signals:  # noqa: N801 - as above
    """First signal: ask nothing more and drain. Second SIGINT: leave at once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if self._session.parts.signals:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            self._before = {number: signal.signal(number, self._received) for number in SIGNALS}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _received(self, number: int, _: object) -> None:
        """Come between any two instructions: leave all but the note to the loop."""
        self._session.told_to_stop = True
        self._loop.call_soon_threadsafe(self._stop, SIGNALS[signal.Signals(number)])
        if self._session.breakable:
            self._session.breakable = False
            raise BrokenOff

    def _stop(self, why: Stop) -> None:
        session, stopped = self._session, self._session.budget.stopped
        if why is Stop.INTERRUPTED and stopped is not None and stopped.why is why and self._task is not None:
            session.parts.say("Leaving at once: requests under way count as spent, and are asked again.")
            session.budget.stopped = replace(stopped, sentence=LEFT)
            self._task.cancel()
            return
        under_way = ": waiting for the answers under way" if session.budget.spent.requests else ""
        session.parts.say(f"Stopping{under_way} …")
        session.budget.stop(why, "Interrupted: the answers under way were kept, the other rows are pending.")


class BrokenOff(Exception):
    """A signal ended what held up the loop."""


@contextmanager
def breakable(session: Session) -> Iterator[None]:
    """Let a signal break off what holds up the loop, as a pipe does that says nothing for hours; raises BrokenOff."""
    session.breakable = True
    try:
        if session.told_to_stop:
            raise BrokenOff
        yield
    finally:
        session.breakable = False
