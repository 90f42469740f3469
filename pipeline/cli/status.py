"""`leadcontact status`: what is used, what is left, how far the jobs are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, prepare
from pipeline.words import counted


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
    quota, credits_ = told["quota"], told["credits"]
    window = f"{quota['used']:,} of {quota['requests']:,} used in this window, {quota['left']:,} left"
    if quota["next_request_at"]:
        window += f"; the next request may go on {_local(quota['next_request_at'])}"
    left = "never told by the server" if credits_["left"] is None else f"{credits_['left']:,} left by our count"
    if credits_["read_at"]:
        left += f", last read on {_local(credits_['read_at'])}"
    lines = [f"Account   {told['account']}", f"Quota     {window}", f"Credits   {left}"]
    lines += [
        f"Changed   {flip['endpoint']}: {flip['changed'] / flip['asked_again']:.0%} of {flip['asked_again']:,} "
        f"answers asked for again after {flip['days']} days"
        for flip in told["flips"]
    ]
    for job in told["jobs"]:
        lines += ["", f"Job       {job['job']}", f"Rows      {_states(job)}"]
        if job["held_by"]:
            lines.append(f"Running   process {job['held_by']['pid']}, since {job['held_by']['since']}")
    if not told["state_exists"]:
        return [*lines, "", f"State     there is no state file yet at {told['state']}"]
    if not told["jobs"]:
        lines += ["", "No jobs yet. Begin with: leadcontact enrich LEADS.csv -o OUT.jsonl"]
    if told["finish"]["date"]:
        lines += ["", f"Finish    about {told['finish']['date']}, all jobs together"]
    return [*lines, "", f"State     {told['state']}"]


def _states(job: dict[str, Any]) -> str:
    from pipeline.model import Kind, Status
    from pipeline.observe.summary import accounted

    told = accounted(Kind(job["kind"]), job["leads"], {status: job[status.value] for status in Status})
    return told + f"; {counted(job['duplicates'], 'duplicate')}" * bool(job["duplicates"])


def _local(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%Y-%m-%d at %H:%M:%S")
