"""Tasks that live and end together."""

from __future__ import annotations

import asyncio
from typing import Any


async def first_error(tasks: list[asyncio.Task[None]], *, watching: list[asyncio.Task[None]]) -> None:
    """Wait until all tasks are done; raise the first error of any of them, or of those watched meanwhile."""
    waiting: set[asyncio.Task[None]] = set(tasks)
    while waiting:
        done, _ = await asyncio.wait(waiting | set(watching), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        waiting -= done


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    """End tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def discard(queue: asyncio.Queue[Any]) -> None:
    """Take whatever comes, so that nobody waits for room, until cancelled."""
    while True:
        await queue.get()
