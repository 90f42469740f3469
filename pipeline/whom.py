"""Whom not to ask about, in the forms that are compared; `suppressed.py` knows how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Addresses, domains and keys of company names."""

    emails: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    companies: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.emails or self.domains or self.companies)
