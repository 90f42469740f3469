"""`leadcontact prospect`: companies become contacts, night after night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.enrich import finish, spend
from pipeline.cli.options import (
    CLOSING,
    CONFIG,
    INPUT,
    LIMITS,
    MIN_CONFIDENCE,
    PACE,
    PUSH,
    QUESTIONS,
    REPORTING,
    SAMPLE,
    SYSTEMS,
    File,
    common,
)
from pipeline.cli.running import guarded

if TYPE_CHECKING:
    from pipeline.observe.summary import Report
    from pipeline.session import Parts


@click.command(short_help="Companies (CSV, JSONL, plain lines, -) become contacts, a line each.")
@click.argument("companies", type=File())
@click.option(
    "-o", "--output", "out", type=File(), required=True, metavar="OUT.jsonl", help="Where the lines go; - for stdout."
)
@click.option("--verify", is_flag=True, help="Verify addresses that search is not sure of (--min-confidence).")
@common(INPUT, CONFIG, MIN_CONFIDENCE, QUESTIONS, PACE, LIMITS, SAMPLE, PUSH, SYSTEMS, CLOSING, REPORTING)
def prospect(companies: str, out: str, *, verify: bool, **options: Any) -> int:
    """Find who works at COMPANIES: one line a contact in OUT.jsonl, and of everybody one line.

    COMPANIES is a list with a company or domain column, or plain lines: a name or a domain each, no header.
    The same command again goes on where it stopped; nothing is asked twice.

    \b
    leadcontact prospect companies.csv -o contacts.jsonl --decision-maker-only --limit 5
    leadcontact prospect names.txt -o contacts.jsonl --titles CEO,CTO --departments Executive --verify
    leadcontact prospect accounts.csv -o contacts.jsonl --column company="Account Name" --push hubspot
    """
    options["steps"] = "search,verify" if verify else "search"

    async def work(made: Parts) -> Report:
        from pipeline import app

        return await app.prospect(made, companies, out)

    return guarded(lambda: finish(*spend(options, work, (companies, out))))
