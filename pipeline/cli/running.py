"""What all commands share: settings, log, event loop, the sandbox, and errors as one sentence."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.errors import InternalError, PipelineError, StateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pipeline.observe.log import Log
    from pipeline.observe.summary import Report
    from pipeline.session import Parts
    from pipeline.settings import Settings

T = TypeVar("T")

PAUSED = 0
EXITS = {
    "done": 0,
    "quota": PAUSED,
    "max_requests": PAUSED,
    "max_credits": PAUSED,
    "stop_at": PAUSED,
    "sample": PAUSED,
    "credits": 75,
    "outage": 75,
    "contract": 75,
    "denied": 77,
    "redirect": 78,
    "interrupted": 130,
    "terminated": 143,
}
"""How each end of a run (`model.Stop`) exits (README, "Exit codes")."""

BROKEN_OFF = (130, 143)
"""Exits of a run that somebody ended."""

REPEATED = ("config", "account", "plan", "daily_quota", "base_url", "api_key_file", "state", "sandbox")
"""Options without which the next command would look elsewhere."""

WORK_LEFT = 75


@dataclass(slots=True)
class Context:
    """The settings and the log of one command."""

    settings: Settings
    log: Log
    as_json: bool
    said: str
    """Options of this command line that another command on the same jobs needs too."""
    files: list[str] = field(default_factory=list)
    """Files that the settings were read from."""
    receiver: str | None = None
    """The webhook that this command line named; one from a file or the environment is not repeated anywhere."""


def prepare(options: dict[str, Any]) -> Context:
    """Load the settings and open the log."""
    from pipeline.configured import environment, load
    from pipeline.observe.log import Log

    environ, said = environment(), _said(options)
    config = options.pop("config", None) or environ.get("LEADCONTACT_CONFIG")
    as_json = bool(options.pop("as_json", False))
    options["columns"] = dict(options.get("columns") or ())
    path = Path(config).expanduser() if config else None
    settings, warnings = load(options, path, environ, cwd=Path.cwd())
    log = Log(fmt=settings.log_format, level=settings.log_level, run="-", quiet=settings.quiet)
    for warning in warnings:
        log.caution(warning)
    sources = [str(path), str(path.parent / ".env")] if path else [".env"]
    return Context(settings, log, as_json, said, sources, options.get("webhook_url"))


def _said(options: dict[str, Any]) -> str:
    """Write down again which configuration, account and state were named."""
    import shlex

    told = {name.replace("_", "-"): options.get(name) for name in REPEATED}
    values = {name: "" if value is True else f" {shlex.quote(str(value))}" for name, value in told.items() if value}
    return "".join(f" --{name}{value}" for name, value in values.items())


def guarded(work: Callable[[], int]) -> int:
    """Run a command; whatever goes wrong becomes one sentence on stderr and an exit code."""
    try:
        return work()
    except PipelineError as error:
        return complain(error)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer has no reader
        why = "was closed before it took all" if error.errno in (None, errno.EPIPE) else f"fails ({error.strerror})"
        return complain(StateError(f"Standard output {why}.", "The next run writes what is missing."))
    except Exception as error:  # noqa: BLE001 - the border: people never see a traceback
        return complain(_damaged(error) or _internal(error))


def _damaged(error: Exception) -> StateError | None:
    """A state file that turns out to be damaged in the middle is not our fault."""
    if type(error).__module__ != "sqlite3":
        return None
    why = str(error).partition(" with text ")[0]  # SQLite shows what it could not decode, and that is a lead
    return StateError(
        f"The state file cannot be read ({why}).",
        "Restore it from a backup, or name another file with --state; results already written stay.",
    )


def complain(error: PipelineError) -> int:
    """Say what went wrong; returns its exit code."""
    with suppress(OSError):  # with nobody to tell, the exit code still does
        print(f"leadcontact: {error}", file=sys.stderr)
    return error.exit_code


def _internal(error: Exception) -> InternalError:
    """Say where we failed without the error's own text, which may hold personal data."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return InternalError(
        f"Something went wrong inside ({type(error).__name__} at {where}).",
        "All answers so far are kept and the same command goes on. Please report this line.",
    )


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on the fastest loop there is; a second Ctrl-C may end it anywhere."""
    import asyncio

    async def main() -> T:
        try:
            return await work()
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    try:
        import uvloop
    except ImportError:
        return asyncio.run(main())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


@asynccontextmanager
async def parts(context: Context) -> AsyncIterator[Parts]:
    """Make the parts of a run, with the sandbox in place of the API if that is wanted."""
    from pipeline.sandboxed import parts_for

    async with parts_for(context.settings, context.log.event, context.log.say, signals=True) as made:
        context.log.run = made.owner[:8]
        yield made


def offline(context: Context) -> Parts:
    """Make the parts of a command that asks nothing."""
    from pipeline.session import Parts

    return Parts(context.settings, context.log.event, context.log.say, signals=False)


def print_json(**told: object) -> None:
    """Print a result for machines."""
    import orjson

    print(orjson.dumps({"schema_version": 1, **told}, option=orjson.OPT_INDENT_2).decode())


def exit_code(report: Report, settings: Settings) -> int:
    """The run's exit code; --strict makes a pause with work left 75."""
    code = EXITS[report.stopped.why]
    if code == 0 and report.unusable:
        return StateError.exit_code
    return WORK_LEFT if code == 0 and settings.strict and report.pending else code
