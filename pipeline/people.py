"""Which contacts are the same person, wherever and whenever they were found: by e-mail, else by name and company."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from pipeline.normalize import clean_email, company_key, fold_name

if TYPE_CHECKING:
    from pipeline.model import Contact


def contact_id(contact: Contact, company: str | None) -> str | None:
    """What a person is known by; None for a contact that names nobody. `company` is where they were looked for."""
    if contact.email and (address := clean_email(contact.email)):
        return address_id(address)
    name = fold_name(f"{contact.first_name or ''} {contact.last_name or ''}")
    if not name:
        return None
    where = contact.company or company or ""
    return _hash(f"{name}\x1f{company_key(where, None) or where.casefold()}")


def address_id(address: str) -> str:
    """What somebody with this address (as `clean_email` returns it) is known by."""
    return _hash(address)


def _hash(text: str) -> str:
    return "c:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
