"""`leadcontact status`: what is used, what is left, how far the jobs are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, prepare
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = 80
INDENT: Final = 10
WIDTH: Final = 50
"""Characters of the bar that shows how much of a list is finished."""

RULES: Final = {
    "shared_by_company": "shared by rows of one company",
    "answered_before": "answered before",
    "verify_search_was_sure": "e-mails search was sure of",
    "phones_search_was_sure": "phones search was sure of",
}
"""Rules that save requests, for people."""
BEGIN = "No jobs yet. Begin with: leadcontact init, or leadcontact enrich LEADS.csv -o OUT.jsonl"


@click.command(short_help="Quota and credits used and left, each job's rows by state; spends nothing.")
@common(CONFIG, REPORTING)
def status(**options: Any) -> int:
    """Show what the window holds, when the next request may go, and how far the jobs are.

    \b
    leadcontact status
    leadcontact status --json
    """
    return guarded(lambda: _status(prepare(options)))


def _status(context: Context) -> int:
    import orjson

    from pipeline.overview import overview

    told = overview(context.settings)
    if context.as_json:
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    else:
        click.echo("\n".join([f"Plan      {context.settings.plan_told}", *_lines(told)]))
    return 0


def _lines(told: dict[str, Any]) -> list[str]:
    lines = [f"Account   {told['account']}", *_quota(told["quota"]), *_credits(told["credits"]), *_past(told)]
    lines += [
        f"Changed   {flip['endpoint']}: {flip['changed'] / flip['asked_again']:.0%} of {flip['asked_again']:,} "
        f"answers asked for again after {flip['days']} days"
        for flip in told["flips"]
    ]
    for job in told["jobs"]:
        lines += ["", f"Job       {job['job']}", *_states(job)]
        if job["held_by"]:
            lines.append(f"Running   process {job['held_by']['pid']}, since {job['held_by']['since']}")
    if not told["state_exists"]:
        return [*lines, "", BEGIN, "", f"State     there is no state file yet at {told['state']}"]
    if not told["jobs"]:
        lines += ["", BEGIN]
    if told["finish"]["date"]:
        lines += ["", f"Finish    about {told['finish']['date']}, all jobs together"]
    return [*lines, "", f"State     {told['state']}"]


def _quota(told: dict[str, Any]) -> list[str]:
    window = [f"{told['used']:,} of {told['requests']:,} used in this window", f", {told['left']:,} left"]
    if told["next_request_at"]:
        window.append(f"; the next request may go on {_local(told['next_request_at'])}")
    return _wrapped("Quota", window)


def _credits(told: dict[str, Any]) -> list[str]:
    if told["left"] is None:
        return ["Credits   never told by the server"]
    read = f", last read on {_local(told['read_at'])}" if told["read_at"] else ""
    return _wrapped("Credits", [f"{told['left']:,} left by our count{read}", f", {told['reserve']:,} in reserve"])


def _past(told: dict[str, Any]) -> list[str]:
    """What was sent and saved so far, and what the last run did."""
    sent, saved, nights = told["requests"], told["saved"], told["nights"]
    if not nights:
        return []
    asked = [f"{sum(outcomes.values()):,} {name}" for name, outcomes in sent.items() if name != "sent"]
    rules = [f"{saved[name]:,} {words}" for name, words in RULES.items() if saved[name]]
    total = counted(sum(saved[name] for name in RULES), "request")
    return [
        *_wrapped("Requests", _listed(f"{sent['sent']:,} sent so far", asked)),
        *(_wrapped("Saved", _listed(total, rules)) if rules else []),
        *_night(nights[-1]),
    ]


def _listed(what: str, parts: Sequence[str]) -> list[str]:
    return [f"{what}: {parts[0]}", *(f", {part}" for part in parts[1:])]


def _night(night: dict[str, Any]) -> list[str]:
    from pipeline.observe.told import DIED, ENDS

    told = f"{_local(night['started_at'])}: {counted(night['requests'], 'request')}"
    if night["finished"] is not None:
        told += f", {counted(night['finished'], 'row')} finished"
    ended = ENDS[night["stop"]] if night["stop"] else DIED if not night["running"] else "It is under way."
    return [f"Last run  {told}", f"          {ended}"]


def _states(job: dict[str, Any]) -> list[str]:
    states = ("enriched", "partial", "not_found", "invalid", "failed", "pending")
    parts = [f"{job[state]:,} {state.replace('_', ' ')}" for state in states]
    told = [f"{counted(job['leads'], 'lead')} = {parts[0]}", *(f" + {part}" for part in parts[1:])]
    if job["duplicates"]:
        told.append(f"; {counted(job['duplicates'], 'duplicate')}")
    return [*_wrapped("Rows", told), *([_bar(job)] if job["leads"] else [])]


def _bar(job: dict[str, Any]) -> str:
    done = job["leads"] - job["pending"]
    part = int(WIDTH * done / job["leads"])
    return f"          [{'#' * part}{'.' * (WIDTH - part)}] {100 * done // job['leads']} % finished"


def _wrapped(name: str, parts: Sequence[str]) -> list[str]:
    """Lines that fit a terminal of 80 columns, broken between the parts only."""
    lines = [f"{name:<10}"]
    for part in parts:
        if len(lines[-1]) > INDENT and len(lines[-1] + part) > COLUMNS:
            lines.append(" " * INDENT + part.lstrip(",;: "))
        else:
            lines[-1] += part
    return lines


def _local(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d at %H:%M:%S")
