"""`--help` is a short manual, and the Tab key knows the command; all in this process, as click would call it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from pipeline.cli import cli
from pipeline.cli.help import example

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_every_command_has_examples_sections_and_exit_codes(command: tuple[str, ...]) -> None:
    """What for, a line to copy, its options, what its exit means; no line beyond 100 columns."""
    told = CliRunner().invoke(cli, [*command, "--help"], terminal_width=100).output
    words = " ".join(command)
    assert told.startswith(f"Usage: cli {words} [OPTIONS]")
    before, _, after = told.partition("\nExamples:\n")
    assert len(before.splitlines()) >= 3
    assert f"  leadcontact {words}" in after.partition("\n\n")[0]
    exits = after.partition("\nExit codes:\n")[2]
    assert [code for code in ("0 ", "64 ", "78 ") if f"\n  {code}" in f"\n{exits}"] == ["0 ", "64 ", "78 "]
    assert max(map(len, told.splitlines())) <= 100


def test_a_run_explains_its_own_exits_and_groups_its_options() -> None:
    """enrich: paused is 0, somebody should look is 75; options stand by theme."""
    told = CliRunner().invoke(cli, ["enrich", "--help"], terminal_width=100).output
    titles = ("Options", "The list", "Account, key and state", "What is asked and what counts", "Pace", "How much")
    places = [told.index(f"\n{title}:\n") for title in (*titles, "What is told", "Exit codes")]
    assert places == sorted(places)
    assert "\n  75 " in told
    assert "\n  130, 143 " in told


@pytest.mark.parametrize("typed", ["enrich", "enrich leads.csv", "enrich leads.csv -o out.jsonl --plan gold"])
def test_a_command_that_was_not_understood_shows_one_that_is(typed: str) -> None:
    """The next step, not only the mistake."""
    with pytest.raises(click.UsageError) as caught:
        cli(typed.split(), standalone_mode=False)
    assert example(caught.value) == "For example: leadcontact enrich leads.csv -o leads.jsonl --plan starter\n"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("leadcontact enr", "plain,enrich"),
        ("leadcontact enrich le", "file,le"),
        ("leadcontact enrich --pl", "plain,--plan"),
        ("leadcontact enrich --plan pro", "plain,professional"),
        ("leadcontact enrich a.csv -o o", "file,o"),
    ],
)
def test_the_tab_key_completes_commands_options_choices_and_files(typed: str, completed: str) -> None:
    """What the script of `completion` asks for."""
    words = typed.split()
    asked = {
        "_LEADCONTACT_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    told = CliRunner().invoke(cli, env=asked, prog_name="leadcontact")
    assert told.output.splitlines() == [completed]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_this_command(shell: str) -> None:
    """It asks `leadcontact` itself; bash can read it."""
    told = CliRunner().invoke(cli, ["completion", shell], prog_name="leadcontact").output
    assert f"_LEADCONTACT_COMPLETE={shell}_complete" in told
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=told, text=True, check=True)  # noqa: S607 - whichever there is
