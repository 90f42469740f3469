"""`leadcontact completion`: the Tab key knows commands, options, choices and files."""

from __future__ import annotations

import click


@click.command(short_help="Print the script that lets the Tab key complete this command.")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for SHELL; nothing is installed.

    \b
    leadcontact completion bash > ~/.local/share/bash-completion/completions/leadcontact
    leadcontact completion zsh > "${fpath[1]}/_leadcontact"
    leadcontact completion fish > ~/.config/fish/completions/leadcontact.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is not None:
        script = made(context.find_root().command, {}, "leadcontact", "_LEADCONTACT_COMPLETE")
        # not source(): for bash it would start one to look at its version
        click.echo(script.source_template % script.source_vars())
