"""What system tests stand on: the real command in real processes, beside a sandbox on a real socket."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from pipeline.sandbox import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

KEY = "lc_live_never_seen_in_any_log"
PATIENCE = 60.0
"""Seconds after which a command that should have ended, or a condition that should have come, has failed."""

FAST = ("--plan", "enterprise", "--daily-quota", "5000", "--wait-up-to", "0")
"""A plan that does not hold a test up."""


class Told(NamedTuple):
    """What a command left behind: its exit code, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one sentence of an error. Fails unless it is the last thing said, with its fix, and no traceback."""
        assert "Traceback" not in self.err
        *_, last = self.err.splitlines()
        assert last.startswith("leadcontact: "), self.err
        return last.removeprefix("leadcontact: ")


@dataclass
class Machine:
    """A folder with its own home and state, in which the command is run."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """The usual output."""
        return self.folder / "out.jsonl"

    @property
    def state(self) -> Path:
        """The state all commands share unless told otherwise."""
        return self.folder / "state" / "leadcontact-pipeline" / "state.db"

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The output's lines; fails if one of them is not whole."""
        text = (path or self.out).read_bytes()
        assert text.endswith(b"\n") or not text
        return [orjson.loads(line) for line in text.splitlines()]

    def rows(self, path: Path | None = None) -> list[int]:
        """The rows that have a line, by number."""
        return sorted(line["row"] for line in self.lines(path))

    def query(self, sql: str, path: Path | None = None) -> list[tuple[Any, ...]]:
        """Look into the state."""
        with closing(sqlite3.connect(path or self.state, timeout=30)) as db:
            return db.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        """Spoil the state."""
        with closing(sqlite3.connect(self.state, timeout=30, isolation_level=None)) as db:
            db.execute(sql)

    async def start(
        self,
        *arguments: object,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
        **environment: str,
    ) -> Process:
        """Start the command. Its files get whatever mode it asks for: the umask is open."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pipeline",
            *map(str, arguments),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=self.folder,
            env=self.surroundings(environment),
            umask=0,
        )

    async def run(self, *arguments: object, stdin: bytes | None = None, **environment: str) -> Told:
        """Run the command to its end."""
        pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        return await ended(await self.start(*arguments, stdin=pipe, stderr=subprocess.PIPE, **environment), stdin)

    def run_alone(self, *arguments: object, **environment: str) -> Told:
        """Run the command where there is no event loop."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *map(_argument, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.folder,
            env=self.surroundings(environment),
            timeout=PATIENCE,
            check=False,
            umask=0,
        )
        return Told(done.returncode, done.stdout.decode(), done.stderr.decode())

    def surroundings(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """The environment the command is run in."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("LEADCONTACT_")}
        told = {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state"), "COLUMNS": "100"}
        return {**ours, **told, **self.environment, **(more or {})}


def _argument(value: object) -> str | bytes:
    return value if isinstance(value, bytes) else str(value)


async def ended(process: Process, stdin: bytes | None = None) -> Told:
    """Wait for a command's end; kill it if it does not come."""
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Told(process.returncode, out.decode(), err.decode())


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to come true."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it never came true"
        await asyncio.sleep(0.005)


async def said(process: Process, words: str) -> str:
    """Read a command's log up to the line that holds these words; returns what was read."""
    assert process.stderr is not None
    read = ""
    while words not in read:
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE)
        assert line, f"it ended without saying {words!r}: {read}"
        read += line.decode()
    return read


@asynccontextmanager
async def site(folder: Path, **options: Any) -> AsyncIterator[tuple[Machine, Sandbox]]:
    """Put a machine beside a sandbox that knows its key."""
    async with Sandbox(SandboxOptions(key=KEY, **{"greylist_seconds": 0.0, **options})) as sandbox:
        environment = {"LEADCONTACT_API_KEY": KEY, "LEADCONTACT_BASE_URL": sandbox.base_url}
        yield Machine(folder, environment), sandbox


def asked(sandbox: Sandbox) -> list[str]:
    """Every question the server was asked, in order."""
    return [entry.question for entry in sandbox.log]


def asked_again(sandbox: Sandbox) -> int:
    """How many requests asked what had been asked before."""
    return len(sandbox.log) - len(set(asked(sandbox)))
