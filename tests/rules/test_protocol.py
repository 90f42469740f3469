"""What goes over the wire, and what every status means: the table "What an answer means" as tests."""

from __future__ import annotations

from hashlib import blake2b
from itertools import combinations
from typing import Any

import orjson
import pytest

from pipeline.model import Endpoint, NoReply, Outcome, PhonesReply, Question, Questions, SearchReply, VerifyReply
from pipeline.protocol import LONGEST_PAUSE, RawReply, classify, phones_question, search_question, verify_question

NOW = 1_780_000_000.0

SEARCH = search_question("Acme Corp", Questions(), filtered=False)
VERIFY = verify_question("jane@acme.com")
PHONES = phones_question(email="jane@acme.com", first_name=None, last_name=None, company=None, questions=Questions())
ALL = pytest.mark.parametrize("question", [SEARCH, VERIFY, PHONES], ids=lambda question: question.endpoint)

HTML = b"<!doctype html><html><body>It works!</body></html>"
SAID = b'{"success":false,"message":"no such person"}'


def outcome(status: int, body: bytes = b"{}", question: Question = SEARCH, **headers: str) -> Outcome:
    return classify(question, RawReply(status, body, **headers), NOW).outcome


def reason(status: int, body: bytes) -> str:
    reply = classify(SEARCH, RawReply(status, body), NOW).reply
    assert isinstance(reply, NoReply)
    return reply.reason


# --- questions ----------------------------------------------------------------------------------------


def asked(question: Question) -> dict[str, Any]:
    return dict(orjson.loads(question.body))


def test_a_search_asks_the_documented_fields_and_nothing_else() -> None:
    """Filters go over the wire only if the user set them."""
    assert asked(SEARCH) == {"company": "Acme Corp", "include_phone": True, "limit": 10}


def test_filters_narrow_only_a_search_that_is_filtered() -> None:
    """A list that names people is never narrowed: the matcher filters locally."""
    wanted = Questions(decision_maker_only=True, departments=("Sales",), titles=("CEO", "CTO"))
    filters = {"decision_maker_only": True, "departments": ["Sales"], "titles": ["CEO", "CTO"]}
    assert asked(search_question("Acme Corp", wanted, filtered=True)) == asked(SEARCH) | filters
    assert search_question("Acme Corp", wanted, filtered=False) == SEARCH


def test_a_search_knows_the_most_contacts_it_can_cost() -> None:
    """`limit` of the question is the ceiling of its price, widened or not."""
    assert SEARCH.limit == 10
    assert search_question("Acme Corp", Questions(), filtered=False, limit=50).limit == 50
    assert (VERIFY.limit, PHONES.limit) == (1, 1)


def test_verify_asks_for_the_handshake_and_the_format() -> None:
    """The body is the guide's own."""
    assert asked(VERIFY) == {"email": "jane@acme.com", "smtp_check": True, "format_check": True}


def test_phones_names_only_what_is_known_of_the_person() -> None:
    """Absent fields are left out, so that the same knowledge is the same question."""
    assert asked(PHONES) == {"email": "jane@acme.com", "include_direct_dial": True, "skip_mobile": False}


def _phones(**changes: object) -> Question:
    wishes = {name: changes.pop(name) for name in ("include_direct_dial", "skip_mobile") if name in changes}
    questions = Questions.model_validate(wishes)
    person: dict[str, Any] = {"email": "j@a.com", "first_name": "J", "last_name": "S", "company": "A"}
    return phones_question(**person | changes, questions=questions)


def _search(company: str = "Acme", *, filtered: bool = True, limit: int = 0, **wishes: object) -> Question:
    return search_question(company, Questions.model_validate(wishes), filtered=filtered, limit=limit)


DIFFERENT = {
    "search": _search(),
    "company": _search("Acme Inc"),
    "company-case": _search("ACME"),
    "phone": _search(include_phone=False),
    "limit": _search(limit=11),
    "decision": _search(decision_maker_only=True),
    "departments": _search(departments=("Sales",)),
    "titles": _search(titles=("Sales",)),
    "verify": verify_question("j@a.com"),
    "verify-other": verify_question("k@a.com"),
    "phones": _phones(),
    "phones-email": _phones(email="k@a.com"),
    "phones-no-email": _phones(email=None),
    "phones-first": _phones(first_name="K"),
    "phones-last": _phones(last_name="T"),
    "phones-company": _phones(company="B"),
    "phones-direct": _phones(include_direct_dial=False),
    "phones-mobile": _phones(skip_mobile=True),
}


def test_questions_that_differ_in_any_field_have_different_keys() -> None:
    """Two questions with one key would share an answer (T4.3)."""
    same = [pair for pair in combinations(DIFFERENT, 2) if DIFFERENT[pair[0]].key == DIFFERENT[pair[1]].key]
    assert same == []


