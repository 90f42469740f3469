"""What crash tests stand on: the command in a process of its own, which kills itself at a named point.

The process is forked from a server that has imported the program, so that a start costs 0.05 s in place of a second.
What runs is the command's own `main`; the point is a function of the program, wrapped from outside.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from system_site import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.context import ForkServerProcess

    from system_site import Machine

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pipeline.cli", "pipeline.app", "pipeline.client"])

SMALL_INTAKE = 4
"""Rows taken in with one commit, so that a short list has several."""


@dataclass(frozen=True)
class Point:
    """An instant in the program: before or after a function, or half way through what it consumes or writes."""

    name: str
    module: str
    owner: str
    function: str
    when: str = "after"

    def arm(self, hit: int, number: signal.Signals) -> None:
        """Make this process send itself a signal when it comes to the point for the n-th time."""
        __import__(self.module)
        owner: Any = sys.modules[self.module]
        if self.owner:
            owner = getattr(owner, self.owner)
        real, left = getattr(owner, self.function), hit

        def here() -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), number)

        setattr(owner, self.function, WHENS[self.when](real, here))


def _before(real: Callable[..., Any], here: Callable[[], None]) -> Callable[..., Any]:
    @wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        here()
        return real(*arguments, **named)

    return wrapped


def _after(real: Callable[..., Any], here: Callable[[], None]) -> Callable[..., Any]:
    @wraps(real)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        here()
        return result

    @wraps(real)
    async def awaited(*arguments: Any, **named: Any) -> Any:
        result = await real(*arguments, **named)
        here()
        return result

    return awaited if inspect.iscoroutinefunction(real) else wrapped


def _half_written(real: Callable[..., Any], here: Callable[[], None]) -> Callable[..., Any]:
    """Write the first half of the block before it is decided whether to go on."""

    @wraps(real)
    def wrapped(file: Any, block: bytes) -> None:
        half = len(block) // 2
        real(file, block[:half])
        here()
        real(file, block[half:])

    return wrapped


def _half_consumed(real: Callable[..., Any], here: Callable[[], None]) -> Callable[..., Any]:
    """Be there between two of the lines it is given."""

    @wraps(real)
    def wrapped(self: Any, lines: Any) -> Any:
        def passing() -> Any:
            for line in lines:
                yield line
                here()

        return real(self, passing())

    return wrapped


WHENS = {"before": _before, "after": _after, "half written": _half_written, "half consumed": _half_consumed}

CREATION = (
    Point("state file made, no schema yet", "pipeline.store", "", "_migrate", "before"),
    Point("journal mode set, no schema yet", "pipeline.store", "", "_only_once"),
    Point("schema made, no account yet", "pipeline.store", "", "_account", "before"),
)
INTAKE = (
    Point("job made, nothing taken in", "pipeline.store.jobs", "Jobs", "begin_intake"),
    Point("a part of the list taken in", "pipeline.store.jobs", "Jobs", "take_in"),
    Point("all rows taken in, not noted", "pipeline.store.jobs", "Jobs", "end_intake", "before"),
)
REQUEST = (
    Point("statements run, not committed", "pipeline.store.commit", "Transaction", "end", "before"),
    Point("reserved, not sent", "pipeline.store.ledger", "Ledger", "reserve"),
    Point("sent, no byte of the body read", "pipeline.client", "", "_read", "before"),
    Point("bytes arrived, not in the journal", "pipeline.client", "", "_read"),
    Point("journal committed, not used", "pipeline.store.ledger", "Ledger", "settle"),
)
LINE = (
    Point("half a block of lines written", "pipeline.sinks.jsonl", "", "_write", "half written"),
    Point("lines written, their length not", "pipeline.sinks.jsonl", "JsonlOutput", "append"),
    Point("lines and length committed", "pipeline.store.jobs", "Jobs", "finish"),
)
REWRITE = (
    Point("in the middle of a rewrite", "pipeline.sinks.jsonl", "JsonlOutput", "write_beside", "half consumed"),
    Point("rewritten beside, not announced", "pipeline.sinks.jsonl", "JsonlOutput", "write_beside"),
    Point("rewrite announced, not in place", "pipeline.sinks.jsonl", "JsonlOutput", "swap", "before"),
    Point("rewrite in place, not counted", "pipeline.sinks.jsonl", "JsonlOutput", "swap"),
)


LOCKING = Point("about to take a lock", "pipeline.store.locks", "Lock", "acquire", "before")


class Crash(NamedTuple):
    """A point, the how-manieth time it is passed, and what happens then."""

    point: Point
    hit: int
    number: signal.Signals = signal.SIGKILL


def _command(arguments: Sequence[str], folder: str, environment: dict[str, str], crash: Crash | None) -> None:
    """Be the command: in the child process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with Path("said.txt").open("w") as said:
        os.dup2(said.fileno(), 2)
    import pipeline.intake  # noqa: PLC0415 - the forked process's own
    import pipeline.session  # noqa: PLC0415
    from pipeline.cli import main  # noqa: PLC0415

    pipeline.session.Parts = partial(pipeline.session.Parts, now=clock)  # type: ignore[assignment,misc]
    if crash is not None:
        pipeline.intake.INTAKE = SMALL_INTAKE  # type: ignore[misc]
        crash.point.arm(crash.hit, crash.number)
    sys.argv = ["leadcontact", *arguments]
    main()


def said_last(machine: Machine) -> str:
    """What the last forked command said."""
    return (machine.folder / "said.txt").read_text("utf-8")


def clock() -> float:
    """The wall clock of forked commands: ahead by as many hours as the file `hours` says, if there is one."""
    hours = Path("hours")
    return time.time() + (3600 * float(hours.read_text("utf-8")) if hours.exists() else 0)


def start_forked(machine: Machine, *arguments: object, crash: Crash | None = None) -> ForkServerProcess:
    """Start the command in a forked process."""
    told = (tuple(map(str, arguments)), str(machine.folder), machine.surroundings(), crash)
    process = FORKS.Process(target=_command, args=told)
    process.start()
    return process


async def end_of(process: ForkServerProcess) -> int:
    """Wait for a forked command's end, or kill it; return its exit code, -9 if it was killed."""
    try:
        await until(lambda: not process.is_alive())
    finally:
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


async def forked(machine: Machine, *arguments: object, crash: Crash | None = None) -> int:
    """Run the command to its end, or to its crash; return its exit code."""
    return await end_of(start_forked(machine, *arguments, crash=crash))


def stopped(process: ForkServerProcess) -> bool:
    """Whether a process stands still, stopped by a signal."""
    return Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "T"
