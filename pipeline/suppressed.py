"""Whom not to ask about: customers, opt-outs, whoever the user names by e-mail, domain or company.

An entry names what it looks like: an address, else a host, else a company. All are compared in the project's own
normal forms, so that `Jane@Acme.com`, `https://www.acme.com/` and `ACME, Inc.` find what they mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.addresses import clean_domain, clean_email, is_host
from pipeline.normalize import clean_company, company_key
from pipeline.whom import Suppressed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.model import Contact, Lead


def suppressed_of(entries: Iterable[str]) -> Suppressed:
    """Sort entries by what they name; blank ones name nobody."""
    emails, domains, companies = set[str](), set[str](), set[str]()
    for entry in entries:
        if email := clean_email(entry):
            emails.add(email)
        elif is_host(entry):
            domains.add(_domain(entry))
        elif company := _company(entry):
            companies.add(company)
    return Suppressed(emails=frozenset(emails), domains=frozenset(domains), companies=frozenset(companies))


def joined(one: Suppressed, other: Suppressed) -> Suppressed:
    """Whoever is in either."""
    return Suppressed(
        emails=one.emails | other.emails,
        domains=one.domains | other.domains,
        companies=one.companies | other.companies,
    )


def is_lead(suppressed: Suppressed, lead: Lead) -> bool:
    """Whether a row is about somebody, or some company, that is not to be asked about."""
    if not suppressed:
        return False
    return lead.domain in suppressed.domains or _any(suppressed, lead.email, lead.company)


def is_contact(suppressed: Suppressed, contact: Contact) -> bool:
    """Whether a contact of an answer is to be left out."""
    if not suppressed:
        return False
    return is_address(suppressed, contact.email) or _any(suppressed, None, contact.company)


def is_address(suppressed: Suppressed, address: str | None) -> bool:
    """Whether nobody is to write to this address."""
    return bool(suppressed and address) and _any(suppressed, clean_email(address or ""), None)


def _any(suppressed: Suppressed, email: str | None, company: str | None) -> bool:
    if email and (email in suppressed.emails or _domain(email.rpartition("@")[2]) in suppressed.domains):
        return True
    return bool(company and suppressed.companies and _company(company) in suppressed.companies)


def _domain(host: str) -> str:
    """A company's domain or, of a free-mail host, which is nobody's, the host itself."""
    return clean_domain(f"x@{host}" if "/" not in host else host) or host.strip().lower()


def _company(name: str) -> str | None:
    """The key of a company's name; one too short to share answers is compared as it is written."""
    clean = clean_company(name)
    return company_key(name, None) or (clean.casefold() if clean else None)
