"""The common options, each named like its setting; what is not said stays None and other places decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class Columns(click.ParamType[tuple[str, str]]):
    """FIELD=HEADER."""

    name = "FIELD=HEADER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split at the first equals sign."""
        if isinstance(value, tuple):
            return value
        name, equals, header = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f'"{value}" is not FIELD=HEADER, for example company="Company Name".', param, ctx)
        return name.strip(), header


class File(click.ParamType[str]):
    """The name of a file; whether it is there is for others to say, in a sentence. The shell completes it."""

    name = "file"

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[Any]:
        """Leave it to the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def _flag(name: str, text: str) -> Callable[[F], F]:
    return click.option(name, is_flag=True, default=None, help=text)


def _count(name: str, text: str) -> Callable[[F], F]:
    return click.option(name, type=int, metavar="N", default=None, help=text)


def _text(name: str, metavar: str, text: str, choices: tuple[str, ...] = ()) -> Callable[[F], F]:
    kind = click.Choice(choices) if choices else None
    return click.option(name, type=kind, metavar=None if choices else metavar, default=None, help=text)


def _file(name: str, metavar: str, text: str) -> Callable[[F], F]:
    return click.option(name, type=File(), metavar=metavar, default=None, help=text)


CONFIG = (
    _file("--config", "FILE.toml", "Settings in a file; a .env beside it is read too."),
    _text("--account", "NAME", "Whose quota and credits: one name a customer."),
    _text(
        "--plan",
        "",
        "Your plan: 25, 500 or 2,000 requests a day.",
        ("free", "starter", "professional", "enterprise"),
    ),
    _count("--daily-quota", "Requests a day, instead of the plan's."),
    _text("--base-url", "URL", "The API's address."),
    _file("--api-key-file", "FILE", "Read the key from a file."),
    _text("--api-key-command", "COMMAND", "Read the key from a secret manager's command."),
    _file("--state", "PATH", "The state file: one for all jobs."),
    _flag("--sandbox", "Use a local server with invented people; no key, its own state."),
)
PACE = (
    _count("--concurrency", "Requests under way at once."),
    click.option("--max-per-second", type=float, metavar="R", default=None, help="Requests started a second."),
    _text(
        "--pace",
        "",
        "burst: as fast as allowed; spread: evenly until the window ends, or --stop-at.",
        ("burst", "spread"),
    ),
    _text("--wait-up-to", "TIME", "Sleep for a slot that opens within this time (60m); 0: never."),
    _flag("--wait", "Wait until everything is done, however many days."),
    _text("--stop-at", "HH:MM", "Pause at this local time."),
    _text("--timeout", "TIME", "How long one request may take: 10s to 30s."),
)
RESERVES = (
    _count("--reserve-requests", "Requests of each window kept for daytime use."),
    _count("--reserve-credits", "Credits that are never touched (10)."),
)
LIMITS = (
    _count("--max-requests", "At most so many requests in this run; 0 takes the list in and spends nothing."),
    _count("--max-credits", "At most so many credits in this run."),
    *RESERVES,
)
MIN_CONFIDENCE = (
    click.option("--min-confidence", type=float, metavar="C", default=None, help="E-mail is sure from here (0.90)."),
)
SUPPRESS = (_text("--suppress", "FILE", "Whom not to ask about: an e-mail, domain or company a line."),)
QUESTIONS = (
    _count("--limit", "Contacts a search may return (10)."),
    _text("--departments", "LIST", "For rows without a person: only these departments."),
    _text("--titles", "LIST", "For rows without a person: only these titles."),
    click.option(
        "--decision-maker-only/--anyone",
        default=None,
        help="For rows without a person: decision makers only.",
    ),
    _flag("--new-policy", "Ask unfinished rows by changed questions."),
    *SUPPRESS,
)
POLICY = (
    _text("--steps", "LIST", "What is wanted: search,verify,phones."),
    _text("--spend", "", "thrifty: ask only what is still needed; full: ask everything.", ("thrifty", "full")),
    *MIN_CONFIDENCE,
    *QUESTIONS,
)
PUSH = (_text("--push", "LIST", "Push what is sure when the run ends: hubspot, webhook."),)
SYSTEMS = (
    _text("--hubspot-url", "URL", "HubSpot's address."),
    _text("--hubspot-version", "VERSION", "Its API's version: v3, or a dated one such as 2026-03."),
    _count("--hubspot-daily-calls", "Calls a day to HubSpot (100,000)."),
    click.option(
        "--create", "hubspot_create", is_flag=True, default=None, help="New contacts for rows without an id."
    ),
    _text("--webhook-url", "URL", "Where a webhook's batches go."),
)
SAMPLE = (_text("--sample", "N|P%", "Only so many leads, or that share of them; without it the job goes on."),)
INPUT = (
    click.option("--column", "columns", type=Columns(), multiple=True, help="Which column is what; repeatable."),
    _text("--encoding", "NAME", "The list's encoding, e.g. cp1252."),
    _text("--priority", "COLUMN", "A column with numbers; the highest go first."),
    _text("--job", "NAME", "Name the job, instead of by its output's path."),
    _flag("--prune", "Drop unfinished rows that the list no longer has."),
)
CLOSING = (
    _file("--summary", "FILE.json", "Write the closing summary as JSON too."),
    _file("--metrics-file", "FILE.prom", "Write metrics for Prometheus, every 15 s and at the end."),
    _flag("--strict", "A pause with work left exits with 75 instead of 0."),
)
REPORTING = (
    _text("--log-format", "", "Log lines for people or machines.", ("text", "json")),
    _text("--log-level", "", "How much to tell.", ("debug", "info", "warning", "error")),
    _flag("--quiet", "Only warnings and errors."),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."),
)


SECTIONS = {
    "The list": INPUT,
    "Account, key and state": CONFIG,
    "What is asked and what counts": POLICY,
    "Pace": PACE,
    "How much": LIMITS + SAMPLE,
    "Other systems": PUSH + SYSTEMS,
    "What is told": CLOSING + REPORTING,
}
"""Under which title the help shows a group's options."""


def common(*groups: tuple[Callable[[Any], Any], ...]) -> Callable[[F], F]:
    """Give a command these groups of options, in this order."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate
