"""The closing words of a run: every row accounted for, what was spent and saved, and what to do next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipeline.model import FINISHED, Endpoint, Kind, Status, Stop, Stopped
from pipeline.protocol import iso
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.flips import Flip
    from pipeline.store.ledger import Usage
    from pipeline.store.records import Counts


UNSURE: Final = frozenset({Stop.CREDITS, Stop.OUTAGE, Stop.CONTRACT, Stop.DENIED, Stop.REDIRECT})
"""Ends after which nobody knows when the rest can be asked."""


@dataclass(slots=True)
class Saved:
    """Requests that were not needed, by the rule that saved them."""

    shared: int = 0
    cached: int = 0
    search_confirmed_email: int = 0
    search_gave_phone: int = 0


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job after the run."""

    name: str
    output: str
    counts: Counts
    rows: int
    finished_now: int
    cut_short: bool = False
    """Whether its list has rows that were not read."""
    kind: Kind = Kind.ENRICH
    contacts: int = 0
    """Distinct people found, of a `prospect` job."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Rows that were found stale, and those left out because their old answers were purged."""

    rows: int
    purged: int
    older_than: str = ""
    requests: int = 0
    """The most they need, of a dry run."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, for the summary and for --summary FILE.json."""

    jobs: list[JobReport]
    stopped: Stopped
    requests: dict[Endpoint, int]
    outcomes: dict[str, int]
    saved: Saved
    credits_watched: bool
    usage: Usage
    quota: int
    reserve_credits: int
    state: Path
    started_at: float
    ended_at: float
    finish_days: int | None
    unusable: list[str] = field(default_factory=list)
    """Jobs whose output could not be used, each in a sentence; the others were worked on."""
    flips: list[Flip] = field(default_factory=list)
    refreshed: Refreshed | None = None

    @property
    def pending(self) -> int:
        """Leads not finished, over all jobs."""
        return sum(job.counts.pending for job in self.jobs)

    @property
    def trouble(self) -> str | None:
        """What somebody should look at, in a sentence; None after a normal night, also one that only paused."""
        return self.stopped.sentence if self.stopped.why in UNSURE else "; ".join(self.unusable) or None

    @property
    def finish_date(self) -> str | None:
        """The day by which the pending rows should be done, if that can be told."""
        if not self.pending or self.finish_days is None or self.stopped.why in UNSURE:
            return None
        return finish_date(self.ended_at, self.finish_days)


def finish_date(now: float, days: int) -> str:
    """The day so many days from now."""
    return (datetime.fromtimestamp(now, UTC) + timedelta(days=days)).date().isoformat()


