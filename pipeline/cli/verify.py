"""`leadcontact verify`: the gate before outreach."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.enrich import spend
from pipeline.cli.options import CLOSING, CONFIG, INPUT, LIMITS, PACE, REPORTING, SUPPRESS, File, common
from pipeline.cli.running import EXITS, Context, guarded, parts, prepare, run
from pipeline.cli.summary_file import refuse_overwriting, write_summary
from pipeline.errors import UsageError
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.model import Stopped
    from pipeline.observe.summary import Report
    from pipeline.verification import Verification

OK, NOT_OK, UNDECIDED = 0, 1, 75
INTERRUPTED = (130, 143)
STDOUT = STDIN = "-"


@click.command(short_help="Is it safe to write to this address? Exit 0 yes, 1 no, 75 could not be decided.")
@click.argument("emails", nargs=-1, required=True, type=File())
@click.option(
    "-o", "--output", "out", type=File(), metavar="OUT.jsonl", help="For a list: where the lines go; - for stdout."
)
@click.option("--gate", is_flag=True, help="Print nothing at all; only exit with 0, 1 or 75.")
@click.option("--min-confidence", type=float, metavar="C", default=None, help="Sure from here (0.90).")
@common(INPUT, CONFIG, SUPPRESS, PACE, LIMITS, CLOSING, REPORTING)
def verify(emails: tuple[str, ...], out: str | None, *, gate: bool, **options: Any) -> int:
    """Verify EMAILS (- reads them from stdin, one a line), or the addresses of a list with -o.

    Exit 0: all are deliverable with confidence >= 0.90. 1: at least one is not. 75: could not be decided.

    \b
    leadcontact verify jane.smith@acmecorp.com
    leadcontact verify jane.smith@acmecorp.com --gate && send-the-mail
    leadcontact verify jane@acme.com john@acme.com -o -          one line of JSON each
    leadcontact verify list.csv -o verified.jsonl
    """
    if gate and out == STDOUT:
        raise click.UsageError("--gate prints nothing, so leave out -o -.")
    work = partial(_addresses, emails, options, as_lines=out == STDOUT)
    if out is not None and _is_list(emails, out, options["job"]):
        if len(emails) != 1:
            raise click.UsageError("With -o, name one list to verify.")
        work = partial(_list, emails[0], out, options)
    return _silently(work) if gate else guarded(work)


def _is_list(names: tuple[str, ...], out: str, job: str | None) -> bool:
    """With -o it is a list, but for addresses whose lines go to stdout; a list's lines need a --job there."""
    return out != STDOUT or job is not None or not (names == (STDIN,) or all(map(_may_be_address, names)))


def _may_be_address(name: str) -> bool:
    return "@" in name and not os.path.isfile(name)  # noqa: PTH113 - Path.is_file raises on names that cannot be


