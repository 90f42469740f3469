"""Lenient readings: whatever a server sends, what can be read is read and the rest is absent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.model import (
    JOURNALED,
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
from pipeline.protocol import (
    MAX_BODY,
    RawReply,
    classify,
    decode,
    iso,
    phones_question,
    search_question,
    server_time,
    verify_question,
)

NOW = 1_780_000_000.0
SEARCH = search_question("Acme Corp", Questions(), filtered=False)
VERIFY = verify_question("jane@acme.com")
PHONES = phones_question(email="jane@acme.com", first_name=None, last_name=None, company=None, questions=Questions())
BY_ENDPOINT = {question.endpoint: question for question in (SEARCH, VERIFY, PHONES)}


def read(question: Question, data: object) -> Reply:
    return classify(question, RawReply(200, orjson.dumps({"success": True, "data": data})), NOW).reply


def read_contact(**fields: object) -> Contact:
    reply = read(SEARCH, {"contacts": [fields]})
    assert isinstance(reply, SearchReply)
    return reply.contacts[0]


def read_verdict(**fields: object) -> Reply:
    return read(VERIFY, {"is_valid": True, "is_deliverable": True} | fields)


def read_phones(*entries: object) -> tuple[Phone, ...]:
    reply = read(PHONES, {"phone_numbers": list(entries)})
    assert isinstance(reply, PhonesReply)
    return reply.phones


# --- the guide's own samples --------------------------------------------------------------------------


def test_the_guides_search_sample_is_read_whole() -> None:
    """Every documented field arrives under its own name."""
    jane = {
        "first_name": "Jane",
        "last_name": "Smith",
        "email": "jane.smith@acmecorp.com",
        "email_confidence": 0.98,
        "phone": "+1-555-123-4567",
        "phone_confidence": 0.95,
        "title": "CEO",
        "company": "Acme Corp",
        "department": "Executive",
    }
    reply = read(SEARCH, {"contacts": [jane], "total": 10, "credits_remaining": 490})
    assert reply == SearchReply(contacts=(Contact(**jane),), total=10, credits_remaining=490)
    assert read_contact(**jane).model_dump() == jane


def test_the_guides_verify_sample_is_read_whole() -> None:
    """The address is the one asked about."""
    reply = read_verdict(
        email="jane@acme.com",
        confidence_score=0.96,
        smtp_response="250 OK - Mail Accepted",
        verification_timestamp="2026-03-31T14:30:00Z",
    )
    assert reply == VerifyReply(
        email="jane@acme.com", valid=True, deliverable=True, confidence=0.96, checked_at="2026-03-31T14:30:00Z"
    )


def test_the_guides_phones_sample_is_read_whole() -> None:
    """Numbers keep the server's order."""
    entry = {"number": "+1-555-987-6543", "type": "direct_dial", "confidence": 0.94, "country_code": "US"}
    other = entry | {"number": "+1-555-987-0000"}
    assert read_phones(entry, other) == (Phone(**entry), Phone(**other))


# --- single values ------------------------------------------------------------------------------------

CONFIDENCES: list[tuple[object, float | None]] = [
    (0.98, 0.98),
    (0, 0.0),
    (1, 1.0),
    ("0.98", 0.98),
    (" 0.98 ", 0.98),
    ("high", None),
    ("", None),
    (None, None),
    (True, None),
    (False, None),
    (1.0001, None),
    (-0.1, None),
    (98, None),
    ("98%", None),
    ("nan", None),
    ("inf", None),
    (1e300, None),
    ([0.98], None),
    ({"value": 0.98}, None),
]


@pytest.mark.parametrize(("told", "score"), CONFIDENCES, ids=repr)
def test_a_confidence_is_a_number_from_0_to_1_or_absent(told: object, score: float | None) -> None:
    """`true` is not 100 %, 98 is not 0.98: what is unclear confirms nobody. The same at every endpoint."""
    contact = read_contact(email="j@a.com", phone="5", email_confidence=told, phone_confidence=told)
    verdict = read_verdict(confidence_score=told)
    assert isinstance(verdict, VerifyReply)
    seen = (contact.email_confidence, contact.phone_confidence, verdict.confidence)
    assert (*seen, read_phones({"number": "5", "confidence": told})[0].confidence) == (score,) * 4
    assert (contact.email, contact.phone) == ("j@a.com", "5")


TEXTS: list[tuple[object, str | None]] = [
    ("Jane", "Jane"),
    (" Jane ", "Jane"),
    ("   ", None),
    (None, None),
    (15551234567, "15551234567"),
    (True, None),
    (["Jane"], None),
    ({"first": "Jane"}, None),
]


