"""A run's numbers for Prometheus' textfile collector: names, units and labels by its conventions; nobody's data.

Counters begin at zero with every run, which `rate` and `increase` know how to read; gauges stand as they were when
the run ended. Every series has the account as a label, so that several accounts on one machine do not collide.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from pipeline.events import CircuitChanged, Event, PermitGiven, RequestSettled, RowFinished, RunStopped
from pipeline.model import UNSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the account has left, at one moment."""

    quota: int
    used: int
    credits: int | None
    reserve_credits: int
    pending: int
    saved: dict[str, int]
    ended_at: float | None = None


@dataclass(slots=True)
class Metrics:
    """Counts what the events of a run tell, and writes it down."""

    account: str
    started_at: float
    now: Callable[[], float]
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    stop: str | None = None
    _circuit: str = "closed"
    _given: dict[str, float] = field(default_factory=dict)
    _seconds: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    _sum: float = 0.0

    def event(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case PermitGiven():
                self._given[event.key] = self.now()
            case RequestSettled():
                self._settled(event)
            case RowFinished():
                self.rows[event.status] += 1
            case CircuitChanged():
                self._circuit = event.state
            case RunStopped():
                self.stop = event.why

    def _settled(self, event: RequestSettled) -> None:
        self.requests[event.endpoint, event.outcome] += 1
        given = self._given.pop(event.key, None)
        if given is not None and event.outcome not in UNSENT:
            took = max(0.0, self.now() - given)
            self._seconds[bisect_left(BUCKETS, took)] += 1
            self._sum += took

    def families(self, standing: Standing) -> list[Metric]:
        """The numbers as they are now."""
        return list(self._families(standing))

    def _families(self, at: Standing) -> Iterator[Metric]:
        yield self._counter(
            "leadcontact_requests", "Requests of this run by what they came to.", "endpoint outcome", self.requests
        )
        yield self._counter("leadcontact_rows_finished", "Rows this run finished, by status.", "status", self.rows)
        yield self._counter(
            "leadcontact_requests_saved",
            "Requests this run did not need, by the rule that saved them.",
            "rule",
            at.saved,
        )
        yield self._histogram()
        yield from self._gauges(at)

    def _gauges(self, at: Standing) -> Iterator[Metric]:
        told = [
            ("leadcontact_quota_requests", "Requests the window allows.", at.quota),
            ("leadcontact_quota_used_requests", "Requests the window holds, whoever sent them.", at.used),
            ("leadcontact_credits_remaining", "Credits left by our count; missing if never told.", at.credits),
            ("leadcontact_credits_reserve", "Credits that are never touched.", at.reserve_credits),
            ("leadcontact_rows_pending", "Rows of all lists that are not finished.", at.pending),
            ("leadcontact_circuit_open", "1 while the API is failing and requests pause.", self._circuit != "closed"),
            ("leadcontact_run_start_timestamp_seconds", "When this run began.", self.started_at),
            ("leadcontact_run_end_timestamp_seconds", "When it ended; missing while it goes.", at.ended_at),
        ]
        for name, text, value in told:
            if value is not None:
                yield self._gauge(name, text, "", {"": float(value)})
        if at.ended_at is not None:
            stop = {self.stop or "done": 1.0}
            yield self._gauge("leadcontact_run_stop", "Why this run asked nothing more.", "why", stop)

    # --- the shapes of prometheus-client ---

    def _counter(
        self, name: str, text: str, labels: str, values: dict[str, int] | Counter[tuple[str, str]]
    ) -> Metric:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - as above

        family = CounterMetricFamily(name, text, labels=["account", *labels.split()])
        for key, value in values.items():
            family.add_metric(self._labels(key), value)
        return family

    def _gauge(self, name: str, text: str, labels: str, values: dict[str, float]) -> Metric:
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

        family = GaugeMetricFamily(name, text, labels=["account", *labels.split()])
        for key, value in values.items():
            family.add_metric(self._labels(key), value)
        return family

    def _histogram(self) -> Metric:
        from prometheus_client.core import HistogramMetricFamily  # noqa: PLC0415 - as above

        text = "From a request's reservation on disk to its answer on disk."
        family = HistogramMetricFamily("leadcontact_request_duration_seconds", text, labels=["account"])
        bounds = [*map(str, BUCKETS), "+Inf"]
        family.add_metric([self.account], list(zip(bounds, accumulate(self._seconds), strict=True)), self._sum)
        return family

    def _labels(self, key: str | tuple[str, str]) -> list[str]:
        told = (key,) if isinstance(key, str) else key
        return [self.account, *filter(None, told)]


def write(path: Path, families: list[Metric]) -> None:
    """Put a whole new file in place. Raises OSError."""
    from prometheus_client import CollectorRegistry, write_to_textfile  # noqa: PLC0415 - 40 ms, if it is wanted

    registry = CollectorRegistry()
    registry.register(_Collected(families))
    write_to_textfile(str(path), registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Collected:
    """What prometheus-client asks for."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        """Hand them over."""
        return self.families
