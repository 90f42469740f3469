"""`leadcontact sandbox`: a local LeadContact server to try things on."""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Any

import click

from pipeline.cli.running import guarded, run
from pipeline.errors import StateError, UsageError


@click.command(short_help="A local LeadContact server with quotas, credits, latency and faults.")
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", default=8080, type=click.IntRange(0, 65_535), show_default=True, help="0 picks a free one.")
@click.option("--seed", default=0, show_default=True, help="Another seed, other people.")
@click.option("--key", default=None, help="Accept only this key; else any that looks like lc_test_… or lc_live_….")
@click.option(
    "--daily-quota", type=click.IntRange(0), metavar="N", help="Answer 429 beyond N requests in the window."
)
@click.option("--window", "quota_window", type=click.Choice(("rolling", "calendar")), default="rolling")
@click.option("--credits", "credits_", type=click.IntRange(0), metavar="N", help="Answer 402 when they are used up.")
@click.option("--price-search", default="1", show_default=True, help="Credits a search costs: N or `contact`.")
@click.option("--latency", default="0", show_default=True, help="Seconds, or a range such as 0.1-0.4.")
@click.option("--fault", "faults", multiple=True, metavar="NAME=P", help="Fail with this chance; repeatable.")
@click.option("--fault-endpoint", type=click.Choice(("search", "verify", "phones")), help="Faults only there.")
@click.option("--hubspot", is_flag=True, help="A HubSpot portal too, with a list of contacts, under /hubspot.")
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
    from pipeline.sandbox import serve

    chosen = _options(options)

    def listening(base_url: str) -> None:
        click.echo(f"LeadContact sandbox at {base_url}  (any key like lc_test_me; Ctrl-C ends it)", err=True)
        if chosen.hubspot:
            place = f"{base_url.removesuffix('/v1')}/hubspot"
            click.echo(f"HubSpot emulator at {place}  (any token like pat-me; list 1 has contacts)", err=True)
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
    from pipeline.sandbox import SandboxOptions

    log_path = options["log_path"]
    return SandboxOptions(
        seed=options["seed"],
        key=options["key"],
        daily_quota=options["daily_quota"],
        quota_window=options["quota_window"],
        credits=options["credits_"],
        price_search=_price(options["price_search"]),
        latency=_latency(options["latency"]),
        faults=dict(map(_fault, options["faults"])),
        fault_endpoint=options["fault_endpoint"],
        hubspot=options["hubspot"],
        log_path=Path(log_path) if log_path else None,
    )


def _price(text: str) -> Any:
    if text == "contact" or text.isdecimal():
        return text if text == "contact" else int(text)
    raise UsageError(f"--price-search {text} is no price.", "Write whole credits such as 1, or contact.")


def _latency(text: str) -> Any:
    low, dash, high = text.partition("-")
    try:
        seconds = [float(part) for part in ([low, high] if dash else [low])]
    except ValueError:
        seconds = []
    if seconds and 0 <= seconds[0] <= seconds[-1] < math.inf:
        return tuple(seconds) if dash else seconds[0]
    raise UsageError(f"--latency {text} is no time.", "Write seconds such as 0.2, or a range such as 0.1-0.4.")


def _fault(text: str) -> tuple[Any, float]:
    from pipeline.sandbox import Fault

    name, equals, chance = text.partition("=")
    if name not in set(Fault):
        close = difflib.get_close_matches(name, list(Fault), n=1)
        fix = f"Did you mean {close[0]}?" if close else "leadcontact sandbox --list-faults names them."
        raise UsageError(f"--fault {text} names no fault.", fix)
    try:
        share = float(chance) if equals else 1.0
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"--fault {text} is no chance.", f"Write a number from 0 to 1, such as {name}=0.5.")
    return Fault(name), share
