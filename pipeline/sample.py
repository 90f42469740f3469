"""A share of the leads that is the same in every run: by a hash of each lead's id and nothing else."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, NamedTuple

PLACES: Final = 1 << 47
"""How many places there are; SQLite keeps the number of one in six bytes."""


class Sample(NamedTuple):
    """The leads that come first by their place: so many of them, or all before a share of the places."""

    text: str
    leads: int | None = None
    share: float | None = None


def place_of(lead_id: str) -> int:
    """Where a lead stands among all leads there could be; evenly spread, and for ever the same."""
    hashed = blake2b(lead_id.encode("utf-8", "surrogatepass"), digest_size=6, person=b"sample")
    return int.from_bytes(hashed.digest(), "big") >> 1


def sample_of(text: str) -> Sample | None:
    """Read "500" or "2.5%"; None if it is neither, or nobody would be in it."""
    found = re.fullmatch(r"\s*(?:(\d{1,12})|(\d{1,3}(?:\.\d+)?)\s*%)\s*", text)
    if found is None:
        return None
    if found[1]:
        return Sample(text.strip(), leads=int(found[1])) if int(found[1]) else None
    share = float(found[2]) / 100
    return Sample(text.strip(), share=share) if 0 < share <= 1 else None
