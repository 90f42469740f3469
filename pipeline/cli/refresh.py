"""`leadcontact refresh`: what has grown stale is asked again; a found value is never replaced by a not-found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.enrich import finish, spend
from pipeline.cli.options import CLOSING, CONFIG, LIMITS, PACE, POLICY, REPORTING, SAMPLE, File, common
from pipeline.cli.running import Context, guarded, offline, prepare, print_json, run

if TYPE_CHECKING:
    from pipeline.observe.summary import Report
    from pipeline.session import Parts


@click.command(short_help="Ask again what has grown stale; what was found stays.")
@click.argument("job", type=File())
@click.option("--older-than", metavar="AGE", required=True, help="How old an answer is stale: 90d, 48h.")
@click.option("--dry-run", is_flag=True, help="Say how many rows and requests it would be; spend nothing.")
@common(CONFIG, POLICY, PACE, LIMITS, SAMPLE, CLOSING, REPORTING)
def refresh(job: str, *, older_than: str, dry_run: bool, **options: Any) -> int:
    """Ask again, for finished rows of JOB, the questions whose newest answer is older than that.

    A row's line stays until its new one is there. Where less is found now, the old value stays with its old date.
    The same command, or resume, goes on where it stopped.

    \b
    leadcontact refresh leads.jsonl --older-than 90d --dry-run
    leadcontact refresh leads.jsonl --older-than 90d --max-requests 500
    """
    if dry_run:
        return guarded(lambda: _dry(prepare(options), job, older_than))

    async def work(made: Parts) -> Report:
        from pipeline.refresh import refresh

        return await refresh(made, job, older_than)

    return guarded(lambda: finish(*spend(options, work)))


def _dry(context: Context, job: str, older_than: str) -> int:
    from pipeline.observe.summary import refreshed_json, refreshed_lines
    from pipeline.refresh import stale

    told = run(lambda: stale(offline(context), job, older_than))
    if context.as_json:
        print_json(job=job, dry_run=True, **refreshed_json(told), requests_at_most=told.requests)
        return 0
    need = f"Requests  at most {told.requests:,}, repeats apart"
    click.echo("\n".join([*refreshed_lines(told), need]))
    return 0
