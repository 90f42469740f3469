"""Promise 1, the arithmetic: no more than the plan's requests in any window, on any day, by any server's clock."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quota import DAY, GUARD, PERMIT_SECONDS, Window, date_of, even_step, latest_possible

ROLLING = Window()


def at(zone: str, text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


# --- rolling ------------------------------------------------------------------------------------------


def test_a_rolling_window_counts_the_last_24_hours_to_the_second() -> None:
    """A request dated exactly a day ago no longer counts; one a second later does."""
    assert ROLLING.since(1_000_000.0) == 1_000_000 - DAY
    assert ROLLING.since(1_000_000.999) == 1_000_000 - DAY


@pytest.mark.parametrize("now", [1_000_000.0, 1_000_000.5, 1_086_399.99])
def test_a_rolling_slot_is_free_exactly_a_day_after_its_date(now: float) -> None:
    """Not a second sooner, not a second later."""
    opens = ROLLING.opens(now, 1_000_000)
    assert opens == 1_000_000 + DAY
    assert ROLLING.since(opens - 0.001) < 1_000_000 <= ROLLING.since(opens)


def test_a_request_under_way_counts_as_now() -> None:
    """What has no answer yet will be dated no earlier than now."""
    assert ROLLING.opens(1_000_000.2, None) == 1_000_001 + DAY
    assert date_of(1_000_000.2) == 1_000_001
    assert date_of(1_000_000.0) == 1_000_000


def test_a_dead_process_is_dated_when_its_request_can_last_have_left() -> None:
    """What is in doubt counts against us."""
    assert latest_possible(1_000_000.2) == 1_000_001 + PERMIT_SECONDS


# --- calendar -----------------------------------------------------------------------------------------

LENGTHS = [
    ("Europe/Berlin", "2026-03-28", "2026-03-29", 24),
    ("Europe/Berlin", "2026-03-29", "2026-03-30", 23),
    ("Europe/Berlin", "2026-10-25", "2026-10-26", 25),
    ("America/New_York", "2026-03-08", "2026-03-09", 23),
    ("America/New_York", "2026-11-01", "2026-11-02", 25),
    ("Pacific/Chatham", "2026-04-05", "2026-04-06", 25),
    ("Pacific/Chatham", "2026-09-27", "2026-09-28", 23),
    ("America/Havana", "2026-03-08", "2026-03-09", 23),  # midnight itself does not exist
    ("America/Havana", "2026-11-01", "2026-11-02", 25),  # midnight comes twice
    ("UTC", "2026-03-29", "2026-03-30", 24),
]


@pytest.mark.parametrize(("zone", "day", "next_day", "hours"), LENGTHS)
def test_a_calendar_window_is_the_local_day_however_long_it_is(
    zone: str, day: str, next_day: str, hours: int
) -> None:
    """T2.4: computed from the zone, never 86,400 seconds; five minutes either side belong to both days."""
    window, midnight, end = Window(zone), at(zone, day), at(zone, next_day)
    assert end - midnight == hours * 3600
    for now in (midnight + GUARD, midnight + 7 * 3600.5, end + GUARD - 0.001):
        assert window.since(now) == midnight - GUARD - 1
        assert window.opens(now, int(midnight) + 3600) == end + GUARD
        assert window.opens(now, int(midnight) - GUARD) == end + GUARD
    assert window.since(end + GUARD) == end - GUARD - 1


def test_what_is_sent_just_before_midnight_counts_on_both_days() -> None:
    """T2.7: the server's clock may be past midnight already; so such a slot is free a whole day later."""
    window, midnight = Window("Europe/Berlin"), at("Europe/Berlin", "2026-06-02")
    last_of_day, first_of_guard = int(midnight) - GUARD - 1, int(midnight) - GUARD
    assert window.since(midnight + GUARD) == last_of_day
    assert window.opens(midnight - 60, last_of_day) == midnight + GUARD
    assert window.opens(midnight - 60, first_of_guard) == midnight + DAY + GUARD
    assert window.opens(midnight - 60, None) == midnight + DAY + GUARD


# --- simulation: we send when our count says so; the server counts by itself ---------------------------

STARTS = {
    None: [1_780_000_000.0],
    "Europe/Berlin": [at("Europe/Berlin", day) for day in ("2026-03-28T20:00", "2026-10-24T20:00", "2026-06-01")],
    "America/New_York": [at("America/New_York", day) for day in ("2026-03-07T20:00", "2026-10-31T20:00")],
    "Pacific/Chatham": [at("Pacific/Chatham", day) for day in ("2026-04-04T20:00", "2026-09-26T20:00")],
}
GAPS = st.floats(0, 3) | st.floats(0, 1200) | st.floats(0, 40_000) | st.just(0.0)


