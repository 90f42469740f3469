"""What `plan` tells: a list read, counted by the rules of a run, and reckoned up; nothing is asked or changed."""

from __future__ import annotations

import math
import shutil
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from pipeline import forecast
from pipeline.app import policies_of, readings_of, run_of
from pipeline.engine import lead_from
from pipeline.errors import ConfigError, UsageError
from pipeline.forecast import History, Span, Sure
from pipeline.jobs import refuse_changed
from pipeline.model import Endpoint
from pipeline.observe.planned import OnPlan, Planned, Savings
from pipeline.observe.told import Ahead
from pipeline.plans import PLANS
from pipeline.quota import DAY
from pipeline.session import Parts, Session, account_of, limits_of, state_path
from pipeline.sources import open_source
from pipeline.store import Store
from pipeline.store.ledger import Usage
from pipeline.suppress_list import suppressed_by
from pipeline.tallying import EXACT, Books, Tally, tallied, thinning
from pipeline.targets import LIST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.forecast import Total
    from pipeline.limits import Limits
    from pipeline.model import Policy
    from pipeline.settings import Settings
    from pipeline.sources import Source
    from pipeline.store.records import Job
    from pipeline.tallying import Wanted

SEARCHES: Final = 50
"""Latest searches whose cost tells the price."""

MEASURED: Final = 1 << 20
"""Bytes of a file by which the number of its rows is guessed."""

KEPT_IN_MEMORY: Final = 32 << 20
"""Bytes of a pipe that are kept without a file, which would have no name."""


class _Known(NamedTuple):
    """A list, counted, and what the account has spent and learned so far."""

    total: Total
    policy: Policy
    job: Job | None
    usage: Usage
    history: History
    costs: list[int]
    now: float


def plan(settings: Settings, leads: str, out: str | None = None, now: float | None = None) -> Planned:
    """Read a list and say what it would take; spends and changes nothing."""
    _refuse(settings, leads)
    limits = limits_of(Parts(settings, lambda _: None, lambda _: None))
    with _readable(settings, leads) as again:
        source = again()
        known = _known(settings, limits, again, out, time.time() if now is None else now)
    total, policy, job, usage, history, costs, now = known
    reckoned = forecast.prices(limits.ceilings, policy.questions.limit, costs)
    asked = forecast.requests(total.backlog, history)
    daily = limits.quota - limits.reserve_requests
    used = usage.used + usage.under_way
    ceiling = limits.ceilings.search_per_contact * policy.questions.limit
    return Planned(
        leads=leads,
        read_as=source.description,
        job=job.name if job else None,
        plan=settings.plan_told,
        total=total,
        requests=asked,
        credits=forecast.credits_needed(total.backlog, asked, reckoned),
        prices=reckoned,
        saved=_saved(total, history),
        plans=_plans(settings, limits, asked, used),
        curve=forecast.curve(total.backlog, history, left=max(0, daily - used), daily=daily),
        seen=sum(history.seen.values()),
        usage=usage,
        reserve_credits=limits.reserve_credits,
        blind=ceiling if usage.credits is None and total.backlog.companies else None,
        now=now,
    )


@contextmanager
def _readable(settings: Settings, leads: str) -> Iterator[Callable[[], Source]]:
    """Make sources that read the list from its beginning, as often as wanted; a pipe is kept meanwhile."""
    look = partial(open_source, leads, columns=settings.headers, encoding=settings.encoding)
    if leads != "-":
        source = look()
        yield lambda: source
        return
    with SpooledTemporaryFile(KEPT_IN_MEMORY) as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)

        def again() -> Source:
            kept.seek(0)
            return look(stdin=cast("BinaryIO", kept))

        yield again


def _known(settings: Settings, limits: Limits, again: Callable[[], Source], out: str | None, now: float) -> _Known:
    """Count the list beside what the state knows, if there is one."""
    with _known_state(settings) as store:
        now += store.ledger.clock_offset(now) if store else 0.0
        job = _job(settings, store, out)
        if store is not None and job is not None and not settings.new_policy:
            refuse_changed(store.jobs, job, settings.policy.questions)
        policy = _policy(settings, job)
        total = tallied(
            partial(Tally, Books(store, job, now), again().columns, policy),
            _reader(again, store, None if settings.prune else job),
            _thinned(again()),
        )
        usage = store.ledger.usage(limits.window, limits.quota, now) if store else Usage(0, 0, None, None, None, None)
        return _Known(total, policy, job, usage, *_history(store, policy), now)


def _reader(
    again: Callable[[], Source], store: Store | None, job: Job | None
) -> Callable[[Tally, Wanted | None], None]:
    """Read the list, and the unfinished rows of its job that it does not hold: they stay to be asked about."""

    def feed(tally: Tally, among: Wanted | None) -> None:
        tally.read(again(), among)
        if store is not None and job is not None:
            readings = readings_of(job)
            tally.read_rest((lead_from(work, readings) for work in store.jobs.unfinished(job.id)), among)

    return feed


