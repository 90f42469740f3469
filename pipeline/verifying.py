"""The gate as a small long-lived object: many ask at once, in one process, on the ledger that all runs share."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pipeline.addresses import clean_email
from pipeline.app import answered
from pipeline.contract import WELL
from pipeline.errors import UsageError
from pipeline.limits import Spent
from pipeline.model import Stop
from pipeline.protocol import verify_question
from pipeline.sandboxed import parts_for
from pipeline.session import fetching, session
from pipeline.verification import Verification, judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Self

    from pipeline.fetcher import Fetcher
    from pipeline.model import Stopped
    from pipeline.session import Parts, Session
    from pipeline.settings import Settings

IDLE: Final = 60.0
"""Seconds after which a state and a connection that nobody uses are closed."""

REST: Final = (60.0, 3600.0)
"""Seconds of rest after the run was ended; twice as long after each run that had no answer, up to the second."""

LASTING: Final = frozenset({Stop.MAX_REQUESTS, Stop.MAX_CREDITS})
"""Ends that no rest changes: the user's own limits."""


class Verifier:
    """Verifies addresses for as long as somebody asks; use it as `async with`, in one event loop.

    Equal questions at the same moment are asked once, answers are shared with all runs on the same state, and quota
    and reserve hold over all of them. What cannot be asked now is undecided, at once: unless the settings say
    `wait_up_to`, nobody is kept waiting for a window. After an outage, a full window or a refused key it asks again
    after a rest of a minute, then two, up to an hour; meanwhile only what is known already is answered.
    A caller that is cancelled costs nothing: the answer under way is kept for the next who asks.

    >>> async with Verifier(Settings(sandbox=True)) as verifier:
    ...     verdicts = await asyncio.gather(*map(verifier.verify, ["jane.smith@acme.com", "nobody"]))
    >>> [verdict.safe for verdict in verdicts]
    [True, False]
    """

    def __init__(
        self, settings: Settings, make: Callable[[Settings], AbstractAsyncContextManager[Parts]] | None = None
    ) -> None:
        waits = {} if "wait_up_to" in settings.model_fields_set else {"wait_up_to": 0.0}
        self._settings = settings.model_copy(update={"stop_at": None, **waits})
        self._make = make or _parts
        self._spell: _Spell | None = None
        self._closed = False
        self._rest = _Rest()
        self._spent = Spent()

    async def verify(self, email: str) -> Verification:
        """Say whether it is safe to write to an address. Raises ConfigError or StateError; UsageError once closed."""
        if self._closed:
            raise UsageError("This verifier is closed.", "Make another one, or keep it open as long as it is used.")
        address = clean_email(email)
        if address is None:
            return judge(email, None, None, 0.0)
        if self._spell is None or self._spell.over:
            self._spell = _Spell(self._make(self._settings), self._rest, self._spent, self._forget)
        return await self._spell.verify(address)

    def _forget(self, spell: _Spell) -> None:
        """Let go of what is closed, and of its event loop."""
        if self._spell is spell:
            self._spell = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask nothing more, wait for the answers under way, and close the state."""
        self._closed = True
        if self._spell is not None:
            await self._spell.close()


class _Rest:
    """How a run's end is remembered by the next: until when nothing is asked."""

    def __init__(self) -> None:
        self.stopped: Stopped | None = None
        self.until = 0.0
        self._seconds = REST[0]
        self._well = 0

    def begin(self, opened: Session) -> None:
        """Rest after this run, which was ended."""
        stopped, budget = opened.budget.stopped, opened.budget
        if stopped is None or self.holds(budget.clock()):
            return
        well = sum(budget.spent.outcomes.get(outcome, 0) for outcome in WELL)
        if well > self._well:
            self._well, self._seconds = well, REST[0]
        told = stopped.next_at is not None and stopped.why is Stop.QUOTA
        self.stopped = stopped
        self.until = stopped.next_at if told and stopped.next_at else budget.clock() + self._seconds
        if not told:
            self._seconds = min(2 * self._seconds, REST[1])

    def holds(self, now: float) -> bool:
        """Whether nothing may be asked yet."""
        return self.stopped is not None and (self.stopped.why in LASTING or now < self.until)


class _Spell:
    """One open state and one connection, kept by a task for as long as somebody asks."""

    def __init__(
        self,
        parts: AbstractAsyncContextManager[Parts],
        rest: _Rest,
        spent: Spent,
        closed: Callable[[_Spell], None],
    ) -> None:
        self._parts = parts
        self._rest = rest
        self._spent = spent
        self._asking: dict[str, asyncio.Task[Verification]] = {}
        self._latest = asyncio.get_running_loop().time()
        self._ending = asyncio.Event()
        self._left = False
        self._ready: asyncio.Future[tuple[Session, Fetcher]] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_take_note)
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(lambda _: closed(self))

    @property
    def over(self) -> bool:
        """Whether another spell must begin: this one closes, or was ended and has rested."""
        if self._left or self._keeper.done() or self._ending.is_set():
            return True
        if not self._ready.done():
            return False
        budget = self._ready.result()[0].budget
        if budget.stopped is None or self._rest.holds(budget.clock()):
            return False
        self._ending.set()
        return True

    async def verify(self, address: str) -> Verification:
        """Ask, or wait with those who ask the same."""
        self._latest = asyncio.get_running_loop().time()
        asking = self._asking.get(address)
        if asking is None:
            asking = self._asking[address] = asyncio.create_task(self._ask(address))
            asking.add_done_callback(_take_note)
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """Give no more permits, and wait for what is under way."""
        if self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None:
            self._ready.result()[0].budget.stop(Stop.TERMINATED, "The verifier was closed.")
        self._ending.set()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _ask(self, address: str) -> Verification:
        try:
            opened, fetcher = await asyncio.shield(self._ready)
            answer = await answered(opened, fetcher, verify_question(address), opened.parts.now())
            stopped = opened.budget.stopped
            if stopped is not None and stopped.why is not Stop.TERMINATED:
                self._rest.begin(opened)
            said = stopped.sentence if stopped and answer is None else None
            return judge(address, address, answer, opened.parts.settings.min_confidence, said)
        finally:
            del self._asking[address]
            self._latest = asyncio.get_running_loop().time()

    async def _keep(self) -> None:
        """Hold the state and the connection open; the end of the loop, which cancels this, closes them too."""
        try:
            async with self._parts as parts, session(parts) as opened:
                opened.budget.count_on(self._spent)
                key = await parts.offload(parts.settings.key)
                async with fetching(opened, key) as fetcher:
                    if self._rest.stopped is not None and self._rest.holds(opened.budget.clock()):
                        opened.budget.stop(*self._rest_told(self._rest.stopped))
                    self._ready.set_result((opened, fetcher))
                    await self._until_unneeded()
                    self._left = True
        except Exception as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    @staticmethod
    def _rest_told(stopped: Stopped) -> tuple[Stop, str, float | None]:
        return stopped.why, stopped.sentence, stopped.next_at

    async def _until_unneeded(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._asking or not (self._ending.is_set() or clock() - self._latest >= IDLE):
            if self._ending.is_set():
                await asyncio.gather(*self._asking.values(), return_exceptions=True)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), IDLE)


def _parts(settings: Settings) -> AbstractAsyncContextManager[Parts]:
    return parts_for(settings, lambda _: None, logging.getLogger("pipeline").info, signals=False)


def _take_note(done: asyncio.Future[Any]) -> None:
    """An error that nobody waits for any more is no news for the log."""
    if not done.cancelled():
        done.exception()
