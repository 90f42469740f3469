"""Why a request is (not) made: the next step of a lead as tables, for both ways of spending."""

from __future__ import annotations

from itertools import combinations

import pytest
from leads_and_answers import (
    BOSS,
    FOUND,
    HOUR,
    NOW,
    OWN,
    Answers,
    End,
    Said,
    contact,
    contacts,
    failed,
    finish,
    greylisted,
    jane,
    lead,
    numbers,
    phones,
    policy,
    search,
    step,
    verdict,
    verify,
)

from pipeline.model import ERASED, UNREADABLE, Endpoint, Lead, Outcome, Policy, Question, Status
from pipeline.planner import Reject

NOBODY = lead()
BY_EMAIL = lead(company=None, input={"Email": OWN}, email=OWN)
NUMBER = ("+15551234567", 0.95)
WEAK = ("+15551234567", 0.5)
ENRICHED = End(Status.ENRICHED, None)
STRANGER = contact(BOSS, 0.99, first_name="Erika", last_name="Boss")

# --- thrifty: one at a time, each may make the next needless -------------------------------------------

FOUND_ALL = contact(phone="+1 555 0", phone_confidence=0.9)
FOUND_MAIL = contact()
FOUND_WEAK = contact(sure=0.89, phone="+1 555 0", phone_confidence=0.89)
FOUND_NONE = contact(None, None)

THRIFTY: dict[str, tuple[Lead, Answers, Said]] = {
    "search-first": (jane(email=OWN), {}, [search()]),
    "search-by-the-shared-spelling": (jane(spelling="ACME Corporation"), {}, [search("ACME Corporation")]),
    "search-by-domain-only": (jane(company=None, domain="acme.com"), {}, [search("acme.com")]),
    "search-told-all": (jane(), contacts(FOUND_ALL), ENRICHED),
    "search-told-all-of-own-address": (jane(email=FOUND), contacts(FOUND_ALL), ENRICHED),
    "address-confirmed-so-only-phones": (jane(), contacts(FOUND_MAIL), [phones()]),
    "address-not-confirmed": (jane(), contacts(FOUND_WEAK), [verify(FOUND)]),
    "address-without-confidence": (jane(), contacts(contact(sure=None)), [verify(FOUND)]),
    "own-address-that-search-does-not-know": (jane(email=OWN), contacts(), [verify(OWN)]),
    "own-address-first-then-found": (
        jane(email=OWN),
        contacts(FOUND_WEAK) | verdict(OWN, 0.2, deliverable=False),
        [verify(FOUND)],
    ),
    "own-address-confirmed-so-not-found-one": (
        jane(email=OWN),
        contacts(FOUND_WEAK) | verdict(OWN),
        [phones(OWN)],
    ),
    "found-address-confirmed-so-not-own": (jane(email=OWN), contacts(FOUND_ALL), ENRICHED),
    "phone-not-sure": (jane(), contacts(FOUND_WEAK) | verdict(FOUND), [phones()]),
    "phone-sure-by-search": (jane(), contacts(FOUND_ALL), ENRICHED),
    "no-address-at-all": (jane(), contacts(FOUND_NONE), [phones()]),
    "not-among-them-phones-by-name": (jane(), contacts(STRANGER), [phones()]),
    "half-a-name-cannot-be-asked-for": (
        lead(last_name="Smith"),
        contacts(STRANGER),
        End(Status.NOT_FOUND, "not_among_1_of_1"),
    ),
    "all-asked": (jane(), contacts(FOUND_MAIL) | numbers(phones(), NUMBER), ENRICHED),
    "email-only-verify-first": (BY_EMAIL, {}, [verify(OWN)]),
    "email-only-then-phones": (BY_EMAIL, verdict(OWN), [phones(OWN, None, None)]),
    "email-and-name-without-company": (jane(company=None, email=OWN), verdict(OWN), [phones(OWN, company=None)]),
    "nobody-named-search-alone": (NOBODY, {}, [search()]),
    "nobody-named-best-verified": (NOBODY, contacts(FOUND_WEAK), [verify(FOUND)]),
    "nobody-named-phones-of-best": (NOBODY, contacts(STRANGER), [phones(BOSS, "Erika Boss")]),
    "nobody-named-and-nobody-there": (NOBODY, contacts(), End(Status.NOT_FOUND, "company_has_no_contacts")),
}


