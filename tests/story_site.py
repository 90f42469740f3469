"""What tests of the report stand on: a list after some nights with trouble, and its story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support import Server, Site, people, write_leads

from pipeline.jobs import held
from pipeline.sandbox import Fault
from pipeline.session import session
from pipeline.story import job_meant, story_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.told import Story
    from pipeline.session import Parts

PLAN: dict[str, Any] = {"plan": "starter", "daily_quota": 120, "wait_up_to": 0}
TROUBLE = {Fault.NOT_FOUND: 0.04, Fault.BAD_REQUEST: 0.06, Fault.SERVER_ERROR: 0.04, Fault.SAID_NO: 0.04}
UNUSABLE = {"First Name": "", "Last Name": "", "Email": "broken@", "Company Name": ""}


def leads_of(folder: Path) -> Path:
    """A list with people, firms, duplicates and a row that is no use."""
    rows = people(60)
    return write_leads(folder / "leads.csv", [*rows, *rows[:5], UNUSABLE])


def after_nights(folder: Path, nights: int, **options: Any) -> Site:
    """A machine after some nights of 120 requests."""
    site = Site(folder, Server(faults=TROUBLE, credits=5_000, **options))
    for night in range(nights):
        site.night(leads_of(folder), at=night * 86_400.0 + night * 60, **PLAN)
    return site


def story(site: Site, *, running: bool = False, samples: bool = False, **changes: Any) -> Story:
    """The story of the machine's only job; `running`: while somebody works on it."""

    async def tell(parts: Parts) -> Story:
        async with session(parts) as opened:
            job = job_meant(opened, None)
            if not running:
                return story_of(opened, job, samples=samples)
            await opened.store.jobs.begin_run(parts.owner, parts.now())
            with held(opened, job):
                return story_of(opened, job, samples=samples)

    return site.command(tell, **{**PLAN, **changes})
