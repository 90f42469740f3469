"""`--help` as a short manual: what for, examples, options by theme, and what the exit codes mean."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.options import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SPENDING = (
    (
        "0",
        "Every row is finished; or paused, as the day's quota or a limit of yours is used: normal.",
    ),
    ("75", "Work is left and somebody should look: credits at the reserve, API outage, another run has the job."),
    ("77", "The key was refused; nothing more was sent."),
)
EXITS = {
    "verify": (
        ("0", "All are deliverable, with confidence of at least --min-confidence."),
        ("1", "At least one is not."),
        ("75", "Could not be decided: not answered, or not allowed now."),
        ("77", "The key was refused; nothing more was sent."),
    ),
    "push": (
        ("0", "All that is sure was pushed."),
        ("75", "The other system is down or takes no more today, or a run is under way: the next push goes on."),
        ("77", "The token was refused, or lacks a scope."),
    ),
    "forget": (("0", "Erased and kept out."), ("75", "A run is under way: forget again later.")),
    "doctor": (("0", "Nothing is wrong."), ("75, 77", "The API cannot be reached, or refused the key.")),
}
"""What a command's own exit codes mean."""

DONE = (("0", "Done."),)
FAILED = (
    ("64", "The command line means nothing."),
    ("65, 66", "The list cannot be used, or is not there."),
    ("74", "State or output cannot be used or written."),
    ("78", "A setting is missing, unknown or impossible."),
)
INTERRUPTED = (("130, 143", "Interrupted; answers under way were kept."),)


class Manual(click.Command):
    """A command whose help has sections."""

    def format_help_text(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it is for, then its examples: the paragraph that keeps its lines."""
        text, _, examples = inspect.cleandoc(self.help or "").partition("\b\n")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text.rstrip())
        if examples:
            with formatter.section("Examples"):
                formatter.write_text(f"\b\n{examples}")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the common ones by theme."""
        themes = SECTIONS if any(each.name == "config" for each in self.params) else {}
        titles = {name: title for title, group in themes.items() for name in _names(group)}
        found: dict[str, list[tuple[str, str]]] = {"Options": []}
        found |= {title: [] for title in SECTIONS}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
            if record is not None:
                found[titles.get(option.name or "", "Options")].append(record)
        for title, records in found.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the exit codes mean, and the command's last word."""
        with formatter.section("Exit codes"):
            formatter.write_dl(self._exits())
        super().format_epilog(ctx, formatter)

    def _exits(self) -> Sequence[tuple[str, str]]:
        spends = any(option.name == "strict" for option in self.params)
        own = EXITS.get(self.name or "", SPENDING if spends else DONE)
        return (*own, *FAILED, *(INTERRUPTED if spends else ()))


def example(error: click.UsageError) -> str:
    """The first example of the command that was not understood, as a line; empty where there is none."""
    command = error.ctx.command if error.ctx else None
    told = inspect.cleandoc(command.help or "").partition("\b\n")[2] if isinstance(command, Manual) else ""
    return f"For example: {told.splitlines()[0].strip()}\n" if told else ""


def manual(command: click.Command) -> click.Command:
    """Give a command this help; a group's commands too."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            command.commands[name] = manual(each)
        return command
    made = Manual(command.name)
    vars(made).update(vars(command))
    return made


def _names(group: Sequence[Callable[[Any], Any]]) -> list[str]:
    """The parameters that a group of options adds to a command."""

    def command() -> None: ...

    for option in group:
        option(command)
    return [option.name for option in vars(command)["__click_params__"]]
