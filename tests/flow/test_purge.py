"""`purge`: old answers go, but for those that unfinished rows still need, and what was spent stays counted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support import Server, Site, people, write_leads

from pipeline.errors import UsageError
from pipeline.purge import Purged, purge

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0
PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def go(site: Site, older_than: str = "90d", **how: Any) -> Purged:
    return site.command(lambda parts: purge(parts, older_than, **how), **PLAN)


def counts(site: Site) -> tuple[int, int]:
    """Answers and attempts in the state."""
    with closing(sqlite3.connect(site.folder / "state.db")) as db:
        return db.execute("SELECT (SELECT count(*) FROM answer), (SELECT count(*) FROM attempt)").fetchone()  # type: ignore[no-any-return]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(3)), **PLAN)
    site.now += 100 * DAY
    return site


def test_old_answers_go_and_every_spend_stays(site: Site) -> None:
    """The journal shrinks, the books and the output do not change."""
    before, (answers, attempts) = site.out.read_bytes(), counts(site)
    size = (site.folder / "state.db").stat().st_size
    told = go(site)
    assert (told.answers, counts(site)) == (answers, (0, attempts))
    assert told.size > 1_000
    assert told.compacted
    assert (site.folder / "state.db").stat().st_size < size
    assert site.out.read_bytes() == before
    assert go(site).answers == 0


def test_young_answers_stay_and_a_dry_run_drops_nothing(site: Site) -> None:
    """The age counts from the answer, and --dry-run only tells."""
    assert go(site, "101d").answers == 0
    before = counts(site)
    assert go(site, dry_run=True).answers == before[0]
    assert counts(site) == before


def test_what_unfinished_rows_still_need_is_spared(tmp_path: Path) -> None:
    """Rows that wait for months go on where they stopped: nothing is asked twice because of a purge."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(6))
    site.night(leads, **PLAN, max_requests=7)
    site.now += 100 * DAY
    told = go(site)
    assert 0 < counts(site)[0] < 7
    assert told.needed
    report = site.night(leads, **PLAN)
    asked = [entry.question for entry in site.server.log]
    assert report.pending == 0
    assert len(asked) == len(set(asked))


def test_what_a_late_duplicate_needs_is_spared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duplicate was taken in after its lead was finished, and the run died before it had its line."""
    site, row = Site(tmp_path, Server()), {"First Name": "Jane", "Last Name": "Smith", "Company Name": "Acme"}
    leads = write_leads(tmp_path / "leads.csv", [row])
    site.night(leads, **PLAN)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.app.open_run", dies)
        with pytest.raises(KeyboardInterrupt):
            site.night(write_leads(leads, [row, row]), **PLAN)
    site.now += 100 * DAY
    assert go(site).answers == 0
    site.night(leads, **PLAN)
    first, second = site.lines()
    assert (second["duplicate_of"], second["email"], second["phone"]) == (1, first["email"], first["phone"])


def test_rows_whose_answers_were_dropped_are_named_when_their_lines_must_be_made_again(site: Site) -> None:
    """A deleted output comes back with every row; those that lost their answers are told by number."""
    rows = sorted(line["row"] for line in site.lines())
    go(site)
    site.out.unlink()
    site.said.clear()
    site.resume(str(site.out), **PLAN)
    assert sorted(line["row"] for line in site.lines()) == rows
    (told,) = [sentence for sentence in site.said if "purged" in sentence]
    assert f"rows {rows[0]}-{rows[-1]} of" in told
    assert all(line["email"] is None for line in site.lines() if not line["input"]["Email"])


def test_a_lost_line_of_a_row_with_its_answers_names_nobody(site: Site) -> None:
    """Without a purge a lost output is written again in full, and nothing is said."""
    before = site.lines()
    site.out.unlink()
    site.said.clear()
    site.resume(str(site.out), **PLAN)
    assert {line["row"]: line["email"] for line in site.lines()} == {line["row"]: line["email"] for line in before}
    assert not [sentence for sentence in site.said if "purged" in sentence]


def test_a_dropped_answer_is_paid_again_if_somebody_asks(site: Site) -> None:
    """A new list gets fresh data, as it would have without the purge."""
    go(site)
    asked = len(site.server.log)
    site.name = "again.jsonl"
    site.night(write_leads(site.folder / "again.csv", people(1)), **PLAN)
    assert len(site.server.log) > asked
    assert site.lines()[0]["email"]


@pytest.mark.parametrize("text", ["90", "soon", "-1d", ""])
def test_an_age_needs_its_unit(site: Site, text: str) -> None:
    """Ninety what? Nothing is dropped on a guess."""
    with pytest.raises(UsageError, match="90d"):
        go(site, text)
