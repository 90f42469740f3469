"""What `report` tells: a list's rows, what they took, how sure they are, what is left; asks and changes nothing."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from pipeline.errors import UsageError
from pipeline.facts import tier
from pipeline.jobs import named_jobs
from pipeline.model import Status
from pipeline.observe.told import BINS, Confidences, Reason, Story
from pipeline.planning import ahead_of
from pipeline.results import results
from pipeline.session import Session, account_of, state_path
from pipeline.spending import spending
from pipeline.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pipeline.model import Enriched
    from pipeline.quota import Window
    from pipeline.session import Parts
    from pipeline.store.past import Past
    from pipeline.store.records import Job

SAMPLES: Final = 5
"""Rows that are shown where samples are wanted."""

POINTS: Final = 120
"""About as many points has a picture over time."""

STEPS: Final = (1, 5, 15, 60, 300, 900, 3600, 7200, 14_400, 28_800, 86_400)
"""Seconds between two of them; all are parts of a day, so that a window is made of whole stretches."""

MATCHES: Final = ("email", "name", "best", "none")
"""How a contact may have been chosen."""

QUOTING: Final = re.compile(r"(search|verify|phones)(?: (refused|said_no))?: (.+)", re.DOTALL)
"""A reason that quotes: which question, what it came to, and whose words nobody knows."""

OURS: Final = re.compile(
    r"greylisted|no answer|the answer (?:is not a JSON object|has not the documented shape)|HTTP \d+"
)
"""Words of such a quotation that are our own; the server's may name anybody."""


@contextmanager
def looking(parts: Parts) -> Iterator[Session]:
    """Open the state to look at it, as of one moment; raises UsageError if there is none."""
    path, account = state_path(parts.settings), account_of(parts.settings)
    if not Store.knows(path, account):
        raise UsageError(f"There is no job yet in {path}.", "Begin with: leadcontact enrich LEADS.csv -o OUT.jsonl")
    with Store.open(path, account, inline=True) as store, store.snapshot():
        yield Session(parts, store)


def job_meant(opened: Session, name: str | None) -> Job:
    """The job of that name, or the only one; raises UsageError naming those there are."""
    if name is not None:
        return named_jobs(opened, [name])[0]
    jobs = opened.store.jobs.all()
    if len(jobs) == 1:
        return jobs[0]
    if not jobs:
        raise UsageError("There is no job yet.", "Begin with: leadcontact enrich LEADS.csv -o OUT.jsonl")
    raise UsageError("There are several jobs.", f"Name one of them: {', '.join(job.name for job in jobs)}.")


def story_of(opened: Session, job: Job, *, samples: bool = False) -> Story:
    """Tell a job's story; only with `samples` does it hold personal data."""
    store, limits, now = opened.store, opened.budget.limits, opened.budget.clock()
    spent, lock = spending(store, limits, now), store.locks.job(job.id)
    last = spent.nights[-1] if spent.nights else None
    emails, phones, matches, shown = _looked_through(results(opened, job), SAMPLES if samples else 0)
    since, step = _stretch(job, now)
    return Story(
        job=job.name,
        output=job.output,
        created_at=job.created_at,
        now=now,
        counts=store.jobs.counts(job.id),
        holder=lock.holder() if lock.held_elsewhere() else None,
        finished_last=store.past.finished_since(job.id, last.started_at) if last else 0,
        spending=spent,
        window_over_time=_window_over_time(store.past, limits.window, since, now, step),
        credits_over_time=store.past.readings(since, step),
        emails=emails,
        phones=phones,
        matches=matches,
        reasons=_reasons(store.past.reasons(job.id), whole=samples),
        ahead=ahead_of(opened, job, now),
        samples=shown,
    )


# --- rows ---------------------------------------------------------------------------------------------


def _looked_through(
    lines: Iterable[Enriched], samples: int
) -> tuple[Confidences, Confidences, dict[str, int], list[Enriched]]:
    """Count a job's lines, duplicates apart, and keep the first that have both an e-mail and a phone."""
    emails, phones, matches = Confidences(), Confidences(), Counter(dict.fromkeys(MATCHES, 0))
    shown: list[Enriched] = []
    for line in lines:
        if line.duplicate_of is not None:
            continue
        matches[line.match.by] += 1
        if line.email is not None:
            _count(emails, line.email.confidence)
        if line.phone is not None:
            _count(phones, line.phone.confidence)
        if len(shown) < samples and line.email is not None and line.phone is not None:
            shown.append(line)
    return emails, phones, dict(matches), shown


def _count(told: Confidences, confidence: float | None) -> None:
    name = tier(confidence) or "unknown"
    setattr(told, name, getattr(told, name) + 1)
    if confidence is not None:
        told.bins[bin_of(confidence)] += 1


def bin_of(confidence: float) -> int:
    """The part of the histogram; a tier's bound begins one, whatever binary fractions say."""
    return min(BINS - 1, int(confidence * BINS + 1e-9))


def _reasons(found: Iterable[tuple[str, str, int, int]], *, whole: bool) -> list[Reason]:
    """Put reasons together that differ only in numbers or in the server's words; the commonest first."""
    rows: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], int] = {}
    for state, reason, n, row in found:
        group = state, _sort_of(reason, whole=whole)
        rows[group] += n
        first[group] = min(row, first.get(group, row))
    return [Reason(Status(state), reason, n, first[state, reason]) for (state, reason), n in rows.most_common()]


def _sort_of(reason: str, *, whole: bool) -> str:
    """What a reason has in common with others; `whole`: with the server's own words."""
    if quoting := QUOTING.fullmatch(reason):
        endpoint, outcome, words = quoting.groups()
        ours = OURS.match(words)
        return reason if whole else f"{endpoint} {outcome or 'failed'}" + (f": {ours[0]}" if ours else "")
    return re.sub(r"\d[\d,]*", "N", reason)


# --- over time ----------------------------------------------------------------------------------------


def _stretch(job: Job, now: float) -> tuple[float, int]:
    """From when on pictures show, and how many seconds apart their points are: the job's life so far."""
    span = max(10.0, now - job.created_at)
    step = next((step for step in STEPS if step * POINTS >= span), STEPS[-1])
    return now - span, step


def _window_over_time(past: Past, window: Window, since: float, now: float, step: int) -> list[tuple[float, int]]:
    """How many requests counted in the window, moment by moment."""
    first = int(since) // step * step
    dated = past.dated(window.since(first), step)
    ends, sums = [end for end, _ in dated], [0, *accumulate(n for _, n in dated)]
    moments = map(float, range(first, int(now) + step, step))
    return [(at, _within(ends, sums, window.since(at), at)) for at in moments]


def _within(ends: Sequence[int], sums: Sequence[int], after: float, until: float) -> int:
    return sums[bisect_right(ends, until)] - sums[bisect_right(ends, after)]
