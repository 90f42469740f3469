"""What `status` shows: an account's window, credits and jobs, without changing anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pipeline.model import Status
from pipeline.observe.summary import finish_date, flips_json
from pipeline.observe.told import past_json
from pipeline.protocol import iso
from pipeline.session import Parts, account_of, finish_days, limits_of, state_path
from pipeline.spending import NOTHING_SPENT, spending
from pipeline.store import Store
from pipeline.store.ledger import Usage

if TYPE_CHECKING:
    from pipeline.limits import Limits
    from pipeline.settings import Settings
    from pipeline.store.records import Job


def overview(settings: Settings) -> dict[str, Any]:
    """What `status` shows (schema_version 1); changes and spends nothing."""
    limits, path = limits_of(Parts(settings, lambda _: None, lambda _: None)), state_path(settings)
    told: dict[str, Any] = {
        "schema_version": 1,
        "account": account_of(settings),
        "plan": {"name": settings.plan, "is_set": settings.plan_is_set},
        "state": str(path),
        "state_exists": path.exists(),
    }
    if not path.exists():
        nothing = Usage(0, 0, None, None, None, None)
        told |= {"flips": [], "jobs": [], "finish": _finish(None, 0)} | past_json(NOTHING_SPENT)
        return told | _spendable(limits, nothing, 0.0)
    with Store.open(path, account_of(settings), inline=True) as store:
        now = time.time() + store.ledger.clock_offset(time.time())
        usage = store.ledger.usage(limits.window, limits.quota, now)
        jobs = [_job_overview(store, job) for job in store.jobs.all()]
        pending = sum(job[Status.PENDING.value] for job in jobs)
        finish = _finish(finish_days(store, limits, usage, pending, now), pending)
        told |= {"flips": flips_json(store.ledger.flips()), "jobs": jobs, "finish": finish}
        told |= past_json(spending(store, limits, now))
    return told | _spendable(limits, usage, now)


def _finish(days: int | None, pending: int) -> dict[str, Any]:
    return {"days": days, "date": finish_date(time.time(), days) if days is not None and pending else None}


def _spendable(limits: Limits, usage: Usage, now: float) -> dict[str, Any]:
    used = usage.used + usage.under_way
    shut = usage.shut_until if usage.shut_until and usage.shut_until > now else None
    opens = max(filter(None, (usage.opens, shut)), default=None)
    return {
        "quota": {
            "requests": limits.quota,
            "used": used,
            "left": max(0, limits.quota - used),
            "next_request_at": iso(opens) if opens else None,
        },
        "credits": {
            "left": usage.credits,
            "read_at": iso(usage.credits_at) if usage.credits_at else None,
            "reserve": limits.reserve_credits,
        },
    }


def _job_overview(store: Store, job: Job) -> dict[str, Any]:
    counts = store.jobs.counts(job.id)
    lock = store.locks.job(job.id)
    holder = lock.holder() if lock.held_elsewhere() else None
    return {
        "job": job.name,
        "output": job.output,
        "leads": counts.leads,
        "duplicates": counts.duplicates,
        "deferred": counts.deferred,
        **{status.value: n for status, n in counts.by_status.items()},
        "held_by": {"pid": holder.pid, "since": holder.since} if holder else None,
    }
