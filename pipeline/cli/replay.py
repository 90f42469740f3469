"""`leadcontact replay`: failed and refused rows get another chance."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, File, common
from pipeline.cli.running import Context, guarded, offline, prepare, print_json, run
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.replay import Replayed


@click.command(short_help="Failed or refused rows back to pending; spends nothing.")
@click.argument("job", type=File())
@click.option("--reason", metavar="TEXT", default="", help="Only rows whose reason holds this text.")
@click.option("--since", metavar="TIME", default="", help="Only rows finished since then: 2d, 36h, 2026-11-20.")
@click.option("--dry-run", is_flag=True, help="Say what it would do and change nothing.")
@common(CONFIG, REPORTING)
def replay(job: str, *, reason: str, since: str, dry_run: bool, **options: Any) -> int:
    """Put failed and refused rows of JOB back to pending. The next run asks for them again.

    What was found for them stays paid; only questions that failed or were refused are asked anew.

    \b
    leadcontact replay leads.jsonl --dry-run
    leadcontact replay leads.jsonl --reason "refused" --since 2d && leadcontact resume leads.jsonl
    """
    return guarded(lambda: _replay(prepare(options), job, reason=reason, since=since, dry_run=dry_run))


def _replay(context: Context, job: str, **which: Any) -> int:
    from pipeline.replay import replay as work

    told = run(lambda: work(offline(context), job, **which))
    if context.as_json:
        print_json(
            job=told.job,
            dry_run=told.dry_run,
            rows=told.rows,
            reasons=[{"reason": reason, "rows": n} for reason, n in told.reasons.most_common()],
            requests_at_most=told.requests,
        )
        return 0
    click.echo("\n".join(_lines(told, context, which)))
    return 0


def _lines(told: Replayed, context: Context, which: Mapping[str, Any]) -> list[str]:
    if not told.rows:
        return ["Nothing to replay: no row failed or was refused with such a reason, in that time."]
    chosen = "".join(f" --{name} {shlex.quote(which[name])}" for name in ("reason", "since") if which[name])
    job = shlex.quote(told.job)
    again = f"replay {job}{chosen}" if told.dry_run else f"resume {job}"
    verb = "would be" if told.dry_run else "is" if told.rows == 1 else "are"
    return [
        *(f"{n:>8,}  {reason}" for reason, n in told.reasons.most_common()),
        f"{counted(told.rows, 'row')} {verb} pending again, for at most {counted(told.requests, 'request')}.",
        f"Next      leadcontact {again}{context.said}",
    ]
