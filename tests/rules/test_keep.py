"""What a refreshed row holds, field by field: more replaces less, never less more, and no two people are mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from leads_and_answers import (
    BOSS,
    FOUND,
    NOW,
    Answers,
    answered,
    contact,
    contacts,
    failed,
    jane,
    lead,
    search,
    verify,
)

from pipeline.facts import Facts, gather, keep, used
from pipeline.flips import AGES, Flip, age_of, flipped
from pipeline.model import Outcome, Phone, PhonesReply, Policy, SearchReply, Status, VerifyReply
from pipeline.planner import Done, recall, refreshed

DAY = 86_400.0
NOBODY = lead()
"""A row that names nobody: it takes the company's best contact."""


def facts(row: Any, answers: Answers) -> Facts:
    found = gather(row, answers, Policy())
    return found._replace(rests_on=tuple(used(found, answers)))


def told(sure: float | None = 0.95, phone: str | None = None, **fields: Any) -> Answers:
    """A search that returned Jane."""
    return contacts(contact(sure=sure, phone=phone, phone_confidence=0.9 if phone else None, **fields))


def checked(confidence: float, *, deliverable: bool = True) -> Answers:
    return answered(
        verify(FOUND), VerifyReply(email=FOUND, valid=True, deliverable=deliverable, confidence=confidence)
    )


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (told(0.95), contacts(), "old"),
        (told(0.95), told(0.80), "old"),
        (told(0.80), told(0.95), "new"),
        (told(0.95), told(0.95), "new"),
        (told(0.95), told(None), "old"),
        (told(0.80) | checked(0.99), told(0.80), "old"),
        (told(0.80) | checked(0.99), told(0.80) | checked(0.2, deliverable=False), "new"),
        (told(0.80) | checked(0.3, deliverable=False), told(0.70), "new"),
        (contacts(), told(0.60), "new"),
    ],
    ids=[
        "gone",
        "less sure",
        "surer",
        "the same",
        "nothing told",
        "unchecked",
        "denied",
        "no longer denied",
        "first",
    ],
)
def test_an_address_is_replaced_by_one_as_good_or_by_its_own_denial(old: Answers, new: Answers, kept: str) -> None:
    """Nothing found and less confidence replace nothing; that the very address is undeliverable counts."""
    before, now = facts(jane(), old), facts(jane(), new)
    merged = keep(jane(), before, now)
    assert merged.email == (before if kept == "old" else now).email
    assert bool(merged.rests_on) == (kept == "old") or kept == "new"


def test_fields_are_kept_one_by_one() -> None:
    """A better address and no number: the new address, the old number, both of the person the row names."""
    (answer,) = told(0.75, phone="+1 555 1").values()
    earlier = {answer.question.key: replace_at(answer, NOW - 100 * DAY)}
    before, now = facts(jane(), earlier), gather(jane(), told(0.99), Policy())
    merged = keep(jane(), before, now)
    assert (merged.email, merged.phone) == (now.email, before.phone)
    assert merged.rests_on == before.rests_on
    assert merged.match.contact == now.match.contact


@pytest.mark.parametrize("sure", [0.5, 0.99])
def test_two_people_are_never_mixed(sure: float) -> None:
    """The best contact is somebody else now: all of theirs if no field is less, else all of the old one's."""
    boss = {"email": BOSS, "first_name": "Erika", "last_name": "Boss"}
    before = facts(NOBODY, told(0.95, phone="+1 555 1"))
    now = facts(NOBODY, told(sure, **boss))
    merged = keep(NOBODY, before, now)
    assert (merged.email, merged.phone, merged.match.contact) == (before.email, before.phone, before.match.contact)
    better = facts(NOBODY, told(0.99, phone="+1 555 2", **boss))
    merged = keep(NOBODY, before, better)
    assert (merged.email, merged.phone, merged.match.contact) == (better.email, better.phone, better.match.contact)


SURE = st.none() | st.sampled_from([0.3, 0.75, 0.95])
TOLD = st.builds(told, SURE, st.sampled_from([None, "+1 555 1", "+1 555 2"]))


