"""Everything that can end a command, grouped by what its reader must do; the exit code says which group.

    PipelineError
    ├── UsageError        64  say the command differently
    ├── InputUnusable     65  mend the input file
    ├── InputMissing      66  name another input file
    ├── InternalError     70  tell us
    ├── StateError        74  mend or move the state file or the output
    ├── JobHeld           75  wait for the other run
    ├── Unavailable       75  come again later: the other side is down, or takes no more today
    ├── KeyRefused        77  get another key
    └── ConfigError       78  mend the configuration

The wire has its own two, which never reach people: NotSent and Ambiguous.
"""

from __future__ import annotations

from typing import ClassVar


class PipelineError(Exception):
    """One sentence for people: what happened, why, and what to do. Never holds a key or personal data."""

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what} {fix}".strip())


class UsageError(PipelineError):
    """The command line cannot mean anything."""

    exit_code = 64


class InputUnusable(PipelineError):
    """The input was read and cannot be used."""

    exit_code = 65


class InputMissing(PipelineError):
    """The input is not there."""

    exit_code = 66


class InternalError(PipelineError):
    """A defect of ours."""

    exit_code = 70


class StateError(PipelineError):
    """The state file or the output cannot be used or written."""

    exit_code = 74


class JobHeld(PipelineError):
    """Another run works on the same job."""

    exit_code = 75


class Unavailable(PipelineError):
    """The system that was to take or give data is down, or takes no more today."""

    exit_code = 75


class KeyRefused(PipelineError):
    """The server does not accept the key."""

    exit_code = 77


class ConfigError(PipelineError):
    """A setting is missing, unknown or impossible."""

    exit_code = 78


class NotSent(Exception):
    """The request certainly never left: refused connection, DNS, TLS, no free connection."""


class Ambiguous(Exception):
    """The request may have been served and charged: timeout, disconnect after sending, 5xx."""
