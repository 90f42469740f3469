"""Bulk enrichment of lead lists through the LeadContact API.

    import pipeline

    report = await pipeline.run("leads.csv", "leads.jsonl", pipeline.configure(plan="starter"))
    verdict = await pipeline.verify("jane.smith@acmecorp.com")

Each of these names is imported when it is first asked for, so that `import pipeline` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.errors import PipelineError as PipelineError
    from pipeline.library import configure as configure
    from pipeline.library import plan as plan
    from pipeline.library import plan_sync as plan_sync
    from pipeline.library import read_results as read_results
    from pipeline.library import run as run
    from pipeline.library import run_sync as run_sync
    from pipeline.library import verify as verify
    from pipeline.library import verify_sync as verify_sync
    from pipeline.model import Enriched as Enriched
    from pipeline.model import Status as Status
    from pipeline.model import Stop as Stop
    from pipeline.observe.planned import Planned as Planned
    from pipeline.observe.summary import Report as Report
    from pipeline.settings import Settings as Settings
    from pipeline.verification import Verification as Verification
    from pipeline.verifying import Verifier as Verifier

__version__ = "0.1.0"

_HOMES: Final = {
    "errors": ("PipelineError",),
    "library": (
        *("configure", "plan", "plan_sync", "read_results"),
        *("run", "run_sync", "verify", "verify_sync"),
    ),
    "model": ("Enriched", "Status", "Stop"),
    "observe.planned": ("Planned",),
    "observe.summary": ("Report",),
    "settings": ("Settings",),
    "verification": ("Verification",),
    "verifying": ("Verifier",),
}

__all__ = [  # noqa: PLE0604 - made of names, as mypy's own copy above shows
    "__version__",
    *(name for names in _HOMES.values() for name in names),
]


if not TYPE_CHECKING:  # else any name would do

    def __getattr__(name: str) -> object:
        home = next((module for module, names in _HOMES.items() if name in names), None)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"pipeline.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