def days_needed(pending: int, asked: int, requests: int, *, left: int, daily: int) -> int | None:
    """Days the pending rows will take, beyond what this window has left, at the requests a row has needed so far.

    `asked` are the rows finished so far that had something to ask: invalid ones tell nothing. None: not known yet.
    """
    if not pending:
        return 0
    if not asked or not requests:
        return None
    return -(-max(0, round(pending * requests / asked) - left) // max(1, daily))


def as_json(report: Report) -> dict[str, Any]:
    """Give the report a stable shape for machines (schema_version 1)."""
    stopped = report.stopped
    return {
        "schema_version": 1,
        "started_at": iso(report.started_at),
        "ended_at": iso(report.ended_at),
        "stop": {
            "why": stopped.why,
            "sentence": stopped.sentence,
            "next_request_at": iso(stopped.next_at) if stopped.next_at else None,
        },
        "jobs": [_job_json(job) for job in report.jobs],
        "unusable": report.unusable,
        "requests": {
            "sent": sum(report.requests.values()),
            **{endpoint.value: n for endpoint, n in report.requests.items()},
            "outcomes": report.outcomes,
        },
        "saved": {
            "shared_by_company": report.saved.shared,
            "answered_before": report.saved.cached,
            "verify_search_was_sure": report.saved.search_confirmed_email,
            "phones_search_was_sure": report.saved.search_gave_phone,
        },
        "quota": {
            "requests": report.quota,
            "used": report.usage.used + report.usage.under_way,
            "next_request_at": iso(report.usage.opens) if report.usage.opens else None,
        },
        "credits": {
            "left": report.usage.credits,
            "reserve": report.reserve_credits,
            "watched": report.credits_watched,
            "read_at": iso(report.usage.credits_at) if report.usage.credits_at else None,
        },
        **refreshed_json(report.refreshed),
        "flips": flips_json(report.flips),
        "finish": {"days": report.finish_days if report.finish_date else None, "date": report.finish_date},
        "state": str(report.state),
    }


def refreshed_json(told: Refreshed | None) -> dict[str, Any]:
    """What a refresh found, if it was one."""
    return {} if told is None else {"refresh": {"rows": told.rows, "left_out_purged": told.purged}}


def flips_json(flips: list[Flip]) -> list[dict[str, Any]]:
    """How often answers were others when they were asked for again."""
    return [
        {"endpoint": flip.endpoint, "days": flip.days, "asked_again": flip.n, "changed": flip.changed}
        for flip in flips
    ]


def flip_lines(flips: list[Flip]) -> list[str]:
    """The same for people, a line an endpoint."""
    told: dict[str, list[str]] = {}
    for flip in flips:
        told.setdefault(flip.endpoint, []).append(f"{flip.share:.0%} of {flip.n:,} after {flip.days} days")
    return [f"Changed   {endpoint}: {', '.join(parts)}" for endpoint, parts in told.items()]


def refreshed_lines(told: Refreshed) -> list[str]:
    """What a refresh found, for people."""
    lines = [f"Refresh   {told.rows:,} finished rows rest on answers older than {told.older_than}"]
    if told.purged:
        lines.append(f"          {told.purged:,} rows left out: their answers were purged, nothing could be compared")
    return lines


def _job_json(job: JobReport) -> dict[str, Any]:
    counts = job.counts
    return {
        "job": job.name,
        "output": job.output,
        "kind": job.kind,
        **({"contacts": job.contacts} if job.kind is Kind.PROSPECT else {}),
        "rows_read": job.rows,
        "read_to_the_end": not job.cut_short,
        "leads": counts.leads,
        "duplicates": counts.duplicates,
        **{status.value: counts.by_status[status] for status in Status},
        "finished_now": job.finished_now,
    }


def as_text(report: Report, said: str = "") -> str:
    """Say it for people; `said` are the options that the next command needs too."""
    lines = ["", report.stopped.sentence, *report.unusable]
    for job in report.jobs:
        lines += _job_lines(job)
    if report.refreshed is not None:
        lines += [*refreshed_lines(report.refreshed), *flip_lines(report.flips)]
    told = [_requests(report), _saved(report), _quota(report), _credits(report), _finish(report)]
    lines += [line for line in told if line is not None]
    lines += [f"State     {report.state}", f"Next      {next_command(report, said)}"]
    return "\n".join(lines)


def _job_lines(job: JobReport) -> list[str]:
    counts = job.counts
    lines = [f"Output    {job.output}", f"Rows      {accounted(job.kind, counts.leads, counts.by_status)}"]
    if job.kind is Kind.PROSPECT:
        lines.append(f"Contacts  {counted(job.contacts, 'person', 'people')}, a line each")
    if counts.duplicates:
        one, many = "more row is a duplicate and shares its", "more rows are duplicates and share their"
        lines.append(f"          {counted(counts.duplicates, one, many)} lead's result")
    if job.cut_short:
        lines.append(f"          the list was not read to its end; the same {job.kind} command takes in the rest")
    return lines


COMPANIES: Final = {
    Status.ENRICHED: "with contacts",
    Status.NOT_FOUND: "without",
    Status.INVALID: "invalid",
    Status.FAILED: "failed",
    Status.PENDING: "pending",
}
"""What becomes of companies that are prospected."""


def accounted(kind: Kind, rows: int, by_status: Mapping[Status, int]) -> str:
    """Every row accounted for, in one line (promise 5)."""
    if kind is Kind.PROSPECT:
        parts = [f"{by_status[status]:,} {word}" for status, word in COMPANIES.items()]
        return f"{counted(rows, 'company', 'companies')} = {' + '.join(parts)}"
    parts = [f"{by_status[status]:,} {status.value.replace('_', ' ')}" for status in (*FINISHED, Status.PENDING)]
    return f"{counted(rows, 'lead')} = {' + '.join(parts)}"


def _requests(report: Report) -> str:
    parts = ", ".join(f"{n:,} {endpoint}" for endpoint, n in report.requests.items())
    return f"Requests  {sum(report.requests.values()):,} sent ({parts})"


def _saved(report: Report) -> str | None:
    saved = report.saved
    parts = [
        (saved.shared, "shared by rows of one company"),
        (saved.cached, "answered before"),
        (saved.search_confirmed_email, "e-mails search was sure of"),
        (saved.search_gave_phone, "phones search was sure of"),
    ]
    told = ", ".join(f"{n:,} {what}" for n, what in parts if n)
    return f"Saved     {counted(sum(n for n, _ in parts), 'request')}: {told}" if told else None


def _quota(report: Report) -> str:
    used = report.usage.used + report.usage.under_way
    left = max(0, report.quota - used)
    line = f"Quota     {used:,} of {report.quota:,} used in this window, {left:,} left"
    opens = report.stopped.next_at or report.usage.opens
    return f"{line}; the next request may go {local_time(opens)}" if opens else line


def _credits(report: Report) -> str:
    if not report.credits_watched:
        return "Credits   never told by the server, so the reserve could not be watched"
    return f"Credits   {report.usage.credits:,} left by our count, {report.reserve_credits:,} kept in reserve"


def _finish(report: Report) -> str | None:
    if not report.pending or report.stopped.why in UNSURE:
        return None
    if report.finish_date is None:
        return "Finish    not known yet: no row was finished with a request so far"
    days = report.finish_days or 0
    if not days:
        return f"Finish    about {report.finish_date} (what is left fits into this window)"
    return f"Finish    about {report.finish_date} ({counted(days, 'more day')} at {counted(report.quota, 'request')})"


def next_command(report: Report, said: str = "") -> str:
    """The command that is useful after this run."""
    if report.stopped.why is Stop.CREDITS:
        return f"leadcontact doctor --probe{said}"
    if report.stopped.why in (Stop.DENIED, Stop.REDIRECT):
        return f"leadcontact doctor{said}"
    if kinds := {job.kind for job in report.jobs if job.cut_short}:
        return f"the same {min(kinds)} command again"
    if report.pending:
        return f"leadcontact resume{said}"
    first = report.jobs[0].output if report.jobs else "-"
    return f"leadcontact status{said}" if first == "-" else f"head -n 3 {shlex.quote(first)}"


def local_time(at: float) -> str:
    """A moment for people, by this machine's clock: on 2026-11-25 at 02:00:06."""
    return datetime.fromtimestamp(at).astimezone().strftime("on %Y-%m-%d at %H:%M:%S")
