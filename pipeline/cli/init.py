"""`leadcontact init`: from nothing to the first command, by a few questions."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from pipeline.cli.options import File
from pipeline.cli.running import guarded
from pipeline.errors import PipelineError, StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.columns import Header

T = TypeVar("T")

DOTENV = ".env"
NONE = "-"
PLANS = ("free", "starter", "professional", "enterprise")


@click.command(short_help="A few questions, and everything is in place for the first run; spends nothing.")
@click.argument("config", default="leadcontact.toml", type=File())
def init(config: str) -> int:
    """Ask for plan, key, list and columns, and write CONFIG (leadcontact.toml) and a .env beside it.

    The key is not shown while it is typed, and .env is readable by you only. Files that are there already are
    replaced only if you say so. Nothing is asked of the API.

    \b
    leadcontact init
    leadcontact init customers/acme.toml
    """
    return guarded(lambda: _init(Path(config).expanduser()))


def _init(config: Path) -> int:
    if not sys.stdin.isatty():
        raise UsageError(
            "leadcontact init asks questions, and there is no terminal to answer them.",
            "Run it in a terminal; in a script copy a file of config/ and set LEADCONTACT_API_KEY.",
        )
    return interview(config)


def interview(config: Path) -> int:
    """Ask, write, and say what comes next."""
    from pipeline.beginning import Beginning, toml_of

    if not config.parent.is_dir():
        raise UsageError(f"There is no folder {config.parent} for {config.name}.", "Make it, or name another file.")
    if config.exists() and not click.confirm(f"{config} is there already. Replace it?", default=False):
        raise UsageError(f"{config} was kept.", "Name another one: leadcontact init other.toml")
    click.echo("A few questions; Enter takes what stands in [brackets], Ctrl-C leaves everything as it is.\n")
    plan, quota = _plan()
    key = _key(config.parent / DOTENV)
    leads = _list()
    told = _columns(leads)
    out = click.prompt("\nWhere the results go", default=f"{Path(leads.path).stem}-enriched.jsonl")
    answers = Beginning(config.name, plan, quota, leads.path, out, leads.found(told), told)
    written = [_write(config, toml_of(answers))]
    written += [_write_key(config.parent / DOTENV, key)] if key else []
    _next(config, answers.leads, out, written, has_key=_has_key(config.parent / DOTENV))
    return 0


# --- plan and key -------------------------------------------------------------------------------------


def _plan() -> tuple[str, int | None]:
    click.echo("Plans: free 25, starter 500, professional 2,000 requests a day; enterprise has your own number.")
    plan = click.prompt("Your plan", type=click.Choice(PLANS), default="free", show_choices=False)
    if plan != "enterprise":
        return plan, None
    return plan, click.prompt("Your requests a day", type=click.IntRange(min=1))


def _key(dotenv: Path) -> str:
    """Ask for the key; blank: another time, or the one that is there."""
    from pipeline.settings import checked_key

    if _has_key(dotenv) and not click.confirm(f"\n{dotenv} has a key already. Replace it?", default=False):
        return ""
    click.echo("\nYour API key (Settings > API Access) is not shown while you type or paste it; Enter leaves it out.")

    def key() -> str:
        typed: str = click.prompt("API key", default="", hide_input=True, show_default=False)
        return checked_key(typed.strip(), "your answer") if typed.strip() else ""

    return _until_usable(key)


def _has_key(dotenv: Path) -> bool:
    from pipeline.beginning import has_key

    return has_key(_text(dotenv))


def _text(path: Path) -> str:
    """Read a file that may not be there."""
    try:
        return path.read_text("utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"{path} is there and cannot be read as text.", "Mend it or move it away.") from error


def _until_usable(ask: Callable[[], T]) -> T:
    """Ask until the answer can be used."""
    while True:
        try:
            return ask()
        except PipelineError as error:
            click.echo(f"  {error}")


# --- the list -----------------------------------------------------------------------------------------


class _Leads(NamedTuple):
    """A list that can be read, and its headers."""

    path: str
    read_as: str
    headers: list[Header]

    def found(self, told: Mapping[str, str]) -> dict[str, str]:
        """Which header is which field; raises InputUnusable where that is unclear."""
        from pipeline.columns import recognise

        return recognise(self.headers, told, self.path).fields


def _list() -> _Leads:
    from pipeline.sources import look

    def leads() -> _Leads:
        path = str(Path(click.prompt("\nYour list of leads (a CSV or JSONL file)").strip()).expanduser())
        if path == "-":
            raise UsageError("A pipe cannot be looked at beforehand.", "Name a file.")
        return _Leads(path, *look(path))

    return _until_usable(leads)


def _columns(leads: _Leads) -> dict[str, str]:
    """Show which column is what until it is right; returns what the user corrected."""
    told: dict[str, str] = {}
    click.echo(f"  {leads.read_as}")
    while True:
        try:
            found = leads.found(told)
        except PipelineError as error:
            click.echo(f"  {getattr(error, 'what', error)}")
        else:
            _show(leads, found)
            if click.confirm("Is each column what it should be?", default=True):
                return told
        told = _corrected(leads, told)


def _show(leads: _Leads, found: Mapping[str, str]) -> None:
    width = max(map(len, found))
    for field, header in found.items():
        click.echo(f"  {field:<{width}}  {header}")
    others = [header.key for header in leads.headers if header.key not in found.values()]
    if others:
        click.echo(f"  carried through: {', '.join(others)}")


def _corrected(leads: _Leads, told: dict[str, str]) -> dict[str, str]:
    """Ask for the header of each field; from then on nothing is guessed."""
    from pipeline.columns import FIELDS, guesses

    guessed = guesses(leads.headers)
    click.echo("\nWhich column is it? Its name or number; Enter keeps what stands in [brackets], - means none.")
    for header in leads.headers:
        click.echo(f"  {header.position:>3}  {header.key}")
    said = {}
    for field in FIELDS:
        now = told.get(field, guessed.get(field, "")) or NONE
        said[field] = click.prompt(f"  {field}", default=now, value_proc=partial(_header, leads))
    return {field: header for field, header in said.items() if header or field in guessed}


def _header(leads: _Leads, answer: str) -> str:
    """The column that was meant, "" for none; what is neither a name nor a number is asked again."""
    keys = {header.key for header in leads.headers}
    if answer == NONE or answer in keys:
        return "" if answer == NONE else answer
    number = int(answer) if answer.isdecimal() else 0
    if not 0 < number <= len(leads.headers):
        raise click.BadParameter(f'there is no column "{answer}".')
    return leads.headers[number - 1].key


# --- files and last words -----------------------------------------------------------------------------


def _write(path: Path, text: str) -> str:
    """Put a file in place that its owner only can read; returns its name."""
    from pipeline.cli.summary_file import write_private

    try:
        write_private(path, text)
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}).", "Choose another folder.") from error
    return str(path)


def _write_key(dotenv: Path, key: str) -> str:
    from pipeline.beginning import with_key

    return _write(dotenv, with_key(_text(dotenv), key))


def _next(config: Path, leads: str, out: str, written: list[str], *, has_key: bool) -> None:
    """Say what was written and which commands come next."""
    named = f"--config {shlex.quote(str(config))}"
    click.echo(f"\nWritten   {', '.join(written)} (readable by you only)")
    if not has_key:
        click.echo(f"Key       not there yet: put LEADCONTACT_API_KEY=... into {config.parent / DOTENV}")
    if (config.parent / ".git").exists():
        click.echo(f"Git       keep the key out of it: add {DOTENV} to .gitignore")
    click.echo(f"Next      leadcontact plan {shlex.quote(leads)} {named}")
    click.echo("          says what the list will take, and spends nothing; then")
    click.echo(f"          leadcontact enrich {shlex.quote(leads)} -o {shlex.quote(out)} {named}")
