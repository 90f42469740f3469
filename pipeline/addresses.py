"""How a cell becomes an e-mail address, a company's domain or a telephone number: or is refused.

Nothing here touches the network: the public suffix list and the telephone metadata come with their packages
and are loaded on first use.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from pipeline import lexicon

_MEMORY: Final = 1 << 14

_BRACKETED: Final = re.compile(r"<([^<>]*)>\s*$")
_SCHEME: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?//|^mailto:", re.IGNORECASE)
_HOST: Final = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)


_PLAIN: Final = re.compile(
    r"(?=.{6,120}$)[a-z0-9_+-]{1,60}(?:\.[a-z0-9_+-]+)*@(?:(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?!(?:arpa|invalid|local|localhost|onion|test)$)[a-z]{2,24}"
)
"""Addresses that nobody doubts; the library, slower by a hundred times, decides about the others."""


@lru_cache(_MEMORY)
def clean_email(text: str) -> str | None:
    """Return the address in `text`, lower case, its domain in ASCII form; None if it is not one address.

    Mailboxes that differ only by case are one. `mailto:`, `Name <a@b>` and a trailing dot, comma or
    semicolon are cut. Syntax only: whether the mailbox exists is a question for the API.
    """
    if _PLAIN.fullmatch(plain := text.lower()):
        return plain
    bare = _bare_address(text)
    if _PLAIN.fullmatch(plain := bare.lower()):
        return plain
    if "@" not in bare:
        return None
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - 40 ms, only where needed

    try:
        found = validate_email(bare, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):
        return None
    return f"{found.local_part}@{found.ascii_domain}".lower()


def _bare_address(text: str) -> str:
    inside = _BRACKETED.search(text)
    bare = (inside[1] if inside else text).strip()
    if bare[:7].lower() == "mailto:":
        bare = bare[7:].partition("?")[0]
    return bare.rstrip(".,; ").lstrip()


@lru_cache(_MEMORY)
def clean_domain(text: str) -> str | None:
    """Return the registrable domain (`acme.co.uk`) of a website, address or domain cell; else None.

    None for what is no host name, an IP address, a local name, free mail, and links to social or listing
    sites. An address at such a site (`jane@linkedin.com`) is its staff and counts.
    """
    host, is_address = _host(text)
    if not _HOST.fullmatch(host) or host.rpartition(".")[2] in lexicon.LOCAL_SUFFIXES:
        return None
    domain = _registrable(host)
    if domain is None or is_free_mail(domain) or is_free_mail(host):
        return None
    if not is_address and (domain in lexicon.LINK_HOSTS or host.removeprefix("www.") in lexicon.LINK_HOSTS):
        return None
    return domain


def domain_of(address: str) -> str | None:
    """Return the registrable domain of an address's company, None if it has none of its own."""
    return clean_domain(f"x@{address.rpartition('@')[2]}")


def _host(text: str) -> tuple[str, bool]:
    bare = _bare_address(text)
    rest = _SCHEME.sub("", bare)
    netloc = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    user, _, host = netloc.rpartition("@")
    host = host.partition(":")[0].strip().rstrip(".").lower()
    return (host if host.isascii() else _to_ascii(host)), bool(user) and rest == bare


def _to_ascii(host: str) -> str:
    import idna  # noqa: PLC0415 - only for the few names that need it; comes with email-validator

    try:
        return idna.encode(host, uts46=True).decode("ascii").lower().rstrip(".")
    except UnicodeError:
        return ""


def _registrable(host: str) -> str | None:
    # wordpress.com is a public suffix of its customers, and a company: then the registries' part decides.
    found = _suffixes(only_icann=False).privatesuffix(host) or _suffixes(only_icann=True).privatesuffix(host)
    return str(found) if found else None


@lru_cache(2)
def _suffixes(*, only_icann: bool) -> Any:  # noqa: ANN401 - the package is untyped
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - 50 ms, only where needed

    return PublicSuffixList(only_icann=only_icann)


def is_host(text: str) -> bool:
    """Tell whether the cell holds a host name at all, somebody's company or not."""
    return bool(_HOST.fullmatch(_host(text)[0]))


def is_free_mail(domain: str) -> bool:
    """Tell whether the addresses of this domain say nothing about an employer."""
    return domain in lexicon.FREE_MAIL or domain.partition(".")[0] in lexicon.FREE_MAIL_BRANDS


@lru_cache(1 << 14)
def e164(number: str, region: str | None) -> str | None:
    """Return `number` in E.164 form (`+15551234567`) where it parses and has a possible length, else None.

    `region` is the ISO country the number is read in if it has no `+`. Possible, not valid: the guide's own
    +1-555-123-4567 is not valid.
    """
    import phonenumbers  # noqa: PLC0415 - 60 ms, only where a number was found

    try:
        parsed = phonenumbers.parse(number, region.strip().upper() if region else None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
