"""What goes over the wire and what comes back: bytes in, values out, no socket (guide, "Core API Endpoints").

The rules for what an answer means stand in `STATUS` and `classify`; the README tells the same story in prose.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from pipeline.model import (
    ERASED,
    Contact,
    Endpoint,
    NoReply,
    Outcome,
    Phone,
    PhonesReply,
    Question,
    Questions,
    Reply,
    SearchReply,
    VerifyReply,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_BODY: Final = 512 * 1024
"""The most bytes of an answer we read, also after decompression: a hundred contacts of five kilobytes each.

Fifty hostile answers at once must fit into the memory a run may take.
"""

LONGEST_PAUSE: Final = 60.0
"""Seconds: a 429 that asks for no more than this slows the run down; one that asks for more ends it."""

STATUS: Final = {
    400: Outcome.REFUSED,
    401: Outcome.DENIED,
    402: Outcome.NO_CREDITS,
    403: Outcome.DENIED,
    404: Outcome.NOT_FOUND,
    408: Outcome.AMBIGUOUS,
    422: Outcome.REFUSED,
    425: Outcome.AMBIGUOUS,
    429: Outcome.NO_QUOTA,
}
"""Statuses with a meaning of their own; the others go by their hundred."""

HUNDREDS: Final = {3: Outcome.REDIRECT, 4: Outcome.REFUSED, 5: Outcome.AMBIGUOUS}


class RawReply(NamedTuple):
    """What the socket gave: the status, the few headers we heed, at most MAX_BODY bytes."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    location: str | None = None


class Verdict(NamedTuple):
    """What a raw reply means. `retry_after` is in seconds and only set where the server named a time."""

    outcome: Outcome
    reply: Reply
    retry_after: float | None = None


# --- questions ----------------------------------------------------------------------------------------


@lru_cache(1 << 12)
def search_question(company: str, questions: Questions, *, filtered: bool, limit: int = 0) -> Question:
    """Who works there? Filters narrow it only if asked to; a list that names people is never narrowed."""
    limit = limit or questions.limit
    fields: dict[str, Any] = {"company": company, "include_phone": questions.include_phone, "limit": limit}
    if filtered and questions.decision_maker_only:
        fields["decision_maker_only"] = True
    if filtered and questions.departments:
        fields["departments"] = list(questions.departments)
    if filtered and questions.titles:
        fields["titles"] = list(questions.titles)
    return _question(Endpoint.SEARCH, fields, limit)


@lru_cache(1 << 12)
def verify_question(email: str) -> Question:
    """Does this mailbox take mail?"""
    return _question(Endpoint.VERIFY, {"email": email, "smtp_check": True, "format_check": True})


@lru_cache(1 << 12)
def phones_question(
    *,
    email: str | None,
    first_name: str | None,
    last_name: str | None,
    company: str | None,
    questions: Questions,
) -> Question:
    """What number reaches this person? Known by e-mail, by name and company, or by both."""
    person = {"email": email, "first_name": first_name, "last_name": last_name, "company": company}
    fields: dict[str, Any] = {name: value for name, value in person.items() if value}
    fields["include_direct_dial"] = questions.include_direct_dial
    fields["skip_mobile"] = questions.skip_mobile
    return _question(Endpoint.PHONES, fields)


def _question(endpoint: Endpoint, fields: dict[str, Any], limit: int = 1) -> Question:
    body = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    key = blake2b(b"%b\n%b" % (endpoint.value.encode(), body), digest_size=16).digest()
    return Question(endpoint, body, key, limit)


# --- answers ------------------------------------------------------------------------------------------


