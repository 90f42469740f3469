"""`leadcontact doctor`: is everything in place for tonight?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, parts, prepare, run

if TYPE_CHECKING:
    from pipeline.doctor import Finding


@click.command(short_help="Settings, key format, state file, clock, connectivity; spends nothing.")
@click.option("--probe", is_flag=True, help="Also send one search, even below the credit reserve: credits, clocks.")
@click.option("--test-alerts", is_flag=True, help="Also send a test alert to whom alerts go; spends nothing.")
@common(CONFIG, REPORTING)
def doctor(*, probe: bool, test_alerts: bool, **options: Any) -> int:
    """Check everything a run needs, and say what to do about what is wrong.

    \b
    leadcontact doctor
    leadcontact doctor --probe
    leadcontact doctor --test-alerts
    """
    return guarded(lambda: _doctor(prepare(options), probe=probe, test_alerts=test_alerts))


def _doctor(context: Context, *, probe: bool, test_alerts: bool) -> int:
    from pipeline.doctor import examine, this_machine

    async def work() -> list[Finding]:
        async with parts(context) as made:
            return await examine(made, probe=probe, machine=this_machine(), test_alerts=test_alerts)

    findings = run(work)
    _print(findings, context)
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


def _print(findings: list[Finding], context: Context) -> None:
    import dataclasses

    import orjson

    if context.as_json:
        told = {"schema_version": 1, "findings": [dataclasses.asdict(finding) for finding in findings]}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        mark = "wrong" if finding.exit_code else "look " if finding.fix else "ok   "
        click.echo(f"{mark}  {finding.what:<{width}}  {finding.told}")
        if finding.fix:
            click.echo(f"{'':5}  {'':<{width}}  -> {finding.fix}")
