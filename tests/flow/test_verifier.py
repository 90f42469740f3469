"""The gate in a process that lives on: many callers, one state, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, inline, run_virtual, virtual_now

from pipeline.errors import ConfigError, UsageError
from pipeline.forget import forget
from pipeline.sandbox import Fault
from pipeline.session import Parts
from pipeline.verifying import IDLE, REST, Verifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pipeline.session import Session
    from pipeline.settings import Settings

FAST = {"plan": "enterprise", "daily_quota": 1000}
DAY = 86_400.0


class House:
    """A process with a verifier, beside a server, on one state."""

    def __init__(self, folder: Path, **server: Any) -> None:
        self.site = Site(folder, Server(greylist_seconds=0.0, **server))
        self.connections = 0

    @asynccontextmanager
    async def parts(self, settings: Settings) -> AsyncIterator[Parts]:
        yield Parts(
            settings,
            tell=self.site.events.append,
            say=self.site.said.append,
            now=virtual_now,
            offload=inline,
            inline_state=True,
            durable_state=False,
            signals=False,
            connect=self._connect,
        )

    @asynccontextmanager
    async def _connect(self, _session: Session, _key: str) -> AsyncIterator[Server]:
        self.connections += 1
        yield self.site.server

    def verifier(self, **changes: Any) -> Verifier:
        settings = self.site.settings(**{**FAST, **changes})
        if "wait_up_to" not in changes:
            settings = type(settings)(**settings.model_dump(exclude_unset=True, exclude={"wait_up_to"}))
        return Verifier(settings, self.parts)

    def live(self, work: Callable[[Verifier], Awaitable[None]], **changes: Any) -> None:
        async def go() -> None:
            async with self.verifier(**changes) as verifier:
                await work(verifier)

        run_virtual(go())

    @property
    def asked(self) -> int:
        return len(self.site.server.log)


def people(n: int, start: int = 0) -> list[str]:
    return [f"person{number}@acme.com" for number in range(start, start + n)]


def test_a_hundred_callers_at_once_ask_each_question_once(tmp_path: Path) -> None:
    """One state, one connection, five questions; whoever asks later reads the journal."""
    house = House(tmp_path, latency=0.2)

    async def work(verifier: Verifier) -> None:
        told = await asyncio.gather(*(verifier.verify(email) for email in people(5) * 20))
        assert len({each.email for each in told}) == len(set(told)) == 5
        assert await verifier.verify(" Person1@ACME.com ") in told

    house.live(work)
    assert (house.asked, house.connections) == (5, 1)


def test_the_window_holds_and_nobody_is_kept_waiting_for_it(tmp_path: Path) -> None:
    """What does not fit is undecided at once, with the reason; when the window opens it is asked."""
    house = House(tmp_path)

    async def work(verifier: Verifier) -> None:
        begin = virtual_now()
        told = await asyncio.gather(*map(verifier.verify, people(8)))
        late = [each for each in told if each.reason]
        assert [each.safe for each in late] == [None] * 3
        assert late[0].reason == "Paused: the 5 requests of this window are used."
        assert virtual_now() - begin < 10
        assert (await verifier.verify(told[0].email)).reason is None, "what is known is told at any time"
        await asyncio.sleep(DAY + 60)
        assert (await verifier.verify(late[0].email)).reason is None

    house.live(work, daily_quota=5)
    assert (house.asked, house.site.server.most_in_a_day()) == (6, 5)


def test_a_caller_who_leaves_costs_nobody_the_answer(tmp_path: Path) -> None:
    """Others who wait for it get it, and it is kept."""
    house = House(tmp_path, latency=1.0)

    async def work(verifier: Verifier) -> None:
        first = asyncio.create_task(verifier.verify("jane@acme.com"))
        second = asyncio.create_task(verifier.verify("jane@acme.com"))
        await asyncio.sleep(0.5)
        first.cancel()
        assert (await second).reason is None
        assert first.cancelled()
        alone = asyncio.create_task(verifier.verify("john@acme.com"))
        await asyncio.sleep(0.5)
        alone.cancel()
        await asyncio.sleep(5)
        assert (await verifier.verify("john@acme.com")).reason is None

    house.live(work)
    assert house.asked == 2


def test_a_dead_api_is_asked_seldom_and_found_again(tmp_path: Path) -> None:
    """Promise 7 for a process that lives on: eight hours of callers cost less than a hundred requests."""
    house = House(tmp_path, faults={Fault.SERVER_ERROR: 1.0})

    async def work(verifier: Verifier) -> None:
        for n in range(8 * 40):
            assert (await verifier.verify(f"person{n}@acme.com")).safe is None
            await asyncio.sleep(1.5 * IDLE)
        assert house.asked < 100
        house.site.server.account.options.faults.clear()
        await asyncio.sleep(REST[1])
        assert (await verifier.verify("jane@acme.com")).reason is None

    house.live(work, concurrency=2)


def test_the_users_limits_hold_however_long_it_lives(tmp_path: Path) -> None:
    """--max-requests counts over pauses in which state and connection were closed."""
    house = House(tmp_path)

    async def work(verifier: Verifier) -> None:
        told = []
        for email in people(4):
            told.append(await verifier.verify(email))
            await asyncio.sleep(3 * IDLE)
        assert [bool(each.reason) for each in told] == [False, False, False, True]
        assert "--max-requests" in (told[-1].reason or "")

    house.live(work, max_requests=3)
    assert (house.asked, house.connections) == (3, 4)


def test_whoever_was_erased_meanwhile_is_not_asked_about(tmp_path: Path) -> None:
    """An open verifier does not stand in the way of `forget`, and keeps to it from then on."""
    house = House(tmp_path)

    async def work(verifier: Verifier) -> None:
        await verifier.verify("jane@acme.com")
        async with house.parts(house.site.settings(**FAST)) as parts:
            assert (await forget(parts, "jane@acme.com")).answers_deleted == 1
        told = await verifier.verify("jane@acme.com")
        assert (told.safe, told.verdict) == (False, "erased, and therefore not asked about")

    house.live(work)
    assert house.asked == 1


def test_two_processes_share_answers_and_quota(tmp_path: Path) -> None:
    """The ledger is the state's, not the process's."""
    house = House(tmp_path, latency=0.3)

    async def work(verifier: Verifier) -> None:
        async with house.verifier(daily_quota=6) as other:
            both = [each.verify(email) for email in people(10) for each in (verifier, other)]
            told = await asyncio.gather(*both)
        assert sum(each.reason is None for each in told) >= 6

    house.live(work, daily_quota=6)
    assert house.asked == 6
    assert house.site.server.asked_twice() == []


def test_it_leaves_the_process_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No signal is caught, no garbage collector set, nothing printed."""
    house = House(tmp_path)

    def process() -> tuple[Any, ...]:
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), gc.get_threshold()

    async def work(verifier: Verifier) -> None:
        before = process()
        await verifier.verify("jane@acme.com")
        assert process() == before, "while it is open"

    house.live(work)
    assert capsys.readouterr() == ("", "")


def test_closing_waits_for_the_answer_under_way_and_asks_no_more(tmp_path: Path) -> None:
    """What was sent is kept; a closed verifier says so."""
    house = House(tmp_path, latency=2.0)

    async def go() -> None:
        async with house.verifier() as verifier:
            asking = asyncio.create_task(verifier.verify("jane@acme.com"))
            await asyncio.sleep(1)
        assert asking.done()
        assert asking.result().reason is None
        with pytest.raises(UsageError, match="closed"):
            await verifier.verify("john@acme.com")

    run_virtual(go())
    assert house.asked == 1


def test_what_cannot_be_opened_is_an_error_and_the_next_call_tries_again(tmp_path: Path) -> None:
    """No key: a sentence, to every caller."""
    house = House(tmp_path)

    async def work(verifier: Verifier) -> None:
        for _ in range(2):
            told = await asyncio.gather(*map(verifier.verify, people(3)), return_exceptions=True)
            assert [type(each) for each in told] == [ConfigError] * 3

    house.live(work, api_key="")
