"""Dagster: the enriched list as an asset, made every night. Put your own paths into the constants.

The code location needs `pip install leadcontact-pipeline`, the key as LEADCONTACT_API_KEY (or api_key_command in the
configuration), and `state` in the configuration on a disk that outlives it: there the quota is counted.
"""

from __future__ import annotations

import dagster as dg

import pipeline

LEADS, OUT, CONFIG = "/srv/leads/new.csv", "/srv/leads/leads.jsonl", "/srv/leads/leadcontact.toml"


def enrich(leads: str, out: str, config: str | None = None) -> dict[str, int | str]:
    """Work on a list for tonight; what is returned is the asset's metadata."""
    report = pipeline.run_sync(leads, out, pipeline.configure(config))
    if report.trouble:
        raise dg.Failure(report.trouble, allow_retries=False)
    return {"pending": report.pending, "requests": sum(report.requests.values()), "said": report.stopped.sentence}


@dg.asset
def enriched_leads() -> dg.MaterializeResult:
    """One line of JSON a lead; the next night goes on where this one stopped."""
    return dg.MaterializeResult(metadata=enrich(LEADS, OUT, CONFIG))


nightly = dg.ScheduleDefinition(name="nightly", target=[enriched_leads], cron_schedule="0 2 * * *")
defs = dg.Definitions(assets=[enriched_leads], schedules=[nightly])
