"""What the gate says of an address: safe to write to, not safe, or undecided, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.facts import tier
from pipeline.model import ERASED_REASON, Frozen, NoReply, VerifyReply
from pipeline.protocol import iso

if TYPE_CHECKING:
    from pipeline.model import Answer


class Verification(Frozen):
    """One address's verdict.

    `safe` is None where it could not be decided; a gate lets nobody through then. `confidence` goes from 0 to 1,
    `checked_at` is when the server answered (UTC), `reason` why it was not asked.
    """

    email: str
    safe: bool | None
    verdict: str
    confidence: float | None = None
    tier: str | None = None
    deliverable: bool | None = None
    checked_at: str | None = None
    reason: str | None = None


def judge(
    email: str, address: str | None, answer: Answer | None, min_confidence: float, reason: str | None = None
) -> Verification:
    """Judge an answer about an address; `address` is its clean form (None: it is none), `answer` None: not asked."""
    if address is None:
        return Verification(email=email, safe=False, verdict="not an e-mail address")
    reply = answer.reply if answer else None
    if isinstance(reply, NoReply) and reply.reason == ERASED_REASON:
        return Verification(email=address, safe=False, verdict="erased, and therefore not asked about")
    if answer is None or not isinstance(reply, VerifyReply) or reply.greylisted:
        why = "the mail server said later" if isinstance(reply, VerifyReply) else "not answered"
        said = reply.reason if isinstance(reply, NoReply) else None
        return Verification(email=address, safe=None, verdict=f"undecided: {why}", reason=reason or said)
    sure = reply.deliverable and (reply.confidence or 0.0) >= min_confidence
    return Verification(
        email=address,
        safe=sure,
        verdict="safe to write to" if sure else "confidence too low" if reply.deliverable else "not deliverable",
        confidence=reply.confidence,
        tier=tier(reply.confidence),
        deliverable=reply.deliverable,
        checked_at=iso(answer.received_at),
    )