@pytest.mark.parametrize(("told", "text"), TEXTS, ids=repr)
def test_a_text_is_text_or_a_number_without_padding(told: object, text: str | None) -> None:
    """A blank telephone number is none."""
    contact = read_contact(first_name=told, phone=told, email="j@a.com", phone_confidence=0.95)
    assert (contact.first_name, contact.phone, contact.email, contact.phone_confidence) == (
        text,
        text,
        "j@a.com",
        0.95,
    )
    assert [phone.number for phone in read_phones({"number": told})] == ([text] if text else [])
    assert read_phones({"number": "5", "type": told})[0].type == text


COUNTS: list[tuple[object, int | None]] = [
    (490, 490),
    (490.0, 490),
    ("490", 490),
    (489.9, 489),
    (None, None),
    (True, None),
    ("many", None),
    (1e300, None),
    ([1], None),
]


@pytest.mark.parametrize(("told", "count"), COUNTS, ids=repr)
def test_a_count_is_whole_or_absent(told: object, count: int | None) -> None:
    """A credit reading that cannot be read is no reading; half a credit is not a credit."""
    reply = read(SEARCH, {"contacts": [], "total": told, "credits_remaining": told})
    assert reply == SearchReply(contacts=(), total=count, credits_remaining=count)


FLAGS: list[tuple[object, bool | None]] = [
    (True, True),
    (False, False),
    ("true", True),
    (" False ", False),
    ("yes", None),
    (None, None),
    (1, None),
    ([], None),
]


@pytest.mark.parametrize(("told", "flag"), FLAGS, ids=repr)
def test_a_mailbox_is_deliverable_only_if_the_server_clearly_says_so(told: object, flag: bool | None) -> None:  # noqa: FBT001
    """T0.7: no guessing; without the flag there is no verdict. `is_valid` alone may be missing."""
    reply = read_verdict(is_deliverable=told)
    assert (reply.deliverable if isinstance(reply, VerifyReply) else None) == flag
    valid = read_verdict(is_valid=told)
    assert isinstance(valid, VerifyReply)
    assert valid.valid is (True if flag is None else flag)


@pytest.mark.parametrize("junk", [None, "Jane Smith", 5, [], True])
def test_contacts_and_numbers_that_are_no_objects_are_left_out(junk: object) -> None:
    """One odd entry does not cost the other nine."""
    reply = read(SEARCH, {"contacts": [junk, {"first_name": "Jane", "new_field": [1]}]})
    assert reply == SearchReply(contacts=(Contact(first_name="Jane"),))
    assert read_phones(junk, {"number": "5"}, {"type": "mobile"}) == (Phone(number="5"),)


# --- verify -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("echo", ["jane@acme.com", "JANE@Acme.com", " jane@acme.com ", None, 5, ...])
def test_the_verdict_is_on_the_address_asked_about(echo: object) -> None:
    """However the server writes it, or if it does not repeat it."""
    reply = read_verdict(**({} if echo is ... else {"email": echo}))
    assert reply == VerifyReply(email="jane@acme.com", valid=True, deliverable=True)


@pytest.mark.parametrize("echo", ["john@acme.com", "jane@acme.co", ""])
def test_a_verdict_on_another_address_is_unexpected(echo: str) -> None:
    """T4.11: it would confirm an address nobody tested."""
    body = orjson.dumps({"success": True, "data": {"email": echo, "is_valid": True, "is_deliverable": True}})
    assert classify(VERIFY, RawReply(200, body), NOW).outcome is Outcome.UNEXPECTED


@pytest.mark.parametrize(
    ("fields", "later"),
    [
        ({"is_deliverable": False, "smtp_response": "451 4.7.1 Greylisted"}, True),
        ({"is_deliverable": False, "smtp_response": 450}, True),
        ({"is_deliverable": False, "smtp_response": "451", "is_valid": None}, True),
        ({"is_deliverable": False, "smtp_response": "550 no such user"}, False),
        ({"is_deliverable": False}, False),
        ({"is_deliverable": False, "smtp_response": None}, False),
        ({"is_deliverable": False, "smtp_response": "451", "is_valid": False}, False),
        ({"is_deliverable": True, "smtp_response": "451"}, False),
    ],
)
def test_greylisted_is_a_4xx_for_a_valid_address_that_is_not_deliverable(fields: dict[str, Any], later: bool) -> None:  # noqa: FBT001
    """T4.5: "later" is not "no"."""
    reply = read_verdict(**fields)
    assert isinstance(reply, VerifyReply)
    assert reply.greylisted is later


# --- any bytes at all ---------------------------------------------------------------------------------

