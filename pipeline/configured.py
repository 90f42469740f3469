"""In which places settings stand: option > environment > `.env` > TOML > default; errors name the place."""

from __future__ import annotations

import difflib
import os
import tomllib
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from pipeline.columns import FIELDS
from pipeline.errors import ConfigError
from pipeline.settings import Settings, Suppress
from pipeline.written import file_or_table, headers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX: Final = "LEADCONTACT_"

NO_OPTION: Final = frozenset(
    {
        *("api_key", "columns", "window", "window_zone", "trust_env"),
        *("credits_renew_day", "search_credits_per_contact", "verify_credits", "phones_credits"),
        *("include_phone", "widen_limit", "include_direct_dial", "skip_mobile"),
        *("min_phone_confidence", "freshness_found", "freshness_not_found"),
        *("alert_webhook", "alert_webhook_kind", "alert_apprise", "alert_ping", "alert_quota_percents"),
        *("alert_credits_days", "alert_error_percent", "alert_finish_by", "alert_backlog_days"),
        *("hubspot_access_token", "hubspot_properties", "hubspot_create", "hubspot_upsert", "webhook_secret"),
    }
)
"""Settings that no option sets under their name."""

SECRETS: Final = {
    "api_key": "LEADCONTACT_API_KEY, .env or api_key_file",
    "hubspot_access_token": "HUBSPOT_ACCESS_TOKEN or .env",
    "webhook_secret": "LEADCONTACT_WEBHOOK_SECRET or .env",
}
"""Settings that stand in no configuration file, and where they belong."""

THEIR_NAMES: Final = {"HUBSPOT_ACCESS_TOKEN": "LEADCONTACT_HUBSPOT_ACCESS_TOKEN"}
"""Variables that others named."""

TABLES: Final = {"alerts": "alert_", "hubspot": "hubspot_", "webhook": "webhook_"}
"""TOML tables whose keys are settings that begin so: `[alerts] webhook` is `alert_webhook`."""

KEY_PLACES: Final = frozenset({"api_key", "api_key_file", "api_key_command"})


def load(
    options: Mapping[str, Any], config: Path | None, environ: Mapping[str, str], *, cwd: Path
) -> tuple[Settings, list[str]]:
    """Merge all places a setting may stand in; return the settings and warnings. Raises ConfigError."""
    dotenv = (config.parent if config else cwd) / ".env"
    places = {f"the configuration {config}": _from_toml(config) if config else {}}
    warnings = []
    for place, names in ((f"the file {dotenv}", _dotenv(dotenv)), ("the environment", environ)):
        places[place], odd = _from_environment(names, place)
        warnings += odd
    merged: dict[str, Any] = {}
    for place, told in places.items():
        _refuse_unknown_fields(told, place)
        merged = _over(merged, told)
    said = {name: value for name, value in options.items() if value is not None and value != {}}
    try:
        return Settings(**_over(merged, said)), warnings
    except ValidationError as error:
        raise _explained(error, {"": said, **dict(reversed(places.items()))}) from None


def _refuse_unknown_fields(told: Mapping[str, Any], place: str) -> None:
    """A column for a field that does not exist."""
    columns = headers(told.get("columns", {}))
    for field in columns if isinstance(columns, dict) else ():
        if field not in FIELDS:
            close = difflib.get_close_matches(str(field), FIELDS, n=1)
            fix = f"Did you mean {close[0]}?" if close else f"Fields: {', '.join(FIELDS)}."
            raise ConfigError(f"{field} among the columns in {place} is no field.", fix)


