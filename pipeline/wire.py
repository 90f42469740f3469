"""Who is on the wire: carriers, as many as requests may be under way, each with one request at a time.

A carrier sends its next request in the very step in which the answer to the one before was read. A place handed on
from task to task would stay empty for a turn of the loop: at two thousand requests a second a tenth of the time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pipeline.contract import WELL
from pipeline.errors import Ambiguous, NotSent
from pipeline.events import WORKING_ON
from pipeline.model import NoReply, Outcome, Permit
from pipeline.protocol import RawReply, Verdict, classify

if TYPE_CHECKING:
    from pipeline.budget import Budget

WITHDRAWN: Final = Verdict(Outcome.WITHDRAWN, NoReply(reason="given back"))


class Sender(Protocol):
    """Whatever puts a permitted question on the wire: the client, or a network made of a function."""

    async def send(self, permit: Permit) -> RawReply:
        """Send once. Raises NotSent or Ambiguous."""
        ...


class Brought(NamedTuple):
    """What a carrier came back with; `raw` is None if no answer came."""

    verdict: Verdict
    raw: RawReply | None


class Ride(NamedTuple):
    """A permit on its way, the row it is for (as events tell it), and the future its taker waits on."""

    permit: Permit
    row: tuple[int, int] | None
    brought: asyncio.Future[Brought]


class Wire:
    """Sends what is permitted and settles it, `concurrency` at a time, in the order of coming."""

    def __init__(self, budget: Budget, client: Sender) -> None:
        self._budget = budget
        self._client = client
        self._waiting: deque[Ride] = deque()
        self._carriers: set[asyncio.Task[None]] = set()

    async def ride(self, permit: Permit) -> Verdict:
        """Send and settle. A good answer frees its place on the wire at once, a bad one after its consequences."""
        ride = Ride(permit, WORKING_ON.get(), asyncio.get_running_loop().create_future())
        self._waiting.append(ride)
        if len(self._carriers) < self._budget.limits.concurrency:
            carrier = asyncio.create_task(self._carry())
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)
        verdict, raw = await ride.brought
        if verdict.outcome in WELL:
            await self._budget.settle(permit, verdict, raw)
        return verdict

    async def close(self) -> None:
        """Leave what is under way where it is: unsettled, and therefore counted."""
        carriers = list(self._carriers)
        for carrier in carriers:
            carrier.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)

    async def _carry(self) -> None:
        while self._waiting:
            ride = self._waiting.popleft()
            if ride.brought.cancelled():
                continue
            try:
                brought = await self._bring(ride)
            except Exception as error:  # noqa: BLE001 - it belongs to whoever took the permit
                if not ride.brought.done():
                    ride.brought.set_exception(error)
                continue
            if not ride.brought.done():
                ride.brought.set_result(brought)

    async def _bring(self, ride: Ride) -> Brought:
        holds = await self._budget.board(ride.permit)
        try:
            brought = await self._send(ride.permit) if holds else Brought(WITHDRAWN, None)
            if brought.verdict.outcome not in WELL or ride.brought.cancelled():
                WORKING_ON.set(ride.row)
                await self._budget.settle(ride.permit, *brought)
        finally:
            self._budget.alight()
        return brought

    async def _send(self, permit: Permit) -> Brought:
        try:
            raw = await self._client.send(permit)
        except NotSent as error:
            return Brought(Verdict(Outcome.NOT_SENT, NoReply(reason=str(error))), None)
        except Ambiguous as error:
            return Brought(Verdict(Outcome.AMBIGUOUS, NoReply(reason=str(error))), None)
        return Brought(classify(permit.question, raw, self._budget.clock()), raw)
