"""What an account's requests and credits went to, night by night: what `status` and `report` tell alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.observe.told import Spending
from pipeline.store.ledger import Usage
from pipeline.store.records import Did

if TYPE_CHECKING:
    from pipeline.limits import Limits
    from pipeline.store import Store


NOTHING_SPENT: Final = Spending(Usage(0, 0, None, None, None, None), 0, 0, 0, {}, (), Did(), running=False)
"""An account that was never used."""


def spending(store: Store, limits: Limits, now: float) -> Spending:
    """Add up what was sent and what was saved; spends and changes nothing."""
    nights = store.past.nights()
    told = [night.did for night in nights if night.did is not None]
    return Spending(
        usage=store.ledger.usage(limits.window, limits.quota, now),
        quota=limits.quota,
        reserve_requests=limits.reserve_requests,
        reserve_credits=limits.reserve_credits,
        sent=store.past.sent(),
        nights=nights,
        saved=Did(*map(sum, zip(*told, strict=True))) if told else Did(),
        running=bool(nights) and nights[-1].ended_at is None and store.locks.run(nights[-1].owner).held_elsewhere(),
    )
