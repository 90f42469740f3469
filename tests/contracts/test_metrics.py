"""Metrics: names, helps and types by Prometheus' conventions; the rules and the dashboard ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from pipeline.alerts import FAILED
from pipeline.events import CircuitChanged, PermitGiven, RequestSettled, RowFinished, RunStopped
from pipeline.model import Endpoint, Outcome, Status, Stop
from pipeline.observe.metrics import Metrics, Standing, write

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONFIG = Path(__file__).parents[2] / "config"
RULES = CONFIG / "prometheus" / "leadcontact.rules.yml"
STANDING = Standing(
    quota=2_000, used=66, credits=1_234, reserve_credits=10, pending=7, saved={"shared": 3}, ended_at=1_800_000_000.0
)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """The file of a small run."""
    clock = iter(range(100))
    metrics = Metrics("api default", 1_799_999_000.0, lambda: float(next(clock)))
    for outcome in (Outcome.FOUND, Outcome.AMBIGUOUS, Outcome.NOT_SENT):
        metrics.event(PermitGiven(Endpoint.SEARCH, outcome, alone=False, probe=False))
        metrics.event(RequestSettled(Endpoint.SEARCH, outcome, outcome, 200, 1))
    metrics.event(RowFinished(1, 1, Status.ENRICHED))
    metrics.event(CircuitChanged("open"))
    metrics.event(RunStopped(Stop.OUTAGE, "…"))
    path = tmp_path / "leadcontact.prom"
    write(path, metrics.families(STANDING))
    return path


def families(path: Path) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(path.read_text("utf-8"))}


def samples(path: Path) -> dict[str, float]:
    """Every series, without the account that all have."""
    found = {}
    for family in families(path).values():
        for sample in family.samples:
            assert sample.labels.pop("account") == "api default"
            found[" ".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_every_metric_has_a_help_a_type_and_a_conventional_name(sheet: Path) -> None:
    """Counters end in _total and nothing else does; times are in seconds; nothing is called _created."""
    read = families(sheet)
    assert len(read) == 13
    for name, family in read.items():
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        assert re.fullmatch(r"leadcontact_[a-z_]+", name)
        totals = [sample.name.endswith("_total") for sample in family.samples]
        assert set(totals) == {family.type == "counter"}
    text = sheet.read_text("utf-8")
    assert "_created" not in text
    assert text.count("# HELP") == text.count("# TYPE") == len(read)


def test_the_numbers_are_the_runs(sheet: Path) -> None:
    """Requests by outcome, rows by status, how the account stands, why the run ended."""
    told = samples(sheet)
    assert told["leadcontact_requests_total search found"] == 1
    assert told["leadcontact_requests_total search not_sent"] == 1
    assert told["leadcontact_rows_finished_total enriched"] == 1
    assert told["leadcontact_request_duration_seconds_count"] == 2
    assert told["leadcontact_request_duration_seconds_bucket 0.5"] == 0
    assert told["leadcontact_request_duration_seconds_bucket 1.0"] == 2
    assert told["leadcontact_quota_used_requests"] == 66
    assert told["leadcontact_credits_remaining"] == 1_234
    assert told["leadcontact_circuit_open"] == 1
    assert told["leadcontact_run_stop outage"] == 1


def asked_for(text: str) -> set[str]:
    """Series that expressions name."""
    return set(re.findall(r"\bleadcontact_[a-z_]+", text))


def test_rules_and_dashboard_ask_for_series_that_there_are(sheet: Path) -> None:
    """A renamed metric would make them silent for ever."""
    there = {name.split(" ")[0] for name in samples(sheet)}
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    board = json.loads((CONFIG / "grafana" / "leadcontact.json").read_text("utf-8"))
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert asked_for(" ".join(rules)) <= there
    assert asked_for(" ".join(panels)) <= there
    assert asked_for(" ".join(panels)) | asked_for(" ".join(rules)) >= there - {
        "leadcontact_request_duration_seconds_count",
        "leadcontact_request_duration_seconds_sum",
    }


def test_what_fails_is_the_same_in_rules_dashboard_and_alerts() -> None:
    """One share of errors, whoever tells it."""
    for file in (RULES, CONFIG / "grafana" / "leadcontact.json"):
        (outcomes,) = set(re.findall(r'outcome=~\\?"([a-z_|]+)', file.read_text("utf-8")))
        assert set(outcomes.split("|")) == set(FAILED)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")
def test_promtool_finds_nothing_to_say(sheet: Path) -> None:
    """`check metrics` and `check rules` are clean, and the rules fire as their own test says."""
    with sheet.open("rb") as file:
        linted = subprocess.run(["promtool", "check", "metrics"], stdin=file, capture_output=True, check=False)  # noqa: S607
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")
    for check in (["check", "rules", str(RULES)], ["test", "rules", str(RULES.with_suffix(".test.yml"))]):
        subprocess.run(["promtool", *check], capture_output=True, check=True)  # noqa: S607
