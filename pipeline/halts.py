"""The sentences with which a run ends: what, why, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.model import NoReply, Stop
from pipeline.words import counted

if TYPE_CHECKING:
    from pipeline.limits import Limits
    from pipeline.protocol import RawReply, Verdict


def outage(verdict: Verdict, raw: RawReply | None) -> str:
    """Say that the API is given up, and what it did last."""
    said = verdict.reply.reason if isinstance(verdict.reply, NoReply) else verdict.outcome
    last = f"HTTP {raw.status}" if raw and raw.status != 200 else said  # noqa: PLR2004 - OK, but no answer
    return (
        f"Stopped: the API does not answer properly, and three probes did not change that (last: {last}). All rows "
        "are kept; run the same command again later."
    )


BUT_WAITING = ", but for rows that wait for a later window"

SLOWED = (
    "Paused: the server went on asking to slow down (HTTP 429), though the run paused three times. The next run "
    "starts with a single request; lower --max-per-second or --concurrency if it happens again."
)


def max_requests(limits: Limits) -> str:
    """Say that the run's own limit of requests is used."""
    if not limits.max_requests:
        return "Paused: with --max-requests 0 the list was taken in and nothing was asked."
    verb = "is" if limits.max_requests == 1 else "are"
    return f"Paused: the {counted(limits.max_requests, 'request')} of --max-requests {verb} used."


def max_credits(limits: Limits) -> str:
    """Say that the run's own limit of credits could be passed."""
    return f"Paused: the next call could pass the {limits.max_credits:,} credits of --max-credits."


def too_dear(_: Limits) -> str:
    """Say that too few of the run's requests are answered."""
    return (
        "Stopped: the API fails at so many requests that going on would waste the quota: less than one in two and a "
        "half was answered. All rows are kept; run the same command again later."
    )


OWN: Final = {Stop.MAX_REQUESTS: max_requests, Stop.MAX_CREDITS: max_credits, Stop.OUTAGE: too_dear}
"""What a run says that has come to a limit of its own."""


def no_slot(limits: Limits, shut: Stop | None) -> str:
    """Say that nothing may go: the window is full by our count, or the server shut the account."""
    if shut is Stop.CREDITS:
        return "Stopped: the server said that the credits are used up (HTTP 402)."
    if shut is not None:
        return "Paused: the server said that the day's requests are used up."
    return f"Paused: the {limits.quota - limits.reserve_requests:,} requests of this window are used."


def at_reserve(left: int, limits: Limits) -> str:
    """Say that the credits are at the reserve, and what opens the account again."""
    return (
        f"Stopped: {left:,} credits are left by our count and {limits.reserve_credits:,} are kept in reserve. "
        "Nothing is sent until `leadcontact doctor --probe` reads more, or until the day set as credits_renew_day."
    )


def used_up(what: str, *, paused: bool) -> str:
    """Say that the server told us to stop, without saying until when."""
    verb = "Paused" if paused else "Stopped"
    return f"{verb}: the server said that the {what}. The next run starts with a single request."


def denied(raw: RawReply | None) -> str:
    """Say that the key is not accepted."""
    return (
        f"Stopped: the server does not accept the API key (HTTP {raw.status if raw else 401}). Check "
        "LEADCONTACT_API_KEY in Settings > API Access of your account."
    )


def redirected(raw: RawReply | None) -> str:
    """Say where the base URL leads, without having gone there."""
    from yarl import URL  # noqa: PLC0415 - only for this message

    host = URL(raw.location).host if raw and raw.location else None
    return (
        f"Stopped: the base URL redirects to {host or 'another place'}. Nothing was sent there. Set base_url to the "
        "API's real address."
    )


def contract(refused: int) -> str:
    """Say that the API refuses everything."""
    return (
        f"Stopped: the API refused {refused} different questions in a row. It has probably changed; nothing was "
        "concluded about the rows. Compare with the API's documentation."
    )
