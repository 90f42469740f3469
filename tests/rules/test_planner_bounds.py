"""What a lead may still rest on and may still cost: `purge`, `forget` and `replay --dry-run` go by these."""

from __future__ import annotations

import pytest
from leads_and_answers import (
    BOSS,
    FOUND,
    OWN,
    Answers,
    contact,
    contacts,
    failed,
    jane,
    lead,
    numbers,
    phones,
    policy,
    search,
    verdict,
    verify,
)

from pipeline.model import Lead, Outcome, Policy, Question
from pipeline.planner import ahead, at_most

SURE = contact(phone="+1 555 0", phone_confidence=0.95)
STRANGER = contact(BOSS, first_name="Erika", last_name="Boss")
MISSING = contacts(STRANGER, total=40)


@pytest.mark.parametrize("spend", ["thrifty", "full"])
@pytest.mark.parametrize(
    ("row", "answers", "questions"),
    [
        (jane(), {}, (search(), phones())),
        (jane(email=OWN), {}, (search(), verify(OWN), phones(OWN))),
        (jane(email=OWN), contacts(SURE), (search(), verify(OWN), phones(OWN))),
        (jane(), contacts(SURE), (search(), phones())),
        (jane(), contacts(contact(sure=0.5)), (search(), verify(FOUND), phones())),
    ],
    ids=["by-name", "by-email", "all-found", "found-by-name", "not-sure"],
)
def test_whatever_a_row_may_come_to_rest_on_is_known_ahead(
    row: Lead, answers: Answers, questions: tuple[Question, ...], spend: str
) -> None:
    """Also what thrifty skips now: another policy, or a later look, may need it."""
    assert ahead(row, answers, policy(spend=spend)) == questions


@pytest.mark.parametrize(
    ("row", "answers", "wanted", "open_", "follow"),
    [
        (jane(), {}, policy(), (search(), phones()), 1),
        (jane(), {}, policy("search"), (search(),), 0),
        (jane(), {}, policy("search", "verify"), (search(),), 1),
        (lead(), {}, policy(), (search(),), 2),
        (lead(), {}, policy("search", "phones"), (search(),), 1),
        (lead(), {}, policy("search", widen_limit=50), (search(),), 0),
        (jane(), {}, policy("search", widen_limit=50), (search(),), 1),
        (jane(), {}, policy("search", widen_limit=10), (search(),), 0),
        (jane(), MISSING, policy(), (phones(),), 0),
        (jane(), failed(search(), Outcome.GAVE_UP, 1), policy("search"), (search(),), 0),
        (jane(), failed(search(), Outcome.GAVE_UP, 3), policy("search"), (), 0),
        (jane(email=OWN), contacts(SURE) | verdict(OWN), policy(), (phones(OWN),), 0),
        (jane(email=OWN), contacts(SURE) | verdict(OWN) | numbers(phones(OWN)), policy(), (), 0),
        (lead(company=None, input={}), {}, policy(), (), 0),
    ],
)
def test_a_row_costs_no_more_than_what_is_known_and_what_may_follow_a_search(
    row: Lead, answers: Answers, wanted: Policy, open_: tuple[Question, ...], follow: int
) -> None:
    """After an open search: the address it finds, a phone if none can be asked for yet, one wider search."""
    assert at_most(row, answers, wanted) == ({question.key for question in open_}, follow)
