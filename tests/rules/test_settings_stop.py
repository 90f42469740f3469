"""When a run pauses by the clock on the wall: the next such local time."""

from __future__ import annotations

from datetime import datetime
from time import tzset
from typing import TYPE_CHECKING

import pytest

from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


@pytest.mark.parametrize(
    ("now", "stop_at", "then"),
    [
        ("2026-05-28T05:00:00", "06:30", "2026-05-28T06:30:00"),
        ("2026-05-28T06:29:59", "6:30", "2026-05-28T06:30:00"),
        ("2026-05-28T06:30:00", "06:30", "2026-05-29T06:30:00"),
        ("2026-05-28T22:00:00", "06:30", "2026-05-29T06:30:00"),
        ("2026-03-28T22:00:00", "06:30", "2026-03-29T06:30:00"),
        ("2026-10-24T22:00:00", "06:30", "2026-10-25T06:30:00"),
        ("2026-12-31T22:00:00", "00:00", "2027-01-01T00:00:00"),
        ("2026-03-29T01:00:00", "02:30", "2026-03-29T03:30:00"),  # a time that this night does not have
        ("2026-10-25T02:40:00+02:00", "02:45", "2026-10-25T02:45:00+02:00"),
        ("2026-10-25T02:40:00+01:00", "02:45", "2026-10-25T02:45:00+01:00"),  # the second 02:40 of that night
    ],
)
@pytest.mark.usefixtures("_berlin")
def test_stop_at_is_the_next_such_local_time(now: str, stop_at: str, then: str) -> None:
    """Also in the nights in which the clocks change."""
    moment = Settings(stop_at=stop_at).stop_moment(datetime.fromisoformat(now).timestamp())
    assert moment == datetime.fromisoformat(then).timestamp()


def test_without_stop_at_there_is_no_such_moment() -> None:
    """A run goes on until its work or its quota is done."""
    assert Settings().stop_moment(1_780_000_000.0) is None
