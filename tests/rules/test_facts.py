"""The line a lead becomes; and promise 6: another person's data is never in the lead's own fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leads_and_answers import (
    BOSS,
    FOUND,
    NOW,
    OWN,
    Answers,
    answered,
    contact,
    contacts,
    finish,
    greylisted,
    jane,
    lead,
    numbers,
    phones,
    policy,
    search,
    verdict,
)

from pipeline.facts import gather, tier
from pipeline.lines import enriched
from pipeline.model import (
    Contact,
    Endpoint,
    Enriched,
    Lead,
    PhonesReply,
    Policy,
    Question,
    SearchReply,
    Status,
    VerifyReply,
)

if TYPE_CHECKING:
    from pipeline.model import EmailLine, PhoneLine

STRANGER = contact(BOSS, 0.99, first_name="Erika", last_name="Boss", phone="+1 555 9", phone_confidence=0.99)


def line(row: Lead, answers: Answers, of: Policy | None = None) -> Enriched:
    return enriched(row, answers, of or Policy(), Status.PARTIAL, "because", NOW)


def email(row: Lead, answers: Answers) -> EmailLine:
    found = gather(row, answers, Policy()).email
    assert found is not None
    return found


def phone(row: Lead, answers: Answers) -> PhoneLine:
    found = gather(row, answers, Policy()).phone
    assert found is not None
    return found


# --- the documented shape -----------------------------------------------------------------------------


def test_a_line_has_the_documented_shape_with_every_key() -> None:
    """Design, section 2: the contract with whoever reads OUT.jsonl."""
    person = contact(sure=0.98, department="Executive", phone="+1-555-123-4567", phone_confidence=0.95)
    row = jane(row=17, duplicate_of=3, input={"Company Name": "Acme Corp", "Note": None})
    answers = contacts(person, STRANGER) | verdict(FOUND)
    written = orjson.loads(line(row, answers).model_dump_json())
    assert written == {
        "schema_version": 1,
        "row": 17,
        "lead_id": "7",
        "status": "partial",
        "duplicate_of": 3,
        "input": {"Company Name": "Acme Corp", "Note": None},
        "match": {"by": "name", "score": 1.0},
        "contact": {
            "first_name": "Jane",
            "last_name": "Smith",
            "title": "CEO",
            "department": "Executive",
            "company": "Acme Corp",
        },
        "email": {
            "value": FOUND,
            "confidence": 0.96,
            "tier": "verified",
            "deliverable": True,
            "source": "search",
            "checked_at": "then",
        },
        "phone": {
            "value": "+1-555-123-4567",
            "e164": "+15551234567",
            "confidence": 0.95,
            "type": None,
            "source": "search",
        },
        "candidates": [STRANGER.model_dump()],
        "calls": [
            {"endpoint": "search", "origin": "api", "at": "2026-05-28T20:26:40Z", "key": search().key.hex()},
            {"endpoint": "verify", "origin": "api", "at": "2026-05-28T20:26:40Z", "key": written["calls"][1]["key"]},
        ],
        "reason": "because",
        "enriched_at": "2026-05-28T20:26:40Z",
    }


def test_an_empty_line_has_the_same_keys() -> None:
    """Readers need not ask whether a key is there."""
    written = line(lead(company=None), {}).model_dump()
    assert list(written) == list(line(jane(), contacts(contact())).model_dump())
    assert [written[name] for name in ("contact", "email", "phone", "candidates", "calls")] == [None] * 3 + [(), ()]
    assert written["match"] == {"by": "none", "score": 0.0}


def test_a_line_names_the_answers_it_rests_on_in_the_order_of_the_steps() -> None:
    """Only those: an answer to another row's question is not listed."""
    answers = numbers(phones(OWN), ("5", 0.9)) | verdict(OWN) | verdict("other@acme.com") | contacts()
    calls = line(jane(email=OWN), answers).calls
    assert [call.endpoint for call in calls] == [Endpoint.SEARCH, Endpoint.VERIFY, Endpoint.PHONES]


@pytest.mark.parametrize(
    ("confidence", "name"),
    [
        (1.0, "verified"),
        (0.90, "verified"),
        (0.899, "probable"),
        (0.70, "probable"),
        (0.699, "risky"),
        (0.0, "risky"),
        (None, None),
    ],
)
def test_tiers_are_the_guides(confidence: float | None, name: str | None) -> None:
    """0.90+ verified, 0.70-0.89 probable, below risky (guide, "Endpoint 2")."""
    assert tier(confidence) == name


# --- which address, which number ----------------------------------------------------------------------

SAME = contacts(contact(OWN.upper(), 0.8))
OTHER = contacts(contact(FOUND, 0.8))

ADDRESSES: dict[str, tuple[Answers, tuple[str, str, float | None, bool | None]]] = {
    "nothing-known": ({}, (OWN, "input", None, None)),
    "search-confirms-own": (SAME, (OWN, "input", 0.8, None)),
    "verify-confirms-own": (verdict(OWN, 0.96), (OWN, "input", 0.96, True)),
    "verify-beats-search": (SAME | verdict(OWN, 0.3), (OWN, "input", 0.3, True)),
    "found-beats-unknown-own": (OTHER, (FOUND, "search", 0.8, None)),
    "own-beats-weaker-found": (OTHER | verdict(OWN, 0.96), (OWN, "input", 0.96, True)),
    "found-beats-weaker-own": (OTHER | verdict(OWN, 0.6), (FOUND, "search", 0.8, None)),
    "equal-keeps-own": (OTHER | verdict(OWN, 0.8), (OWN, "input", 0.8, True)),
    "own-bounces": (OTHER | verdict(OWN, 0.99, deliverable=False), (FOUND, "search", 0.8, None)),
    "found-bounces": (OTHER | verdict(FOUND, 0.99, deliverable=False), (OWN, "input", None, None)),
    "both-bounce": (
        OTHER | verdict(OWN, 0.1, deliverable=False) | verdict(FOUND, 0.2, deliverable=False),
        (FOUND, "search", 0.2, False),
    ),
    "own-greylisted": (greylisted(OWN), (OWN, "input", None, None)),
    "own-greylisted-but-search-knows-it": (SAME | greylisted(OWN), (OWN, "input", 0.8, None)),
}


