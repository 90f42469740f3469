"""`leadcontact plan`: what a list would take, before anything is spent."""

from __future__ import annotations

from typing import Any

import click

from pipeline.cli.options import CONFIG, INPUT, POLICY, REPORTING, RESERVES, File, common
from pipeline.cli.running import Context, guarded, prepare, print_json


@click.command(short_help="What a list would take: requests, credits, days; spends nothing.")
@click.argument("leads", type=File())
@click.option(
    "-o", "--output", "out", type=File(), metavar="OUT.jsonl", help="Count only what this output's job has left."
)
@common(INPUT, CONFIG, POLICY, RESERVES, REPORTING)
def plan(leads: str, out: str | None, **options: Any) -> int:
    """Say what LEADS would take before anything is spent: requests, credits, days and leads complete by day.

    Needs no key, asks nothing, and leaves no job behind. Expected numbers come from the account's own history.

    \b
    leadcontact plan leads.csv --plan starter
    leadcontact plan leads.csv -o leads.jsonl --daily-quota 8000 --json
    """
    return guarded(lambda: _plan(prepare(options), leads, out))


def _plan(context: Context, leads: str, out: str | None) -> int:
    from pipeline.observe.planned import as_json, as_text
    from pipeline.planning import plan as work

    told = work(context.settings, leads, out)
    if context.as_json:
        print_json(**as_json(told))
    else:
        click.echo(as_text(told))
    return 0
