"""Which answers count, how often a question is asked, and what a row comes to in the end."""

from __future__ import annotations

import pytest
from leads_and_answers import (
    BOSS,
    FOUND,
    HOUR,
    NOW,
    OWN,
    Answers,
    End,
    contact,
    contacts,
    failed,
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

from pipeline.model import (
    Answer,
    Contact,
    NoReply,
    Outcome,
    Phone,
    PhonesReply,
    Reply,
    SearchReply,
    Status,
    VerifyReply,
)
from pipeline.planner import Defer, conclusive, recall, settled
from pipeline.planner import told as api_told

DAY = 24 * HOUR
TAKEN_IN = NOW

# --- a question that was not settled ------------------------------------------------------------------

TRIES = [(Outcome.GAVE_UP, 3), (Outcome.UNEXPECTED, 2), (Outcome.SAID_NO, 2)]


@pytest.mark.parametrize("spend", ["thrifty", "full"])
@pytest.mark.parametrize(("outcome", "tries"), TRIES)
def test_an_unsettled_question_waits_20_hours_and_is_asked_again(outcome: Outcome, tries: int, spend: str) -> None:
    """Once in a night, not twice; and not for ever."""
    row, wanted = jane(), policy("search", spend=spend)
    for times in range(1, tries):
        answers = failed(search(), outcome, times)
        assert step(row, answers, wanted, NOW) == Defer(NOW + 20 * HOUR)
        assert step(row, answers, wanted, NOW + 20 * HOUR - 1) == Defer(NOW + 20 * HOUR)
        assert step(row, answers, wanted, NOW + 20 * HOUR) == [search()]
    assert isinstance(step(row, failed(search(), outcome, tries), wanted, NOW), End)


def test_later_is_no_answer_of_the_api() -> None:
    """Nor is a refusal; somebody, nobody and a verdict are."""
    (later,) = greylisted(OWN).values()
    (refused,) = failed(search(), Outcome.REFUSED).values()
    known = (told(0.0), told(0.0, SearchReply()), told(0.0, VerifyReply(email=OWN)))
    assert [api_told(answer) for answer in (later, refused, *known)] == [False, False, True, True, True]


def test_a_greylisted_mailbox_is_asked_three_times() -> None:
    """T4.5: "later" is a try, not a result."""
    row, wanted = lead(company=None, email=OWN), policy("verify")
    for times in (1, 2):
        assert step(row, greylisted(OWN, times), wanted) == Defer(NOW + 20 * HOUR)
        assert step(row, greylisted(OWN, times), wanted, NOW + 20 * HOUR) == [verify(OWN)]
    assert step(row, greylisted(OWN, 3), wanted) == End(Status.FAILED, "verify: greylisted")


def test_while_something_can_be_asked_a_row_does_not_wait() -> None:
    """Full asks what is open; only then it waits, and for the latest, so that one more night settles all."""
    row, wanted = jane(email=OWN), policy(spend="full")
    late = failed(search(), Outcome.UNEXPECTED, at=NOW - 2 * HOUR) | greylisted(OWN, at=NOW - HOUR)
    assert step(row, late, wanted) == [phones(OWN)]
    assert step(row, late | numbers(phones(OWN)), wanted) == Defer(NOW + 19 * HOUR)
    assert step(row, late | numbers(phones(OWN)), wanted, NOW + 18 * HOUR) == [search()]


def test_an_unsettled_question_that_no_longer_matters_is_not_waited_for() -> None:
    """The address search confirmed is enough."""
    answers = contacts(contact()) | greylisted(OWN)
    assert step(jane(email=OWN), answers, policy("search", "verify")) == End(Status.ENRICHED, None)


@pytest.mark.parametrize(
    ("outcome", "inconclusive", "is_settled"),
    [
        (Outcome.FOUND, 0, True),
        (Outcome.NOT_FOUND, 0, True),
        (Outcome.REFUSED, 0, True),
        (Outcome.GAVE_UP, 2, False),
        (Outcome.GAVE_UP, 3, True),
        (Outcome.UNEXPECTED, 1, False),
        (Outcome.UNEXPECTED, 2, True),
        (Outcome.SAID_NO, 1, False),
        (Outcome.SAID_NO, 2, True),
    ],
)
def test_asking_again_is_pointless_once_it_is_settled(outcome: Outcome, inconclusive: int, is_settled: bool) -> None:  # noqa: FBT001
    """Facts at once, anything else after as many tries as are reasonable."""
    reply: Reply = SearchReply() if outcome is Outcome.FOUND else NoReply(reason="x")
    assert settled(Answer(search(), outcome, reply, NOW, inconclusive=inconclusive)) is is_settled
    assert conclusive(outcome, reply) is (inconclusive == 0)
    assert settled(None) is False


# --- the end of a row ---------------------------------------------------------------------------------

STRANGER = contact(BOSS, first_name="Erika", last_name="Boss")
NOBODY = lead()
NO = failed(phones(), Outcome.NOT_FOUND)
SAYS = "unknown company"

ENDS: dict[str, tuple[Answers, Status, str | None]] = {
    "all-sure": (contacts(contact(phone="5", phone_confidence=0.9)), Status.ENRICHED, None),
    "phone-missing": (contacts(contact()) | NO, Status.PARTIAL, "below_threshold"),
    "phone-weak": (contacts(contact()) | numbers(phones(), ("5", 0.5)), Status.PARTIAL, "below_threshold"),
    "phone-without-confidence": (
        contacts(contact()) | numbers(phones(), ("5", None)),
        Status.PARTIAL,
        "below_threshold",
    ),
    "phone-only": (contacts() | numbers(phones(), ("5", 0.95)), Status.PARTIAL, "no_email_found"),
    "bounces": (
        contacts(contact(sure=0.5)) | verdict(FOUND, deliverable=False) | NO,
        Status.PARTIAL,
        "email_not_deliverable",
    ),
    "not-among-them": (contacts(STRANGER) | NO, Status.NOT_FOUND, "not_among_1_of_1"),
    "not-among-the-first": (contacts(STRANGER, total=240) | NO, Status.NOT_FOUND, "not_among_1_of_240"),
    "total-too-low": (contacts(STRANGER, total=0) | NO, Status.NOT_FOUND, "not_among_1_of_1"),
    "nobody-there": (contacts() | NO, Status.NOT_FOUND, "company_has_no_contacts"),
    "no-such-company": (failed(search(), Outcome.NOT_FOUND) | NO, Status.NOT_FOUND, "nothing_found"),
    "refused": (
        failed(search(), Outcome.REFUSED, why=SAYS) | NO,
        Status.NOT_FOUND,
        "search refused: unknown company",
    ),
    "said-no": (
        failed(search(), Outcome.SAID_NO, 2, why=SAYS) | NO,
        Status.NOT_FOUND,
        "search said_no: unknown company",
    ),
    "gave-up": (failed(search(), Outcome.GAVE_UP, 3) | NO, Status.FAILED, "search: HTTP 503"),
    "unexpected": (failed(search(), Outcome.UNEXPECTED, 2) | NO, Status.FAILED, "search: HTTP 503"),
    "phones-gave-up": (contacts(contact()) | failed(phones(), Outcome.GAVE_UP, 3), Status.FAILED, "phones: HTTP 503"),
}


@pytest.mark.parametrize(("answers", "status", "reason"), ENDS.values(), ids=ENDS)
def test_a_row_ends_with_a_status_and_its_most_telling_reason(
    answers: Answers, status: Status, reason: str | None
) -> None:
    """Enriched: all that is wanted is sure; partial: something is there; not_found: nothing; failed: given up."""
    assert step(jane(), answers) == End(status, reason)


def test_a_failed_search_does_not_matter_if_the_rest_is_sure() -> None:
    """The row has all that was wanted."""
    answers = failed(search(), Outcome.GAVE_UP, 3) | verdict(OWN) | numbers(phones(OWN), ("5", 0.95))
    assert step(jane(email=OWN), answers) == End(Status.ENRICHED, None)


@pytest.mark.parametrize("spend", ["thrifty", "full"])
def test_a_row_that_names_nobody_ends_without_phones_if_nobody_has_an_address(spend: str) -> None:
    """It says so: there was nobody to write to."""
    nameless = contact(None, None, first_name=None, last_name=None)
    answers = contacts(nameless) | numbers(phones(None, None))
    assert step(NOBODY, answers, policy(spend=spend)) == End(Status.NOT_FOUND, "no_contact_with_email")


# --- which answers hold for a row ---------------------------------------------------------------------

SOMEBODY = SearchReply(contacts=(Contact(first_name="Jane"),))
NUMBERS = PhonesReply(phones=(Phone(number="+15551234567"),))
NO_WORD = NoReply(reason="x")
LATER = VerifyReply(email=OWN, valid=True, greylisted=True)


def told(at: float, reply: Reply = SOMEBODY, outcome: Outcome = Outcome.FOUND) -> Answer:
    """A journal entry received so many hours before the row was taken in."""
    return Answer(search(), outcome, reply, TAKEN_IN - at * HOUR, inconclusive=1)


@pytest.mark.parametrize(
    ("reply", "outcome", "hours"),
    [
        (SOMEBODY, Outcome.FOUND, 48),
        (SearchReply(), Outcome.FOUND, 24),
        (VerifyReply(email=OWN), Outcome.FOUND, 48),
        (NUMBERS, Outcome.FOUND, 48),
        (PhonesReply(), Outcome.FOUND, 24),
        (NO_WORD, Outcome.NOT_FOUND, 24),
        (NO_WORD, Outcome.SAID_NO, 24),
        (NO_WORD, Outcome.REFUSED, 30 * 24),
    ],
    ids=["found", "no-contacts", "verdict", "numbers", "no-numbers", "404", "said-no", "refused"],
)
def test_an_answer_counts_if_it_is_fresh_for_the_row(reply: Reply, outcome: Outcome, hours: float) -> None:
    """Found and not found have a freshness each; a refusal is final for 30 days; a second too old is too old."""
    wanted = policy(freshness_found_hours=48, freshness_not_found_hours=24)
    fresh, stale = told(hours, reply, outcome), told(hours + 1 / 3600, reply, outcome)
    assert recall([fresh], TAKEN_IN, wanted) == fresh
    assert recall([stale], TAKEN_IN, wanted) is None


def test_what_came_after_the_row_was_taken_in_always_counts() -> None:
    """So a backfill of weeks pays once."""
    assert recall([told(-60 * 24)], TAKEN_IN, policy()) == told(-60 * 24)
    assert recall([], TAKEN_IN, policy()) is None


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (NO_WORD, Outcome.UNEXPECTED),
        (NO_WORD, Outcome.GAVE_UP),
        (NO_WORD, Outcome.SAID_NO),
        (LATER, Outcome.FOUND),
    ],
    ids=["unexpected", "gave-up", "said-no", "greylisted"],
)
def test_a_conclusive_answer_stands_though_an_inconclusive_one_came_later(reply: Reply, outcome: Outcome) -> None:
    """A found value is never replaced by "I do not know"; several of those are counted."""
    old, newer, newest = told(9), told(2, reply, outcome), told(1, reply, outcome)
    assert recall([newest, newer, old], TAKEN_IN, policy()) == old
    assert recall([newest, newer], TAKEN_IN, policy()) == newest._replace(inconclusive=2)
    assert recall([newest, told(50, reply, outcome)], TAKEN_IN, policy()) == newest._replace(inconclusive=1)


def test_of_conclusive_answers_the_newest_holds() -> None:
    """What was asked again is what is believed."""
    gone = told(1, NO_WORD, Outcome.NOT_FOUND)
    assert recall([gone, told(9)], TAKEN_IN, policy()) == gone
