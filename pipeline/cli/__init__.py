"""The `leadcontact` command."""

from __future__ import annotations

import io
import sys

import click

from pipeline import __version__
from pipeline.cli.completion import completion
from pipeline.cli.doctor import doctor
from pipeline.cli.enrich import enrich, resume
from pipeline.cli.export import export
from pipeline.cli.forget import forget
from pipeline.cli.help import example, manual
from pipeline.cli.init import init
from pipeline.cli.plan import plan
from pipeline.cli.prospect import prospect
from pipeline.cli.purge import purge
from pipeline.cli.push import push
from pipeline.cli.refresh import refresh
from pipeline.cli.replay import replay
from pipeline.cli.report import report
from pipeline.cli.sandbox import sandbox
from pipeline.cli.schedule import schedule
from pipeline.cli.status import status
from pipeline.cli.verify import verify

USAGE = 64


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The README tells the rest: exit codes, configuration, the shape of a line.",
)
@click.version_option(__version__, prog_name="leadcontact")
def cli() -> None:
    """Enrich lead lists through the LeadContact API, night after night, never over the quota.

    \b
    leadcontact enrich data/leads.csv --sandbox -o out.jsonl     try it, without a key
    leadcontact init                                             plan, key, list: then it is ready
    leadcontact enrich leads.csv -o leads.jsonl --plan starter   a list becomes enriched JSONL
    leadcontact status                                           what is used, what is left
    """


for command in (
    enrich,
    prospect,
    resume,
    push,
    verify,
    plan,
    refresh,
    status,
    report,
    replay,
    export,
    forget,
    purge,
    doctor,
    schedule,
    sandbox,
    init,
    completion,
):
    cli.add_command(manual(command))


def _refuse_odd_bytes(arguments: list[str]) -> None:
    """Names that are not text cannot be kept in the state, nor shown."""
    for argument in arguments:
        if not argument.isascii() and any("\ud800" <= letter <= "\udfff" for letter in argument):
            shown = argument.encode("utf-8", "backslashreplace").decode()[:80]
            what = f"{shown} is not text in UTF-8. Rename the file, or work in a UTF-8 locale: export LC_ALL=C.UTF-8"
            raise click.UsageError(what)


def main() -> None:
    """Run the command; a usage error exits with 64, like every sysexits tool."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # data, whatever the locale
    try:
        _refuse_odd_bytes(sys.argv[1:])
        code = cli(prog_name="leadcontact", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        click.echo(example(error), err=True, nl=False)
        code = USAGE
    except click.exceptions.Abort:
        code = 130
    sys.exit(code if isinstance(code, int) else 0)
