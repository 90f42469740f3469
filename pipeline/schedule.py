"""How a night is written down for cron, systemd and Kubernetes: templates, and the quoting of each of them."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path, PurePosixPath
from string import Template
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.errors import UsageError
from pipeline.written import clock_time

if TYPE_CHECKING:
    from collections.abc import Sequence

TEMPLATES: Final = Path(__file__).with_name("schedules")

FILES: Final = {
    "cron": ("cron",),
    "systemd": ("leadcontact.service", "leadcontact.timer"),
    "kubernetes": ("cronjob.yaml",),
}
"""The templates of each kind."""

HOMES: Final = ("/home", "/root", "/run/user")
"""What ProtectHome hides."""

RESUME: Final = ("resume", "--wait-up-to", "2h")


class Night(NamedTuple):
    """What is to be done, when, by whom, and where things lie."""

    leads: str
    output: str
    state: str
    time: str = "02:00"
    user: str = "leadcontact"
    program: str = "/usr/local/bin/leadcontact"
    key_file: str = "/etc/leadcontact/api-key"
    image: str = "leadcontact"
    config: str | None = None

    @property
    def commands(self) -> tuple[list[str], list[str]]:
        """The arguments that take the list in, and those that work on all lists."""
        config = ["--config", self.config] if self.config else []
        intake = ["enrich", self.leads, "-o", self.output, "--max-requests", "0", *config]
        return intake, [*RESUME, *config]


MACHINE: Final = Night("/srv/leads/new.csv", "/srv/leads/leads.jsonl", "/var/lib/leadcontact/state.db")
CLUSTER: Final = Night("/data/new.csv", "/data/leads.jsonl", "/data/state.db", user="10001")
USUAL: Final = {"cron": MACHINE, "systemd": MACHINE, "kubernetes": CLUSTER}
"""What is assumed where nothing is said; the files under config/ are made of it."""


def written(kind: str, night: Night) -> dict[str, str]:
    """The files of a kind, by name. Raises UsageError for what cannot be written there."""
    _check(kind, night)
    values = {"cron": _cron, "systemd": _systemd, "kubernetes": _kubernetes}[kind](night)
    return {name: Template((TEMPLATES / name).read_text("utf-8")).substitute(values) for name in FILES[kind]}


def _check(kind: str, night: Night) -> None:
    try:
        clock_time(night.time)
    except ValueError as error:
        raise UsageError(f"--time {night.time} {error}.", "For example --time 02:00.") from None
    paths = {
        "LIST": night.leads,
        "OUTPUT": night.output,
        "STATE": night.state,
        "CONFIG": night.config or "/",
        "PROGRAM": night.program,
    }
    for name, path in paths.items():
        if not PurePosixPath(path).is_absolute() or not path.isprintable():
            raise UsageError(
                f"--{name.lower()} {path!a} is no whole path.", "A schedule starts in no folder of yours."
            )
    for name, plain in {"--user": night.user, "--key-file": night.key_file, "--image": night.image}.items():
        if not re.fullmatch(r"[\w./:@-]+", plain):
            raise UsageError(f"{name} {plain!a} holds a character that no schedule can.", "Choose a simpler name.")
    if kind == "kubernetes" and not night.user.isdecimal():
        raise UsageError(f"--user {night.user} is no number, and a pod knows users by number.", "For example 10001.")


def _folders(night: Night) -> list[str]:
    """The folders that are written to, or read from."""
    paths = (night.leads, night.output, night.state)
    return sorted({str(PurePosixPath(path).parent) for path in paths})


def _clock(night: Night) -> dict[str, str]:
    hour, minute = map(int, night.time.split(":"))
    return {"time": f"{hour:02}:{minute:02}", "hour": str(hour), "minute": str(minute)}


def _cron(night: Night) -> dict[str, str]:
    """A shell's words, in which cron takes % for the end of the line. Its variables take the rest of the line."""
    intake, work = (shlex.join([night.program, *arguments]).replace("%", "\\%") for arguments in night.commands)
    values = {"user": night.user, "state": night.state, "key_file": night.key_file}
    return {**_clock(night), **values, "intake": intake, "work": work}


def _systemd(night: Night) -> dict[str, str]:
    """Words in double quotes where need be; % and $ mean something there."""
    intake, work = (_systemd_words([night.program, *arguments]) for arguments in night.commands)
    homes = any(path.startswith(tuple(f"{home}/" for home in HOMES)) for path in (*_folders(night), night.program))
    return {
        **_clock(night),
        "user": night.user,
        "state": _systemd_words([f"LEADCONTACT_STATE={night.state}"], dollars=False),
        "key_file": night.key_file,
        "intake": intake,
        "work": work,
        "folders": _systemd_words(_folders(night), dollars=False),
        "home": "read-only" if homes else "yes",
    }


def _systemd_words(words: Sequence[str], *, dollars: bool = True) -> str:
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") for word in words)
    spent = (word.replace("$", "$$") if dollars else word for word in escaped)
    return " ".join(word if re.fullmatch(r"[\w./:=%$-]+", word) else f'"{word}"' for word in spent)


def _kubernetes(night: Night) -> dict[str, str]:
    """JSON, which YAML reads as it stands; one volume holds all."""
    folder = str(PurePosixPath(night.state).parent)
    if any(not PurePosixPath(path).is_relative_to(folder) for path in (night.leads, night.output)) or folder == "/":
        raise UsageError(
            "List, output and state must lie in one folder, where the volume is.", f"For example {CLUSTER.state}."
        )
    intake, work = (json.dumps([*arguments]).replace("$(", "$$(") for arguments in night.commands)
    values = {"user": night.user, "image": json.dumps(night.image), "folder": json.dumps(folder)}
    return {**_clock(night), **values, "state": json.dumps(night.state), "intake": intake, "work": work}
