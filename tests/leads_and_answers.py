"""What the tests of planner and facts are written in: a lead, what the API said, and a lead taken to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.model import (
    Answer,
    Contact,
    Endpoint,
    Judgement,
    Lead,
    NoReply,
    Origin,
    Outcome,
    Phone,
    PhonesReply,
    Policy,
    Question,
    Questions,
    Reply,
    SearchReply,
    Status,
    VerifyReply,
)
from pipeline.planner import Ask, Defer, Done, Reject, next_step
from pipeline.protocol import phones_question, search_question, verify_question

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_780_000_000.0
HOUR = 3600.0

OWN = "jane@acme.com"
FOUND = "jane.smith@acme.com"
BOSS = "boss@acme.com"

Answers = dict[bytes, Answer]


def lead(**fields: object) -> Lead:
    """A row of Acme Corp's."""
    usual: dict[str, object] = {"row": 1, "lead_id": "7", "input": {"Company": "Acme Corp"}, "company": "Acme Corp"}
    return Lead.model_validate(usual | fields)


def jane(**fields: object) -> Lead:
    """Jane Smith of Acme Corp; by name, unless fields say more."""
    return lead(**{"first_name": "Jane", "last_name": "Smith"} | fields)


def contact(email: str | None = FOUND, sure: float | None = 0.98, **fields: object) -> Contact:
    """Jane Smith as search returns her."""
    usual: dict[str, object] = {"first_name": "Jane", "last_name": "Smith", "company": "Acme Corp", "title": "CEO"}
    return Contact.model_validate(usual | {"email": email, "email_confidence": sure} | fields)


def policy(*steps: str, spend: str = "thrifty", **wishes: Any) -> Policy:
    """A policy; wishes go to the half that has them."""
    asked = {name: value for name, value in wishes.items() if name in Questions.model_fields}
    judged = {name: value for name, value in wishes.items() if name not in asked}
    wanted = tuple(map(Endpoint, steps)) or tuple(Endpoint)
    return Policy(questions=Questions(**asked), judgement=Judgement(steps=wanted, spend=spend, **judged))


# --- questions as the tests name them -----------------------------------------------------------------


def search(
    company: str = "Acme Corp", *, limit: int = 0, filtered: bool = False, of: Policy | None = None
) -> Question:
    return search_question(company, (of or Policy()).questions, filtered=filtered, limit=limit)


def verify(email: str) -> Question:
    return verify_question(email)


def phones(email: str | None = None, name: str | None = "Jane Smith", company: str | None = "Acme Corp") -> Question:
    first, _, last = (name or "").partition(" ")
    return phones_question(
        email=email, first_name=first or None, last_name=last or None, company=company, questions=Questions()
    )


# --- answers ------------------------------------------------------------------------------------------


def answered(question: Question, reply: Reply, *, at: float = NOW, inconclusive: int = 0) -> Answers:
    """The API understood and answered."""
    return {question.key: Answer(question, Outcome.FOUND, reply, at, Origin.API, inconclusive)}


def failed(
    question: Question, outcome: Outcome, times: int = 1, *, at: float = NOW, why: str = "HTTP 503"
) -> Answers:
    """The question was not settled, so many times by now."""
    return {question.key: Answer(question, outcome, NoReply(reason=why), at, Origin.API, times)}


def contacts(*people: Contact, total: int | None = None, question: Question | None = None) -> Answers:
    """What search returned."""
    return answered(question or search(), SearchReply(contacts=people, total=len(people) if total is None else total))


def verdict(email: str, sure: float | None = 0.96, *, deliverable: bool = True) -> Answers:
    """What verify said."""
    return answered(
        verify(email),
        VerifyReply(email=email, valid=True, deliverable=deliverable, confidence=sure, checked_at="then"),
    )


def greylisted(email: str, times: int = 1, *, at: float = NOW) -> Answers:
    """Verify heard "later" from the mail server."""
    reply = VerifyReply(email=email, valid=True, deliverable=False, confidence=0.5, greylisted=True)
    return answered(verify(email), reply, at=at, inconclusive=times)


def numbers(question: Question, *found: tuple[str, float | None]) -> Answers:
    """What phones said."""
    listed = tuple(Phone(number=number, type="direct_dial", confidence=sure) for number, sure in found)
    return answered(question, PhonesReply(phones=listed))


# --- steps --------------------------------------------------------------------------------------------


class End(NamedTuple):
    """A row's end: what the planner says of it, without the facts it rests on."""

    status: Status
    reason: str | None


Said = list[Question] | End | Defer | Reject


def step(row: Lead, answers: Answers, of: Policy | None = None, now: float = NOW) -> Said:
    """What the planner says: the questions asked next, or that none is."""
    said = next_step(row, answers, of or Policy(), now)
    if isinstance(said, Ask):
        return list(said.questions)
    return End(said.status, said.reason) if isinstance(said, Done) else said


def finish(row: Lead, of: Policy, reply: Callable[[Question], Answers]) -> tuple[Said, Answers]:
    """Take a lead to its end; no question is asked twice."""
    answers: Answers = {}
    while isinstance(said := step(row, answers, of), list):
        for question in said:
            assert question.key not in answers
            answers |= reply(question)
    return said, answers
