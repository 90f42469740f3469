"""`leadcontact purge`: old answers go, the books stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, offline, prepare, print_json, run

if TYPE_CHECKING:
    from pipeline.purge import Purged


@click.command(short_help="Drop old answers, keep what was spent; spends nothing.")
@click.option("--older-than", required=True, metavar="TIME", help="Answers older than this: 90d, 48h.")
@click.option("--dry-run", is_flag=True, help="Say what it would do and change nothing.")
@common(CONFIG, REPORTING)
def purge(*, older_than: str, dry_run: bool, **options: Any) -> int:
    """Drop answers that grew old, but for those that unfinished rows still need, and make the state file smaller.

    Lines in outputs stay. If an output is lost later, its rows are written again without what was dropped.

    \b
    leadcontact purge --older-than 90d --dry-run
    """
    return guarded(lambda: _purge(prepare(options), older_than, dry_run=dry_run))


def _purge(context: Context, older_than: str, *, dry_run: bool) -> int:
    from dataclasses import asdict

    from pipeline.purge import purge as work

    told = run(lambda: work(offline(context), older_than, dry_run=dry_run))
    if context.as_json:
        print_json(**asdict(told))
    else:
        click.echo(_sentence(told))
    return 0


def _sentence(told: Purged) -> str:
    verb = "would be" if told.dry_run else "were"
    return (
        f"{told.answers:,} answers ({told.size:,} bytes) {verb} dropped; what unfinished rows may still need was "
        f"spared, and every request stays counted."
    )
