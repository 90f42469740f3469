"""The power fails: what was not synced is gone or half there, and still nothing paid is lost.

`strace` records what a run writes, syncs, cuts and renames, with times. For an instant of the recording the disk is
put together again: for each file what its last fsync left, and of the writes since then none, or any of them in any
order. The command is then run on that disk. Covered: the state, its write-ahead log, the output and its rewrite.
Not covered: a disk that says it has synced and has not, torn sectors, a directory entry lost though its file was
synced (file names count as durable at once), and SQLite's shared memory, which a restart builds anew.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from crash_site import forked, said_last
from soak import seconds, size
from support import people, write_leads
from system_site import FAST, Machine, ended, site

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.sandbox import Sandbox

WORKERS = 4
ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *FAST, "--concurrency", WORKERS)
CALLS = "pwrite64,write,fsync,fdatasync,ftruncate,openat,rename,unlink"
CALL = re.compile(r"\d+ +(\d+\.\d+) (\w+)\((.*)\) += \d+(?:<.*>)?")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"|<((?:\\x[0-9a-f]{2})+)>')


def told(hexadecimal: str) -> bytes:
    """Read a string as strace -xx writes it."""
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


@dataclass
class File:
    """A file: what is surely on the disk, and what was done to it since the last sync."""

    synced: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def after(self, rng: Random | None) -> bytes:
        """What is read of it: by the program (no `rng`), or after a power cut that lost some of the changes."""
        content = bytearray(self.synced)
        changes = list(self.since)
        if rng is not None:
            changes = rng.sample(changes, rng.choice([0, len(changes) // 2, len(changes)]))
        for offset, data in changes:
            if data is None:
                del content[offset:]
                continue
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        return bytes(content)


class Disk:
    """The files below a folder, as the calls of a recording leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        self.files: dict[str, File] = {}

    def apply(self, call: str, arguments: str) -> None:
        """Do what the program did."""
        texts = [told(text or path) for text, path in TEXT.findall(arguments)]
        names = [text.decode("utf-8", "replace") for text in texts]
        name = names[-1] if call == "openat" else names[0]
        if call == "openat" and "O_CREAT" in arguments and self._concerns(name):
            self.files.setdefault(name, File())
        if name in self.files:  # not a folder, nor a file that is only read
            self._change(name, call, arguments, texts)

    def _concerns(self, name: str) -> bool:
        return name.startswith(self.folder) and not name.endswith("-shm") and ".locks" not in name

    def _change(self, name: str, call: str, arguments: str, texts: list[bytes]) -> None:
        file = self.files[name]
        match call:
            case "pwrite64":
                file.since.append((int(arguments.rpartition(", ")[2]), texts[1]))
            case "write":
                file.since.append((len(file.after(None)), texts[1]))
            case "ftruncate":
                file.since.append((int(arguments.rpartition(", ")[2]), None))
            case "openat" if "O_TRUNC" in arguments:
                file.since.append((0, None))
            case "fsync" | "fdatasync":
                self.files[name] = File(file.after(None))
            case "rename":
                self.files[texts[1].decode()] = self.files.pop(name)
            case "unlink":
                del self.files[name]

    def restore(self, rng: Random) -> None:
        """Put the files there as a power cut leaves them."""
        for name, file in self.files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(file.after(rng))


async def recorded(machine: Machine) -> list[tuple[float, str, str]]:
    """Run the command to its end under strace; return the time, the name and the arguments of every call."""
    if shutil.which("strace") is None:
        pytest.skip("without strace nobody knows in which order the disk was written")
    trace = machine.folder.parent / "trace.txt"
    command = ("strace", "-f", "-ttt", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none")
    process = await asyncio.create_subprocess_exec(
        *command,
        *("-o", str(trace), sys.executable, "-m", "pipeline", *map(str, ENRICH)),
        cwd=machine.folder,
        env=machine.surroundings(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told = await ended(process)
    if "ptrace" in told.err:
        pytest.skip("this machine does not let strace look")
    assert told.code == 0, told.err
    calls = (CALL.fullmatch(line) for line in whole_calls(trace.read_text("utf-8").splitlines()))
    return [(float(call[1]), call[2], call[3]) for call in calls if call is not None]


def whole_calls(lines: list[str]) -> list[str]:
    """Join calls that strace shows in two parts because another thread's came between; they count when they end."""
    begun: dict[str, str] = {}
    whole = []
    for line in lines:
        thread = line.split(" ", 1)[0]
        if line.endswith(" <unfinished ...>"):
            begun[thread] = line.removesuffix(" <unfinished ...>")
        elif " resumed>" in line:
            whole.append(begun.pop(thread) + line.partition(" resumed>")[2])
        else:
            whole.append(line)
    return whole


@pytest.mark.timeout(seconds(240, 2400))
async def test_a_power_cut_loses_no_answer_and_no_line(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At any instant: the ledger counts what was sent, and only what was under way is asked again."""
    folder, rng = tmp_path / "night", Random(5)
    folder.mkdir()
    rows = people(5, 1)
    write_leads(folder / "leads.csv", rows)
    async with site(folder, latency=(0.005, 0.03)) as (machine, sandbox):
        calls = await recorded(machine)
        syncs = [n for n, (_, call, _) in enumerate(calls) if "sync" in call]
        assert len(syncs) > 4
        cuts = sorted(rng.sample(range(syncs[3], len(calls)), size(10, 200)))
        first = [(entry.at, entry.question) for entry in sandbox.log]
        disk, done = Disk(folder), 0
        for cut in cuts:
            shutil.rmtree(folder / "state")
            (folder / "out.jsonl").unlink(missing_ok=True)
            for _, call, arguments in calls[done:cut]:
                disk.apply(call, arguments)
            done = cut
            disk.restore(rng)
            await goes_on(machine, sandbox, [question for at, question in first if at < calls[cut][0]])
            assert machine.rows() == list(range(1, len(rows) + 1))
    record_property("power cuts", len(cuts))


async def goes_on(machine: Machine, sandbox: Sandbox, asked: list[str]) -> None:
    """Run the command on what is left of the disk: what had been asked is counted, and not asked again."""
    before = sandbox.count()
    assert await forked(machine, *ENRICH) == 0, said_last(machine)
    now = [entry.question for entry in sandbox.log[before:]]
    counted = machine.query("SELECT count(*) FROM attempt WHERE dated > 0")[0][0]
    lost = machine.query("SELECT count(*) FROM attempt WHERE outcome = 'lost'")[0][0]
    assert counted >= len(asked) + len(now)
    assert len(set(asked) & set(now)) <= lost <= WORKERS
    assert len(now) == len(set(now))
