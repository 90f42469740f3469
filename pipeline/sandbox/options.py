"""How the sandbox behaves: each thing the guide leaves open is a field here, with what we assume."""

import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.model import Endpoint


class Fault(StrEnum):
    """One way for a request to go wrong; the table in `faults.py` says what each does."""

    DROP = "drop"
    DROP_CHARGED = "drop_charged"
    STALL = "stall"
    SERVER_ERROR = "server_error"
    UNAVAILABLE_HTML = "unavailable_html"
    SAID_NO = "said_no"
    NOT_JSON = "not_json"
    EMPTY_BODY = "empty_body"
    CHALLENGE_PAGE = "challenge_page"
    DATA_IS_LIST = "data_is_list"
    DATA_MISSING = "data_missing"
    SLOW_DOWN = "slow_down"
    TOO_MANY = "too_many"
    NO_CREDITS = "no_credits"
    UNAUTHORISED = "unauthorised"
    FORBIDDEN = "forbidden"
    BAD_REQUEST = "bad_request"
    UNPROCESSABLE = "unprocessable"
    NOT_FOUND = "not_found"
    REDIRECT_AWAY = "redirect_away"
    REDIRECT_SAME_HOST = "redirect_same_host"
    GZIP_BOMB = "gzip_bomb"
    HUGE_BODY = "huge_body"
    ENDLESS_DRIP = "endless_drip"
    TRUNCATED = "truncated"
    NAN = "nan"
    NUMBERS_AS_STRINGS = "numbers_as_strings"
    NULL_FIELDS = "null_fields"
    MISSING_FIELDS = "missing_fields"
    EXTRA_FIELDS = "extra_fields"
    INVALID_UTF8 = "invalid_utf8"
    DEEP_JSON = "deep_json"
    HEADER_FLOOD = "header_flood"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    OTHER_EMAIL = "other_email"
    OTHER_COMPANY = "other_company"


Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Price = Annotated[int, Field(ge=0)]


class SandboxOptions(BaseModel):
    """What to serve and what to break; times are seconds.

    What we assume of the real server where the guide is silent:

    - a request counts against the quota when it arrives with an accepted key; one refused for quota
      does not push the window further;
    - failed requests count too (`count_failures`), but cost no credits (`charge_failures`);
    - what was worked out and then lost on the way (drop_charged, stall, truncated, spoilt answers) costs;
    - one call costs one credit (`price_*`), an empty answer the same (`empty_price`);
    - an answer nobody can pay for is 402 and costs nothing;
    - an error's body is `{"success": false, "error": "a sentence"}`;
    - `limit` is 10 if absent, at most 100; `include_phone`, `skip_mobile` are false, `include_direct_dial`
      true if absent; contacts come by falling e-mail confidence;
    - `departments` and `titles` both must match; a title matches as whole words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    seed: int = 0
    """Chooses the world, the latencies and where faults by chance fall."""

    key: str | None = Field(None, repr=False, exclude=True)
    """The one accepted key; None accepts all that look like `lc_test_…` or `lc_live_…`."""

    forbidden: bool = False
    """Answer 403 to every key, as to an account that was closed."""

    daily_quota: Annotated[int, Field(ge=0)] | None = None
    """Requests in a window; None is no limit."""

    quota_window: Literal["rolling", "calendar"] = "rolling"
    """The last 24 hours, or the day in `quota_zone`."""

    quota_zone: str = "UTC"
    """IANA zone whose midnight opens a calendar window."""

    count_failures: bool = True
    """Whether requests not answered with 200 use up quota."""

    retry_after: Literal["seconds", "date", "none"] = "seconds"
    """How a 429 for the quota says when the window opens."""

    credits: Annotated[int, Field(ge=0)] | None = None
    """Credits left now; None never runs out, but still counts down from a thousand million."""

    price_search: Price | Literal["contact"] = 1
    """Credits a search costs; "contact" is one for each contact returned."""

    price_verify: Price = 1
    """Credits a verify costs."""

    price_phones: Price = 1
    """Credits a phones call costs."""

    empty_price: Price | None = None
    """Credits an answer without contacts or numbers costs; None is the usual price."""

    charge_failures: bool = False
    """Whether a fault that replaces the answer (500, `success:false` …) costs what the answer would have."""

    latency: Seconds | tuple[Seconds, Seconds] = 0.0
    """Time an answer takes after it was charged; a pair is drawn between."""

    faults: dict[Fault, Probability] = {}
    """Chance of each fault; 1.0 is every request, the sum should not pass 1."""

    fault_endpoint: Endpoint | None = None
    """Only requests to this endpoint suffer faults, scripted or by chance; None is all."""

    slow_down_seconds: int = 2
    """The `Retry-After` of the slow_down fault."""

    stall_seconds: Seconds = 60.0
    """How long a stall or an endless drip lasts; longer than the client's patience."""

    redirect_to: str = "http://elsewhere.invalid"
    """The other host of redirect_away."""

    bomb_bytes: Annotated[int, Field(ge=1)] = 64 << 20
    """Size of the gzip bomb once unpacked, and a quarter of it for the huge body."""

    greylist_seconds: Seconds | None = None
    """A greylisted address is accepted this long after it was first asked; None never."""

    date_skew: float = 0.0
    """What the `Date` header is ahead of `now()`."""

    hubspot: bool = False
    """Whether there is a HubSpot portal too, under /hubspot."""

    hubspot_daily_limit: Annotated[int, Field(ge=0)] = 250_000
    """Calls a day that the portal takes."""

    log_path: Path | None = None
    """File that gets one JSON line when a request arrives and one when it is over."""

    now: Callable[[], float] = Field(time.time, repr=False, exclude=True)
    """The server's clock, Unix seconds."""

    @field_validator("quota_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            zone(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("no such time zone") from None
        return name

    @field_validator("latency")
    @classmethod
    def _range_in_order(cls, latency: float | tuple[float, float]) -> float | tuple[float, float]:
        if isinstance(latency, tuple) and latency[0] > latency[1]:
            raise ValueError("the range is the wrong way round")
        return latency

    def price(self, endpoint: Endpoint, items: int | None) -> int:
        """Credits for an answer with so many contacts or numbers; None is an answer that cannot be empty."""
        if items == 0 and self.empty_price is not None:
            return self.empty_price
        if endpoint is Endpoint.SEARCH:
            return (items or 0) if self.price_search == "contact" else self.price_search
        return self.price_verify if endpoint is Endpoint.VERIFY else self.price_phones

    def changed(self, changes: dict[str, object]) -> "SandboxOptions":
        """Make validated options with some fields replaced; raises pydantic's ValidationError."""
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).model_validate(kept | changes)


def zone(name: str) -> tzinfo:
    """Find a time zone by its IANA name; UTC needs no zone database."""
    return UTC if name == "UTC" else ZoneInfo(name)