@pytest.mark.parametrize(("row", "answers", "then"), THRIFTY.values(), ids=THRIFTY)
def test_thrifty_asks_one_question_and_only_if_its_answer_can_matter(row: Lead, answers: Answers, then: Said) -> None:
    """Search, then verify what it did not confirm at 0.90, then phones if no number reached 0.90 (T0.8)."""
    assert step(row, answers) == then


# --- full: all steps, independent ones together -------------------------------------------------------

FULL: dict[str, tuple[Lead, Answers, Said]] = {
    "name": (jane(), {}, [search(), phones()]),
    "name-and-address": (jane(email=OWN), {}, [search(), verify(OWN), phones(OWN)]),
    "address-only": (BY_EMAIL, {}, [verify(OWN), phones(OWN, None, None)]),
    "nobody-named": (NOBODY, {}, [search()]),
    "nobody-named-best": (NOBODY, contacts(FOUND_WEAK), [verify(FOUND), phones(FOUND)]),
    "nobody-named-best-sure": (NOBODY, contacts(FOUND_ALL), [phones(FOUND)]),
    "own-address-verified-though-search-is-sure": (
        jane(email=FOUND),
        contacts(FOUND_ALL),
        [verify(FOUND), phones(FOUND)],
    ),
    "found-address-after-weak-own": (
        jane(email=OWN),
        contacts(FOUND_WEAK) | verdict(OWN, 0.3) | numbers(phones(OWN), NUMBER),
        [verify(FOUND)],
    ),
    "done": (jane(), contacts(FOUND_ALL) | numbers(phones()), ENRICHED),
}


@pytest.mark.parametrize(("row", "answers", "then"), FULL.values(), ids=FULL)
def test_full_asks_all_steps_and_the_independent_ones_together(row: Lead, answers: Answers, then: Said) -> None:
    """More requests for fewer round trips: the user's choice."""
    assert step(row, answers, policy(spend="full")) == then


# --- steps wanted -------------------------------------------------------------------------------------

SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(("search", "verify", "phones"), size)]


@pytest.mark.parametrize("spend", ["thrifty", "full"])
@pytest.mark.parametrize("steps", SUBSETS, ids="+".join)
def test_a_step_that_is_not_wanted_is_never_asked(steps: tuple[str, ...], spend: str) -> None:
    """And a row that is not sure is asked about by every step that is."""

    def reply(question: Question) -> Answers:
        match question.endpoint:
            case Endpoint.SEARCH:
                return contacts(FOUND_WEAK)
            case Endpoint.VERIFY:
                return verdict(str(question.body.split(b'"')[3], "ascii"), 0.5)
        return numbers(question, WEAK)

    end, answers = finish(jane(email=OWN), policy(*steps, spend=spend), reply)
    assert {answer.question.endpoint for answer in answers.values()} == set(map(Endpoint, steps))
    assert end == End(Status.PARTIAL, "below_threshold")


@pytest.mark.parametrize(
    ("steps", "answers", "status"),
    [
        (("search",), contacts(FOUND_MAIL), Status.ENRICHED),
        (("search",), contacts(FOUND_NONE), Status.NOT_FOUND),
        (("search", "phones"), contacts(FOUND_MAIL) | numbers(phones()), Status.PARTIAL),
        (("phones",), numbers(phones(), NUMBER), Status.ENRICHED),
        (("phones",), numbers(phones(), WEAK), Status.PARTIAL),
        (("phones",), numbers(phones()), Status.NOT_FOUND),
        (("search", "verify"), contacts(FOUND_WEAK) | verdict(FOUND), Status.ENRICHED),
    ],
)
def test_only_what_is_wanted_makes_a_row_enriched(steps: tuple[str, ...], answers: Answers, status: Status) -> None:
    """An e-mail is wanted with search or verify, a phone with phones."""
    said = step(jane(), answers, policy(*steps))
    assert isinstance(said, End)
    assert said.status is status


def test_the_thresholds_are_the_users() -> None:
    """0.90 is the default, not the law."""
    low = policy(min_confidence=0.8, min_phone_confidence=0.8)
    assert step(jane(), contacts(FOUND_WEAK), low) == ENRICHED
    assert step(jane(), contacts(FOUND_ALL), policy(min_confidence=0.99)) == [verify(FOUND)]


