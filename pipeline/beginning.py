"""What `init` writes: a commented configuration, and a `.env` with the key that leaves its other lines alone."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipeline.model import PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_NAME: Final = "LEADCONTACT_API_KEY"

_KEY_LINE: Final = re.compile(rf"^[ \t]*(?:export[ \t]+)?{KEY_NAME}[ \t]*=.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What somebody answered: `found` columns were recognised, `told` ones corrected ("" for none)."""

    name: str
    plan: str
    daily_quota: int | None
    leads: str
    out: str
    found: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)


def toml_of(answers: Beginning) -> str:
    """Write the configuration, each line with its reason."""
    quota = answers.daily_quota or PLANS[answers.plan].daily_quota
    daily = f"\ndaily_quota = {answers.daily_quota}" if answers.daily_quota is not None else ""
    columns = [f"# {name} = {_quoted(header)}" for name, header in answers.found.items() if name not in answers.told]
    columns += [f"{name} = {_quoted(header)}" for name, header in answers.told.items()]
    listed = "\n".join(columns)
    return f"""\
# Made by `leadcontact init`; to be named with --config {answers.name}. Every option may stand here under its name,
# with _ for -. The key does not belong here: it is read from the file .env beside this one.

plan = {_quoted(answers.plan)}  # {quota:,} requests a day{daily}

# What is wanted of each lead. Without "phones" it takes fewer requests; `leadcontact plan` says how many.
steps = ["search", "verify", "phones"]

wait_up_to = "60m"       # a slot that opens within the hour is slept for; "0": never
reserve_credits = 10     # never touched
# stop_at = "06:30"      # pause at this local time
# reserve_requests = 5   # of each day, kept for other uses

# Which header of the list is which field. Commented lines were recognised by their names and adapt to the next list;
# a line without # holds for every list ("": there is none).
[columns]
{listed}
"""


def _quoted(text: str) -> str:
    """Write a TOML string: JSON's escapes are TOML's too, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def has_key(dotenv: str) -> bool:
    """Whether a `.env` names a key."""
    return _KEY_LINE.search(dotenv) is not None


def with_key(dotenv: str, key: str) -> str:
    """Put the key into a `.env`, in its old place if it has one; every other line stays."""
    line = f"{KEY_NAME}={_shell_quoted(key)}"
    if has_key(dotenv):
        return _KEY_LINE.sub(lambda _: line, dotenv)
    return dotenv + "\n" * (dotenv != "" and not dotenv.endswith("\n")) + line + "\n"


def _shell_quoted(key: str) -> str:
    """Quote a key that holds what `.env` readers would take for something else."""
    if re.fullmatch(r"[\w.+/=:@-]+", key):
        return key
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
