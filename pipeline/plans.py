"""What LeadContact sells: how many requests a day, and our pace for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """A LeadContact plan: requests a day (guide, "Rate Limits") and our pace for it."""

    name: str
    daily_quota: int | None
    concurrency: int
    max_per_second: float | None


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan("free", 25, 2, 5.0),
        Plan("starter", 500, 4, 5.0),
        Plan("professional", 2000, 8, 5.0),
        Plan("enterprise", None, 50, None),
    )
}