# --- filters and widening -----------------------------------------------------------------------------


def test_filters_narrow_only_rows_that_name_nobody() -> None:
    """A list that names people searches unfiltered, so that one body serves all of a company's rows."""
    wanted = policy(titles=("CEO",))
    assert step(NOBODY, {}, wanted) == [search(filtered=True, of=wanted)]
    assert step(jane(), {}, wanted) == [search()]


WIDE = search(limit=50)
MISSING = contacts(STRANGER, total=40)


@pytest.mark.parametrize(
    ("row", "answers", "widen_limit", "then"),
    [
        (jane(), MISSING, 0, [phones()]),
        (jane(), MISSING, 10, [phones()]),
        (jane(), MISSING, 50, [WIDE]),
        (jane(), contacts(STRANGER), 50, [phones()]),
        (jane(), contacts(STRANGER, total=1), 50, [phones()]),
        (jane(), contacts(FOUND_MAIL, total=40), 50, [phones()]),
        (NOBODY, contacts(FOUND_ALL, total=40), 50, ENRICHED),
        (jane(), MISSING | contacts(STRANGER, FOUND_ALL, total=40, question=WIDE), 50, ENRICHED),
        (jane(), MISSING | contacts(STRANGER, total=40, question=WIDE), 50, [phones()]),
    ],
    ids=["off", "no-wider", "wider", "all-shown", "total-1", "there", "nobody-named", "found", "still-missing"],
)
def test_at_most_one_wider_search_and_only_for_a_named_lead_that_is_missing(
    row: Lead, answers: Answers, widen_limit: int, then: Said
) -> None:
    """Only if there are more contacts than were shown."""
    assert step(row, answers, policy(widen_limit=widen_limit)) == then


# --- rows that can ask nothing ------------------------------------------------------------------------

NEITHER = "no usable company and no usable e-mail address"
EMPTY = lead(company=None, input={})


@pytest.mark.parametrize(
    ("row", "steps", "why"),
    [
        (EMPTY, (), NEITHER),
        (jane(company=None), (), NEITHER),
        (lead(company=None, unusable={"email": "not an e-mail address"}), (), "email: not an e-mail address"),
        (lead(company=None, unusable={"email": "bad", "company": "none"}), (), "company: none; email: bad"),
        (lead(input={UNREADABLE: "3 cells, 2 columns"}), (), "row: 3 cells, 2 columns"),
        (lead(input={ERASED: True}), (), "erased"),
        (jane(), ("verify",), "no usable e-mail address"),
        (BY_EMAIL, ("search",), "no usable company"),
        (NOBODY, ("phones",), "names nobody whose number could be asked for"),
        (lead(first_name="Jane"), ("verify", "phones"), "no usable e-mail address"),
    ],
)
@pytest.mark.parametrize("spend", ["thrifty", "full"])
def test_a_row_that_no_wanted_step_can_ask_about_costs_nothing(
    row: Lead, steps: tuple[str, ...], why: str, spend: str
) -> None:
    """It is invalid, with the reason (guide: "Validate Inputs ... save credits")."""
    assert step(row, {}, policy(*steps, spend=spend)) == Reject(why)


def test_one_usable_field_is_enough() -> None:
    """An unusable e-mail does not spoil a good company."""
    assert step(jane(unusable={"email": "not an e-mail address"}), {}) == [search()]


# --- a question that failed is not asked twice in one night --------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.NOT_FOUND])
def test_a_final_answer_moves_on(outcome: Outcome) -> None:
    """Nothing is asked again after a refusal or a not-found."""
    assert step(jane(email=OWN), failed(search(), outcome), now=NOW + 90 * 24 * HOUR) == [verify(OWN)]


def test_a_greylisted_address_waits_and_phones_wait_with_it() -> None:
    """Its later answer may still change what is worth asking."""
    assert step(BY_EMAIL, greylisted(OWN), now=NOW + 21 * HOUR) == [verify(OWN)]
    assert step(BY_EMAIL, greylisted(OWN, 3), now=NOW) == [phones(OWN, None, None)]


def test_the_same_question_always_has_the_same_next_step() -> None:
    """The planner remembers nothing: progress is recomputed from the answers."""
    answers = contacts(FOUND_WEAK)
    before = dict(answers)
    assert step(jane(), answers) == step(jane(), answers, Policy())
    assert answers == before