HEADER = (
    st.none()
    | st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} May -?\d{1,30} \d\d:\d\d:\d+ [+-]\d{1,25}")
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [*Contact.model_fields, *Phone.model_fields, "is_valid", "is_deliverable", "confidence_score", "smtp_response"]
)
ENTRY = st.dictionaries(FIELDS, JSON, max_size=6) | JSON
DATA = st.fixed_dictionaries(
    {},
    optional={
        "contacts": st.lists(ENTRY, max_size=3) | JSON,
        "phone_numbers": st.lists(ENTRY, max_size=3) | JSON,
        "total": JSON,
        "credits_remaining": JSON,
        "email": st.just("jane@acme.com") | JSON,
        "is_valid": st.booleans() | JSON,
        "is_deliverable": st.booleans() | JSON,
        "confidence_score": JSON,
        "smtp_response": st.sampled_from(["451 later", "550 no", 450]) | JSON,
        "verification_timestamp": JSON,
    },
)
ENVELOPE = st.fixed_dictionaries({}, optional={"success": JSON, "data": DATA | JSON, "message": JSON, "error": JSON})
BODY = st.binary(max_size=60) | (ENVELOPE | JSON).map(orjson.dumps)
STATUS = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 402, 404, 409, 422, 429, 500, 503]) | st.integers(
    100, 999
)


@settings(deadline=None)
@given(st.sampled_from(Endpoint), STATUS, BODY, HEADER, HEADER)
@example(Endpoint.SEARCH, 429, b"", "Mon, 01 Jan 2024 00:00:00 +99999999999999999", None)
@example(Endpoint.SEARCH, 429, b"", "Mon, 01 Jan 2024 00:00:99999999999999999999 GMT", "1 Jan 99999999999 0:0:0 GMT")
def test_no_answer_whatever_makes_the_client_fall_over(
    endpoint: Endpoint, status: int, body: bytes, retry_after: str | None, date: str | None
) -> None:
    """Any status, bytes and headers get a verdict, and what is journaled means the same when read again."""
    raw = RawReply(status, body, retry_after=retry_after, date=date)
    verdict = classify(BY_ENDPOINT[endpoint], raw, NOW)
    assert isinstance(verdict.reply, NoReply) == (verdict.outcome is not Outcome.FOUND)
    assert verdict.retry_after is None or verdict.retry_after >= 0
    if verdict.outcome in JOURNALED:
        again = decode(BY_ENDPOINT[endpoint], status, body)
        assert (again.outcome, again.reply) == (verdict.outcome, verdict.reply)


@settings(deadline=None)
@given(st.lists(ENTRY, max_size=4))
def test_whatever_is_read_of_a_contact_is_a_contact_within_its_bounds(entries: list[object]) -> None:
    """No blank texts with padding, no confidence beyond 0 to 1, in any mixture of types."""
    reply = read(SEARCH, {"contacts": entries})
    assert isinstance(reply, SearchReply)
    assert len(reply.contacts) == sum(isinstance(entry, dict) for entry in entries)
    for contact in reply.contacts:
        told = contact.model_dump()
        scores = [told.pop("email_confidence"), told.pop("phone_confidence")]
        assert all(score is None or 0 <= score <= 1 for score in scores)
        assert all(text is None or text == text.strip() for text in told.values())


def test_a_cut_answer_means_the_same_now_and_when_read_again() -> None:
    """The journal keeps what was read of a too long answer; a run after a restart must not judge it differently."""
    whole = b'{"success":true,"data":{"contacts":[]}}'
    padded, cut = whole.ljust(MAX_BODY), whole[:-3].ljust(MAX_BODY, b"x")
    for body, means in ((padded, Outcome.FOUND), (cut, Outcome.UNEXPECTED)):
        now, later = classify(SEARCH, RawReply(200, body), NOW), decode(SEARCH, 200, body)
        assert (now, later.outcome) == (later, means)


def test_our_own_note_that_a_question_was_given_up_is_read_as_that() -> None:
    """Status 0 never comes from a server."""
    verdict = decode(VERIFY, 0, b"no answer (HTTP 503)")
    assert (verdict.outcome, verdict.reply) == (Outcome.GAVE_UP, NoReply(reason="no answer (HTTP 503)"))


# --- time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Thu, 28 May 2026 20:26:40 GMT", NOW),
        ("Thu, 28 May 2026 22:26:40 +0200", NOW),
        ("Thu, 28 May 2026 20:26:40 -0000", NOW),
        ("28 May 2026 20:26:40", NOW),
        (None, None),
        ("", None),
        ("now", None),
        ("Thu, 99 May 2026 20:26:40 GMT", None),
        ("Thu, 28 May 2026 20:26:40 +99999999999999999999", None),
        ("Thu, 28 May 99999999999 20:26:40 GMT", None),
    ],
)
def test_the_servers_clock_is_its_date_header_or_unknown(date: str | None, seconds: float | None) -> None:
    """A nonsense date is no date; it never ends a run."""
    assert server_time(RawReply(200, b"", date=date)) == seconds


def test_the_output_writes_moments_in_utc_to_the_second() -> None:
    """Readable everywhere, sortable as text."""
    assert iso(NOW + 0.9) == "2026-05-28T20:26:40Z"
