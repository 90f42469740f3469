"""`prospect` and `export` as people type them, against the sandbox."""

from __future__ import annotations

from pathlib import Path

import orjson
from system_site import Machine

DATA = Path(__file__).parents[2] / "data"


def test_companies_become_contacts_and_a_csv(tmp_path: Path) -> None:
    """The accounting identity, one line a person, a file of the owner's; nothing that matters is overwritten."""
    machine = Machine(tmp_path)
    done = machine.run_alone("prospect", DATA / "companies.csv", "-o", "out.jsonl", "--sandbox", "--json")
    assert done.code == 0, done.err
    job = orjson.loads(done.out)["jobs"][0]
    states = ("enriched", "not_found", "invalid", "failed", "pending")
    assert job["leads"] + job["duplicates"] == 15
    assert job["leads"] == sum(job[state] for state in states)
    assert (job["kind"], job["contacts"]) == ("prospect", len(machine.lines()))
    assert len({line["contact_id"] for line in machine.lines()}) == job["contacts"] > 0

    told = machine.run_alone("export", "out.jsonl", "-o", "x.csv", "--columns", "email,row", "--sandbox", "--json")
    assert (told.code, orjson.loads(told.out)["lines"]) == (0, job["contacts"])
    assert (tmp_path / "x.csv").read_text("utf-8").startswith("email,row\n")
    assert oct((tmp_path / "x.csv").stat().st_mode & 0o777) == "0o600"
    before = machine.out.read_bytes()
    for name in ("out.jsonl", DATA / "companies.csv", "state/leadcontact-pipeline/sandbox.db"):
        refused = machine.run_alone("export", "out.jsonl", "-o", name, "--format", "csv", "--sandbox")
        assert (refused.code, "is left alone" in refused.complaint) == (64, True), name
    assert machine.out.read_bytes() == before


def test_without_pyarrow_parquet_is_refused_with_the_extras_name(tmp_path: Path) -> None:
    """Nothing else needs it."""
    (tmp_path / "pyarrow.py").write_text("raise ImportError", "utf-8")
    (tmp_path / "list.parquet").write_bytes(b"PAR1")
    machine = Machine(tmp_path, {"PYTHONPATH": str(tmp_path)})
    refused = machine.run_alone("enrich", "list.parquet", "-o", "out.jsonl", "--sandbox")
    assert (refused.code, "leadcontact-pipeline[parquet]" in refused.complaint) == (78, True)
    assert not machine.out.exists()