def _over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put one place's settings over another's; whoever says where the key is, says it alone."""
    merged = dict(lower)
    if not KEY_PLACES.isdisjoint(upper):
        merged = {name: value for name, value in merged.items() if name not in KEY_PLACES}
    merged |= upper
    below, above = (headers(place.get("columns", {})) for place in (lower, upper))
    merged["columns"] = above or below
    if isinstance(below, dict) and isinstance(above, dict):
        merged["columns"] = below | above
    if (suppress := upper.get("suppress")) is not None:
        under, over = (file_or_table(told) for told in (lower.get("suppress") or {}, suppress))
        merged["suppress"] = under | over if isinstance(under, dict) and isinstance(over, dict) else suppress
    return merged


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"The configuration {path} cannot be read ({reason}).", "Check --config.") from None
    told = _flat(told, path)
    for name in told.keys() & SECRETS:
        raise ConfigError(
            f"The configuration {path} holds {'an' if name[0] in 'aeiou' else 'a'} {name}.",
            f"Configuration files get shared: put the key into {SECRETS[name]}.",
        )
    for name in told:
        if name not in Settings.model_fields:
            raise _unknown(name, f"the configuration {path}", _alike(name))
    return told


def _flat(told: dict[str, Any], path: Path) -> dict[str, Any]:
    """Take what stands in tables for the settings they are."""
    flat = {name: value for name, value in told.items() if name not in TABLES}
    for table, prefix in TABLES.items():
        inside = told.get(table, {})
        if not isinstance(inside, dict):
            raise ConfigError(
                f"{table} in the configuration {path} is no table.", f"Write [{table}] and its keys below."
            )
        for name, value in inside.items():
            if prefix + name not in Settings.model_fields:
                alike = _alike(prefix + name)
                known = f"{name} under [{table}]", f"{alike.removeprefix(prefix)}" if alike else None
                raise _unknown(known[0], f"the configuration {path}", known[1])
            flat[prefix + name] = value
    return flat


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only where there is such a file

    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"The file {path} cannot be read ({reason}).", "Mend it or move it away.") from None
    for line in lines:
        if line.error:
            what = f"Line {line.original.line} of {path} is not NAME=value, or a quote in it is not closed."
            raise ConfigError(what, "Mend that line.")
    return {line.key: line.value for line in lines if line.key is not None and line.value is not None}


def _from_environment(names: Mapping[str, str], place: str) -> tuple[dict[str, str], list[str]]:
    """Keep our settings; a name that resembles one is an error, any other of our prefix a warning."""
    found, warnings = {}, []
    for told, value in names.items():
        name = THEIR_NAMES.get(told, told)
        field = name.removeprefix(PREFIX).lower()
        if not name.startswith(PREFIX) or name == "LEADCONTACT_CONFIG":
            continue
        if field in Settings.model_fields:
            if value != "" or field == "api_key":
                found[field] = value
        elif alike := _alike(field):
            raise _unknown(name, place, f"{PREFIX}{alike.upper()}")
        else:
            warnings.append(f"{name} in {place} is not a setting of this program and is ignored.")
    return found, warnings


def _alike(name: str) -> str | None:
    close = difflib.get_close_matches(name.lower().replace("-", "_"), Settings.model_fields, n=1, cutoff=0.75)
    return close[0] if close else None


def _unknown(name: str, place: str, alike: str | None) -> ConfigError:
    fix = f"Did you mean {alike}?" if alike else "The README's configuration table lists all settings."
    return ConfigError(f"{name} in {place} is not a setting.", fix)


def _explained(error: ValidationError, places: Mapping[str, Mapping[str, Any]]) -> ConfigError:
    """Turn the first complaint into a sentence with its place; never show the value, it may be a key."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    if name == "suppress" and first["loc"][1:] and first["type"] == "extra_forbidden":
        fix = f"It has {', '.join(Suppress.model_fields)}."
        return ConfigError(f"{first['loc'][1]} under suppress is not a setting.", fix)
    if first["type"] == "extra_forbidden":
        return _unknown(name, "the settings", _alike(name))
    place = next((place for place, told in places.items() if name in told), "")
    said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    said = "should be true or false" if first["type"].startswith("bool_") else said
    said = said if said.startswith(("is ", "must ", "may ", "should ")) else f"is not usable ({said})"
    ways = [f"{PREFIX}{name.upper()}", f"the TOML key {name}"]
    if name == "columns":
        field = str(first["loc"][1]) if first["loc"][1:] else "FIELD"
        name = f"columns.{field}" if first["loc"][1:] else name
        ways = [f'--column {field}="HEADER"', ways[0], f"the TOML key {name}"]
    elif name not in NO_OPTION:
        ways.insert(0, f"--{name.replace('_', '-')}")
    where = f" in {place}" if place else ""
    return ConfigError(f"The setting {name}{where} {said}.", f"Change {', '.join(ways[:-1])} or {ways[-1]}.")


def environment() -> dict[str, str]:
    """The process's environment; read here and nowhere else."""
    return dict(os.environ)
