"""What the answers say about one lead so far, and the line it becomes. The right person only (promise 6)."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.matcher import Match, match
from pipeline.model import (
    Answer,
    CallLine,
    Contact,
    ContactLine,
    EmailLine,
    Endpoint,
    Enriched,
    Lead,
    MatchLine,
    PhoneLine,
    PhonesReply,
    Policy,
    Question,
    SearchReply,
    Status,
    VerifyReply,
)
from pipeline.normalize import e164
from pipeline.protocol import iso, phones_question, search_question, verify_question

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERIFIED: Final = 0.90
PROBABLE: Final = 0.70
"""The guide's own bands of confidence (guide, "Endpoint 2")."""


# --- the questions a lead can ask ---------------------------------------------------------------------


def company_asked(lead: Lead) -> str | None:
    """The company as questions name it."""
    return lead.spelling or lead.company or lead.domain


def first_search(lead: Lead, policy: Policy) -> Question | None:
    """The question all rows of a company share, if this row has a company and search is wanted."""
    company = company_asked(lead)
    if company is None or Endpoint.SEARCH not in policy.judgement.steps:
        return None
    return search_question(company, policy.questions, filtered=not lead.names_person)


def phones_of(lead: Lead, found: Contact | None, policy: Policy) -> Question | None:
    """Whose number is asked, if it is wanted: the person the row names, or the contact chosen for a row without."""
    if Endpoint.PHONES not in policy.judgement.steps:
        return None
    if lead.names_person:
        if not reachable(lead):
            return None
        email, first, last = lead.email, lead.first_name, lead.last_name
    elif found is not None:
        email, first, last = found.email, found.first_name, found.last_name
    else:
        return None
    return phones_question(
        email=email,
        first_name=first,
        last_name=last,
        company=company_asked(lead),
        questions=policy.questions,
    )


def reachable(lead: Lead) -> bool:
    """Whether `phones` could tell whom we mean: an address, or a whole name at a company."""
    return bool(lead.email or (lead.first_name and lead.last_name and company_asked(lead)))


# --- what is known ------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """What the answers say about one lead so far, and the questions it rests on."""

    searches: tuple[Question, ...]
    verifies: tuple[Question, ...]
    phones: Question | None
    search: SearchReply | None
    match: Match
    email: EmailLine | None
    phone: PhoneLine | None
    searched_phone: bool
    rests_on: tuple[Answer, ...] = ()
    """Answers of an earlier conclusion on which a value rests that was kept."""


def gather(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy) -> Facts:
    """Put together what is known of a lead; the right person only (promise 6)."""
    searches, reply = _searches(lead, answers, policy)
    found = match(lead, reply.contacts, policy.questions) if reply else Match("none", 0.0, None, ())
    told = _addresses(lead, found.contact)
    verify = Endpoint.VERIFY in policy.judgement.steps
    verifies = tuple(verify_question(address) for address, *_ in told) if verify else ()
    verified = [answers.get(question.key) for question in verifies] or [None] * len(told)
    emails = [_email_line(*words, answer) for words, answer in zip(told, verified, strict=True)]
    own_phone = _phone_of_contact(found.contact)
    asked = phones_of(lead, found.contact, policy)
    phones = [own_phone] if own_phone else []
    phones += _phones_found(answers.get(asked.key) if asked else None)
    return Facts(
        searches=searches,
        verifies=verifies,
        phones=asked,
        search=reply,
        match=found,
        email=max(emails, key=_email_rank, default=None),
        phone=max(phones, key=lambda phone: phone.confidence or 0.0, default=None),
        searched_phone=own_phone is not None and sure_phone(own_phone, policy),
    )


def _searches(
    lead: Lead, answers: Mapping[bytes, Answer], policy: Policy
) -> tuple[tuple[Question, ...], SearchReply | None]:
    """Find the searches this lead rests on: the company's, and a wider one if people are missing from it."""
    question = first_search(lead, policy)
    if question is None:
        return (), None
    reply = _search_reply(answers.get(question.key))
    widen = policy.questions.widen_limit
    if reply is None or not lead.names_person or widen <= policy.questions.limit:
        return (question,), reply
    missing = (reply.total or 0) > len(reply.contacts)
    if not missing or match(lead, reply.contacts, policy.questions).contact is not None:
        return (question,), reply
    wider = search_question(company_asked(lead) or "", policy.questions, filtered=False, limit=widen)
    return (question, wider), _search_reply(answers.get(wider.key)) or reply


def _search_reply(answer: Answer | None) -> SearchReply | None:
    return answer.reply if answer and isinstance(answer.reply, SearchReply) else None


def _addresses(lead: Lead, contact: Contact | None) -> list[tuple[str, float | None, str]]:
    """The row's own address and the matched contact's: what search told of it, and where it is from."""
    found = contact.email.strip() if contact and contact.email else None
    told = contact.email_confidence if contact else None
    same = bool(lead.email and found and lead.email.casefold() == found.casefold())
    own = [(lead.email, told if same else None, "input")] if lead.email else []
    return own if found is None or same else [*own, (found, told, "search")]


def _email_line(address: str, told: float | None, source: str, answer: Answer | None) -> EmailLine:
    """One address: what verify says of it, else what search told."""
    if answer is None or not isinstance(answer.reply, VerifyReply) or answer.reply.greylisted:
        return _line(address, told, source)  # greylisted is a try, not a result
    checked = answer.reply.checked_at or iso(answer.received_at)
    return _line(address, answer.reply.confidence, source, deliverable=answer.reply.deliverable, checked_at=checked)


