"""`leadcontact enrich` and `leadcontact resume`: a list becomes enriched JSONL, night after night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import (
    CLOSING,
    CONFIG,
    INPUT,
    LIMITS,
    PACE,
    POLICY,
    PUSH,
    REPORTING,
    SAMPLE,
    SYSTEMS,
    File,
    common,
)
from pipeline.cli.push import check_targets, push_after
from pipeline.cli.running import BROKEN_OFF, Context, exit_code, guarded, parts, prepare, run
from pipeline.cli.summary_file import refuse_overwriting, write_summary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pipeline.observe.summary import Report
    from pipeline.session import Parts


@click.command(short_help="A list (CSV, JSONL, Parquet, -, hubspot:ID) becomes enriched JSONL.")
@click.argument("leads", type=File())
@click.option(
    "-o", "--output", "out", type=File(), required=True, metavar="OUT.jsonl", help="Where the lines go; - for stdout."
)
@common(INPUT, CONFIG, POLICY, PACE, LIMITS, SAMPLE, PUSH, SYSTEMS, CLOSING, REPORTING)
def enrich(leads: str, out: str, **options: Any) -> int:
    """Enrich LEADS into OUT.jsonl: one line a row. hubspot:LIST_ID reads a list of HubSpot's.

    The same command again goes on where it stopped; nothing is asked twice.

    \b
    leadcontact enrich leads.csv -o leads.jsonl --plan starter
    leadcontact enrich export.csv -o leads.jsonl --column company="Account Name"
    leadcontact enrich leads.csv -o leads.jsonl --sample 200     a fair share first, then without it
    leadcontact enrich new.csv -o leads.jsonl --max-requests 0 && leadcontact resume --wait-up-to 2h
    """

    async def work(made: Parts) -> Report:
        from pipeline import app

        return await app.enrich(made, leads, out)

    return guarded(lambda: finish(*spend(options, work, (leads, out))))


@click.command(short_help="Go on with unfinished jobs in one run, on one budget.")
@click.argument("jobs", nargs=-1, type=File())
@common(CONFIG, POLICY, PACE, LIMITS, SAMPLE, PUSH, SYSTEMS, CLOSING, REPORTING)
def resume(jobs: tuple[str, ...], **options: Any) -> int:
    """Go on with unfinished JOBS (all of them if none is named).

    First comes the one whose best waiting row has the highest --priority, then the oldest.

    \b
    leadcontact resume
    leadcontact resume leads.jsonl --wait-up-to 2h
    """

    async def work(made: Parts) -> Report:
        from pipeline import app
        from pipeline.model import Questions

        said = [name for name in Questions.model_fields if options.get(name) is not None]
        return await app.resume(made, jobs, said)

    return guarded(lambda: finish(*spend(options, work)))


def finish(report: Report, context: Context) -> int:
    """Push if that is wanted and nobody broke the run off; the run's exit code, else the push's."""
    code = exit_code(report, context.settings)
    if code in BROKEN_OFF:
        return code
    pushed = push_after(context, [job.name for job in report.jobs])
    return code or pushed


def spend(
    options: dict[str, Any], work: Callable[[Parts], Awaitable[Report]], files: Sequence[str] = ()
) -> tuple[Report, Context]:
    """Run something that spends on these files, show it while it goes, and close with the summary."""
    context = prepare(options)
    check_targets(context)
    refuse_overwriting(context.settings, [*files, *context.files], options)
    context.log.say(f"Plan {context.settings.plan_told}")
    report = run(lambda: _shown(context, work))
    _close(context, report, quiet_stdout="-" in files[1:])
    return report, context


async def _shown(context: Context, work: Callable[[Parts], Awaitable[Report]]) -> Report:
    from pipeline.observe.progress import ProgressBar

    wanted = not context.settings.quiet and context.settings.log_format == "text"
    with ProgressBar(wanted=wanted, quota=context.settings.quota) as bar:
        async with parts(context) as made:
            tell = made.tell

            def both(event: Any) -> None:
                tell(event)
                bar.event(event)

            made.tell = both
            made.begin = bar.begin
            return await (_watched(context, made, work) if made.settings.watched else work(made))


async def _watched(context: Context, made: Parts, work: Callable[[Parts], Awaitable[Report]]) -> Report:
    """Run with alerts and metrics beside it."""
    from pipeline.watching import pinged, watching

    caution, settings = context.log.caution, made.settings
    made.beside = lambda opened: watching(opened, caution)
    return await pinged(settings, caution, lambda: work(made), lambda report: exit_code(report, settings))


def _close(context: Context, report: Report, *, quiet_stdout: bool) -> None:
    import orjson

    from pipeline.observe.summary import as_json, as_text

    told = orjson.dumps(as_json(report), option=orjson.OPT_INDENT_2).decode()
    if context.settings.summary is not None:
        write_summary(context.settings.summary, told + "\n")
    if context.as_json and not quiet_stdout:
        click.echo(told)
    elif context.settings.log_format == "text":
        context.log.say(as_text(report, context.said))
    else:
        context.log.summary(as_json(report))
