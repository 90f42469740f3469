"""`leadcontact export`: results again, as JSONL, CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import CONFIG, REPORTING, SUPPRESS, File, common
from pipeline.cli.running import Context, guarded, offline, prepare, print_json, run
from pipeline.cli.summary_file import is_taken
from pipeline.errors import UsageError
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.export import Exported


@click.command(short_help="A job's results again: CSV, Parquet, JSONL; spends nothing.")
@click.argument("job", type=File())
@click.option(
    "-o", "--output", "out", type=File(), required=True, metavar="FILE", help="x.csv, x.parquet, x.jsonl; -"
)
@click.option("--columns", "wanted", metavar="LIST", default="", help="Only these: email,email_confidence,row …")
@click.option("--partial", is_flag=True, help="Also what unfinished rows have so far.")
@click.option("--since", metavar="TIME", default="", help="Only rows finished since then: 2d, 36h, 2026-11-20.")
@click.option("--format", "shape", type=click.Choice(("jsonl", "csv", "parquet")), help="Instead of by the name.")
@common(CONFIG, SUPPRESS, REPORTING)
def export(job: str, out: str, *, wanted: str, shape: str | None, **options: Any) -> int:
    """Write the results of JOB again, from what was paid for: flat columns, then those of the list.

    Needs no key and asks nothing; a run may go on meanwhile. No cell of a CSV file is taken for a formula.

    \b
    leadcontact export leads.jsonl -o leads.csv
    leadcontact export leads.jsonl -o sure.csv --columns email,first_name,last_name --since 1d
    leadcontact export contacts.jsonl -o contacts.parquet
    """
    which = {"columns": tuple(filter(None, map(str.strip, wanted.split(",")))), "format": shape}
    which |= {name: options.pop(name) for name in ("partial", "since")}
    return guarded(lambda: _export(prepare(options), job, out, which))


def _export(context: Context, job: str, out: str, which: dict[str, Any]) -> int:
    from dataclasses import asdict

    from pipeline.export import Wish
    from pipeline.export import export as work

    if out != "-" and is_taken(context.settings, Path(out).expanduser(), context.files):
        what = f"{out} is the state, a list, an output or a file of settings, and is left alone."
        raise UsageError(what, "Name another file with -o.")
    told = run(lambda: work(offline(context), job, out, Wish(**which)))
    if told.lost:
        context.log.caution(f"{counted(told.lost, 'row')} lack answers that were purged.")
    if context.as_json and out != "-":
        print_json(**asdict(told))
    elif out != "-":
        click.echo(_sentence(told))
    return 0


def _sentence(told: Exported) -> str:
    return f"{counted(told.lines, 'line')} of {told.job} in {told.output}, {told.format}."