def _line(
    address: str,
    confidence: float | None,
    source: str,
    *,
    deliverable: bool | None = None,
    checked_at: str | None = None,
) -> EmailLine:
    return EmailLine(
        value=address,
        confidence=confidence,
        tier=tier(confidence),
        deliverable=deliverable,
        source=source,
        checked_at=checked_at,
    )


def tier(confidence: float | None) -> str | None:
    """The guide's name for a confidence."""
    if confidence is None:
        return None
    return "verified" if confidence >= VERIFIED else "probable" if confidence >= PROBABLE else "risky"


def _email_rank(line: EmailLine) -> tuple[bool, float]:
    return line.deliverable is not False, line.confidence if line.confidence is not None else -1.0


def _phone_of_contact(contact: Contact | None) -> PhoneLine | None:
    if contact is None or not contact.phone:
        return None
    return PhoneLine(
        value=contact.phone,
        e164=e164(contact.phone, None),
        confidence=contact.phone_confidence,
        type=None,
        source=Endpoint.SEARCH,
    )


def _phones_found(answer: Answer | None) -> list[PhoneLine]:
    reply = answer.reply if answer else None
    return [
        PhoneLine(
            value=phone.number,
            e164=e164(phone.number, phone.country_code),
            confidence=phone.confidence,
            type=phone.type,
            source=Endpoint.PHONES,
        )
        for phone in (reply.phones if isinstance(reply, PhonesReply) else ())
    ]


def sure_email(line: EmailLine, policy: Policy) -> bool:
    """Whether the policy takes this address for confirmed."""
    return (
        line.deliverable is not False
        and line.confidence is not None
        and line.confidence >= policy.judgement.min_confidence
    )


def sure_phone(line: PhoneLine, policy: Policy) -> bool:
    """Whether the policy takes this number for confirmed."""
    return line.confidence is not None and line.confidence >= policy.judgement.min_phone_confidence


def used(facts: Facts, answers: Mapping[bytes, Answer]) -> list[Answer]:
    """The answers this row rests on, in the order of the steps."""
    questions = [*facts.searches, *facts.verifies, *filter(None, (facts.phones,))]
    return [answer for question in questions if (answer := answers.get(question.key))]


# --- found before ---------------------------------------------------------------------------------------


def keep(lead: Lead, old: Facts, new: Facts) -> Facts:
    """What a refreshed row holds: field by field the new value, but the old one where that is more.

    Nothing, a lower confidence and no number are less; they replace nothing. One answer that says less does count:
    that the very address found before is undeliverable. Where the row names nobody and its best contact is
    somebody else now, e-mail and phone stay together: all of the new one if no field is less, else all of the old.
    """
    email, phone = _more_email(old.email, new.email), _more_phone(old.phone, new.phone)
    contact = new.match.contact or old.match.contact
    if not lead.names_person and not _same_person(old.match.contact, new.match.contact):
        less = email is not new.email or phone is not new.phone
        email, phone = (old.email, old.phone) if less else (new.email, new.phone)
        contact = old.match.contact if less else new.match.contact
    kept = [now for now, before in ((email, old.email), (phone, old.phone)) if now is not None and now is before]
    if not kept and contact is new.match.contact:
        return new
    chosen = old.match if contact is old.match.contact else new.match
    return new._replace(
        email=email,
        phone=phone,
        match=replace(chosen, candidates=new.match.candidates if new.search else chosen.candidates),
        rests_on=_distinct(old.rests_on, new.rests_on),
    )


def _more_email(old: EmailLine | None, new: EmailLine | None) -> EmailLine | None:
    if old is None or new is None:
        return new or old
    denied = new.deliverable is False and new.value.casefold() == old.value.casefold()
    return new if denied or _email_rank(new) >= _email_rank(old) else old


def _more_phone(old: PhoneLine | None, new: PhoneLine | None) -> PhoneLine | None:
    if old is None or new is None:
        return new or old
    return new if (new.confidence or 0.0) >= (old.confidence or 0.0) else old


def _distinct(*several: Iterable[Answer]) -> tuple[Answer, ...]:
    return tuple({(answer.question.key, answer.received_at): answer for answer in chain(*several)}.values())


def _same_person(one: Contact | None, other: Contact | None) -> bool:
    if one is None or other is None:
        return one is other
    names = [(contact.first_name, contact.last_name) for contact in (one, other)]
    return names[0] == names[1] and any(names[0])


# --- the line -----------------------------------------------------------------------------------------


def enriched(
    lead: Lead,
    answers: Mapping[bytes, Answer],
    policy: Policy,
    status: Status,
    reason: str | None,
    at: float,
    *,
    facts: Facts | None = None,
) -> Enriched:
    """Write down what is known of a finished lead: one line of the output. `facts` saves gathering them again."""
    facts = facts or gather(lead, answers, policy)
    contact = facts.match.contact
    return Enriched(
        row=lead.row,
        lead_id=lead.lead_id,
        status=status,
        duplicate_of=lead.duplicate_of,
        input=lead.input,
        match=MatchLine(by=facts.match.by, score=facts.match.score),
        contact=_contact_line(contact) if contact else None,
        email=facts.email,
        phone=facts.phone,
        candidates=facts.match.candidates,
        calls=tuple(_call(answer) for answer in _distinct(used(facts, answers), facts.rests_on)),
        reason=reason,
        enriched_at=iso(at),
    )


def _contact_line(contact: Contact) -> ContactLine:
    return ContactLine(
        first_name=contact.first_name,
        last_name=contact.last_name,
        title=contact.title,
        department=contact.department,
        company=contact.company,
    )


def _call(answer: Answer) -> CallLine:
    return CallLine(
        endpoint=answer.question.endpoint,
        origin=answer.origin,
        at=iso(answer.received_at),
        key=answer.question.key.hex(),
    )
