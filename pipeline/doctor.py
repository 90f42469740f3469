"""What a run needs, examined one thing at a time; spends nothing unless a probe is asked for."""

from __future__ import annotations

import asyncio
import os
import pwd
import shlex
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.app import ask
from pipeline.errors import PipelineError
from pipeline.events import ClockDiffers, Event
from pipeline.model import Answer, Questions, SearchReply, Stop, Stopped
from pipeline.overview import overview
from pipeline.protocol import search_question
from pipeline.session import Parts, state_path
from pipeline.store import MOUNTS, NETWORK_FILE_SYSTEMS, Store, file_system
from pipeline.watching import try_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLENTY = 200 * 1024 * 1024
"""Bytes of free disk below which a night may not fit."""

CONNECT = 10.0
"""Seconds to wait for a connection."""

KEY_STARTS = ("lc_live_", "lc_test_")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. `fix` says what to do; `exit_code` is 0 unless a run would fail."""

    what: str
    told: str
    fix: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at of the machine; tests show another one."""

    mounts: Path = MOUNTS
    free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free
    homes: tuple[Path, ...] = ()
    """Homes in which a state of our own or of root's cron may lie, beside $HOME."""


def this_machine() -> Machine:
    """The one we are on: the home of this user by the system's book, root's, and that of who called sudo."""
    homes = [Path(pwd.getpwuid(0).pw_dir)]
    with suppress(KeyError):
        homes += [Path(pwd.getpwuid(os.getuid()).pw_dir), Path(pwd.getpwnam(os.environ["SUDO_USER"]).pw_dir)]
    return Machine(homes=tuple(homes))


async def examine(parts: Parts, *, probe: bool, machine: Machine, test_alerts: bool = False) -> list[Finding]:
    """Examine everything; the probe costs one request. `test_alerts` sends a test alert to whom alerts go."""
    findings = [_settings(parts), _key(parts), *_state(parts, machine)]
    findings.append(await _connection(parts))
    findings += _metrics(parts)
    if test_alerts:
        findings += await _told(parts)
    if probe and not any(finding.exit_code for finding in findings):
        findings += await _probe(parts)
    return findings


def _settings(parts: Parts) -> Finding:
    settings = parts.settings
    try:
        return Finding("settings", f"{settings.base_url}; plan {settings.plan_told}")
    except PipelineError as error:
        return Finding("settings", error.what, error.fix, error.exit_code)


def _key(parts: Parts) -> Finding:
    try:
        key = parts.settings.key()
    except PipelineError as error:
        return Finding("key", error.what, error.fix, error.exit_code)
    if not key.startswith(KEY_STARTS):
        fix = "The guide shows keys that begin with lc_live_ or lc_test_; check that this is the right one."
        return Finding("key", f"{len(key)} characters, of an unfamiliar form", fix)
    return Finding("key", f"{key[:8]}… ({len(key)} characters)")


