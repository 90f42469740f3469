"""Requests go beside each other, and one that must learn something goes alone."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.lanes import Lanes

ALONE, BESIDE = "alone", "beside"


async def turns(n: int = 20) -> None:
    """Let everybody who can go on do so."""
    for _ in range(n):
        await asyncio.sleep(0)


class Guest:
    """Somebody who enters, stays until told to leave, and remembers how it was."""

    def __init__(self, lanes: Lanes, *, lone: bool = False) -> None:
        self.must = lone
        self.lone: bool | None = None
        self._lanes = lanes
        self._leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._stay())

    async def _stay(self) -> None:
        self.lone = await self._lanes.enter(lambda: self.must)
        await self._leave.wait()
        self._lanes.leave(lone=self.lone)

    @property
    def inside(self) -> bool:
        return self.lone is not None and not self.task.done()

    async def leave(self) -> None:
        self._leave.set()
        await turns()


async def arrive(lanes: Lanes, *wishes: str) -> list[Guest]:
    guests = []
    for wish in wishes:
        guests.append(Guest(lanes, lone=wish == ALONE))
        await turns()
    return guests


def inside(guests: list[Guest]) -> list[bool]:
    return [guest.inside for guest in guests]


async def drain(guests: list[Guest]) -> None:
    for guest in guests:
        await guest.leave()
    async with asyncio.timeout(1):
        await asyncio.gather(*(guest.task for guest in guests))


async def test_many_go_beside_each_other() -> None:
    """Nobody waits while nobody wants to be alone."""
    guests = await arrive(Lanes(), *[BESIDE] * 5)
    assert inside(guests) == [True] * 5
    assert [guest.lone for guest in guests] == [False] * 5
    await drain(guests)


async def test_a_lone_one_waits_until_the_others_have_left() -> None:
    """It enters when the last of them is gone, and it is told that it is alone."""
    guests = await arrive(Lanes(), BESIDE, BESIDE, ALONE)
    assert inside(guests) == [True, True, False]
    await guests[0].leave()
    assert inside(guests) == [False, True, False]
    await guests[1].leave()
    assert (inside(guests), guests[2].lone) == ([False, False, True], True)
    await drain(guests)


async def test_nobody_enters_before_a_waiting_lone_one_has_left() -> None:
    """A steady stream does not starve the one that wants to learn something."""
    guests = await arrive(Lanes(), BESIDE, ALONE, BESIDE, BESIDE)
    assert inside(guests) == [True, False, False, False]
    await guests[0].leave()
    assert inside(guests) == [False, True, False, False]
    await guests[1].leave()
    assert inside(guests) == [False, False, True, True]
    await drain(guests)


async def test_lone_ones_go_one_after_another() -> None:
    """Never two at once."""
    guests = await arrive(Lanes(), ALONE, ALONE, ALONE)
    for n in range(3):
        assert sum(inside(guests)) == 1
        assert guests[n].inside
        await guests[n].leave()
    await drain(guests)


async def test_what_was_learned_meanwhile_lets_all_go_beside_each_other() -> None:
    """Those who waited to be alone look again: if the first has learned it, nobody needs to be alone."""
    guests = await arrive(Lanes(), ALONE, ALONE, ALONE, ALONE)
    for guest in guests[1:]:
        guest.must = False
    await guests[0].leave()
    assert inside(guests) == [False, True, True, True]
    assert [guest.lone for guest in guests] == [True, False, False, False]
    await drain(guests)


@pytest.mark.parametrize("wish", ["alone", "beside"])
async def test_one_that_gives_up_waiting_holds_nobody_up(wish: str) -> None:
    """A cancelled worker leaves no trace in the lanes."""
    lanes = Lanes()
    guests = await arrive(lanes, ALONE, wish, BESIDE, ALONE)
    guests[1].task.cancel()
    await turns()
    await guests[0].leave()
    rest = guests[2:]
    for _ in rest:
        one = next(guest for guest in rest if guest.inside)
        await one.leave()
    assert all(guest.task.done() for guest in guests)


async def test_random_crowds_never_mix() -> None:
    """Whatever the order of coming and going, who is told to be alone is alone, and all get their turn."""
    lanes, here = Lanes(), {True: 0, False: 0}

    async def visit(n: int) -> None:
        for step in range(5):
            lone = await lanes.enter(lambda: (n * 7 + step) % 3 == 0)  # noqa: B023 - asked before the next step
            here[lone] += 1
            assert here[True] == 0 or (here[True], here[False]) == (1, 0)
            await turns((n + step) % 4)
            here[lone] -= 1
            lanes.leave(lone=lone)

    async with asyncio.timeout(10):
        await asyncio.gather(*(visit(n) for n in range(30)))
    assert here == {True: 0, False: 0}


@pytest.mark.parametrize("how", ["leave", "ring", "time"])
async def test_sleepers_wake_at_the_bell_or_in_time(how: str) -> None:
    """Who waits for a change is woken by the next settlement, by the end of the run, or after a while."""
    lanes, loop = Lanes(), asyncio.get_running_loop()
    lone = await lanes.enter(lambda: False)
    began = loop.time()
    sleeper = asyncio.ensure_future(lanes.until_change(0.05 if how == "time" else 30))
    await turns()
    assert not sleeper.done()
    if how == "leave":
        lanes.leave(lone=lone)
    if how == "ring":
        lanes.ring()
    async with asyncio.timeout(5):
        await sleeper
    assert (loop.time() - began >= 0.049) is (how == "time")
