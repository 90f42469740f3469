"""What the answers say about one lead so far. The right person only (promise 6)."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.matcher import Match, at_company, best_first, match
from pipeline.model import (
    Answer,
    Contact,
    EmailLine,
    Endpoint,
    Lead,
    PhoneLine,
    PhonesReply,
    Policy,
    Question,
    SearchReply,
    VerifyReply,
)
from pipeline.normalize import clean_email, e164
from pipeline.people import contact_id
from pipeline.protocol import iso, phones_question, search_question, verify_question
from pipeline.suppressed import is_contact

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


class Found(NamedTuple):
    """One contact of a company that is prospected: who, how to reach them, and the answers that say so."""

    id: str
    contact: Contact
    at_company: bool
    email: EmailLine | None
    phone: PhoneLine | None
    rests_on: tuple[Answer, ...]


NOBODY: Final = Match("none", 0.0, None, ())


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
    people: tuple[Found, ...] = ()
    """Everybody of a company that is prospected, best first."""
    suppressed: bool = False
    """The person the row names turned out to be one who is not to be asked about: nothing of them is told."""


def gather(lead: Lead, answers: Mapping[bytes, Answer], policy: Policy) -> Facts:
    """Put together what is known of a lead; the right person only (promise 6), and nobody who is suppressed."""
    searches, reply = _searches(lead, answers, policy)
    if policy.prospects:
        return _gather_people(lead, searches, reply, answers, policy)
    found = _match(lead, reply, policy) if reply else NOBODY
    if found.contact is not None and is_contact(policy.suppressed, found.contact):
        return Facts(searches, (), None, None, NOBODY, None, None, searched_phone=False, suppressed=True)
    told = _addresses(lead, found.contact)
    verify = Endpoint.VERIFY in policy.judgement.steps
    verifies = tuple(verify_question(address) for address, *_ in told) if verify else ()
    verified = [answers.get(question.key) for question in verifies] or [None] * len(told)
    emails = [_email_line(*words, answer) for words, answer in zip(told, verified, strict=True)]
    own_phone = _phone_of_contact(found.contact)
    asked = phones_of(lead, found.contact, policy) if not _may_be_erased(lead, found, reply) else None
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


def _may_be_erased(lead: Lead, found: Match, reply: SearchReply | None) -> bool:
    """Whether a row known by its name alone may mean somebody who was cut from the answer."""
    named = lead.names_person and lead.email is None
    return named and reply is not None and reply.erased > 0 and found.contact is None


def _match(lead: Lead, reply: SearchReply, policy: Policy) -> Match:
    """Choose the contact; a row that names somebody is never given another because theirs is suppressed."""
    suppressed = policy.suppressed
    if not suppressed:
        return match(lead, reply.contacts, policy.questions)
    allowed = [contact for contact in reply.contacts if not is_contact(suppressed, contact)]
    if not lead.names_person:
        return match(lead, allowed, policy.questions)
    found = match(lead, reply.contacts, policy.questions)
    return replace(found, candidates=tuple(contact for contact in found.candidates if contact in allowed))


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


# --- everybody of a company ---------------------------------------------------------------------------


def _gather_people(
    lead: Lead,
    searches: tuple[Question, ...],
    reply: SearchReply | None,
    answers: Mapping[bytes, Answer],
    policy: Policy,
) -> Facts:
    """Put together who works at a company; addresses that search is sure of are not verified."""
    found: dict[str, Found] = {}
    verifies: list[Question] = []
    search = tuple(answer for question in searches if (answer := answers.get(question.key)))
    for contact in best_first(reply.contacts, policy.questions) if reply else ():
        known_by = contact_id(contact, company_asked(lead))
        if known_by is None or known_by in found or is_contact(policy.suppressed, contact):
            continue
        question = _verify_of(contact, policy)
        verified = answers.get(question.key) if question else None
        verifies += [question] if question else []
        told = (contact.email, contact.email_confidence, str(Endpoint.SEARCH))
        found[known_by] = Found(
            id=known_by,
            contact=contact,
            at_company=at_company(lead, contact),
            email=_email_line(*told, verified) if told[0] else None,  # type: ignore[arg-type] # just looked at
            phone=_phone_of_contact(contact),
            rests_on=(*search, verified) if verified else search,
        )
    people = tuple(found.values())
    return Facts(searches, tuple(verifies), None, reply, NOBODY, None, None, searched_phone=False, people=people)


def _verify_of(contact: Contact, policy: Policy) -> Question | None:
    """The question whether a contact's address takes mail, where that is wanted and search was not sure."""
    if contact.email is None or Endpoint.VERIFY not in policy.judgement.steps:
        return None
    if (contact.email_confidence or 0.0) >= policy.judgement.min_confidence or clean_email(contact.email) is None:
        return None
    return verify_question(contact.email)


# --- found before ---------------------------------------------------------------------------------------


def keep(lead: Lead, old: Facts, new: Facts) -> Facts:
    """What a refreshed row holds: field by field the new value, but the old one where that is more.

    Nothing, a lower confidence and no number are less; they replace nothing. One answer that says less does count:
    that the very address found before is undeliverable. Where the row names nobody and its best contact is
    somebody else now, e-mail and phone stay together: all of the new one if no field is less, else all of the old.
    Of a company that is prospected the same goes for each of its contacts.
    """
    if old.people or new.people:
        return new._replace(people=_keep_people(old.people, new.people))
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
        rests_on=distinct(old.rests_on, new.rests_on),
    )


def _keep_people(old: tuple[Found, ...], new: tuple[Found, ...]) -> tuple[Found, ...]:
    """Everybody found now, and after them whoever was found before and is not now."""
    before = {found.id: found for found in old}
    now = {found.id: _keep_found(before.get(found.id), found) for found in new}
    return tuple((now | {known_by: found for known_by, found in before.items() if known_by not in now}).values())


def _keep_found(old: Found | None, new: Found) -> Found:
    if old is None:
        return new
    email, phone = _more_email(old.email, new.email), _more_phone(old.phone, new.phone)
    if email is new.email and phone is new.phone:
        return new
    return new._replace(email=email, phone=phone, rests_on=distinct(old.rests_on, new.rests_on))


def _more_email(old: EmailLine | None, new: EmailLine | None) -> EmailLine | None:
    if old is None or new is None:
        return new or old
    denied = new.deliverable is False and new.value.casefold() == old.value.casefold()
    return new if denied or _email_rank(new) >= _email_rank(old) else old


def _more_phone(old: PhoneLine | None, new: PhoneLine | None) -> PhoneLine | None:
    if old is None or new is None:
        return new or old
    return new if (new.confidence or 0.0) >= (old.confidence or 0.0) else old


def distinct(*several: Iterable[Answer]) -> tuple[Answer, ...]:
    """Answers in order, each once."""
    return tuple({(answer.question.key, answer.received_at): answer for answer in chain(*several)}.values())


def _same_person(one: Contact | None, other: Contact | None) -> bool:
    if one is None or other is None:
        return one is other
    names = [(contact.first_name, contact.last_name) for contact in (one, other)]
    return names[0] == names[1] and any(names[0])
