"""Prefect: enrich a list every night. Put your own paths into the last lines and run this file.

It needs `pip install leadcontact-pipeline`, the key as LEADCONTACT_API_KEY (or api_key_command in the configuration),
and `state` in the configuration on a disk that outlives it: there the quota is counted.
"""

from __future__ import annotations

from prefect import flow, task

import pipeline


@task(retries=0)  # a retry would meet the same quota; the next night goes on where this one stopped
async def enrich(leads: str, out: str, config: str | None = None) -> dict[str, int | str]:
    """Work on a list for tonight."""
    report = await pipeline.run(leads, out, pipeline.configure(config))
    if report.trouble:
        raise RuntimeError(report.trouble)
    return {"pending": report.pending, "requests": sum(report.requests.values()), "said": report.stopped.sentence}


@flow(log_prints=True)
async def nightly(leads: str, out: str, config: str | None = None) -> dict[str, int | str]:
    """Enrich what is new and what is left."""
    return await enrich(leads, out, config)


if __name__ == "__main__":
    paths = {"leads": "/srv/leads/new.csv", "out": "/srv/leads/leads.jsonl", "config": "/srv/leads/leadcontact.toml"}
    nightly.serve(name="leadcontact-nightly", cron="0 2 * * *", parameters=paths)
