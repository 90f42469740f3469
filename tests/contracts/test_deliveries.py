"""What was pushed is known again, and a day's calls are counted over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.store import Store
from pipeline.store.delivering import HOUR, Delivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SINK = "hubspot h 1"
NOW = 500_000 * HOUR


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    with Store.open(tmp_path / "s.db", "h default", inline=True) as store:
        yield store


async def test_the_last_word_on_an_item_counts(store: Store) -> None:
    """A record that was told once stays known."""
    job = await store.jobs.create("j", "-", questions="[]", judgement="{}", now=NOW)
    erased = await store.deliveries.marker()
    mark = erased.address_mark("J@a.com")
    await store.deliveries.note(job.id, SINK, [Delivery("a", "created", "7", b"1", mark)], NOW)
    await store.deliveries.note(job.id, SINK, [Delivery("a", "unchanged", None, b"2", mark)], NOW)
    await store.deliveries.note(job.id, SINK, [Delivery("b", "conflict", "8", b"1", mark)], NOW)
    assert store.deliveries.known(job.id, SINK, ["a", "c"]) == {"a": b"2"}
    assert store.deliveries.known(job.id, "hubspot h 2", ["a"]) == {}
    (pushed,) = store.deliveries.of(erased.address_mark("j@A.com"))
    assert (pushed.sink, pushed.item, pushed.record) == (SINK, "a", "7")
    await store.deliveries.blank([pushed], erased)
    assert store.deliveries.known(job.id, SINK, ["a"]) == {}
    assert [one.record for one in store.deliveries.of(mark)] == ["7"]


async def test_calls_of_a_day_are_counted_by_host(store: Store, tmp_path: Path) -> None:
    """At least the last 24 hours; a call that is one too many is not counted."""
    deliveries = store.deliveries
    assert [await deliveries.count_call("h", 2, NOW + n) for n in range(3)] == [True, True, False]
    assert await deliveries.count_call("other", 1, NOW)
    with Store.open(tmp_path / "s.db", "h default", inline=True) as second:
        assert not await second.deliveries.count_call("h", 2, NOW + 24 * HOUR - 1)
        later = [await second.deliveries.count_call("h", 2, NOW + 25 * HOUR) for _ in range(3)]
        assert later == [True, True, False]
