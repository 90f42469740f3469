"""What the user wants, checked once; `configured.py` knows in which places it may stand.

Every field is a TOML key and an environment variable `LEADCONTACT_<NAME>`; most are options too.
"""

from __future__ import annotations

import shlex
import subprocess  # `api_key_command` runs a secret manager's own command
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from pipeline import written
from pipeline.errors import ConfigError
from pipeline.model import Endpoint, Judgement, Policy, Questions
from pipeline.plans import PLANS, Plan
from pipeline.sample import Sample, sample_of
from pipeline.words import counted

FOREVER: Final = 10.0**10
"""Seconds: `--wait` waits this long for a slot."""

Words = Annotated[tuple[str, ...], BeforeValidator(written.listed)]
Seconds = Annotated[float, BeforeValidator(written.seconds), Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=1, le=100)]
SecretUrl = Annotated[SecretStr, BeforeValidator(written.told_address)]


class Suppress(BaseModel):
    """Whom not to ask about: a file, and addresses, domains and companies named here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    file: Path | None = None
    emails: Words = ()
    domains: Words = ()
    companies: Words = ()


class Settings(BaseModel):
    """All settings of a run, checked; the README's configuration table says what each is for.

    >>> Settings(plan="starter", wait_up_to="30m").wait_up_to
    1800.0
    """

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

    # other systems
    push: Annotated[tuple[Literal["hubspot", "webhook"], ...], BeforeValidator(written.listed)] = ()
    hubspot_access_token: SecretStr | None = None
    hubspot_url: Annotated[str, AfterValidator(written.web_address)] = "https://api.hubapi.com"
    hubspot_version: Annotated[str, Field(pattern=r"^(v3|\d{4}-\d{2})$")] = "v3"
    hubspot_properties: Annotated[dict[str, str], BeforeValidator(written.headers)] = {}
    hubspot_daily_calls: Annotated[int, Field(ge=1)] = 100_000
    hubspot_create: bool = False
    hubspot_upsert: str | None = None
    webhook_url: Annotated[str, AfterValidator(written.web_address)] | None = None
    webhook_secret: SecretStr | None = None

    # input and output
    job: str | None = None
    columns: Annotated[dict[str, str], BeforeValidator(written.headers)] = {}
    encoding: str | None = None
    priority: str | None = None
    suppress: Annotated[Suppress, BeforeValidator(written.file_or_table)] | None = None
    new_policy: bool = False
    prune: bool = False
    sandbox: bool = False
    summary: Path | None = None
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    strict: bool = False
    quiet: bool = False
    trust_env: bool = False

    # who is told (the addresses are secrets: their owners can write to your channels)
    alert_webhook: SecretUrl | None = None
    alert_webhook_kind: Literal["auto", "slack", "teams", "discord", "json"] = "auto"
    alert_apprise: Annotated[tuple[SecretStr, ...], BeforeValidator(written.addresses)] = ()
    alert_ping: SecretUrl | None = None
    alert_quota_percents: Annotated[tuple[Percent, ...], BeforeValidator(written.listed)] = (80, 95)
    alert_credits_days: Annotated[float, Field(ge=0)] = 7.0
    alert_error_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    alert_finish_by: Annotated[str, AfterValidator(written.clock_time)] | None = None
    alert_backlog_days: Annotated[int, Field(ge=1, le=30)] = 3
    metrics_file: Path | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _flags_are_no_numbers(cls, value: object, info: ValidationInfo) -> object:
        """TOML's `daily_quota = true` is no 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("must not be true or false")
        return value

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know of a run while it goes, or when it goes wrong."""
        return bool(self.alert_webhook or self.alert_apprise or self.alert_ping or self.metrics_file)

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
        return f"{self.plan}{assumed}: {counted(self.quota, 'request')} a day.{hint}"

    @property
    def share(self) -> Sample | None:
        """Which share of the leads to work on; None: all of them."""
        return sample_of(self.sample) if self.sample is not None else None

    @property
    def headers(self) -> dict[str, str]:
        """The user's field -> header; `priority` is one of them."""
        return self.columns | ({"priority": self.priority} if self.priority else {})

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
                suppress=str(file.expanduser().resolve()) if (file := self.suppress and self.suppress.file) else None,
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
                "Run leadcontact init, which asks for it, or set LEADCONTACT_API_KEY (also in a .env file), "
                "--api-key-file or --api-key-command; to try things without a key, add --sandbox.",
            )
        return checked_key(text.strip(), place)

    def stop_moment(self, now: float) -> float | None:
        """The next local time of `stop_at`, in Unix seconds."""
        return None if self.stop_at is None else next_time(self.stop_at, now)


def next_time(clock: str, now: float) -> float:
    """When a local time such as "06:30" comes next, in Unix seconds."""
    hour, minute = map(int, clock.split(":"))
    today = datetime.fromtimestamp(now).astimezone().date()
    readings = (datetime.combine(today + timedelta(days=days), time(hour, minute)) for days in (0, 1))
    # In the night in which the clocks go back a time comes twice; either ends the run.
    moments = {at.replace(fold=fold).timestamp() for at in readings for fold in _folds(at)}
    return min(moment for moment in moments if moment > now)


def _folds(at: datetime) -> tuple[int, ...]:
    return (0, 1) if at.replace(fold=1).timestamp() > at.timestamp() else (0,)


# --- the key ------------------------------------------------------------------------------------------


def checked_key(key: str, place: str) -> str:
    """Refuse what can be no key, naming the place it came from and not the key. Raises ConfigError."""
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
            f"The command of --api-key-command failed: it {_how_it_failed(error)}.",
            "Run it by hand: it must print the key alone.",
        ) from None
    return done.stdout


def _how_it_failed(error: Exception) -> str:
    """Say it without the command's words, which may hold the key."""
    match error:
        case subprocess.CalledProcessError():
            return f"exited with {error.returncode}"
        case subprocess.TimeoutExpired():
            return f"took longer than {error.timeout:.0f} s"
        case OSError():
            return f"cannot be started ({error.strerror})"
        case UnicodeError():
            return "printed what is not text"
        case _:
            return "cannot be parsed"
