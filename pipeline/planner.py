"""Why a request is (not) made: a lead's progress, recomputed from the answers already paid for.

`next_step(lead, answers, policy, now)` says what to do with a lead; `recall(...)` says which answers count
for it. Neither asks, waits or remembers anything, so resuming, caching, sharing by company, and planning
without spending are all the same computation.

    thrifty   one question at a time, since each answer may make the next needless:
              search -> verify what search did not confirm -> phones if no number is sure yet
    full      search, verify of the row's own address and phones together, then what they leave open
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.facts import Facts, company_asked, first_search, gather, keep, reachable, sure_email, sure_phone, used
from pipeline.model import (
    ERASED,
    ERASED_REASON,
    SUPPRESSED_REASON,
    UNREADABLE,
    Answer,
    Endpoint,
    Lead,
    NoReply,
    Outcome,
    PhonesReply,
    Policy,
    Question,
    SearchReply,
    Status,
    VerifyReply,
)
from pipeline.normalize import TOO_LONG
from pipeline.suppressed import is_lead

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOUR: Final = 3600.0
TRY_AGAIN: Final = 20 * HOUR
"""Seconds before a question that was not settled is asked again: once in a night, not twice."""

REFUSED_FRESH: Final = 30 * 24 * HOUR

TRIES: Final = {Outcome.GAVE_UP: 3, Outcome.FOUND: 3, Outcome.UNEXPECTED: 2, Outcome.SAID_NO: 2}
"""Times a question is asked before an inconclusive answer stands (found: a greylisted mailbox)."""


LACKING: Final = {Endpoint.SEARCH: "no usable company", Endpoint.VERIFY: "no usable e-mail address"}
"""What a row needs for a step to be asked."""


# --- steps --------------------------------------------------------------------------------------------


class Ask(NamedTuple):
    """These questions, together.

    `left`: requests the lead still needs as far as is known now, these included.
    """

    questions: tuple[Question, ...]
    left: int = 1


@dataclass(frozen=True, slots=True)
class Defer:
    """Nothing before `until` (Unix seconds): a question was not settled and waits for a later window."""

    until: float


class Done(NamedTuple):
    """Nothing more is worth asking; `facts` is what was found."""

    status: Status
    reason: str | None
    facts: Facts


@dataclass(frozen=True, slots=True)
class Reject:
    """There is no question this row could ask; it costs nothing."""

    reason: str


Step = Ask | Defer | Done | Reject


def next_step(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy, now: float) -> Step:
    """Say what to do next for this lead."""
    if not answers and (reason := unaskable(lead, policy)):  # what was asked could be asked
        return Reject(reason)
    if first := _only_question(lead, answers, policy):
        return Ask((first,))
    facts = gather(lead, answers, policy)
    if facts.suppressed:
        return Reject(SUPPRESSED_REASON)
    open_: list[tuple[Question, float]] = []
    waiting: list[tuple[Question, float]] = []
    for question in _worth_asking(lead, facts, answers, policy):
        answer = answers.get(question.key)
        until = 0.0 if answer is None else answer.received_at + TRY_AGAIN
        (open_ if now >= until else waiting).append((question, until))
    if open_:
        return Ask(tuple(question for question, _ in open_), _left(lead, facts, answers, policy))
    if waiting:
        return Defer(max(until for _, until in waiting))
    return _verdict(lead, facts, answers, policy)


def unaskable(lead: Lead, policy: Policy) -> str | None:
    """Why no step that is wanted can be asked for this row; None if one can."""
    if ERASED in lead.input or is_lead(policy.suppressed, lead):
        return ERASED_REASON if ERASED in lead.input else SUPPRESSED_REASON
    if error := lead.input.get(UNREADABLE):
        return f"row: {error}"
    if any(why.endswith(TOO_LONG) for why in lead.unusable.values()):
        return _unusable(lead)
    steps = policy.judgement.steps
    searchable = Endpoint.SEARCH in steps and company_asked(lead)
    verifiable = Endpoint.VERIFY in steps and lead.email
    phonable = Endpoint.PHONES in steps and reachable(lead)
    if searchable or verifiable or phonable:
        return None
    if lead.unusable:
        return _unusable(lead)
    lacking = [words for step, words in LACKING.items() if step in steps]
    return " and ".join(lacking) or "names nobody whose number could be asked for"


def _unusable(lead: Lead) -> str:
    return "; ".join(f"{field}: {why}" for field, why in sorted(lead.unusable.items()))


# --- which questions ----------------------------------------------------------------------------------


def _only_question(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy) -> Question | None:
    """Thrifty begins with the company's search, whatever else is known: most looks at a lead end here."""
    if answers or policy.judgement.spend != "thrifty":
        return None
    return first_search(lead, policy)


