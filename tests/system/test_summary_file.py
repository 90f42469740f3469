"""`--summary FILE.json` never costs a file that the command needs, and is written whole."""

from __future__ import annotations

import stat

import orjson
import pytest
from support import people, write_leads
from system_site import Machine

SANDBOX = ("--sandbox", "--state", "state.db", "--max-requests", "0")
ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", *SANDBOX)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with a list that was taken in."""
    made = Machine(tmp_path_factory.mktemp("night"))
    write_leads(made.folder / "leads.csv", people(1, 1))
    (made.folder / "leads.toml").write_text("limit = 10\n")
    (made.folder / "wrong.toml").write_text('summary = "leads.csv"\n')
    (made.folder / "link.json").symlink_to("leads.csv")
    assert made.run_alone(*ENRICH).code == 0
    return made


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ((*ENRICH, "--summary", "leads.csv"), 64),
        ((*ENRICH, "--summary", "link.json"), 64),
        ((*ENRICH, "--summary", "out.jsonl"), 64),
        ((*ENRICH, "--summary", "state.db"), 64),
        ((*ENRICH, "--config", "leads.toml", "--summary", "leads.toml"), 64),
        ((*ENRICH, "--config", "wrong.toml"), 78),
        (("resume", *SANDBOX, "--summary", "out.jsonl"), 64),
        (("resume", *SANDBOX, "--summary", "leads.csv"), 64),
        (("verify", "leads.csv", "-o", "v.jsonl", *SANDBOX, "--summary", "leads.csv"), 64),
        ((*ENRICH, "--summary", "."), 74),
        ((*ENRICH, "--summary", "nowhere/summary.json"), 74),
    ],
)
def test_a_summary_that_would_overwrite_what_matters_is_refused(
    machine: Machine, command: tuple[str, ...], code: int
) -> None:
    """The list, the output, the state, the configuration keep every byte; nothing is begun."""
    files = ("leads.csv", "out.jsonl", "state.db", "leads.toml")
    before = [(machine.folder / name).read_bytes() for name in files]
    told = machine.run_alone(*command)
    assert (told.code, "--summary" in told.complaint) == (code, True), told.err
    assert [(machine.folder / name).read_bytes() for name in files] == before


@pytest.mark.parametrize("name", ["leads.csv", "out.jsonl", "state.db", "leads.toml"])
@pytest.mark.parametrize("command", [ENRICH, ("resume", *SANDBOX)])
def test_metrics_never_take_the_place_of_what_matters(machine: Machine, command: tuple[str, ...], name: str) -> None:
    """A slip of the hand must not cost the ledger and every answer."""
    before = (machine.folder / name).read_bytes()
    told = machine.run_alone(*command, "--config", "leads.toml", "--metrics-file", name)
    assert (told.code, "--metrics-file" in told.complaint) == (64, True), told.err
    assert (machine.folder / name).read_bytes() == before


def test_a_summary_replaces_the_last_one_and_only_its_owner_reads_it(machine: Machine) -> None:
    """Tonight's for last night's, in one step, with nothing left beside it."""
    summary = machine.folder / "summary.json"
    summary.write_text("last night")
    summary.chmod(0o644)
    assert machine.run_alone(*ENRICH, "--summary", "summary.json").code == 0
    assert orjson.loads(summary.read_bytes())["schema_version"] == 1
    assert stat.S_IMODE(summary.stat().st_mode) == 0o600
    assert not list(machine.folder.glob(".summary.json*"))