def _silently(work: Callable[[], int]) -> int:
    """Say nothing, whatever happens: what is neither yes nor no could not be decided, and the gate stays shut."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - os.devnull is no path of ours
        sys.stdout = sys.stderr = nowhere
        try:
            code = guarded(work)
        finally:
            sys.stdout, sys.stderr = before
    return code if code in (OK, NOT_OK) else UNDECIDED


# --- a list -------------------------------------------------------------------------------------------


def _list(path: str, out: str, options: dict[str, Any]) -> int:
    from pipeline import app
    from pipeline.model import Status

    report, context = spend({**options, "steps": "verify"}, lambda made: app.enrich(made, path, out), (path, out))
    if code := EXITS[report.stopped.why]:
        return code
    if report.pending:
        return UNDECIDED
    counts = report.jobs[0].counts
    return OK if counts.by_status[Status.ENRICHED] == counts.leads else _not_ok(report, context)


def _not_ok(report: Report, context: Context) -> int:
    counts = report.jobs[0].counts
    from pipeline.model import Status

    sure = counts.by_status[Status.ENRICHED]
    bad = counts.leads - sure
    addresses, verb = counted(counts.leads, "address", "addresses"), "is" if bad == 1 else "are"
    context.log.say(f"{bad:,} of {addresses} {verb} not safe to write to.")
    return NOT_OK


# --- addresses ----------------------------------------------------------------------------------------


def _addresses(emails: tuple[str, ...], options: dict[str, Any], *, as_lines: bool) -> int:
    from pipeline.observe.summary import local_time

    context = prepare(options)
    refuse_overwriting(context.settings, context.files, options)
    if not context.settings.plan_is_set:
        context.log.say(f"Plan {context.settings.plan_told}")
    emails = _told(emails)
    verdicts, report = run(lambda: _verdicts(emails, context))
    _print(verdicts, context, as_lines=as_lines)
    if context.settings.summary is not None:
        write_summary(context.settings.summary, _summary(verdicts, report))
    stopped = report.stopped if report else None
    if stopped is not None and EXITS[stopped.why] + sum(each.safe is None for each in verdicts):
        when = f" The next request may go {local_time(stopped.next_at)}." if stopped.next_at else ""
        context.log.caution(stopped.sentence + when)
    return _code({_exit(each) for each in verdicts}, stopped)


def _told(emails: tuple[str, ...]) -> tuple[str, ...]:
    """Name the addresses; raises UsageError for what is a list."""
    if emails == (STDIN,):
        emails = tuple(line.strip() for line in sys.stdin if line.strip())
        if not emails:
            raise UsageError("Standard input held no address.", "Give one address a line, or name them.")
        return emails
    for name in emails:
        if os.path.isfile(name):  # noqa: PTH113 - as above
            raise UsageError(f"{name} is a file, not an address.", f"To verify a list: verify {name} -o OUT.jsonl")
    return emails


async def _verdicts(emails: Iterable[str], context: Context) -> tuple[list[Verification], Report | None]:
    from pipeline.addresses import clean_email
    from pipeline.app import ask
    from pipeline.protocol import verify_question
    from pipeline.verification import judge

    cleaned = {email: clean_email(email) for email in emails}
    questions = {address: verify_question(address) for address in cleaned.values() if address}
    answers, report = {}, None
    if questions:
        async with parts(context) as made:
            told, report = await ask(made, list(questions.values()))
        answers = dict(zip(questions, told, strict=True))
    sure, why = context.settings.min_confidence, report.stopped.sentence if report else None
    return [
        judge(email, address, answer := answers.get(address or ""), sure, why if answer is None else None)
        for email, address in cleaned.items()
    ], report


def _exit(verdict: Verification) -> int:
    return UNDECIDED if verdict.safe is None else OK if verdict.safe else NOT_OK


def _code(codes: set[int], stopped: Stopped | None) -> int:
    """An interrupted gate says so; else one bad address closes it, and what could not be asked leaves it shut."""
    code = EXITS[stopped.why] if stopped else 0
    if code in INTERRUPTED or (code and UNDECIDED in codes and NOT_OK not in codes):
        return code
    return NOT_OK if NOT_OK in codes else UNDECIDED if UNDECIDED in codes else OK


def _as_json(verdict: Verification) -> dict[str, Any]:
    return {**verdict.model_dump(), "code": _exit(verdict)}


def _print(verdicts: list[Verification], context: Context, *, as_lines: bool) -> None:
    import orjson

    if as_lines:
        for verdict in verdicts:
            click.echo(orjson.dumps({"schema_version": 1, **_as_json(verdict)}).decode())
        return
    if context.as_json:
        told = {"schema_version": 1, "verdicts": [*map(_as_json, verdicts)]}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(len(verdict.email) for verdict in verdicts)
    for verdict in verdicts:
        confidence = "   -" if verdict.confidence is None else f"{verdict.confidence:.2f}"
        click.echo(f"{verdict.email:<{width}}  {confidence}  {verdict.tier or '-':<8}  {verdict.verdict}")


def _summary(verdicts: list[Verification], report: Report | None) -> str:
    """The summary of a run without jobs, and the verdicts by number: it names nobody."""
    import orjson

    from pipeline.observe.summary import as_json

    counts = {name: sum(verdict.safe is safe for verdict in verdicts) for name, safe in SAFE.items()}
    told = as_json(report) if report else {"schema_version": 1}
    return orjson.dumps({**told, "verdicts": counts}, option=orjson.OPT_INDENT_2).decode() + "\n"


SAFE = {"safe": True, "not_safe": False, "undecided": None}
