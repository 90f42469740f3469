"""Airflow: enrich a list every night. Copy this into the dags folder and put your own paths into `nightly`.

The worker needs `pip install leadcontact-pipeline`, the key as LEADCONTACT_API_KEY (or api_key_command in the
configuration), and `state` in the configuration on a disk that outlives it: there the quota is counted.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import dag, task  # Airflow 2: from airflow.decorators import dag, task

import pipeline


@task(retries=0)  # a retry would meet the same quota; the next night goes on where this one stopped
def enrich(leads: str, out: str, config: str | None = None) -> dict[str, int | str]:
    """Work on a list for tonight; what is returned is shown as the task's result."""
    report = pipeline.run_sync(leads, out, pipeline.configure(config))
    if report.trouble:
        raise RuntimeError(report.trouble)
    return {"pending": report.pending, "requests": sum(report.requests.values()), "said": report.stopped.sentence}


@dag(schedule="0 2 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def nightly() -> None:
    """One run at a time, and none for nights that were missed: quota that was not used is gone."""
    enrich("/srv/leads/new.csv", "/srv/leads/leads.jsonl", "/srv/leads/leadcontact.toml")


nightly()
