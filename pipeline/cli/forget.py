"""`leadcontact forget`: a person asks to be erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, offline, prepare, print_json, run
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.forget import Forgotten

UNUSABLE, IN_THE_WAY = 74, 75


@click.command(short_help="Erase a person everywhere and keep them out; spends nothing.")
@click.argument("email")
@common(CONFIG, REPORTING)
def forget(email: str, **options: Any) -> int:
    """Erase the person with this EMAIL from answers, rows and outputs of all jobs, and keep them out.

    Only the e-mail identifies a person. What was spent stays counted. Exit 75: a run is under way; again later.

    \b
    leadcontact forget jane.smith@acmecorp.com
    """
    return guarded(lambda: _forget(prepare(options), email))


def _forget(context: Context, email: str) -> int:
    from dataclasses import asdict

    from pipeline.forget import forget as work

    told = run(lambda: work(offline(context), email))
    if context.as_json:
        print_json(**asdict(told))
    else:
        click.echo(sentence(told))
    for sink in told.pushed:
        context.log.caution(f"Pushed earlier, and still there: {sink}. Erase it there too.")
    for problem in told.unusable:
        context.log.caution(problem)
    if told.given_away:
        context.log.caution(f"Lines already given to standard output stay there: {', '.join(told.given_away)}.")
    if not told.emptied:
        context.log.caution("Another process reads the state, so its log may still hold the person: forget again.")
    return UNUSABLE if told.unusable else IN_THE_WAY if not told.emptied else 0


def sentence(told: Forgotten) -> str:
    """What was removed where, without naming anybody."""
    if told.nothing:
        return "Nothing was known of this address; from now on it is kept out."
    where = ", ".join(told.outputs) or "no output"
    removed = f"{counted(told.answers_deleted, 'answer')} deleted and {told.answers_cut:,} cut"
    others = f"{counted(told.mentions, 'mention')} in other rows; {counted(told.reopened, 'row')} pending again"
    return (
        f"Erased: {counted(told.rows, 'row')}; {removed}; {others}, having used the person; rewritten: {where}. "
        "From now on the address is kept out; what was spent stays counted."
    )
