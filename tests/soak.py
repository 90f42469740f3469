"""How long the proofs run, and the figures they leave: `make test` runs the short form, `make soak` the long one."""

from __future__ import annotations

import os

SOAKING = os.environ.get("SOAK") == "1"


def size(short: int, long: int) -> int:
    """Return how many kills, examples or rounds a proof goes through in this run."""
    return long if SOAKING else short


def seconds(short: float, long: float) -> float:
    """Return a proof's time limit in this run, for `pytest.mark.timeout`."""
    return long if SOAKING else short
