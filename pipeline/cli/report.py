"""`leadcontact report`: one page that shows what became of a list, and what it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import CONFIG, REPORTING, common
from pipeline.cli.running import Context, guarded, offline, prepare


@click.command(short_help="One page: rows, requests, quota, credits, how sure, what is left; spends nothing.")
@click.argument("job", required=False)
@click.option("-o", "--output", "out", metavar="REPORT.html", help="Where the page goes; - for stdout.")
@click.option("--with-samples", is_flag=True, help="Show five rows and the server's own words: personal data.")
@common(CONFIG, REPORTING)
def report(job: str | None, out: str | None, *, with_samples: bool, **options: Any) -> int:
    """Show what became of JOB (not needed if there is only one), what it took and what is left, on one page.

    The page needs no script and no network, and holds no personal data unless you say --with-samples.

    \b
    leadcontact report leads.jsonl -o report.html
    leadcontact report --json
    """
    return guarded(lambda: _report(prepare(options), job, out, samples=with_samples))


def _report(context: Context, job: str | None, out: str | None, *, samples: bool) -> int:
    import orjson

    from pipeline.cli.summary_file import refuse_report, write_told
    from pipeline.errors import UsageError
    from pipeline.observe.page import page
    from pipeline.observe.told import as_json, sentence
    from pipeline.story import job_meant, looking, story_of

    if out is None and not context.as_json:
        raise UsageError("The report needs a file.", "Name it with -o REPORT.html, or say --json.")
    if out == "-" and context.as_json:
        raise UsageError("Standard output can take the page or the JSON, not both.", "Name a file with -o.")
    if out is not None and out != "-":
        refuse_report(context.settings, Path(out), context.files)
    if not context.settings.plan_is_set:
        context.log.say(f"Plan {context.settings.plan_told}")
    with looking(offline(context)) as opened:
        story = story_of(opened, job_meant(opened, job), samples=samples)
    if context.as_json:
        click.echo(orjson.dumps(as_json(story), option=orjson.OPT_INDENT_2).decode())
    if out == "-":
        click.echo(page(story), nl=False)
    elif out is not None:
        write_told(Path(out), page(story), "report", "-o")
        context.log.say(f"{sentence(story)}\nWritten: {out}")
    return 0
