"""What goes on beside a run: people are told when it goes wrong, and its numbers lie in a file for Prometheus.

Nothing here stops, breaks or holds up a run: what cannot be told or written is said in the log.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pipeline.alerts import Alert, DayEnd, Subject, Thresholds, Watch
from pipeline.errors import PipelineError
from pipeline.observe.metrics import Metrics, Standing, write
from pipeline.protocol import iso
from pipeline.session import account_of
from pipeline.settings import next_time
from pipeline.sinks.alerts import PATIENCE, Note, Targets, deliver, host_of, ping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pipeline.events import Event
    from pipeline.observe.summary import Report
    from pipeline.session import Parts, Session
    from pipeline.settings import Settings

    Deliver = Callable[[Targets, Note], Awaitable[list[str | None]]]

TICK: Final = 15.0
"""Seconds between looks at the clock, the window and the metrics file."""

RATE_DAYS: Final = 7
"""Days over which the present rate of spending is taken."""

WRONG: Final = (PipelineError, sqlite3.Error, OSError)
"""What may go wrong beside a run without being its end."""


@asynccontextmanager
async def watching(
    opened: Session, caution: Callable[[str], None], deliver: Deliver = deliver
) -> AsyncIterator[None]:
    """Tell and write down what goes on in a session, if anybody wants to know."""
    settings = opened.parts.settings
    beside: list[Alarm | Sheet] = [Alarm(opened, caution, deliver)] if targets_of(settings) else []
    beside += [Sheet(opened, caution)] if settings.metrics_file is not None else []
    if not beside:
        yield
        return
    tell = opened.parts.tell

    def tell_all(event: Event) -> None:
        tell(event)
        for one in beside:
            one.event(event)

    opened.parts.tell = tell_all
    ticking = asyncio.create_task(_tick(beside))
    try:
        yield
    finally:
        ticking.cancel()
        for one in beside:
            await one.ended()


async def _tick(beside: list[Alarm | Sheet]) -> None:
    while True:
        for one in beside:
            with suppress(*WRONG):  # the run itself meets the same and says so
                await one.look()
        await asyncio.sleep(TICK)


# --- alerts -------------------------------------------------------------------------------------------


def targets_of(settings: Settings) -> Targets:
    """Whom these settings want told."""
    hook = settings.alert_webhook
    return Targets(
        webhook=hook.get_secret_value() if hook else None,
        kind=settings.alert_webhook_kind,
        apprise=tuple(url.get_secret_value() for url in settings.alert_apprise),
        trust_env=settings.trust_env,
    )


class Alarm:
    """Tells people what the rules of alerts.py say, once, and remembers in the state that it did."""

    def __init__(self, opened: Session, caution: Callable[[str], None], deliver: Deliver) -> None:
        settings = opened.parts.settings
        self._opened = opened
        self._caution = caution
        self._deliver = deliver
        self._targets = targets_of(settings)
        self._known = {Subject(name): level for name, level in opened.store.alerting.levels().items()}
        self._watch = Watch(self._known, _thresholds(settings))
        self._finish_by = next_time(settings.alert_finish_by, opened.started_at) if settings.alert_finish_by else None
        self._on_their_way: dict[asyncio.Task[None], Alert] = {}
        if (began := opened.store.alerting.broke_off(opened.parts.owner)) is not None:
            self._send(self._watch.broke_off(f"{datetime.fromtimestamp(began).astimezone():%Y-%m-%d %H:%M}"))

    def event(self, event: Event) -> None:
        """Tell what an event gives to tell."""
        self._send(self._watch.see(event))

    async def look(self) -> None:
        """Look at the window and the clock."""
        usage, settings = self._opened.usage(), self._opened.parts.settings
        self._send(self._watch.used(usage.used + usage.under_way, settings.quota))
        if self._finish_by is not None and self._opened.parts.now() >= self._finish_by:
            self._send(self._watch.unfinished_at(settings.alert_finish_by or ""))

    async def ended(self) -> None:
        """Tell what the run as a whole gives to tell, and wait for what is on its way, but not for long."""
        try:
            await self.look()
            travelling = {alert.subject for alert in self._on_their_way.values()}
            for alert in await self._conclusion():
                if alert.subject not in travelling:
                    self._send(alert)
        except WRONG as error:
            self._caution(f"The run's end could not be judged for alerts ({type(error).__name__}).")
        if self._on_their_way:
            _, late = await asyncio.wait(self._on_their_way, timeout=PATIENCE + 1)
            for task in late:
                task.cancel()

    async def _conclusion(self) -> list[Alert]:
        opened, books = self._opened, self._opened.store.alerting
        if self._watch.asked:
            today = datetime.fromtimestamp(opened.budget.clock()).astimezone().date()
            await books.note_day_end(DayEnd(today, books.pending(), opened.usage().credits))
        days = books.day_ends(max(RATE_DAYS, opened.parts.settings.alert_backlog_days) + 1)
        return self._watch.ended(days, opened.budget.limits.reserve_credits)

    def _send(self, alert: Alert | None) -> None:
        if alert is not None:
            task = asyncio.create_task(self._tell(alert))
            self._on_their_way[task] = alert
            task.add_done_callback(self._on_their_way.pop)

    async def _tell(self, alert: Alert) -> None:
        opened = self._opened
        note = Note(alert, account_of(opened.parts.settings), iso(opened.parts.now()))
        complaints = await self._deliver(self._targets, note)
        for name, complaint in zip(self._targets.names, complaints, strict=True):
            if complaint is not None:
                self._caution(f"An alert could not be delivered to {name} ({complaint}): {alert.sentence}")
        if not all(complaints):
            opened.parts.say(f"Alert sent: {alert.sentence}")
            await self._remember(alert)

    async def _remember(self, alert: Alert) -> None:
        if alert.level and alert.level <= self._known.get(alert.subject, 0):
            return
        self._known[alert.subject] = alert.level
        try:
            await self._opened.store.alerting.told(alert.subject, alert.level, self._opened.parts.now())
        except WRONG as error:
            self._caution(f"That an alert was sent could not be noted ({type(error).__name__}).")


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        quota_percents=settings.alert_quota_percents,
        credits_days=settings.alert_credits_days,
        error_percent=settings.alert_error_percent,
        backlog_days=settings.alert_backlog_days,
    )


# --- metrics ------------------------------------------------------------------------------------------


class Sheet:
    """Writes the metrics file; one that cannot be written is told once."""

    def __init__(self, opened: Session, caution: Callable[[str], None]) -> None:
        self._opened = opened
        self._caution = caution
        self._told = False
        self._metrics = Metrics(account_of(opened.parts.settings), opened.started_at, opened.parts.now)
        self.event = self._metrics.event

    async def look(self) -> None:
        """Write how things stand."""
        await self._write(self._standing(None))

    async def ended(self) -> None:
        """Write how the run ended."""
        with suppress(*WRONG):
            await self._write(self._standing(self._opened.parts.now()))

    async def _write(self, standing: Standing) -> None:
        path = self._opened.parts.settings.metrics_file
        assert path is not None  # noqa: S101 - there is no sheet without
        try:
            await self._opened.parts.offload(write, path.expanduser(), self._metrics.families(standing))
        except OSError as error:
            if not self._told:
                self._told = True
                self._caution(
                    f"The metrics file {path} cannot be written ({error.strerror}); the run goes on without it. "
                    "Make its folder, or name another file with --metrics-file."
                )

    def _standing(self, ended_at: float | None) -> Standing:
        opened = self._opened
        usage, limits = opened.usage(), opened.budget.limits
        return Standing(
            quota=limits.quota,
            used=usage.used + usage.under_way,
            credits=usage.credits,
            reserve_credits=limits.reserve_credits,
            pending=opened.store.alerting.pending(),
            saved=asdict(opened.tallies.saved),
            ended_at=ended_at,
        )


# --- a test, and the ping -----------------------------------------------------------------------------------------


async def try_alerts(parts: Parts) -> list[tuple[str, str | None]]:
    """Send a test alert to every target and a ping of success; who they are, and why one did not arrive."""
    settings, targets = parts.settings, targets_of(parts.settings)
    alert = Alert(Subject.API, 0, "This is a test: alerts arrive here.")
    complaints = await deliver(targets, Note(alert, account_of(settings), iso(parts.now())))
    arrived = list(zip(targets.names, complaints, strict=True))
    if settings.alert_ping is not None:
        url = settings.alert_ping.get_secret_value()
        arrived.append((f"{host_of(url)} (ping)", await ping(url, "", "a test", trust_env=settings.trust_env)))
    return arrived


async def pinged(
    settings: Settings,
    caution: Callable[[str], None],
    work: Callable[[], Awaitable[Report]],
    code_of: Callable[[Report], int],
) -> Report:
    """Tell a healthchecks-style watcher that a run starts and whether it ended well.

    An intake (`--max-requests 0`) is no run: only its failure is told.
    """
    url, is_run = settings.alert_ping, settings.max_requests != 0
    if url is None:
        return await work()

    async def tell(sign: str, said: str = "") -> None:
        complaint = await ping(url.get_secret_value(), sign, said, trust_env=settings.trust_env)
        if complaint is not None:
            caution(f"The ping to {host_of(url.get_secret_value())} did not arrive ({complaint}).")

    started = asyncio.create_task(tell("start")) if is_run else None
    code = 70
    try:
        report = await work()
        code = code_of(report)
    except PipelineError as error:
        code = error.exit_code
        raise
    finally:
        if started is not None:
            await started
        if is_run or code:
            await tell("fail" if code else "", f"exit code {code}")
    return report
