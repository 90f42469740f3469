"""Small words of the sentences that people read."""

from __future__ import annotations


def counted(n: int, thing: str, things: str = "") -> str:
    """So many things: "1 row", "2,000 rows"."""
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"