def _worth_asking(lead: Lead, facts: Facts, answers: Mapping[bytes, Answer], policy: Policy) -> Iterator[Question]:
    """Questions whose answer could still change the row, in order; thrifty stops at the first."""
    thrifty = policy.judgement.spend == "thrifty"
    for question in _in_order(lead, facts, policy, thrifty=thrifty):
        if not settled(answers.get(question.key)):
            yield question
            if thrifty:
                return


def _left(lead: Lead, facts: Facts, answers: Mapping[bytes, Answer], policy: Policy) -> int:
    every = _in_order(lead, facts, policy, thrifty=policy.judgement.spend == "thrifty")
    return sum(not settled(answers.get(question.key)) for question in every)


def _in_order(lead: Lead, facts: Facts, policy: Policy, *, thrifty: bool) -> Iterator[Question]:
    yield from facts.searches
    sure = facts.email is not None and sure_email(facts.email, policy)
    if not sure:
        yield from facts.verifies
    elif lead.email and not thrifty:
        yield from facts.verifies[:1]
    if facts.phones is not None and not (facts.searched_phone and thrifty):
        yield facts.phones


def ahead(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy) -> tuple[Question, ...]:
    """Every question this lead may rest on, as far as they are known by now."""
    return tuple(_in_order(lead, gather(lead, answers, policy), policy, thrifty=False))


def at_most(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy) -> tuple[set[bytes], int]:
    """Questions that may still be asked for a lead, repeats apart: keys of those known, and how many may follow."""
    if unaskable(lead, policy):
        return set(), 0
    known = ahead(lead, answers, policy)
    open_ = {question.key for question in known if not settled(answers.get(question.key))}
    if not any(question.key in open_ for question in known if question.endpoint is Endpoint.SEARCH):
        return open_, 0
    steps, asked = policy.judgement.steps, {question.endpoint for question in known}
    if policy.prospects:
        return open_, policy.questions.limit * (Endpoint.VERIFY in steps)
    wider = lead.names_person and policy.questions.widen_limit > policy.questions.limit
    follow = (Endpoint.VERIFY in steps, Endpoint.PHONES in steps and Endpoint.PHONES not in asked, wider)
    return open_, sum(follow)


# --- answers ------------------------------------------------------------------------------------------


def conclusive(outcome: Outcome, reply: object) -> bool:
    """Whether an answer settles its question by itself."""
    if outcome is Outcome.FOUND:
        return not (isinstance(reply, VerifyReply) and reply.greylisted)
    return outcome in (Outcome.NOT_FOUND, Outcome.REFUSED)


def told(answer: Answer) -> bool:
    """Whether the API knew: it found, or found nobody."""
    return answer.outcome is not Outcome.REFUSED and conclusive(answer.outcome, answer.reply)


def settled(answer: Answer | None) -> bool:
    """Whether asking again is pointless: it was answered, or tried as often as is reasonable."""
    if answer is None:
        return False
    return conclusive(answer.outcome, answer.reply) or answer.inconclusive >= TRIES[answer.outcome]


def recall(
    history: Sequence[Answer], taken_in: float, policy: Policy, replayed_at: float = 0.0, fresh_from: float = 0.0
) -> Answer | None:
    """Of all answers to one question, newest first, the one that holds for a row taken in then.

    An answer counts if it came no earlier than its freshness before the row was taken in, so a backfill of
    weeks pays once and a new row gets fresh data. For a replayed row, refusals and what settled nothing count
    only if they came later than that; for a refreshed row, any answer only if it came later than `fresh_from`.
    """
    if fresh_from:
        history = [answer for answer in history if answer.received_at > fresh_from]
    fresh = [answer for answer in history if answer.received_at >= taken_in - _freshness(answer, policy)]
    if replayed_at:
        fresh = [answer for answer in fresh if answer.received_at > replayed_at or told(answer)]
    for answer in fresh:
        if conclusive(answer.outcome, answer.reply):
            return answer
    if not fresh:
        return None
    newest = fresh[0]
    return Answer(newest.question, newest.outcome, newest.reply, newest.received_at, newest.origin, len(fresh))


