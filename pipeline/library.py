"""The same work for Python programs: settings in, values out; nothing is printed and no signal is caught.

What is worth telling goes to the logger `pipeline`, without keys and personal data.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from pipeline import app, planning
from pipeline import results as again
from pipeline.configured import environment, load
from pipeline.errors import UsageError
from pipeline.jobs import named_jobs
from pipeline.sandboxed import parts_for
from pipeline.session import Parts, every_account
from pipeline.verifying import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from pipeline.events import Event
    from pipeline.model import Enriched
    from pipeline.observe.planned import Planned
    from pipeline.observe.summary import Report
    from pipeline.settings import Settings
    from pipeline.verification import Verification

T = TypeVar("T")

LOG: Final = logging.getLogger("pipeline")


def configure(config: str | Path | None = None, **options: Any) -> Settings:
    """Read settings as the command does: options > environment > `.env` > TOML > defaults.

    `Settings(...)` alone looks nowhere else. Raises ConfigError.

    >>> configure(plan="starter").quota
    500
    """
    path = Path(config).expanduser() if config is not None else None
    settings, warnings = load(options, path, environment(), cwd=Path.cwd())
    for warning in warnings:
        LOG.warning(warning)
    return settings


# --- a list -------------------------------------------------------------------------------------------


async def run(
    leads: str | Path,
    out: str | Path,
    settings: Settings | None = None,
    *,
    on_event: Callable[[Event], None] = lambda _: None,
) -> Report:
    """Enrich a list into JSONL, as `leadcontact enrich` does; the same call again goes on where it stopped.

    A pause is no error: `report.pending` says how many leads are left, `report.stopped` why, and `report.trouble`
    whether somebody should look. Raises PipelineError, whose message is one sentence with what to do. If it is
    cancelled, requests under way count as spent.

    >>> report = await run("leads.csv", "leads.jsonl", Settings(sandbox=True))
    >>> report.stopped.why, report.pending
    (<Stop.DONE: 'done'>, 0)
    """
    if "-" in {str(leads), str(out)}:
        raise UsageError("A library call reads and writes files, not standard input and output.", "Name a file.")
    async with parts_for(_or_configured(settings), on_event, LOG.info, signals=False) as parts:
        report = await app.enrich(parts, str(leads), str(out))
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # the run ended in good order first
    return report


def run_sync(leads: str | Path, out: str | Path, settings: Settings | None = None) -> Report:
    """`run` for code without `await`; inside a running event loop it works in a thread and holds the loop up.

    >>> run_sync("leads.csv", "leads.jsonl", Settings(sandbox=True)).pending
    0
    """
    return _to_the_end(lambda: run(leads, out, settings))


def read_results(job: str | Path, settings: Settings | None = None, *, partial: bool = False) -> Iterator[Enriched]:
    """Yield a job's lines again as values, from what was paid for; `partial`: unfinished rows too. Asks nothing.

    >>> [line.email.value for line in read_results("leads.jsonl", Settings(sandbox=True)) if line.email]
    ['jane.smith@acme.com']
    """
    with every_account(Parts(_or_configured(settings), lambda _: None, LOG.info, signals=False)) as (opened, *_):
        (found,) = named_jobs(opened, [str(job)])
        yield from again.results(opened, found, partial=partial)


async def plan(leads: str | Path, settings: Settings | None = None, *, out: str | Path | None = None) -> Planned:
    """Say what a list would take, as `leadcontact plan` does; needs no key, spends and changes nothing.

    `out`: count only what that output's job has left. Raises PipelineError.

    >>> planned = await plan("leads.csv", Settings(plan="starter"))
    >>> planned.requests
    Span(least=1, expected=None, most=3)
    """
    return await asyncio.to_thread(plan_sync, leads, settings, out=out)


def plan_sync(leads: str | Path, settings: Settings | None = None, *, out: str | Path | None = None) -> Planned:
    """`plan` for code without `await`.

    >>> plan_sync("leads.csv", Settings(plan="starter")).total.leads
    1
    """
    return planning.plan(_or_configured(settings), str(leads), str(out) if out is not None else None)


# --- an address ---------------------------------------------------------------------------------------


_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[Settings, Verifier]]] = WeakKeyDictionary()
"""One verifier for all calls of a loop with equal settings; it closes what nobody uses for a minute."""


async def verify(email: str, settings: Settings | None = None) -> Verification:
    """Say whether it is safe to write to an address; callable from many tasks at once, e.g. a web handler's.

    All calls of one event loop share a `Verifier`, which see. Without `settings` the places of `configure` are read
    at every call: a handler makes its settings once. Raises PipelineError where settings or state cannot be used;
    what cannot be asked now is no error: `safe` is None.

    >>> verification = await verify("jane.smith@acme.com", Settings(sandbox=True))
    >>> verification.safe, verification.confidence, verification.tier
    (True, 0.98, 'verified')
    """
    wanted = _or_configured(settings)
    shared = _SHARED.setdefault(asyncio.get_running_loop(), [])
    verifier = next((each for said, each in shared if said == wanted), None)
    if verifier is None:
        verifier = Verifier(wanted)
        shared.append((wanted, verifier))
    return await verifier.verify(email)


def verify_sync(email: str, settings: Settings | None = None) -> Verification:
    """`verify` for code without `await`; inside a running event loop it works in a thread and holds the loop up.

    >>> verify_sync("nobody", Settings(sandbox=True)).verdict
    'not an e-mail address'
    """
    return _to_the_end(lambda: verify(email, settings))


# --- how ----------------------------------------------------------------------------------------------


def _or_configured(settings: Settings | None) -> Settings:
    return configure() if settings is None else settings


def _to_the_end(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine where no loop may run yet, or beside the one that does (Jupyter, a web handler)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    with ThreadPoolExecutor(1, "leadcontact") as thread:
        return thread.submit(lambda: asyncio.run(work())).result()
