"""A run reduced to its budget, its fetcher and a wire that answers by a script, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from support import run_virtual, virtual_now

from pipeline.budget import Budget
from pipeline.errors import Ambiguous
from pipeline.events import WORKING_ON
from pipeline.fetcher import Fetcher
from pipeline.limits import Limits
from pipeline.model import Policy
from pipeline.protocol import RawReply, verify_question
from pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pipeline.events import Event
    from pipeline.model import Answer, Permit, Question

JANE, JOHN = verify_question("jane@acme.com"), verify_question("john@acme.com")
GOOD = RawReply(200, b'{"success":true,"data":{"is_valid":true,"is_deliverable":true}}')
GARBAGE = RawReply(200, b"<html>")
LATE = Ambiguous("no answer in time")


class Run:
    """A run on a state file whose wire takes a second and answers by a script, and then well."""

    def __init__(self, path: Path, script: list[RawReply | Exception], limits: Limits, owner: str = "a") -> None:
        self.store = Store.open(path, "api/default", owner=owner, inline=True)
        self.lock = self.store.locks.run(owner)
        assert self.lock.acquire()
        self.events: list[Event] = []
        self.rows: list[tuple[int, int] | None] = []
        self.budget = Budget(self.store.ledger, limits, virtual_now, self._hear)
        self.fetcher = Fetcher(self.store.ledger, self.budget, self)
        self.sent: list[tuple[int, Question]] = []
        self._script = script
        self._begun = virtual_now()

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self.rows.append(WORKING_ON.get())

    async def send(self, permit: Permit) -> RawReply:
        """One permitted question: JANE's go by the script."""
        self.sent.append((round(virtual_now() - self._begun), permit.question))
        await asyncio.sleep(1)
        said = self._script.pop(0) if self._script and permit.question is JANE else GOOD
        if isinstance(said, Exception):
            raise said
        return said

    async def ask(self, question: Question = JANE, after: float = 0.0) -> Answer:
        return await self.fetcher.fetch(question, virtual_now(), Policy(), after)

    def close(self) -> None:
        self.lock.release()
        self.store.close()

    @property
    def janes(self) -> list[int]:
        """The seconds at which JANE was asked."""
        return [second for second, question in self.sent if question is JANE]


def in_a_run(
    path: Path,
    work: Callable[[Run], Awaitable[None]],
    *script: RawReply | Exception,
    at: int = 0,
    limits: Limits = Limits(quota=1000),  # noqa: B008 - frozen
) -> None:
    """Let something happen in a run, in virtual time."""

    async def go() -> None:
        run = Run(path / "state.db", list(script), limits)
        try:
            await work(run)
        finally:
            run.close()

    run_virtual(go(), at)