def _state(parts: Parts, machine: Machine) -> Iterator[Finding]:
    path = state_path(parts.settings)
    kind = file_system(path, machine.mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding(
            "state", f"{path} lies on a network file system ({kind})", "Choose a local path with --state.", 74
        )
        return
    folder = next(parent for parent in path.parents if parent.exists())
    if not _writable(folder):
        yield Finding("state", f"{folder} cannot be written", "Check its permissions, or say --state PATH.", 74)
        return
    try:
        told = overview(parts.settings)
    except PipelineError as error:
        yield Finding("state", error.what, error.fix, error.exit_code)
        return
    used, jobs = told["quota"]["used"], len(told["jobs"])
    if not told["state_exists"]:
        yield Finding("state", f"there is no state file yet at {path}")
    else:
        yield Finding("state", f"{path}, {jobs} job{'s' * (jobs != 1)}, {used:,} requests used in this window")
    yield from _elsewhere(path, machine)
    yield _space(folder, machine)
    yield _clock(parts, path)
    yield from _jobs(parts)


def _elsewhere(path: Path, machine: Machine) -> Iterator[Finding]:
    """Tell of other states: cron has another HOME and no XDG_STATE_HOME, and would count the quota anew."""
    tail = Path(".local", "state", "leadcontact-pipeline", "state.db")
    others = {home / tail for home in (Path.home(), *machine.homes)} - {path}
    fix = f"Commands and cron need one: set LEADCONTACT_STATE={path} in both, or run them as the same user."
    for other in sorted(others):
        if os.path.isfile(other):  # noqa: PTH113 - Path.is_file raises where we may not look
            yield Finding("state", f"there is another state file, {other}, with a quota of its own", fix)
    if path.exists() and (owner := path.stat().st_uid) != os.getuid():
        yield Finding("user", f"{path} belongs to user {owner}, and you are {os.getuid()}", fix)


def _space(folder: Path, machine: Machine) -> Finding:
    free = machine.free(folder)
    if free < PLENTY:
        return Finding("disk", f"{free / 1e6:,.0f} MB free at {folder}", "Make room before the night.", 74)
    return Finding("disk", f"{free / 1e9:,.1f} GB free")


def _clock(parts: Parts, path: Path) -> Finding:
    last = Store.last_moment(path)
    now = parts.now()
    if last is not None and last > now + 300:
        ahead = datetime.fromtimestamp(last).astimezone()
        fix = "Set the clock; until then the requests dated in the future count as used."
        return Finding("clock", f"behind: the state knows of a request at {ahead:%Y-%m-%d %H:%M}", fix, 0)
    return Finding("clock", f"{datetime.fromtimestamp(now).astimezone():%Y-%m-%d %H:%M:%S %Z}")


def _jobs(parts: Parts) -> Iterator[Finding]:
    for job in overview(parts.settings)["jobs"]:
        if job["held_by"]:
            holder = job["held_by"]
            told = f"{job['job']} is being worked on by process {holder['pid']} since {holder['since']}"
            yield Finding("job", told, "Wait for it, or stop that process; its work is kept.")
        if job["output"] != "-":
            yield from _output(Path(job["output"]))


def _output(path: Path) -> Iterator[Finding]:
    if not _writable(path.parent):
        yield Finding("output", f"{path.parent} cannot be written", "Check its permissions, or export elsewhere.", 74)
    elif path.is_dir():
        yield Finding("output", f"{path} is a folder", "Move it away, or name another output with -o.", 74)
    elif path.exists() and (mode := path.stat().st_mode & 0o777) & 0o077:
        fix = f"If that is not meant: chmod 600 {shlex.quote(str(path))}"
        yield Finding("output", f"{path} can be read by others (mode {mode:o})", fix)


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


async def _connection(parts: Parts) -> Finding:
    """Open a connection and close it: the server sees no request."""
    url = urlsplit(parts.settings.base_url)
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(url.hostname, port, ssl=secure or None)
        writer.close()
    except (OSError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        fix = "Check base_url, the network and a proxy (trust_env)."
        return Finding("connection", f"{url.hostname}:{port} cannot be reached ({reason})", fix, 75)
    return Finding("connection", f"{url.hostname}:{port} answers")


async def _probe(parts: Parts) -> list[Finding]:
    parts.beyond_reserve = True
    heard: list[Event] = []
    parts.tell = heard.append
    question = search_question("LeadContact", Questions(limit=1), filtered=False)
    answers, report = await ask(parts, [question], fresh=True)
    clocks = [event.seconds for event in heard if isinstance(event, ClockDiffers)]
    return [_probed(answers[0], report.stopped), *map(_clocks, clocks)]


def _metrics(parts: Parts) -> Iterator[Finding]:
    path = parts.settings.metrics_file
    if path is not None and not _writable(path.expanduser().parent):
        told = f"{path.expanduser().parent} cannot be written, so there will be no {path.name}; runs go on without it"
        yield Finding("metrics", told, "Make the folder, or name another file with --metrics-file.")


async def _told(parts: Parts) -> list[Finding]:
    """Send a test alert to every target, and a ping."""
    arrived = await try_alerts(parts)
    if not arrived:
        fix = "Set alert_webhook, alert_apprise or alert_ping; the README has the table."
        return [Finding("alerts", "nobody is to be told of anything", fix, 78)]
    return [_arrived(name, complaint) for name, complaint in arrived]


def _arrived(name: str, complaint: str | None) -> Finding:
    if complaint is None:
        return Finding("alerts", f"a test reached {name}")
    return Finding("alerts", f"a test did not reach {name} ({complaint})", "Check its address and the network.", 75)


def _clocks(seconds: float) -> Finding:
    side = "behind" if seconds > 0 else "ahead of"
    fix = "Set this machine's clock, e.g. timedatectl set-ntp true; until then the server's rules the window."
    return Finding("clock", f"{abs(seconds):,.0f} s {side} the server's", fix)


def _probed(answer: Answer | None, stopped: Stopped) -> Finding:
    if answer is None:
        code = {Stop.DENIED: 77, Stop.REDIRECT: 78}.get(stopped.why, 75)
        return Finding("probe", stopped.sentence, exit_code=code)
    left = answer.reply.credits_remaining if isinstance(answer.reply, SearchReply) else None
    told = "no credits told" if left is None else f"{left:,} credits left"
    return Finding("probe", f"one search sent: {answer.outcome}, {told}")