def _freshness(answer: Answer, policy: Policy) -> float:
    judgement = policy.judgement
    if answer.outcome is Outcome.REFUSED:
        return REFUSED_FRESH
    hours = judgement.freshness_found_hours if _found(answer) else judgement.freshness_not_found_hours
    return hours * HOUR


def _found(answer: Answer) -> bool:
    reply = answer.reply
    if isinstance(reply, SearchReply):
        return bool(reply.contacts)
    return bool(reply.phones) if isinstance(reply, PhonesReply) else isinstance(reply, VerifyReply)


# --- the verdict --------------------------------------------------------------------------------------


def _verdict(lead: Lead, facts: Facts, answers: Mapping[bytes, Answer], policy: Policy) -> Done:
    """Status by what was wanted: everything sure, something there, nothing, or given up."""
    steps = policy.judgement.steps
    wanted: list[tuple[bool, bool]] = []
    if policy.prospects:
        wanted.append((bool(facts.people), bool(facts.people)))
    elif Endpoint.SEARCH in steps or Endpoint.VERIFY in steps:
        wanted.append((facts.email is not None, bool(facts.email and sure_email(facts.email, policy))))
    if Endpoint.PHONES in steps and not policy.prospects:
        wanted.append((facts.phone is not None, bool(facts.phone and sure_phone(facts.phone, policy))))
    if all(sure for _, sure in wanted):
        return Done(Status.ENRICHED, None, facts)
    rests_on = used(facts, answers)
    if failed := [answer for answer in rests_on if _given_up(answer)]:
        return Done(Status.FAILED, f"{failed[0].question.endpoint}: {_words(failed[0])}", facts)
    status = Status.PARTIAL if any(there for there, _ in wanted) else Status.NOT_FOUND
    return Done(status, _why_not_more(lead, facts, rests_on, policy), facts)


def refreshed(lead: Lead, done: Done, earlier: Facts, answers: Mapping[bytes, Answer], policy: Policy) -> Done:
    """Conclude a refreshed row: what was found before stays where less is found now (`facts.keep`).

    A row that has something has not failed, though asking again did.
    """
    facts = keep(lead, earlier, done.facts)
    status, reason, _ = _verdict(lead, facts, answers, policy)
    if status is Status.FAILED and (facts.email or facts.phone):
        status = Status.PARTIAL
    return Done(status, reason, facts)


def _given_up(answer: Answer) -> bool:
    return answer.outcome is not Outcome.SAID_NO and not conclusive(answer.outcome, answer.reply)


def _why_not_more(lead: Lead, facts: Facts, used: list[Answer], policy: Policy) -> str:
    """The most telling reason why the row is not enriched."""
    for answer in used:
        if answer.outcome in (Outcome.REFUSED, Outcome.SAID_NO):
            return f"{answer.question.endpoint} {answer.outcome}: {_words(answer)}"
    if facts.search is not None and facts.match.contact is None:
        shown, total = len(facts.search.contacts), facts.search.total
        if shown == 0 and facts.email is None:
            return "no_email_found" if facts.phone else "company_has_no_contacts"
        if shown:
            return "no_contact_to_be_used" if policy.prospects else f"not_among_{shown}_of_{max(shown, total or 0)}"
    if facts.email is not None and facts.email.deliverable is False:
        return "email_not_deliverable"
    if facts.email is None and not lead.names_person:
        return "no_contact_with_email"
    return "below_threshold" if facts.email or facts.phone else "nothing_found"


def _words(answer: Answer) -> str:
    if isinstance(answer.reply, VerifyReply) and answer.reply.greylisted:
        return "greylisted"
    return answer.reply.reason if isinstance(answer.reply, NoReply) else answer.outcome