@contextmanager
def _known_state(settings: Settings) -> Iterator[Store | None]:
    """Open the state if there is one that knows the account; none is made."""
    path, account = state_path(settings), account_of(settings)
    if not Store.knows(path, account):
        yield None
        return
    with Store.open(path, account, inline=True) as store:
        yield store


def _job(settings: Settings, store: Store | None, out: str | None) -> Job | None:
    """Find the job that `enrich` with this output would go on with, if there is one."""
    path = str(Path(out).expanduser().resolve()) if out else None
    names = [name for name in (settings.job, path) if name is not None]
    found = (store.jobs.find(name) for name in names) if store else iter(())
    return next(filter(None, found), None)


def _policy(settings: Settings, job: Job | None) -> Policy:
    if job is None:
        policy = settings.policy
        return policy.model_copy(update={"suppressed": suppressed_by(settings, policy.judgement.suppress)})
    return policies_of(settings, job)[0].model_copy(
        update={"questions": settings.policy.questions} if settings.new_policy else {}
    )


def _history(store: Store | None, policy: Policy) -> tuple[History, list[int]]:
    """What the account's jobs with the same wishes needed, and what its latest searches were counted at."""
    if store is None:
        return History({}), []
    did = [night.did for night in store.past.nights() if night.did is not None]
    numbers = ((each.finished, each.sure_emails, each.sure_phones) for each in did)
    sure = Sure(*map(sum, zip(*numbers, strict=True)))
    costs = store.ledger.latest_costs().get(Endpoint.SEARCH, [])
    return History(store.jobs.seen(policy.judgement), sure), costs[:SEARCHES]


def _thinned(source: Source) -> int:
    """How often to halve the companies that are looked at, by the size of the file."""
    if source.fingerprint is None or source.format == "parquet":
        return 0
    with Path(source.path).open("rb") as file:
        piece = file.read(MEASURED)
    rows = source.fingerprint.size * piece.count(b"\n") // max(1, len(piece))
    return thinning(rows) if rows > 2 * EXACT else 0  # the number is a guess


def _saved(total: Total, history: History) -> Savings:
    emails, phones = history.sure.shares if history.tells else (None, None)
    return Savings(
        round(total.repeated),
        round(total.shared),
        round(total.answered),
        0 if not total.verifies else None if emails is None else round(total.verifies * emails),
        0 if not total.phones else None if phones is None else round(total.phones * phones),
    )


def _plans(settings: Settings, limits: Limits, asked: Span, used: int) -> list[OnPlan]:
    """Every plan with a number of its own, and the user's number if they said one."""
    numbers = {name: each.daily_quota for name, each in PLANS.items() if each.daily_quota is not None}
    if settings.daily_quota is not None:
        numbers[f"--daily-quota {settings.daily_quota}"] = settings.daily_quota
    return [OnPlan(name, quota, _on(asked, quota - limits.reserve_requests, used)) for name, quota in numbers.items()]


def _on(asked: Span, daily: int, used: int) -> Span | None:
    if daily < 1:
        return None
    return forecast.each(asked, lambda n: forecast.days(n, left=max(0, daily - used), daily=daily))


def ahead_of(opened: Session, job: Job, now: float) -> Ahead | None:
    """What a job's unfinished rows still take, by the rules of `plan`; None if there are none."""
    store, limits = opened.store, opened.budget.limits
    pending = store.jobs.counts(job.id).pending
    if not pending:
        return None
    run = run_of(opened, job)
    total = tallied(
        partial(Tally, Books(store, job, now), run.columns[0], run.policy),
        lambda tally, among: tally.read_again(map(run.lead, store.jobs.unfinished(job.id)), among),
        thinning(pending),
    )
    usage = opened.usage()
    history, _ = _history(store, run.policy)
    asked, daily = forecast.requests(total.backlog, history), limits.quota - limits.reserve_requests
    used = usage.used + usage.under_way
    days, waits = _on(asked, daily, used), _waits(store, job, now)
    if days is not None:
        days = forecast.each(days, lambda n: max(n, waits))
    curve = forecast.curve(total.backlog, history, left=max(0, daily - used), daily=daily) if days else []
    return Ahead(asked, days, curve, total.leads, total.error)


def _waits(store: Store, job: Job, now: float) -> int:
    """Days until the first of a job's unfinished rows may be asked again; 0 if one may now."""
    due = None if store.jobs.ready(job.id, 1) else store.jobs.next_due(job.id)
    return 0 if due is None else math.ceil(max(0.0, due - now) / DAY)


def _refuse(settings: Settings, leads: str) -> None:
    """Raise ConfigError if the reserve leaves no request, UsageError for what is no file."""
    if settings.reserve_requests >= settings.quota:
        raise ConfigError(
            f"reserve_requests keeps all {settings.quota:,} requests of a day.", "Lower it, or say another plan."
        )
    if leads.startswith(LIST):
        raise UsageError(
            f"plan reads files, and {leads} is a list of HubSpot's.",
            f"Take it in without spending: leadcontact enrich {leads} -o leads.jsonl --max-requests 0; then "
            "leadcontact report tells what it would take.",
        )