@pytest.mark.parametrize(("answers", "expected"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_best_address_of_the_person_is_taken(
    answers: Answers, expected: tuple[str, str, float | None, bool | None]
) -> None:
    """One that does not bounce, then the surer one, then the row's own; verify's word beats search's."""
    found = email(jane(email=OWN), answers)
    assert (found.value, found.source, found.confidence, found.deliverable) == expected


def test_the_surest_number_is_taken() -> None:
    """From search or phones; without a confidence it is the least sure."""
    told = contacts(contact(phone="+1 555 123 0001", phone_confidence=0.6))
    asked = phones()
    assert phone(jane(), told).value == "+1 555 123 0001"
    assert phone(jane(), told | numbers(asked, ("+1 555 123 0002", 0.5))).source == "search"
    better = phone(jane(), told | numbers(asked, ("+1 555 123 0003", None), ("+1 555 123 0004", 0.7)))
    assert (better.value, better.e164, better.source, better.type) == (
        "+1 555 123 0004",
        "+15551230004",
        "phones",
        "direct_dial",
    )


def test_a_row_that_names_nobody_takes_the_best_contact_and_says_so() -> None:
    """`match.by` = best; its score is how sure that contact's address is."""
    best = line(lead(), contacts(contact(sure=0.5), STRANGER))
    assert (best.match.by, best.match.score) == ("best", 0.99)
    assert (best.email and best.email.value, best.phone and best.phone.value) == (BOSS, "+1 555 9")


# --- promise 6 ----------------------------------------------------------------------------------------

TEXT = st.sampled_from(["CEO", "Head of Sales", "Jane Smith", "Executive", None])
SCORE = st.none() | st.floats(0, 1)
FIRST = st.sampled_from(["Erika", "John", "J.", "Jane", "Janet", "JANE", "Jan", None])
LAST = st.sampled_from(["Boss", "Doe", "Jones", "Smythe", "Schmidt", "Smi", None])
MAIL = st.sampled_from(["boss@acme.com", "jane@other.com", "jane@acme.co", "info@acme.com", None])
OTHERS = st.lists(
    st.builds(
        Contact,
        first_name=FIRST,
        last_name=LAST,
        email=MAIL,
        email_confidence=SCORE,
        phone=st.sampled_from(["+1 555 100 0001", "+1 555 100 0002", None]),
        phone_confidence=SCORE,
        title=TEXT,
        company=st.sampled_from(["Acme Corp", "Globex", None]),
        department=TEXT,
    ),
    max_size=6,
)
NAMED = st.sampled_from([jane(), jane(email=OWN), lead(email=OWN), lead(first_name="Jane")])
SPENDING = st.sampled_from(
    [policy(spend=spend, widen_limit=wide) for spend in ("thrifty", "full") for wide in (0, 50)]
)


@settings(deadline=None)
@given(NAMED, OTHERS, SPENDING, SCORE, st.booleans())
def test_another_persons_data_is_never_in_the_leads_own_fields(
    row: Lead,
    others: list[Contact],
    wanted: Policy,
    sure: float | None,
    deliverable: bool,  # noqa: FBT001
) -> None:
    """Whoever works there: the contact is nobody, the address the row's own, the number what phones said of it."""
    asked: list[dict[str, Any]] = []

    def reply(question: Question) -> Answers:
        asked.append(orjson.loads(question.body))
        match question.endpoint:
            case Endpoint.SEARCH:
                return answered(question, SearchReply(contacts=tuple(others), total=40))
            case Endpoint.VERIFY:
                return answered(
                    question, VerifyReply(email=OWN, valid=True, deliverable=deliverable, confidence=sure)
                )
        return answered(question, PhonesReply())

    _, answers = finish(row, wanted, reply)
    made = line(row, answers, wanted)
    assert (made.match.by, made.contact, made.phone) == ("none", None, None)
    assert (made.email and made.email.value) == row.email
    assert {body["email"] for body in asked if "email" in body} <= {row.email}
    assert {body.get("last_name") for body in asked} <= {row.last_name, None}
    assert all(candidate in others for candidate in made.candidates)


@settings(deadline=None)
@given(OTHERS, st.randoms(use_true_random=False))
def test_the_right_person_is_found_among_any_others(others: list[Contact], random: Any) -> None:
    """And only that person's data is taken, wherever in the list it stands."""
    person = contact(phone="+1 555 777 0000", phone_confidence=0.95)
    people = [person, *others]
    random.shuffle(people)
    made = line(jane(), contacts(*people))
    assert (made.match.by, made.email and made.email.value, made.phone and made.phone.value) == (
        "name",
        FOUND,
        "+1 555 777 0000",
    )
    assert person not in made.candidates
