"""Requests beside each other, and now and then one alone: a readers-writer lock with a bell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Lanes:
    """Who is under way: many at once, or a single one that wants to learn something.

    A request that must go alone waits until the others have left, and nobody enters before it has left too.
    """

    def __init__(self) -> None:
        self._sleepers: list[asyncio.Future[None]] = []
        self._inside = 0
        self._alone = False
        self._alone_waiting = 0

    async def enter(self, must_go_alone: Callable[[], bool]) -> bool:
        """Wait for a place; return whether it is one alone. What must be learned may be known by then."""
        while (self._alone or self._alone_waiting) and not must_go_alone():
            await self._bell()
        if must_go_alone():
            await self._until_empty(must_go_alone)
            self._alone = must_go_alone()
        self._inside += 1
        return self._alone

    async def _until_empty(self, must_go_alone: Callable[[], bool]) -> None:
        self._alone_waiting += 1
        try:
            while self._alone or (self._inside and must_go_alone()):
                await self._bell()
        finally:
            self._alone_waiting -= 1
            self.ring()

    def leave(self, *, lone: bool) -> None:
        """Make room and ring the bell."""
        self._inside -= 1
        if lone:
            self._alone = False
        self.ring()

    async def until_change(self, at_most: float) -> None:
        """Sleep until the bell rings or so many seconds have passed."""
        try:
            async with asyncio.timeout(at_most):
                await self._bell()
        except TimeoutError:
            return

    def ring(self) -> None:
        """Wake all who wait for a change."""
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)

    async def _bell(self) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers.append(sleeper)
        await sleeper
