"""What a run needs, examined one thing at a time; spends nothing unless a probe is asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.app import ask
from pipeline.errors import PipelineError
from pipeline.model import Questions, SearchReply, Stop
from pipeline.overview import overview
from pipeline.protocol import search_question
from pipeline.session import Parts, state_path
from pipeline.store import NETWORK_FILE_SYSTEMS, Store, file_system

if TYPE_CHECKING:
    from collections.abc import Iterator

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


async def examine(parts: Parts, *, probe: bool) -> list[Finding]:
    """Examine everything; the probe costs one request."""
    findings = [_settings(parts), _key(parts), *_state(parts)]
    findings.append(await _connection(parts))
    if probe and not any(finding.exit_code for finding in findings):
        findings.append(await _probe(parts))
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


def _state(parts: Parts) -> Iterator[Finding]:
    path = state_path(parts.settings)
    kind = file_system(path)
    if kind in NETWORK_FILE_SYSTEMS:
        yield Finding(
            "state", f"{path} lies on a network file system ({kind})", "Choose a local path with --state.", 74
        )
        return
    try:
        told = overview(parts.settings)
    except PipelineError as error:
        yield Finding("state", error.what, error.fix, error.exit_code)
        return
    used, jobs = told["quota"]["used"], len(told["jobs"])
    yield Finding("state", f"{path}, {jobs} job{'s' * (jobs != 1)}, {used:,} requests used in this window")
    if "XDG_STATE_HOME" not in os.environ and parts.settings.state is None:
        yield Finding("user", f"state belongs to the user whose home is {Path.home()}; cron must run as the same")
    yield _space(path)
    yield _clock(parts, path)
    yield from _jobs(parts)


def _space(path: Path) -> Finding:
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
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
            yield Finding(
                "job", f"{job['job']} is being worked on by process {holder['pid']} since {holder['since']}"
            )
        folder = Path(job["output"]).parent
        if job["output"] != "-" and not _writable(folder):
            yield Finding("output", f"{folder} cannot be written", "Check its permissions, or export elsewhere.", 74)


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


async def _probe(parts: Parts) -> Finding:
    parts.beyond_reserve = True
    question = search_question("LeadContact", Questions(limit=1), filtered=False)
    answers, stopped = await ask(parts, [question], fresh=True)
    answer = answers[0]
    if answer is None:
        code = {Stop.DENIED: 77, Stop.REDIRECT: 78}.get(stopped.why, 75) if stopped else 75
        return Finding("probe", stopped.sentence if stopped else "no answer", exit_code=code)
    left = answer.reply.credits_remaining if isinstance(answer.reply, SearchReply) else None
    told = "no credits told" if left is None else f"{left:,} credits left"
    return Finding("probe", f"one search sent: {answer.outcome}, {told}")
