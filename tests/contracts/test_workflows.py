"""The examples for Airflow, Dagster and Prefect: their tasks run, the frameworks' decorators being bare functions."""

from __future__ import annotations

import inspect
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.errors import InputMissing

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = Path(__file__).parents[2] / "config"


def bare(function: Callable[..., Any] | None = None, **_: Any) -> Any:
    """A decorator that leaves the function as it is, called with options or without."""
    return function or (lambda decorated: decorated)


def module(name: str, **names: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(names)
    return made


def never(**_: Any) -> Any:
    """Airflow's @dag: what it decorates is a plan, not work."""
    return lambda _function: lambda: None


FRAMEWORKS = {
    "airflow/leadcontact_dag.py": {
        "airflow": module("airflow"),
        "airflow.sdk": module("airflow.sdk", dag=never, task=bare),
    },
    "dagster/leadcontact_assets.py": {
        "dagster": module(
            "dagster",
            asset=bare,
            Failure=type(
                "Failure", (Exception,), {"__init__": lambda self, said, **_: Exception.__init__(self, said)}
            ),
            MaterializeResult=dict,
            ScheduleDefinition=dict,
            Definitions=dict,
        )
    },
    "prefect/leadcontact_flow.py": {"prefect": module("prefect", flow=bare, task=bare)},
}


@pytest.mark.parametrize("example", FRAMEWORKS)
async def test_the_task_enriches_and_tells_trouble_apart(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the sandbox, inside a running loop; a pause is a result, what cannot go on is an exception."""
    for name, made in FRAMEWORKS[example].items():
        monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.setenv("LEADCONTACT_STATE", str(tmp_path / "state.db"))
    leads, out, config = tmp_path / "leads.csv", tmp_path / "out.jsonl", tmp_path / "leadcontact.toml"
    leads.write_text("Company\nAcme Corp\nNorthwind Robotics\n")
    (others := tmp_path / "others.csv").write_text("Company\nGlobex\n")
    config.write_text('sandbox = true\nmax_per_second = 1000\nsteps = ["search"]\n')
    task = runpy.run_path(str(CONFIG / example))["enrich"]

    async def work(**changes: Any) -> Any:
        result = task(**{"leads": str(leads), "out": str(out), "config": str(config), **changes})
        return await result if inspect.isawaitable(result) else result

    monkeypatch.setenv("LEADCONTACT_MAX_REQUESTS", "1")
    assert (await work())["pending"] == 1
    monkeypatch.delenv("LEADCONTACT_MAX_REQUESTS")
    assert await work() == {"pending": 0, "requests": 1, "said": "Done: every row is finished."}
    assert len(out.read_bytes().splitlines()) == 2
    with pytest.raises(InputMissing):
        await work(leads="nowhere.csv")
    monkeypatch.setenv("LEADCONTACT_RESERVE_CREDITS", "20000")
    with pytest.raises(Exception, match="credits are left"):
        await work(leads=str(others), out=str(tmp_path / "others.jsonl"))


def test_every_example_is_run() -> None:
    """A framework that gets an example gets a test."""
    assert {str(path.relative_to(CONFIG)) for path in CONFIG.rglob("*.py")} == set(FRAMEWORKS)