def test_the_same_fields_make_the_same_key_in_every_run_and_version() -> None:
    """The journal of last week must still answer: the canonical body is fixed, its fields sorted."""
    again = phones_question(questions=Questions(), company="A", last_name="S", first_name="J", email="j@a.com")
    assert again == DIFFERENT["phones"]
    person = b'"company":"A","email":"j@a.com","first_name":"J","include_direct_dial":true,"last_name":"S"'
    assert again.body == b'{%b,"skip_mobile":false}' % person
    assert SEARCH.body == b'{"company":"Acme Corp","include_phone":true,"limit":10}'
    assert SEARCH.key.hex() == "c7335601160707c01d86431009f82414"


def test_the_endpoint_is_part_of_the_key() -> None:
    """Equal bodies at two endpoints are two questions."""
    body = {"email": None, "first_name": None, "last_name": None, "company": None}
    wide = phones_question(**body, questions=Questions())
    assert wide.key != blake2b(b"search\n" + wide.body, digest_size=16).digest()
    assert wide.key == blake2b(b"phones\n" + wide.body, digest_size=16).digest()


# --- 200: understood or not ---------------------------------------------------------------------------

GOOD: dict[Endpoint, tuple[dict[str, Any], type]] = {
    Endpoint.SEARCH: ({"contacts": [], "total": 0, "credits_remaining": 490}, SearchReply),
    Endpoint.VERIFY: ({"email": "jane@acme.com", "is_valid": True, "is_deliverable": True}, VerifyReply),
    Endpoint.PHONES: ({"phone_numbers": []}, PhonesReply),
}


@ALL
@pytest.mark.parametrize("status", [200, 201, 202, 206, 299])
def test_every_2xx_in_the_documented_shape_is_understood(question: Question, status: int) -> None:
    """Also without `success`: the shape says it."""
    data, kind = GOOD[question.endpoint]
    for body in ({"success": True, "data": data}, {"data": data}, {"success": True, "data": data, "new": [1]}):
        verdict = classify(question, RawReply(status, orjson.dumps(body)), NOW)
        assert (verdict.outcome, type(verdict.reply)) == (Outcome.FOUND, kind)


@ALL
def test_success_false_is_no_answer_even_with_data(question: Question) -> None:
    """T4.1: a 200 that says no is never cached as truth; the server's words are kept."""
    body = orjson.dumps({"success": False, "message": "try again", "data": GOOD[question.endpoint][0]})
    verdict = classify(question, RawReply(200, body), NOW)
    assert (verdict.outcome, verdict.reply) == (Outcome.SAID_NO, NoReply(reason="try again"))


NOT_UNDERSTOOD = {
    "empty": b"",
    "blank": b"  \n",
    "html": HTML,
    "not-json": b"OK",
    "cut-off": b'{"success":true,"data":{"contacts":[{"first_na',
    "invalid-utf8": b'{"success":true,"data":"\xff\xfe"}',
    "nan": b'{"success":true,"data":{"contacts":[],"total":NaN}}',
    "too-deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "list": b'[{"contacts":[]}]',
    "string": b'"contacts"',
    "number": b"1",
    "null": b"null",
    "empty-object": b"{}",
    "no-data": b'{"success":true}',
    "null-data": b'{"success":true,"data":null}',
    "list-data": b'{"success":true,"data":[]}',
    "empty-data": b'{"success":true,"data":{}}',
    "success-null": b'{"success":null,"data":null}',
    "other-shape": b'{"success":true,"data":{"contacts":{},"phone_numbers":{},"is_deliverable":"perhaps"}}',
    "null-lists": b'{"success":true,"data":{"contacts":null,"phone_numbers":null,"is_deliverable":null}}',
    "number-for-flag": b'{"success":true,"data":{"is_deliverable":1}}',
}


@ALL
@pytest.mark.parametrize("body", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_a_200_that_is_not_the_guides_shape_is_unexpected(question: Question, body: bytes) -> None:
    """T0.7: the guide's own Go example panics on these."""
    verdict = classify(question, RawReply(200, body), NOW)
    assert verdict.outcome is Outcome.UNEXPECTED
    assert isinstance(verdict.reply, NoReply)


@ALL
def test_another_endpoints_answer_is_unexpected(question: Question) -> None:
    """A proxy that mixes up answers must not fill a lead."""
    for endpoint, (data, _) in GOOD.items():
        understood = outcome(200, orjson.dumps({"success": True, "data": data}), question) is Outcome.FOUND
        assert understood == (endpoint is question.endpoint)


# --- the other statuses -------------------------------------------------------------------------------

MEANS = {
    100: Outcome.UNEXPECTED,
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308, 399), Outcome.REDIRECT),
    **dict.fromkeys((400, 405, 406, 409, 410, 413, 415, 418, 422, 451, 499), Outcome.REFUSED),
    **dict.fromkeys((401, 403), Outcome.DENIED),
    402: Outcome.NO_CREDITS,
    404: Outcome.NOT_FOUND,
    408: Outcome.AMBIGUOUS,
    425: Outcome.AMBIGUOUS,
    429: Outcome.NO_QUOTA,
    **dict.fromkeys((500, 501, 502, 503, 504, 520, 529, 599), Outcome.AMBIGUOUS),
    600: Outcome.UNEXPECTED,
    999: Outcome.UNEXPECTED,
}


