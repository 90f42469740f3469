"""`leadcontact schedule`: the night written down for cron, systemd or Kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.running import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

F = TypeVar("F", bound="Callable[..., Any]")

KINDS = ("cron", "systemd", "kubernetes")


def _said(name: str, metavar: str, text: str, field: str = "") -> Callable[[F], F]:
    return click.option(name, *filter(None, [field]), metavar=metavar, default=None, help=text)


@click.command(short_help="The night, written down for cron, systemd or Kubernetes.")
@click.option("--print", "kind", type=click.Choice(KINDS), required=True, help="For whom it is written.")
@_said("--into", "FOLDER", "Write the files there instead of showing them.")
@_said("--list", "LIST", "The list, as a whole path.", "leads")
@_said("--output", "OUT.jsonl", "Where its lines go.")
@_said("--time", "HH:MM", "When it starts (02:00).")
@_said("--state", "PATH", "The state file: one for all jobs.")
@_said("--user", "NAME", "Who runs it; in Kubernetes a number.")
@_said("--program", "PATH", "Where the command lies (/usr/local/bin/leadcontact).")
@_said("--key-file", "FILE", "Where the key lies (/etc/leadcontact/api-key).")
@_said("--config", "FILE.toml", "Settings in a file.")
@_said("--image", "NAME", "Kubernetes: the container's image.")
def schedule(kind: str, into: str | None, **said: str | None) -> int:
    """Write down a night: take the list in, then work on all unfinished lists on one budget.

    \b
    leadcontact schedule --print cron --list /srv/new.csv --output /srv/out.jsonl --user ann
    leadcontact schedule --print systemd --program ~/.venv/bin/leadcontact --into /etc/systemd/system
    leadcontact schedule --print kubernetes --image leadcontact:0.1.0 | kubectl apply -f -
    """
    return guarded(lambda: _schedule(kind, into, said))


def _schedule(kind: str, into: str | None, said: dict[str, str | None]) -> int:
    from pathlib import Path

    from pipeline.schedule import USUAL, written

    night = USUAL[kind]._replace(**{name: value for name, value in said.items() if value is not None})
    files = written(kind, night)
    if kind != "kubernetes" and not Path(night.program).exists():
        click.echo(f"Warning: there is no {night.program} on this machine; name yours with --program.", err=True)
    if into is None:
        click.echo("\n".join(files.values()), nl=False)
        return 0
    for name, text in files.items():
        _put(Path(into) / ("leadcontact" if name == "cron" else name), text)
    return 0


def _put(path: Path, text: str) -> None:
    from pipeline.errors import StateError

    if path.exists() and path.read_bytes() != text.encode():
        raise StateError(f"{path} is there already and says something else.", "Move it away, or name another folder.")
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}).", "Make the folder, or use sudo.") from error
    click.echo(f"Written: {path}")
