"""`replay`: rows that failed or were refused are pending again; what was found of them stays paid."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pipeline.app import open_run, requests_at_most, rewrite_if_stale, run_of
from pipeline.errors import UsageError
from pipeline.jobs import held, named_jobs
from pipeline.session import session
from pipeline.written import duration

if TYPE_CHECKING:
    from pipeline.session import Parts
    from pipeline.store.records import Work

PERSONAL: Final = re.compile(r"\S+@\S+|\+?\d(?:[\s().-]*\d){6,}")
"""What a server's own words may tell of a person, as far as it can be recognised: addresses and numbers."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Which rows are pending again (or would be), by reason, and the most requests they need, repeats apart."""

    job: str
    reasons: Counter[str]
    requests: int
    dry_run: bool

    @property
    def rows(self) -> int:
        """How many rows that is."""
        return self.reasons.total()


async def replay(parts: Parts, name: str, *, reason: str = "", since: str = "", dry_run: bool = False) -> Replayed:
    """Put failed and refused rows of a job back to pending; their lines leave the output."""
    earliest = moment(since, parts.now()) if since else 0.0
    async with session(parts) as opened:
        (job,) = named_jobs(opened, [name])
        with held(opened, job):
            job, jobs = named_jobs(opened, [name])[0], opened.store.jobs
            works = [work for work in jobs.replayable(job.id, earliest) if _meant(work, reason)]
            up_to = jobs.newest_answer()
            told = Replayed(
                job=job.name,
                reasons=Counter(shown_reason(work) for work in works),
                requests=requests_at_most(
                    opened, run_of(opened, job), (work._replace(replayed_at=up_to) for work in works)
                ),
                dry_run=dry_run,
            )
            if works and not dry_run:
                run = await open_run(opened, job)  # refuses an output that is not ours before anything changes
                try:
                    await jobs.replay(job.id, works, up_to)
                    await rewrite_if_stale(opened, run)
                finally:
                    run.output.close()
            return told


def _meant(work: Work, reason: str) -> bool:
    return reason.casefold() in f"{work.state}: {work.reason}".casefold()


def shown_reason(work: Work) -> str:
    """A row's reason for people, without what a server may have quoted of the person."""
    return PERSONAL.sub("…", work.reason or work.state)


def moment(text: str, now: float) -> float:
    """Read a time in the past: a duration before now (2d, 36h), or a local date or time (2026-11-20)."""
    back = duration(text)
    if back is not None:
        return now - back
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(f'--since "{text}" is not a time.', "Say 2d, 36h, or a date such as 2026-11-20.") from None
