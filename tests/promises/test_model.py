"""Promises 1 to 5 together: ledger, gauge, answers, attempts and output against a plain model, step by step.

Two processes work on lists that share companies, over one state file. The model decides when the server serves
a request, when and in which order answers arrive, when a process dies, and what the clock shows.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_site import DAY, Flight, Machine, Process, Vendor, answer, lose, never_sent, refuse
from soak import seconds, size

from pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = 3_600.0
RESERVE = 10
EXAMPLES = size(100, 1_000)
STEPS = size(25, 50)

ONE = st.integers(0, 1)
ANY = st.integers(0, 99)


class Nights(RuleBasedStateMachine):
    """What can happen to an account, in any order."""

    steps = 0
    sent = 0

    @initialize(
        price=st.sampled_from([0, 1, 5, None]),
        credits_=st.integers(RESERVE, 26),
        zone=st.sampled_from([None, None, "UTC", "Pacific/Chatham"]),
        quota=st.integers(3, 12),
    )
    def begin(self, price: int | None, credits_: int, zone: str | None, quota: int) -> None:
        self.folder = TemporaryDirectory()
        self.vendor = Vendor(price, credits_, RESERVE, zone)
        self.machine = Machine(Path(self.folder.name), self.vendor)
        self.quota = quota
        self.companies = 8
        self.start(0)

    # --- processes ---

    def process(self, number: int) -> Process:
        return self.machine.processes[number]

    @precondition(lambda self: not all(process.running for process in self.machine.processes))
    @rule(number=ONE)
    def start(self, number: int) -> None:
        process = self.process(number)
        if process.running:
            return
        names = [f"Northwind {n} Robotics" for n in range(number, number + self.companies)]
        window = {"window": "calendar", "window_zone": self.vendor.zone} if self.vendor.zone else {}
        self.machine.do(lambda: process.start(names, daily_quota=self.quota, reserve_credits=RESERVE, **window))

    @rule(number=ONE)
    def crash(self, number: int) -> None:
        self.machine.do(self.process(number).crash)

    @rule(number=ONE)
    def crash_between_output_and_state(self, number: int) -> None:
        process = self.process(number)
        if not process.running:
            return
        process.holds_writes = True
        for flight in process.mine():
            self.machine.do(lambda flight=flight: answer(flight))  # type: ignore[misc]
        self.machine.do(process.crash)
        self.start(number)

    @rule(number=ONE)
    def terminate(self, number: int) -> None:
        self.machine.do(self.process(number).stop)

    # --- the wire ---

    def on_wire(self, which: int) -> Flight | None:
        flights = self.vendor.open()
        return flights[which % len(flights)] if flights else None

    def settle(self, which: int, how: Callable[[Flight], object]) -> None:
        flight = self.on_wire(which)
        if flight is not None:
            self.machine.do(lambda: how(flight) and None)

    @precondition(lambda self: self.vendor.open())
    @rule(which=ANY)
    def serve(self, which: int) -> None:
        self.settle(which, self.vendor.serve)

    @precondition(lambda self: self.vendor.open())
    @rule(which=ANY)
    def answer_one(self, which: int) -> None:
        self.settle(which, answer)

    @precondition(lambda self: self.vendor.open())
    @rule(rounds=st.integers(1, 5))
    def answer_all_youngest_first(self, rounds: int) -> None:
        for _ in range(rounds):
            for flight in self.vendor.open():
                self.vendor.serve(flight)
            for flight in reversed(self.vendor.open()):
                self.settle(self.vendor.open().index(flight), answer)

    @precondition(lambda self: self.vendor.open())
    @rule(which=ANY)
    def lose_one(self, which: int) -> None:
        self.settle(which, lose)

    @precondition(lambda self: self.vendor.open())
    @rule(which=ANY)
    def refuse_one(self, which: int) -> None:
        flight = self.on_wire(which)
        if flight is not None and flight.served is None and flight.process.refused < 3:
            self.settle(which, refuse)

    @precondition(lambda self: self.vendor.open())
    @rule(which=ANY)
    def never_send_one(self, which: int) -> None:
        flight = self.on_wire(which)
        if flight is not None and flight.served is None:
            self.settle(which, never_sent)

    # --- the world ---

    @rule(hours=st.sampled_from([0.05, 2.0, 13.0, 25.0]))
    def time_passes(self, hours: float) -> None:
        self.machine.pass_time(hours * HOUR)

    @rule(by=st.sampled_from([-2 * HOUR, 2 * HOUR, 3 * DAY]))
    def the_clock_is_set(self, by: float) -> None:
        self.machine.error += by

    @rule(more=st.integers(1, 30))
    def top_up(self, more: int) -> None:
        self.vendor.credits += more

    @rule()
    def the_cycle_turns(self) -> None:
        """The old reading says nothing any more: the next search is a blind one again."""
        self.vendor.told = False
        self.machine.do(self._forget_credits)

    async def _forget_credits(self) -> None:
        if self.machine.state.exists():
            with Store.open(self.machine.state, "127.0.0.1:1 default", inline=True, durable=False) as store:
                await store.ledger.forget_credits()

    @rule(quota=st.integers(1, 12))
    def the_plan_changes(self, quota: int) -> None:
        self.quota = quota

    @rule()
    def the_list_grows(self) -> None:
        self.companies += 2

    # --- what must be true after every step ---

    @invariant()
    @precondition(lambda self: hasattr(self, "machine") and self.machine.state.exists())
    def state_and_output_are_what_the_model_says(self) -> None:
        Nights.steps += 1
        for process in self.machine.processes:
            process.finish()
        self.machine.check_attempts()
        self.machine.check_answers()
        self.machine.check_claims()
        for process in self.machine.processes:
            self.machine.check_output(process)

    def teardown(self) -> None:
        if hasattr(self, "machine"):
            Nights.sent += len(self.vendor.flights)
            self.machine.close()
            self.folder.cleanup()


@pytest.mark.timeout(seconds(120, 3_600))  # ended in the middle of an example, it would be told as not repeatable
def test_any_order_of_steps_leaves_what_the_model_says(record_property: Callable[[str, object], None]) -> None:
    """Quota, reserve, claims, attempts, answers and lines hold after every step."""
    run_state_machine_as_test(
        Nights,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    record_property("examples", EXAMPLES)
    record_property("steps checked", Nights.steps)
    record_property("requests sent", Nights.sent)
    assert Nights.sent > EXAMPLES


def test_a_quiet_night_ends_exactly_at_the_reserve() -> None:
    """The model's shortest story told in full: nothing goes wrong, three at a time, down to the reserve."""
    nights = Nights()
    nights.begin(price=1, credits_=RESERVE + 7, zone=None, quota=12)
    for _ in range(3):
        nights.answer_all_youngest_first(rounds=5)
    nights.state_and_output_are_what_the_model_says()
    left, lines = nights.vendor.credits, len(nights.process(0).lines())
    nights.teardown()
    assert (left, lines) == (RESERVE, 7)
