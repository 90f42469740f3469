"""The user's order: rows and lists that matter more come first, whenever that was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support import Server, Site, write_leads

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 1000, "concurrency": 1, "steps": "search"}


def ranked(*scores: int, name: str = "Northwind") -> list[dict[str, str]]:
    return [
        {"Id": f"{name}{n}", "Company Name": f"{name} {n} Robotics", "Last Name": "Lee", "Score": str(score)}
        for n, score in enumerate(scores)
    ]


def asked(site: Site) -> list[str]:
    """The companies that were searched, in order."""
    return [entry.body["company"] for entry in site.server.log]


def test_a_rank_that_is_said_or_changed_later_counts_from_then_on(tmp_path: Path) -> None:
    """The list is read anew for it, and companies that wait for their search come in its order."""
    site = Site(tmp_path, Server())
    leads = tmp_path / "leads.csv"
    site.night(write_leads(leads, ranked(1, 9, 5)), **PLAN, max_requests=0)
    site.night(leads, **PLAN, priority="Score", max_requests=1)
    site.night(write_leads(leads, ranked(7, 9, 5)), **PLAN, priority="Score", max_requests=1)
    assert asked(site) == ["Northwind 1 Robotics", "Northwind 0 Robotics"]


def test_resume_begins_with_the_list_whose_best_row_matters_most(tmp_path: Path) -> None:
    """Then goes by age."""
    site = Site(tmp_path, Server())
    for n, score in enumerate((1, 9, 1)):
        site.name = f"{n}.jsonl"
        leads = write_leads(tmp_path / f"{n}.csv", ranked(score, name=f"List{n}"))
        site.night(leads, **PLAN, priority="Score", max_requests=0)
    site.resume(**PLAN)
    assert asked(site) == ["List1 0 Robotics", "List0 0 Robotics", "List2 0 Robotics"]
