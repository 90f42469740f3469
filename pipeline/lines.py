"""The lines that finished rows become: one a row or, of a company that is prospected, one a contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.facts import distinct, gather, sure_email, used
from pipeline.model import CallLine, ContactLine, Enriched, MatchLine, Prospect, Status
from pipeline.protocol import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.facts import Facts, Found
    from pipeline.model import Answer, Contact, Lead, Policy

BY: Final = "company"

ELSEWHERE: Final = 0.5
"""The match of a contact whose own company's name is not the row's: a parent, a brand, or a stranger."""


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
        calls=tuple(_call(answer) for answer in distinct(used(facts, answers), facts.rests_on)),
        reason=reason,
        enriched_at=iso(at),
    )


def prospects(lead: Lead, facts: Facts, policy: Policy, at: float, status: Status | None = None) -> list[Prospect]:
    """Write down everybody found at a company, best first; `status` where the company is not finished yet."""
    return [_line(lead, found, policy, at, status) for found in facts.people]


def _line(lead: Lead, found: Found, policy: Policy, at: float, status: Status | None) -> Prospect:
    reason = _short_of(found, policy)
    return Prospect(
        row=lead.row,
        lead_id=lead.lead_id,
        status=status or (Status.PARTIAL if reason else Status.ENRICHED),
        input=lead.input,
        match=MatchLine(by=BY, score=1.0 if found.at_company else ELSEWHERE),
        contact=_contact_line(found.contact),
        email=found.email,
        phone=found.phone,
        calls=tuple(map(_call, found.rests_on)),
        reason=reason,
        enriched_at=iso(at),
        contact_id=found.id,
    )


def _short_of(found: Found, policy: Policy) -> str | None:
    """Why nobody should write to this contact yet."""
    if found.email is None:
        return "no_email_found"
    if sure_email(found.email, policy):
        return None
    return "email_not_deliverable" if found.email.deliverable is False else "below_threshold"


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
