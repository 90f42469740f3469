"""What happened to the output between two runs is mended, and told in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 100_000, "wait_up_to": 0}


def remove(out: Path) -> None:
    """Somebody took the file away."""
    out.unlink()


def cut_short(out: Path) -> None:
    """A full disk, or an editor that did not save all."""
    out.write_bytes(out.read_bytes()[:-100])


def empty(out: Path) -> None:
    """`> out.jsonl` in a shell."""
    out.write_bytes(b"")


def add_lines(out: Path) -> None:
    """Another program wrote there too."""
    out.write_bytes(out.read_bytes() + b'{"mine":1}\n{"mine":2}\n')


def add_half_a_line(out: Path) -> None:
    """A run died while it wrote."""
    out.write_bytes(out.read_bytes() + b'{"schema_version":1,"row":')


def found(site: Site) -> list[tuple[Any, ...]]:
    """What the lines say about each row; where an answer came from may be told otherwise."""
    return sorted((line["row"], line["status"], str(line["email"]), str(line["phone"])) for line in site.lines())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (remove, "{out} was missing; it was written again from the state."),
        (cut_short, "{out} was cut short; it was written again from the state; what stood in it was kept in {torn}."),
        (empty, "{out} was cut short; it was written again from the state."),
        (add_lines, "Lines of {out} that the state does not know were cut and kept in {torn}."),
        (add_half_a_line, "The last line of {out} was not whole and was cut."),
    ],
)
def test_a_spoilt_output_is_mended_and_the_run_says_how(
    tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    """Once, and what the file held comes back for nothing."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(2, 1))
    site.night(leads, **PLAN)
    lines, asked = found(site), len(site.server.log)
    spoil(site.out)
    site.said.clear()
    site.night(leads, **PLAN)
    site.night(leads, **PLAN)
    about_it = [said for said in site.said if str(site.out) in said]
    assert about_it == [told.format(out=site.out, torn="out.jsonl.torn-1")]
    assert (found(site), len(site.server.log)) == (lines, asked)


def test_a_finish_date_rests_on_the_accounts_earlier_lists(tmp_path: Path) -> None:
    """A list taken in for later has no experience of its own; without any, no date is invented."""
    site = Site(tmp_path, Server())
    later = write_leads(tmp_path / "later.csv", people(12, 1, start=50))
    site.name = "later.jsonl"
    nothing_known = site.night(later, plan="free", max_requests=0, wait_up_to=0)
    site.name = "out.jsonl"
    site.night(write_leads(tmp_path / "leads.csv", people(6, 1)), **PLAN)
    site.name = "later.jsonl"
    known = site.night(later, plan="free", max_requests=0, wait_up_to=0)
    sent = len(site.server.log)
    assert nothing_known.finish_days is None
    assert known.finish_days == -(-(2 * sent) // 25), "twice as many rows need twice as many requests"