def classify(question: Question, raw: RawReply, now: float) -> Verdict:
    """Say what an answer means. Never raises, whatever the bytes are."""
    if raw.status in range(200, 300):
        return _understand(question, raw)
    outcome = STATUS.get(raw.status) or HUNDREDS.get(raw.status // 100, Outcome.UNEXPECTED)
    pause = _retry_after(raw, now)
    if raw.status == 429 and pause is not None and pause <= LONGEST_PAUSE:  # noqa: PLR2004 - as in STATUS
        outcome = Outcome.SLOW_DOWN
    if outcome is Outcome.NOT_FOUND and raw.body.strip() and _object(raw.body) is None:
        # A web server's own page: the address is wrong, which says nothing about the person.
        outcome = Outcome.UNEXPECTED
    return Verdict(outcome, NoReply(reason=_reason(raw)), pause)


def decode(question: Question, status: int, body: bytes) -> Verdict:
    """Say again what an answer from the journal means; status 0 is our own note that we gave up."""
    if status == 0:
        return Verdict(Outcome.GAVE_UP, NoReply(reason=body.decode("utf-8", "replace")))
    return classify(question, RawReply(status, body), 0.0)


def server_time(raw: RawReply) -> float | None:
    """The server's clock (its Date header) in Unix seconds, if it shows one."""
    return _http_date(raw.date) if raw.date else None


def _understand(question: Question, raw: RawReply) -> Verdict:
    top = _object(raw.body)
    if top is None:
        return Verdict(Outcome.UNEXPECTED, NoReply(reason="the answer is not a JSON object"))
    if top.get("success") is False:
        return Verdict(Outcome.SAID_NO, NoReply(reason=_reason(raw)))
    data = top.get("data")
    reply = _READERS[question.endpoint](data, question) if isinstance(data, dict) else None
    if reply is None:
        return Verdict(Outcome.UNEXPECTED, NoReply(reason="the answer has not the documented shape"))
    return Verdict(Outcome.FOUND, reply)


def _read_search(data: Mapping[str, Any], _: Question) -> Reply | None:
    contacts = data.get("contacts")
    if not isinstance(contacts, list):
        return None
    return SearchReply(
        contacts=_contacts(contacts),
        total=_whole(data.get("total")),
        credits_remaining=_whole(data.get("credits_remaining")),
        erased=_whole(data.get(ERASED)) or 0,
    )


def _read_verify(data: Mapping[str, Any], question: Question) -> Reply | None:
    valid, deliverable = _flag(data.get("is_valid")), _flag(data.get("is_deliverable"))
    echoed = data.get("email")
    asked = orjson.loads(question.body)["email"]
    if deliverable is None or (isinstance(echoed, str) and echoed.strip().casefold() != asked.casefold()):
        return None
    return VerifyReply(
        email=asked,
        valid=deliverable if valid is None else valid,
        deliverable=deliverable,
        confidence=_confidence(data.get("confidence_score")),
        checked_at=_text(data.get("verification_timestamp")),
        greylisted=not deliverable and valid is not False and str(data.get("smtp_response", "")).startswith("4"),
    )


def _read_phones(data: Mapping[str, Any], _: Question) -> Reply | None:
    numbers = data.get("phone_numbers")
    if not isinstance(numbers, list):
        return None
    return PhonesReply(phones=tuple(filter(None, map(_phone, numbers))))


_READERS: Final[dict[Endpoint, Callable[[Mapping[str, Any], Question], Reply | None]]] = {
    Endpoint.SEARCH: _read_search,
    Endpoint.VERIFY: _read_verify,
    Endpoint.PHONES: _read_phones,
}


def _contacts(entries: list[Any]) -> tuple[Contact, ...]:
    """Read all contacts at once; one by one only where one of them is odd."""
    try:
        return tuple(_CONTACTS.validator.validate_python(entries, strict=True))
    except ValidationError:
        return tuple(_contact(entry) for entry in entries if isinstance(entry, dict))


_CONTACTS: Final = TypeAdapter(list[Contact])


def _contact(fields: dict[str, Any]) -> Contact:
    try:
        return Contact.model_validate(fields, strict=True)
    except ValidationError:
        return Contact.model_validate(_mended(fields))


_SCORES: Final = ("email_confidence", "phone_confidence")
_TEXTS: Final = tuple(name for name in Contact.model_fields if name not in _SCORES)


def _mended(fields: dict[str, Any]) -> dict[str, Any]:
    """Read a contact whose fields have unexpected types: what can be read is kept, the rest is absent."""
    texts = {name: _text(fields.get(name)) for name in _TEXTS}
    return texts | {name: _confidence(fields.get(name)) for name in _SCORES}


def _phone(entry: object) -> Phone | None:
    if not isinstance(entry, dict) or not (number := _text(entry.get("number"))):
        return None
    return Phone(
        number=number,
        type=_text(entry.get("type")),
        confidence=_confidence(entry.get("confidence")),
        country_code=_text(entry.get("country_code")),
    )


# --- lenient readings of single values ----------------------------------------------------------------


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None  # noqa: PLR2004 - also drops NaN and infinities


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _confidence(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and 0 <= number <= 1 else None


def _flag(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().casefold()) if isinstance(value, str) else None


def _reason(raw: RawReply) -> str:
    """Find the server's own words in the places where vendors put them, bounded."""
    top = _object(raw.body) or {}
    for place in ("message", "error", "detail", "reason", "errors"):
        said = top.get(place)
        if isinstance(said, dict):
            said = said.get("message") or said.get("code")
        if isinstance(said, list) and said:
            said = said[0].get("message") if isinstance(said[0], dict) else said[0]
        if isinstance(said, str) and said.strip():
            return said.strip()[:200]
    return f"HTTP {raw.status}"


def _retry_after(raw: RawReply, now: float) -> float | None:
    """Seconds to wait by Retry-After (RFC 9110, 10.2.3): a number, or a date against the server's own clock."""
    if not raw.retry_after:
        return None
    seconds = _number(raw.retry_after)
    if seconds is None:
        at = _http_date(raw.retry_after)
        server_now = server_time(raw)
        seconds = None if at is None else at - (now if server_now is None else server_now)
    return None if seconds is None else max(0.0, seconds)


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@lru_cache(1 << 8)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(at: float) -> str:
    """A moment as the output writes it: UTC, to the second."""
    return _second(int(at))