@dataclass
class Sender:
    """Sends whenever the ledger's rule lets it; requests take a while, and the server sees each on its way."""

    window: Window
    quota: int
    now: float
    arrivals: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    def dates(self) -> list[int]:
        since = self.window.since(self.now)
        return sorted(date_of(end) for end in self.answered if end <= self.now and date_of(end) > since)

    def under_way(self) -> int:
        return sum(end > self.now for end in self.answered)

    def used(self) -> int:
        return len(self.dates()) + self.under_way()

    def send(self, latency: float, share: float) -> None:
        self.arrivals.append(self.now + latency * share)
        self.answered.append(self.now + latency)

    def opens(self) -> float:
        oldest_of_quota = self.quota - self.under_way() - 1
        dated = self.dates()[::-1][oldest_of_quota] if oldest_of_quota >= 0 else None
        return self.window.opens(self.now, dated)

    def wait(self) -> None:
        """Sleep until a slot opens: at that moment, and not before, one is free."""
        opens, before = self.opens(), self.now
        assert opens > before
        settled = self.under_way() == 0
        self.now = opens - 0.5
        if settled and self.now > before:
            assert self.used() >= self.quota
        self.now = opens
        if settled:
            assert self.used() < self.quota


STEP = st.tuples(GAPS, st.sampled_from([0.0, 0.2, 15.0, 30.0]), st.floats(0, 1))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(STARTS)), st.data(), st.integers(1, 5), st.lists(STEP, max_size=60))
def test_the_server_never_counts_more_than_the_quota(
    zone: str | None, data: st.DataObject, quota: int, steps: list[tuple[float, float, float]]
) -> None:
    """Its clock up to five minutes off, over days of 23 and 25 hours, with answers that take their time."""
    start = data.draw(st.sampled_from(STARTS[zone]))
    skew = data.draw(st.sampled_from([-300.0, 300.0, 0.0]) | st.floats(-300, 300))
    sender = Sender(Window(zone), quota, start)
    for gap, latency, share in steps:
        sender.now += gap
        if sender.used() >= quota:
            sender.wait()
        if sender.used() < quota:
            sender.send(latency, share)
    most = _most_in_24_hours(sender.arrivals) if zone is None else _most_in_a_day(sender.arrivals, zone, skew)
    assert most <= quota


def _most_in_24_hours(moments: list[float]) -> int:
    moments = sorted(moments)
    return max((bisect_left(moments, at_ + DAY) - n for n, at_ in enumerate(moments)), default=0)


def _most_in_a_day(moments: list[float], zone: str, skew: float) -> int:
    days = Counter(datetime.fromtimestamp(moment + skew, ZoneInfo(zone)).date() for moment in moments)
    return max(days.values(), default=0)


@pytest.mark.parametrize(("zone", "start"), [(zone, at) for zone, starts in STARTS.items() if zone for at in starts])
def test_a_rolling_window_keeps_every_calendar_but_for_a_25_hour_day(zone: str, start: float) -> None:
    """The default exceeds no calendar rule: a run that sends all it may keeps the quota of days of 23 and 24 h."""
    sender = Sender(ROLLING, 3, start)
    while len(sender.arrivals) < 30:
        if sender.used() >= sender.quota:
            sender.wait()
        sender.send(0.2, 0.5)
    local = ZoneInfo(zone)
    days = Counter(datetime.fromtimestamp(moment, local).date() for moment in sender.arrivals)
    nights = {day: datetime.combine(day, time(), local).timestamp() for day in days}
    short = [day for day in days if nights.get(day + timedelta(days=1), nights[day]) - nights[day] <= DAY]
    assert len(short) >= len(days) - 1 >= 9
    assert max(days[day] for day in short) == 3


# --- spreading ----------------------------------------------------------------------------------------


@given(st.floats(0, 3 * DAY), st.integers(1, 3_000))
def test_what_is_left_goes_in_even_steps_and_is_used_when_the_window_ends(length: float, left: int) -> None:
    """Reckoned anew after every request, all steps come out equal and the last one ends with the window."""
    now, end = 1_000_000.0, 1_000_000.0 + length
    steps = []
    for rest in range(left, 0, -1):
        steps.append(even_step(now, end, rest))
        now += steps[-1]
    assert now == pytest.approx(end)
    assert max(steps) == pytest.approx(min(steps), abs=1e-3)
    assert even_step(now, end, 0) == even_step(end + 1, end, left) == 0.0


@pytest.mark.parametrize(("zone", "first", "second", "hours"), LENGTHS)
def test_a_calendar_window_is_spread_to_before_its_own_midnight(
    zone: str, first: str, second: str, hours: int
) -> None:
    """On days of 23 and 25 hours too; nothing is planned for the minutes that count on both days."""
    window, begins, ends = Window(zone), at(zone, first), at(zone, second)
    assert ends - begins == hours * 3600
    for now in (begins, begins + 7 * 3600.5, ends - GUARD - 1):
        assert window.closes(now, now) == ends - GUARD
        assert window.since(now + GUARD) == window.since(window.closes(now, now)) == begins - GUARD - 1
    assert window.closes(ends - GUARD, 0.0) > ends + 22 * 3600


@given(st.floats(0, 30 * DAY))
def test_a_rolling_window_is_spread_over_the_days_of_the_run(since: float) -> None:
    """It has no end of its own: each 24 hours from the run's start are one."""
    began = 1_000_000.0
    closes = ROLLING.closes(began + since, began)
    assert 0 < closes - (began + since) <= DAY
    assert (closes - began) % DAY == 0
