"""The sandbox without its socket: invented people, meters, and options that cannot be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import ConfigError
from pipeline.sandbox import Sandbox, SandboxOptions, World
from pipeline.sandbox.meters import CreditMeter, QuotaMeter


def test_a_company_is_one_company_however_it_is_spelt() -> None:
    spellings = [
        "Acme",
        "  ACME  Corp. ",
        "acme, Inc",
        "acme.com",
        "https://www.acme.com/about",
        "Acme GmbH & Co. KG",
    ]
    companies = [World(3).company(spelling) for spelling in spellings]
    assert {company.domain for company in companies} == {"acme.com"}
    assert len({company.people for company in companies}) == 1


def test_names_without_latin_letters_stay_apart() -> None:
    world = World()
    assert world.company("株式会社").domain != world.company("有限会社").domain


def test_the_world_has_the_promised_mixture() -> None:
    companies = [World(5).company(f"Company {n}") for n in range(1500)]
    people = [person for company in companies for person in company.people]
    assert 0.09 < sum(not company.people for company in companies) / 1500 < 0.15
    assert 0.50 < sum(bool(person.numbers) for person in people) / len(people) < 0.60
    assert {int(person.email_confidence * 10) for person in people} == {5, 6, 7, 8, 9}
    assert all(person.email.isascii() for person in people)
    assert any(not person.last_name.isascii() for person in people)
    assert any(" " in person.last_name for person in people)


def test_verdicts_are_stable_and_of_every_kind() -> None:
    addresses = [f"somebody{n}@example{n % 7}.com" for n in range(400)]
    verdicts = [World(1).verify(address) for address in addresses]
    assert verdicts == [World(1).verify(address.upper()) for address in addresses]
    kinds = {(v.smtp_response[:3], v.deliverable, v.confidence >= 0.9) for v in verdicts}
    assert kinds == {
        ("250", True, True),
        ("250", True, False),
        ("550", False, False),
        ("451", False, False),
    }
    assert not World(1).verify("not an address").valid


def test_a_person_has_the_same_numbers_by_address_and_by_name() -> None:
    world = World()
    for person in world.company("Acme").people:
        by_name = world.numbers("", person.first_name.upper(), person.last_name, "ACME Corp")
        assert world.numbers(person.email, "", "", "") == person.numbers == by_name


def test_a_calendar_window_opens_at_midnight_of_its_zone() -> None:
    """On the last Sunday of March the day in Berlin has 23 hours."""
    options = SandboxOptions(daily_quota=1, quota_window="calendar", quota_zone="Europe/Berlin")
    meter = QuotaMeter()
    saturday = datetime(2026, 3, 28, 23, tzinfo=UTC).timestamp()
    assert meter.take(options, saturday)
    assert not meter.take(options, saturday + 1)
    assert meter.opens_at(options, saturday + 1) == saturday + 23 * 3600
    assert not meter.take(options, saturday + 23 * 3600 - 1)
    assert meter.take(options, saturday + 23 * 3600)


def test_a_smaller_quota_at_run_time_opens_when_enough_have_left() -> None:
    meter = QuotaMeter()
    for at in range(5):
        assert meter.take(SandboxOptions(), at)
    smaller = SandboxOptions(daily_quota=2)
    assert meter.opens_at(smaller, 10) == 86_400 + 3
    assert not meter.take(smaller, 86_402)
    assert meter.take(smaller, 86_403)


def test_unlimited_credits_count_down_and_never_run_out() -> None:
    meter = CreditMeter(None)
    before = meter.left
    assert meter.charge(10)
    assert meter.left == before - 10 > 900_000_000


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104 - refused
async def test_the_sandbox_serves_this_machine_only(host: str) -> None:
    with pytest.raises(ConfigError):
        await Sandbox().start(host)


@pytest.mark.parametrize(
    "options",
    [{"faults": {"nonsense": 1}}, {"quota_zone": "Mars/Base"}, {"latency": (2, 1)}, {"credits": -1}],
)
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SandboxOptions(**options)
