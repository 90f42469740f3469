"""Promise 5: every row is accounted for, and the output has exactly one line per finished row at any moment.

After crashes of real processes: `system/test_crash_points.py`; told to stop in the intake: `system/test_kills.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Server, Site, people, write_leads

from pipeline.model import FINISHED
from pipeline.sandbox import Fault

NAMES = st.sampled_from(["", "Acme Corp", "Globex", "TechCorp", "n/a", "Northwind 3 Robotics", "x", "ACME corp"])
CELLS = {
    "Record ID": st.sampled_from(["", "1", "2", "3", "4", "5"]),
    "First Name": st.sampled_from(["", "Jane", "Zoë", "王"]),
    "Last Name": st.sampled_from(["", "Smith", "Müller", "-"]),
    "Email": st.sampled_from(["", "jane.smith@acme.com", "broken@", "x@gmail.com"]),
    "Company Name": NAMES,
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=25)


def check(site: Site, report: object) -> None:
    """Compare the report with the file: the identity holds and no row has two lines."""
    counts = report.jobs[0].counts  # type: ignore[attr-defined]
    lines = site.lines()
    rows = [line["row"] for line in lines]
    own = [line for line in lines if line["duplicate_of"] is None]
    assert len(rows) == len(set(rows))
    assert counts.leads == sum(counts.by_status.values())
    for status in FINISHED:
        assert counts.by_status[status] == sum(line["status"] == status for line in own), status
    assert len(lines) - len(own) <= counts.duplicates


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.integers(0, 2**32))
def test_any_list_over_several_nights_is_accounted_for(rows: list[dict[str, str]], seed: int) -> None:
    """Whatever the cells hold and whatever fails: the identity, and one line a finished row."""
    rows = [row for row in rows if any(row.values())] or [{**dict.fromkeys(CELLS, ""), "Company Name": "Acme"}]
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        faults = {Fault.SERVER_ERROR: 0.1, Fault.SAID_NO: 0.1, Fault.NOT_JSON: 0.05}
        site = Site(Path(folder), Server(seed=seed % 7, faults=faults))
        leads = write_leads(Path(folder) / "leads.csv", rows)
        for night in range(3):
            limit = chance.choice([0, 1, 3, 10, None])
            report = site.night(leads, at=night * 86_400, plan="starter", wait_up_to=0, max_requests=limit)
            check(site, report)


def test_rows_read_are_leads_and_duplicates(tmp_path: Path) -> None:
    """Rows in = enriched + partial + not_found + invalid + failed + pending, and the duplicates."""
    rows = people(10)
    site = Site(tmp_path, Server())
    doubled = rows + rows[3:9]
    report = site.night(write_leads(tmp_path / "leads.csv", doubled), plan="free", wait_up_to=0)
    job = report.jobs[0]
    assert job.rows == len(doubled) == job.counts.leads + job.counts.duplicates
    assert 0 < job.counts.pending < len(rows)


def test_a_run_that_left_rows_does_not_call_itself_done(tmp_path: Path) -> None:
    """The sentence that every row is finished is said only when it is so."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(10))
    paused = site.night(leads, plan="free", wait_up_to=0)
    assert "every row is finished" not in paused.stopped.sentence
    done = site.night(leads, at=2 * 86_400, plan="professional", wait_up_to=0)
    later = site.night(leads, at=4 * 86_400, plan="professional", wait_up_to=0)
    final = later if done.pending else done
    assert "every row is finished" in final.stopped.sentence or final.pending
