"""`leadcontact push`: a job's sure contacts into HubSpot, or to a webhook; and what `--push` does after a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, SYSTEMS, common
from pipeline.cli.running import EXITS, Context, complain, guarded, parts, prepare, print_json, run
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.push import Pushed
    from pipeline.sinks.contacts import Delivered

ROWS = 20
"""Rows that a dry run shows to people."""

CONFIDENCE = click.option(
    "--min-confidence", type=float, metavar="C", default=None, help="An e-mail may leave from here on (0.90)."
)


@click.command(short_help="Sure contacts into HubSpot or to a webhook; goes on where it stopped.")
@click.argument("system", type=click.Choice(("hubspot", "webhook")))
@click.argument("jobs", nargs=-1, required=True, metavar="JOB...")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--again", is_flag=True, help="Also what was pushed or refused before.")
@click.option(
    "--upsert", "hubspot_upsert", metavar="PROPERTY", default=None, help="Overwrite by this unique property."
)
@CONFIDENCE
@common(SYSTEMS, CONFIG, REPORTING)
def push(system: str, jobs: tuple[str, ...], *, dry_run: bool, again: bool, **options: Any) -> int:
    """Push the contacts of JOB whose e-mail is sure (0.90) or verified; spends no request.

    HubSpot: a row with a Record ID fills that contact's empty properties and never creates one. Contacts of
    `prospect` jobs are created where HubSpot has none with their e-mail; rows without an id only with --create.
    The token comes from HUBSPOT_ACCESS_TOKEN, a webhook's secret from LEADCONTACT_WEBHOOK_SECRET.

    \b
    leadcontact push hubspot leads.jsonl --dry-run
    leadcontact push hubspot leads.jsonl
    leadcontact push webhook leads.jsonl --webhook-url https://crm.example.com/leads
    """

    def work() -> int:
        context = prepare(options)
        told = _pushed(context, system, jobs, dry_run=dry_run, again=again)
        if context.as_json:
            print_json(jobs=[_as_json(one) for one in told])
        else:
            click.echo("\n".join(line for one in told for line in _lines(one, context)))
        return _code(told)

    return guarded(work)


def check_targets(context: Context) -> None:
    """Before anything is spent: whether there is what it takes to push after the run."""
    from pipeline.targets import target_of

    settings = context.settings
    for kind in settings.push:
        if kind == "webhook" or not settings.sandbox:
            target_of(settings, kind)


def push_after(context: Context, jobs: Sequence[str]) -> int:
    """Push the jobs of a run wherever --push says; the first exit code that is not 0."""
    code = 0
    for kind in context.settings.push:
        told = _pushed(context, kind, jobs)
        context.log.say("\n".join(line for one in told for line in _lines(one, context)))
        code = code or _code(told)
    return code


def _pushed(
    context: Context, system: str, jobs: Sequence[str], *, dry_run: bool = False, again: bool = False
) -> list[Pushed]:
    from pipeline.push import push as work
    from pipeline.targets import target_of

    async def go() -> list[Pushed]:
        async with parts(context) as made:
            return await work(made, jobs, target_of(made.settings, system), dry_run=dry_run, again=again)

    return run(go)


def _code(told: Sequence[Pushed]) -> int:
    for one in told:
        if one.stopped is not None:
            return complain(one.stopped)
        if one.signal is not None:
            return EXITS[one.signal]
    return 0


# --- words --------------------------------------------------------------------------------------------


def _lines(told: Pushed, context: Context) -> list[str]:
    title = f"{'Would push' if told.dry_run else 'Pushed'} {told.job} to {told.sink}: {counted(told.lines, 'line')}"
    groups = [*told.results.most_common(), *told.left.most_common()]
    groups += [("not come to: the next push goes on there", told.waiting)] if told.waiting else []
    shown = told.rows[:ROWS] if told.dry_run else []
    rows = [f"{'row':>8}  {'':<10}{'record':<16}properties", *map(_row, shown)] if shown else []
    more = told.results.total() - len(shown)
    rows += [f"{'':>8}  … and {more:,} more (--json names up to 1,000)"] if shown and more > 0 else []
    again = f"leadcontact push {told.sink.split()[0]} {shlex.quote(told.job)}{context.said}{_where(told, context)}"
    return [
        title,
        *(f"{n:>8,}  {what}" for what, n in groups),
        *rows,
        *([f"Next      {again}"] if told.dry_run or told.waiting else []),
    ]


def _where(told: Pushed, context: Context) -> str:
    """The receiver, as the next push needs it too."""
    named = told.sink.startswith("webhook") and context.receiver
    return f" --webhook-url {shlex.quote(named)}" if named else ""


def _row(one: Delivered) -> str:
    known = one.record or (f"new {one.person.key[:8]}" if one.person.found else "new")
    return f"{one.person.row:>8,}  {one.result:<10}{known:<16}{', '.join(one.properties) or '-'}"


def _as_json(told: Pushed) -> dict[str, Any]:
    return {
        "job": told.job,
        "sink": told.sink,
        "dry_run": told.dry_run,
        "lines": told.lines,
        "results": dict(told.results),
        "left": dict(told.left),
        "waiting": told.waiting,
        "stopped": str(told.stopped) if told.stopped is not None else None,
        "rows": [
            {
                "row": one.person.row,
                "item": one.person.key,
                "result": one.result,
                "record": one.record,
                "properties": list(one.properties),
            }
            for one in told.rows
        ],
    }
