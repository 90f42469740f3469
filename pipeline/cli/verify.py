"""`leadcontact verify`: the gate before outreach."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.enrich import spend
from pipeline.cli.options import CLOSING, CONFIG, INPUT, LIMITS, PACE, REPORTING, SUPPRESS, common
from pipeline.cli.running import EXITS, Context, guarded, parts, prepare, run
from pipeline.errors import UsageError
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model import Answer, Stopped
    from pipeline.observe.summary import Report

OK, NOT_OK, UNDECIDED = 0, 1, 75
INTERRUPTED = (130, 143)


@click.command(short_help="Is it safe to write to this address? Exit 0 yes, 1 no, 75 could not be decided.")
@click.argument("emails", nargs=-1, required=True)
@click.option("-o", "--output", "out", metavar="OUT.jsonl", help="For a list: where the lines go.")
@click.option("--min-confidence", type=float, metavar="C", default=None, help="Sure from here (0.90).")
@common(INPUT, CONFIG, SUPPRESS, PACE, LIMITS, CLOSING, REPORTING)
def verify(emails: tuple[str, ...], out: str | None, **options: Any) -> int:
    """Verify EMAILS, or the addresses of a list with -o.

    Exit 0: all are deliverable with confidence >= 0.90. 1: at least one is not. 75: could not be decided.

    \b
    leadcontact verify jane.smith@acmecorp.com && send-the-mail
    leadcontact verify list.csv -o verified.jsonl
    """
    if out is not None:
        if len(emails) != 1:
            raise click.UsageError("With -o, name one list to verify.")
        return guarded(lambda: _list(emails[0], out, options))
    return guarded(lambda: _addresses(emails, options))


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


def _addresses(emails: tuple[str, ...], options: dict[str, Any]) -> int:
    from pipeline.app import ask
    from pipeline.normalize import clean_email
    from pipeline.protocol import verify_question

    context = prepare(options)
    if not context.settings.plan_is_set:
        context.log.say(f"Plan {context.settings.plan_told}")
    cleaned = {email: clean_email(email) for email in emails}
    _refuse_lists(email for email, address in cleaned.items() if address is None)
    questions = {email: verify_question(email) for email in cleaned.values() if email}

    async def work() -> tuple[dict[str, Answer | None], Stopped | None]:
        if not questions:
            return {}, None
        async with parts(context) as made:
            answers, stopped = await ask(made, list(questions.values()))
        return dict(zip(questions, answers, strict=True)), stopped

    answers, stopped = run(work)
    verdicts = [_verdict(email, address, answers.get(address or ""), context) for email, address in cleaned.items()]
    _print(verdicts, context)
    if stopped is not None:
        context.log.caution(stopped.sentence)
    return _code({verdict["code"] for verdict in verdicts}, stopped)


def _refuse_lists(names: Iterable[str]) -> None:
    for name in names:
        if os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises on names that cannot be
            raise UsageError(f"{name} is a file, not an address.", f"To verify a list: verify {name} -o OUT.jsonl")


def _code(codes: set[int], stopped: Stopped | None) -> int:
    """An interrupted gate says so; else one bad address closes it, and what could not be asked leaves it shut."""
    code = EXITS[stopped.why] if stopped else 0
    if code in INTERRUPTED or (code and UNDECIDED in codes and NOT_OK not in codes):
        return code
    return NOT_OK if NOT_OK in codes else UNDECIDED if UNDECIDED in codes else OK


def _verdict(email: str, address: str | None, answer: Answer | None, context: Context) -> dict[str, Any]:
    from pipeline.facts import tier
    from pipeline.model import ERASED_REASON, SUPPRESSED_REASON, NoReply, VerifyReply

    told: dict[str, Any] = {"email": address or email, "confidence": None, "tier": None, "deliverable": None}
    if address is None:
        return {**told, "code": NOT_OK, "verdict": "not an e-mail address"}
    reply = answer.reply if answer else None
    if isinstance(reply, NoReply) and reply.reason in (ERASED_REASON, SUPPRESSED_REASON):
        return {**told, "code": NOT_OK, "verdict": f"{reply.reason}, and therefore not asked about"}
    if not isinstance(reply, VerifyReply) or reply.greylisted:
        why = "the mail server said later" if isinstance(reply, VerifyReply) else "not answered"
        return {**told, "code": UNDECIDED, "verdict": f"undecided: {why}"}
    sure = reply.deliverable and (reply.confidence or 0.0) >= context.settings.min_confidence
    told |= {"confidence": reply.confidence, "tier": tier(reply.confidence), "deliverable": reply.deliverable}
    verdict = "safe to write to" if sure else "confidence too low" if reply.deliverable else "not deliverable"
    return {**told, "code": OK if sure else NOT_OK, "verdict": verdict}


def _print(verdicts: list[dict[str, Any]], context: Context) -> None:
    import orjson

    if context.as_json:
        told = {"schema_version": 1, "verdicts": verdicts}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    width = max(len(verdict["email"]) for verdict in verdicts)
    for verdict in verdicts:
        confidence = "   -" if verdict["confidence"] is None else f"{verdict['confidence']:.2f}"
        click.echo(f"{verdict['email']:<{width}}  {confidence}  {verdict['tier'] or '-':<8}  {verdict['verdict']}")
