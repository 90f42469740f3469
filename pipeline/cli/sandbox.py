"""`leadcontact sandbox`: a local LeadContact server to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.running import guarded, run


def _pair(text: str) -> tuple[float, float] | float:
    low, dash, high = text.partition("-")
    return (float(low), float(high)) if dash else float(low)


@click.command(short_help="A local LeadContact server with quotas, credits, latency and faults.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=8080, show_default=True, help="0 picks a free one.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other people.")
@click.option("--key", default=None, help="Accept only this key; else any that looks like lc_test_… or lc_live_….")
@click.option("--daily-quota", type=int, metavar="N", help="Answer 429 beyond N requests in the window.")
@click.option("--window", "quota_window", type=click.Choice(("rolling", "calendar")), default="rolling")
@click.option("--credits", "credits_", type=int, metavar="N", help="Answer 402 when they are used up.")
@click.option("--price-search", default="1", show_default=True, help="Credits a search costs: N or `contact`.")
@click.option("--latency", default="0", show_default=True, help="Seconds, or a range such as 0.1-0.4.")
@click.option("--fault", "faults", multiple=True, metavar="NAME=P", help="Fail with this chance; repeatable.")
@click.option("--fault-endpoint", type=click.Choice(("search", "verify", "phones")), help="Faults only there.")
@click.option("--log", "log_path", metavar="FILE", help="One JSON line a request.")
@click.option("--list-faults", is_flag=True, help="List the faults and leave.")
def sandbox(host: str, port: int, *, list_faults: bool, **options: Any) -> int:
    """Serve the API as the guide shows it, with invented companies and people.

    While it runs, POST /_sandbox/set changes any option, GET /_sandbox/log and /_sandbox/state show what came.

    \b
    leadcontact sandbox --port 8080 --daily-quota 25 --credits 100
    leadcontact sandbox --fault server_error=0.5 --latency 0.1-0.4
    LEADCONTACT_API_KEY=lc_test_me leadcontact enrich leads.csv -o out.jsonl \\
        --base-url http://127.0.0.1:8080/v1
    """
    if list_faults:
        from pipeline.sandbox import Fault

        click.echo("\n".join(Fault))
        return 0
    return guarded(lambda: _serve(host, port, options))


def _serve(host: str, port: int, options: dict[str, Any]) -> int:
    from pipeline.errors import StateError
    from pipeline.sandbox import serve

    chosen = _options(options)

    def listening(base_url: str) -> None:
        click.echo(f"LeadContact sandbox at {base_url}  (any key like lc_test_me; Ctrl-C ends it)", err=True)
        click.echo(f"Log and state: {base_url.removesuffix('/v1')}/_sandbox/log, /_sandbox/state", err=True)

    try:
        run(lambda: serve(chosen, host, port, listening))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        what = f"The sandbox cannot listen on port {port} or write its log ({error.strerror or error})."
        raise StateError(what, "Choose another --port (0 takes a free one) or another --log.") from error
    return 0


def _options(options: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from pipeline.errors import UsageError
    from pipeline.sandbox import SandboxOptions

    price, log_path = options["price_search"], options["log_path"]
    try:
        return SandboxOptions(
            seed=options["seed"],
            key=options["key"],
            daily_quota=options["daily_quota"],
            quota_window=options["quota_window"],
            credits=options["credits_"],
            price_search=price if price == "contact" else int(price),
            latency=_pair(options["latency"]),
            faults=dict(_fault(text) for text in options["faults"]),
            fault_endpoint=options["fault_endpoint"],
            log_path=Path(log_path) if log_path else None,
        )
    except (ValidationError, ValueError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(f"The sandbox cannot be set up so ({said}).", "See leadcontact sandbox --help.") from error


def _fault(text: str) -> tuple[Any, float]:
    name, _, chance = text.partition("=")
    return name, float(chance or 1)
