"""What the user wants: option > environment > `.env` > TOML > default, checked once, with errors people can act on.

Every field is an option, a TOML key and an environment variable `LEADCONTACT_<NAME>`.
"""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess  # `api_key_command` runs a secret manager's own command
import tomllib
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from pipeline import written
from pipeline.errors import ConfigError
from pipeline.model import PLANS, Endpoint, Judgement, Plan, Policy, Questions
from pipeline.sample import Sample, sample_of

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "LEADCONTACT_"
FOREVER: Final = 10.0**10
"""Seconds: `--wait` waits this long for a slot."""

KEY_PLACES: Final = frozenset({"api_key", "api_key_file", "api_key_command"})

Words = Annotated[tuple[str, ...], BeforeValidator(written.listed)]
Seconds = Annotated[float, BeforeValidator(written.seconds), Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """All settings of a run, checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    # whose requests
    plan: Literal["free", "starter", "professional", "enterprise"] = "free"
    daily_quota: Annotated[int, Field(ge=1)] | None = None
    account: Annotated[str, Field(min_length=1)] = "default"
    base_url: Annotated[str, AfterValidator(written.base_url)] = "https://api.leadcontact.ai/v1"
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    api_key_command: str | None = None
    state: Path | None = None

    # pace
    concurrency: Annotated[int, Field(ge=1, le=500)] | None = None
    max_per_second: Annotated[float, Field(gt=0, le=100_000)] | None = None
    pace: Literal["burst", "spread"] = "burst"
    wait_up_to: Seconds = 3600.0
    wait: bool = False
    stop_at: Annotated[str, AfterValidator(written.clock_time)] | None = None
    sample: Annotated[str, AfterValidator(written.sample)] | None = None
    timeout: Annotated[float, BeforeValidator(written.seconds), Field(ge=10, le=30)] = 15.0
    window: Literal["rolling", "calendar"] = "rolling"
    window_zone: Annotated[str, AfterValidator(written.zone)] = "UTC"

    # limits
    max_requests: Count | None = None
    max_credits: Count | None = None
    reserve_requests: Count = 0
    reserve_credits: Count = 10
    credits_renew_day: Annotated[int, Field(ge=1, le=31)] | None = None
    search_credits_per_contact: Count = 1
    verify_credits: Count = 1
    phones_credits: Count = 1

    # questions (frozen in a job)
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    include_phone: bool = True
    decision_maker_only: bool = False
    departments: Words = ()
    titles: Words = ()
    widen_limit: Annotated[int, Field(ge=0, le=100)] = 0
    include_direct_dial: bool = True
    skip_mobile: bool = False

    # judgement
    steps: Annotated[tuple[Endpoint, ...], BeforeValidator(written.listed), Field(min_length=1)] = (
        Endpoint.SEARCH,
        Endpoint.VERIFY,
        Endpoint.PHONES,
    )
    spend: Literal["thrifty", "full"] = "thrifty"
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.90
    min_phone_confidence: Annotated[float, Field(ge=0, le=1)] = 0.90
    freshness_found: Annotated[float, BeforeValidator(written.seconds), Field(ge=3600, le=7_776_000)] = 172_800.0
    freshness_not_found: Annotated[float, BeforeValidator(written.seconds), Field(ge=3600, le=7_776_000)] = 172_800.0

    # input and output
    job: str | None = None
    columns: Annotated[dict[str, str], BeforeValidator(written.headers)] = {}
    encoding: str | None = None
    priority: str | None = None
    new_policy: bool = False
    prune: bool = False
    sandbox: bool = False
    summary: Path | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    strict: bool = False
    quiet: bool = False
    trust_env: bool = False

    @property
    def plan_of(self) -> Plan:
        """The plan's numbers."""
        return PLANS[self.plan]

    @property
    def quota(self) -> int:
        """Requests a day. Raises ConfigError for a plan without a number of its own."""
        quota = self.daily_quota or self.plan_of.daily_quota
        if quota is None:
            raise ConfigError(
                "The enterprise plan has no fixed number of requests a day.",
                "Say yours with --daily-quota N.",
            )
        return quota

    @property
    def plan_is_set(self) -> bool:
        """Whether anybody said which plan it is; else the smallest is assumed, and said."""
        return "plan" in self.model_fields_set or self.daily_quota is not None

    @property
    def plan_told(self) -> str:
        """The plan in words, for the first line of what a command says."""
        assumed, hint = ("", "") if self.plan_is_set else (" (none was set)", " Say yours with --plan.")
        return f"{self.plan}{assumed}: {self.quota:,} requests a day.{hint}"

    @property
    def share(self) -> Sample | None:
        """Which share of the leads to work on; None: all of them."""
        return sample_of(self.sample) if self.sample is not None else None

    @property
    def policy(self) -> Policy:
        """What to ask and how to judge it."""
        asked = {name: getattr(self, name) for name in Questions.model_fields}
        return Policy(
            questions=Questions(**asked),
            judgement=Judgement(
                steps=self.steps,
                spend=self.spend,
                min_confidence=self.min_confidence,
                min_phone_confidence=self.min_phone_confidence,
                freshness_found_hours=self.freshness_found / 3600,
                freshness_not_found_hours=self.freshness_not_found / 3600,
            ),
        )

    def key(self) -> str:
        """Find the API key: environment or `.env`, else its file, else its command. Raises ConfigError."""
        if self.api_key is not None:
            text, place = self.api_key.get_secret_value(), "LEADCONTACT_API_KEY"
        elif self.api_key_file is not None:
            text, place = _read_key(self.api_key_file), "the file of --api-key-file"
        elif self.api_key_command is not None:
            text, place = _run_for_key(self.api_key_command), "the answer of --api-key-command"
        else:
            raise ConfigError(
                "There is no API key.",
                "Set LEADCONTACT_API_KEY (also in a .env file), or use --api-key-file or --api-key-command; "
                "to try things without a key, add --sandbox.",
            )
        return _checked_key(text.strip(), place)

    def stop_moment(self, now: float) -> float | None:
        """The next local time of `stop_at`, in Unix seconds."""
        if self.stop_at is None:
            return None
        hour, minute = map(int, self.stop_at.split(":"))
        today = datetime.fromtimestamp(now).astimezone().date()
        readings = (datetime.combine(today + timedelta(days=days), time(hour, minute)) for days in (0, 1))
        # In the night in which the clocks go back a time comes twice; either ends the run.
        moments = {at.replace(fold=fold).timestamp() for at in readings for fold in _folds(at)}
        return min(moment for moment in moments if moment > now)


def _folds(at: datetime) -> tuple[int, ...]:
    return (0, 1) if at.replace(fold=1).timestamp() > at.timestamp() else (0,)


# --- the key ------------------------------------------------------------------------------------------


def _checked_key(key: str, place: str) -> str:
    if not key:
        raise ConfigError(f"The API key in {place} is blank.", "Put the key from Settings > API Access there.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"The API key in {place} holds a space or a character that no key has.",
            "Copy it again from Settings > API Access; an editor may have put a typographic character in.",
        )
    return key


def _read_key(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"The key file {path} cannot be read ({reason}).", "Check --api-key-file.") from error


def _run_for_key(command: str) -> str:
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - the user's own command
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"The command of --api-key-command failed ({type(error).__name__}).",
            "Run it by hand: it must print the key alone.",
        ) from None
    return done.stdout


