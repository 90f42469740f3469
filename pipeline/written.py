"""How values are written in options, in the environment and in TOML."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pipeline.sample import sample_of

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def listed(value: object) -> object:
    """Take "a,b" for a list, as options and environment variables write it."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def seconds(value: object) -> object:
    """Take "90s", "60m", "2h", "1d" or a number of seconds."""
    if not isinstance(value, str):
        return value
    if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value):
        return float(match[1]) * UNITS[match[2]]
    raise ValueError("must be a time such as 90s, 60m, 2h or 1d")


def duration(text: str) -> float | None:
    """Seconds of "90d", "48h", "60m", "90s"; None if it is not a duration. A bare number has no unit here."""
    try:
        read = None if text.strip().isdecimal() else seconds(text)
    except ValueError:
        return None
    return read if isinstance(read, float) else None


def headers(value: object) -> object:
    """Take "field=header,field=header" for a table, as the environment variable writes it."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if all(name.strip() and equals for name, equals, _ in pairs):
            return {name.strip(): header.strip() for name, _, header in pairs}
    return value


def file_or_table(value: object) -> object:
    """Take a file's name alone for a table that names it, as options and environment variables write it."""
    return {"file": value} if isinstance(value, str) else value


def base_url(value: str) -> str:
    """The API's address."""
    return web_address(value, "; the API's is https://api.leadcontact.ai/v1")


def web_address(value: str, hint: str = "") -> str:
    """Only https leaves this machine, since every request carries a key or personal data."""
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # its words may show the address, and with it a password
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError(f"is not a web address{hint}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("may not hold a user, a password, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https:// (plain http would show the key to the network)")
    return value.strip().rstrip("/")


def told_address(value: object) -> object:
    """Take an address to which something is told; it is a secret, so its words are in no complaint."""
    if not isinstance(value, str):
        return value
    try:
        parts = urlsplit(value.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not a web address that begins with https:// or http://")
    return value.strip()


def addresses(value: object) -> object:
    """Take "tgram://… mailto://…" for a list, as the environment variable writes it: they may hold commas."""
    listed = value.split() if isinstance(value, str) else value
    if isinstance(listed, list) and not all("://" in one for one in listed if isinstance(one, str)):
        raise ValueError("must hold addresses such as mailto://… or tgram://…")
    return listed


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clock_time(value: str) -> str:
    """Take "06:30"."""
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", value):
        raise ValueError("is not a time of day such as 06:30")
    return value


def zone(value: str) -> str:
    """Take the name of a time zone."""
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("is not a time zone such as Europe/Berlin") from None
    return value


def sample(value: str) -> str:
    """Take "500" or "2.5%": so many leads, or that share of them."""
    if sample_of(value) is None:
        raise ValueError("is not a number of leads such as 500, nor a share such as 2%")
    return value.strip()
