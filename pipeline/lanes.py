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
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = False
        self._alone_waiting = 0
        self._waking: asyncio.Future[None] | None = None

    async def enter(self, must_go_alone: Callable[[], bool]) -> bool:
        """Wait for a place; return whether it is one alone. What must be learned may be known by then."""
        if not self._alone and not self._alone_waiting and not must_go_alone():
            self._inside += 1
            return False
        async with self._changed:
            if not must_go_alone():
                await self._changed.wait_for(lambda: not self._alone and not self._alone_waiting)
            if not must_go_alone():
                self._inside += 1
                return False
            self._alone_waiting += 1
            try:
                await self._changed.wait_for(lambda: not self._alone and not (self._inside and must_go_alone()))
            finally:
                self._alone_waiting -= 1
            self._inside += 1
            self._alone = must_go_alone()
            if not self._alone:
                self._changed.notify_all()
            return self._alone

    async def leave(self, *, lone: bool) -> None:
        """Make room and ring the bell."""
        async with self._changed:
            self._inside -= 1
            if lone:
                self._alone = False
            self._changed.notify_all()

    async def until_change(self, at_most: float) -> None:
        """Sleep until the bell rings or so many seconds have passed."""
        try:
            async with asyncio.timeout(at_most), self._changed:
                await self._changed.wait()
        except TimeoutError:
            return

    def wake(self) -> None:
        """Ring the bell from where one cannot await."""

        async def ring() -> None:
            async with self._changed:
                self._changed.notify_all()

        self._waking = asyncio.ensure_future(ring())