@ALL
@pytest.mark.parametrize(("status", "means"), MEANS.items())
def test_every_status_has_one_meaning(question: Question, status: int, means: Outcome) -> None:
    """With a JSON body, an empty one, and one that claims success: the status decides."""
    bodies = (b"", SAID, b'{"success":true,"data":{"contacts":[]}}')
    assert {outcome(status, body, question) for body in bodies} == {means}


@pytest.mark.parametrize("status", sorted(MEANS.keys() - {404}))
def test_a_web_page_changes_nothing_but_a_404(status: int) -> None:
    """A gateway's page with a status of its own means what the status means."""
    assert outcome(status, HTML) is MEANS[status]


@pytest.mark.parametrize(
    ("body", "means"),
    [
        (b"", Outcome.NOT_FOUND),
        (b" \n", Outcome.NOT_FOUND),
        (b'{"error":"no such contact"}', Outcome.NOT_FOUND),
        (HTML, Outcome.UNEXPECTED),
        (b"404 page not found", Outcome.UNEXPECTED),
        (b'["not found"]', Outcome.UNEXPECTED),
    ],
    ids=["empty", "blank", "json", "html", "text", "list"],
)
def test_a_404_page_says_nothing_about_the_person(body: bytes, means: Outcome) -> None:
    """A mistyped base URL must not turn the whole list into not_found."""
    assert outcome(404, body) is means


# --- 429 ----------------------------------------------------------------------------------------------

DATE = "Thu, 28 May 2026 20:26:40 GMT"  # NOW
LATER = "Thu, 28 May 2026 20:27:10 GMT"  # NOW + 30


@pytest.mark.parametrize(
    ("retry_after", "date", "means", "seconds"),
    [
        (None, None, Outcome.NO_QUOTA, None),
        ("", None, Outcome.NO_QUOTA, None),
        ("soon", None, Outcome.NO_QUOTA, None),
        ("nan", None, Outcome.NO_QUOTA, None),
        ("inf", None, Outcome.NO_QUOTA, None),
        ("0", None, Outcome.SLOW_DOWN, 0.0),
        ("-5", None, Outcome.SLOW_DOWN, 0.0),
        ("1.5", None, Outcome.SLOW_DOWN, 1.5),
        (" 30 ", None, Outcome.SLOW_DOWN, 30.0),
        ("60", None, Outcome.SLOW_DOWN, LONGEST_PAUSE),
        ("61", None, Outcome.NO_QUOTA, 61.0),
        ("86400", None, Outcome.NO_QUOTA, 86_400.0),
        (LATER, None, Outcome.SLOW_DOWN, 30.0),
        (DATE, None, Outcome.SLOW_DOWN, 0.0),
        (LATER, "Thu, 28 May 2026 20:27:00 GMT", Outcome.SLOW_DOWN, 10.0),
        (LATER, "Thu, 28 May 2026 20:00:00 GMT", Outcome.NO_QUOTA, 1630.0),
        (LATER, "yesterday", Outcome.SLOW_DOWN, 30.0),
        ("Fri, 29 May 2026 00:00:00 GMT", None, Outcome.NO_QUOTA, 12_800.0),
    ],
)
def test_a_429_slows_the_run_down_or_ends_it(
    retry_after: str | None, date: str | None, means: Outcome, seconds: float | None
) -> None:
    """Up to a minute is a pause; a longer or unnamed time is the end; a date is read by the server's own clock."""
    verdict = classify(SEARCH, RawReply(429, b"", retry_after=retry_after, date=date), NOW)
    assert (verdict.outcome, verdict.retry_after) == (means, seconds)


@pytest.mark.parametrize("status", [402, 503])
def test_a_retry_after_of_another_status_is_told_but_does_not_change_it(status: int) -> None:
    """Only a 429 can mean "slow down"."""
    verdict = classify(SEARCH, RawReply(status, b"", retry_after="5"), NOW)
    assert (verdict.outcome, verdict.retry_after) == (MEANS[status], 5.0)


# --- the server's words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message":" limit must be <= 100 "}', "limit must be <= 100"),
        (b'{"error":"bad company"}', "bad company"),
        (b'{"error":{"code":"E1","message":"bad company"}}', "bad company"),
        (b'{"error":{"code":"E1"}}', "E1"),
        (b'{"detail":[{"loc":["limit"],"message":"too high"}]}', "too high"),
        (b'{"errors":["too high","too low"]}', "too high"),
        (b'{"reason":"closed"}', "closed"),
        (b'{"message":"","error":"x"}', "x"),
        (b'{"message":5,"error":null,"errors":[]}', "HTTP 422"),
        (b'{"errors":{"limit":["too high"]}}', "HTTP 422"),
        (b"[]", "HTTP 422"),
        (HTML, "HTTP 422"),
        (b"", "HTTP 422"),
    ],
)
def test_a_refusal_keeps_the_servers_own_words(body: bytes, words: str) -> None:
    """Wherever vendors put them; a page or nothing leaves the status."""
    assert reason(422, body) == words


def test_the_servers_words_are_bounded() -> None:
    """A megabyte of message must not end up on every line."""
    assert reason(400, orjson.dumps({"message": "x" * 5000})) == "x" * 200