# --- where settings come from -------------------------------------------------------------------------


def load(
    options: Mapping[str, Any], config: Path | None, environ: Mapping[str, str], *, cwd: Path
) -> tuple[Settings, list[str]]:
    """Merge all places a setting may stand in; return the settings and warnings. Raises ConfigError."""
    told = _from_toml(config) if config else {}
    dotenv, environment = _dotenv((config.parent if config else cwd) / ".env"), dict(environ)
    warnings = []
    for place, names in ((".env", dotenv), ("the environment", environment)):
        found, odd = _from_environment(names, place)
        told = _over(told, found)
        warnings += odd
    merged = _over(told, {name: value for name, value in options.items() if value is not None})
    try:
        return Settings(**merged), warnings
    except ValidationError as error:
        raise _explained(error) from None


def _over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Put one place's settings over another's; whoever says where the key is, says it alone."""
    merged = dict(lower)
    if not KEY_PLACES.isdisjoint(upper):
        merged = {name: value for name, value in merged.items() if name not in KEY_PLACES}
    merged |= upper
    below, above = (written.headers(place.get("columns", {})) for place in (lower, upper))
    merged["columns"] = above or below
    if isinstance(below, dict) and isinstance(above, dict):
        merged["columns"] = below | above
    return merged


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        told = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"The configuration {path} cannot be read ({reason}).", "Check --config.") from None
    if "api_key" in told:
        raise ConfigError(
            f"The configuration {path} holds an api_key.",
            "Configuration files get shared: put the key into LEADCONTACT_API_KEY, .env or api_key_file.",
        )
    for name in told:
        if name not in Settings.model_fields:
            raise _unknown(name, f"the configuration {path}", _alike(name))
    return told


def _dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415 - only where there is such a file

    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"The file {path} cannot be read ({reason}).", "Mend it or move it away.") from None
    return {name: value for name, value in values.items() if value is not None}


def _from_environment(names: Mapping[str, str], place: str) -> tuple[dict[str, str], list[str]]:
    """Keep our settings; a name that resembles one is an error, any other of our prefix a warning."""
    found, warnings = {}, []
    for name, value in names.items():
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


def _explained(error: ValidationError) -> ConfigError:
    """Turn the first complaint into a sentence; never show the value, it may be a key."""
    first = error.errors(include_input=False, include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "settings"
    said = str(first["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "extra_forbidden":
        return _unknown(name, "the settings", _alike(name))
    option = "--" + name.replace("_", "-")
    said = said if said.startswith(("is ", "must ", "may ", "should ")) else f"is not usable ({said})"
    return ConfigError(
        f"The setting {name} {said}.", f"Change {option}, {PREFIX}{name.upper()} or the TOML key {name}."
    )


def environment() -> dict[str, str]:
    """The process's environment; read here and nowhere else."""
    return dict(os.environ)