@given(st.lists(TOLD | st.just(contacts()), min_size=1, max_size=5), st.sampled_from([jane(), NOBODY]))
def test_however_often_it_is_refreshed_nothing_found_is_lost(rounds: list[Answers], row: Any) -> None:
    """And keeping again what was kept changes nothing."""
    merged, had_email, had_phone, best = facts(row, rounds[0]), False, False, -1.0
    for answers in rounds:
        merged = keep(row, merged, facts(row, answers))
        had_email, had_phone = had_email or merged.email is not None, had_phone or merged.phone is not None
        assert (merged.email is not None, merged.phone is not None) == (had_email, had_phone)
        sure = -1.0 if merged.email is None or merged.email.confidence is None else merged.email.confidence
        assert sure >= best
        best = sure
    assert keep(row, merged, merged)._replace(rests_on=()) == merged._replace(rests_on=())


def test_a_row_that_has_something_has_not_failed_though_asking_again_did() -> None:
    """It is partial, with the reason why it could not be refreshed; one without anything fails."""
    asked = failed(search(), Outcome.GAVE_UP, 3)
    bare = Done(Status.FAILED, "search: HTTP 503", facts(jane(), asked))
    kept = refreshed(jane(), bare, facts(jane(), told(0.95)), asked, Policy())
    assert (kept.status, kept.reason) == (Status.PARTIAL, "search: HTTP 503")
    assert kept.facts.email is not None
    assert refreshed(jane(), bare, facts(jane(), contacts()), asked, Policy()).status is Status.FAILED


def test_a_refreshed_row_takes_only_answers_that_are_fresh() -> None:
    """Whatever they are, an older one counts no more; the tries begin anew."""
    (answer,) = told().values()
    history = [replace_at(answer, NOW - 10 * DAY), replace_at(answer, NOW - 100 * DAY)]
    taken_in = NOW - 100 * DAY
    assert recall(history, taken_in, Policy(), 0.0, NOW - 90 * DAY) == history[0]
    assert recall(history, taken_in, Policy(), 0.0, NOW - 10 * DAY) is None
    assert recall(history[1:], taken_in, Policy(), 0.0, NOW - 90 * DAY) is None
    (gave_up,) = failed(search(), Outcome.GAVE_UP, 1, at=NOW - 100 * DAY).values()
    again = recall([gave_up._replace(received_at=NOW), gave_up, gave_up], taken_in, Policy(), 0.0, NOW - 90 * DAY)
    assert again is not None
    assert again.inconclusive == 1


def replace_at(answer: Any, at: float) -> Any:
    return answer._replace(received_at=at, inconclusive=0)


# --- flips --------------------------------------------------------------------------------------------


def one(answers: Answers) -> Any:
    (answer,) = answers.values()
    return answer


def test_an_answer_flips_when_a_lead_would_get_something_else_of_it() -> None:
    """People, addresses, numbers; not their order, dates, credits, or how sure somebody is."""
    pair = [contact(), contact(BOSS, first_name="Erika")]
    assert not flipped(one(told(0.95)), one(told(0.60)))
    assert flipped(one(told()), one(told(title="CFO")))
    assert flipped(one(told()), one(contacts()))
    both = [
        answered(search(), SearchReply(contacts=tuple(order), credits_remaining=n))
        for n, order in enumerate((pair, pair[::-1]))
    ]
    assert not flipped(one(both[0]), one(both[1]))
    assert not flipped(one(checked(0.9)), one(checked(0.8)))
    assert flipped(one(checked(0.9)), one(checked(0.9, deliverable=False)))
    found, none = (one(answered(search(), PhonesReply(phones=phones))) for phones in ((Phone(number="+1 5"),), ()))
    assert flipped(found, none)
    assert flipped(found, one(failed(search(), Outcome.NOT_FOUND)))
    assert not flipped(none, one(failed(search(), Outcome.NOT_FOUND)))


@pytest.mark.parametrize(
    ("days", "bucket"), [(0, "<30"), (29.9, "<30"), (30, "30-90"), (90, "90-180"), (179, "90-180"), (400, ">180")]
)
def test_every_age_is_in_one_bucket(days: float, bucket: str) -> None:
    """The least age names it."""
    flip = Flip("search", age_of(days * DAY), 4, 1)
    assert flip.age in AGES
    assert (flip.days, flip.share) == (bucket, 0.25)


def test_old_candidates_do_not_outlive_a_search() -> None:
    """Who else works there is told by the newest answer."""
    before = facts(jane(), contacts(contact(), contact(BOSS, 0.9, first_name="Erika", last_name="Boss")))
    now = facts(jane(), contacts(contact("new@acme.com", 0.9, first_name="Neu", last_name="Mann")))
    merged = keep(jane(), before, now)
    assert merged.match == replace(before.match, candidates=now.match.candidates)
