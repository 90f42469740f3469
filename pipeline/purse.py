"""What is left to spend and what a call may cost: the run's own view of the account's credits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.credit import Prices
from pipeline.model import Endpoint, SearchReply

if TYPE_CHECKING:
    from pipeline.credit import Ceilings
    from pipeline.model import Permit, Question, Reply
    from pipeline.store.ledger import Settled


class Purse:
    """Prices learned from lone searches, and the credits as last counted; None until the account has told."""

    def __init__(self, ceilings: Ceilings) -> None:
        self.credits: int | None = None
        self._prices = Prices(ceilings)
        self._last_alone: tuple[int, int] | None = None

    @property
    def since(self) -> int:
        """The attempt whose reading was the last that stood alone; 0 if there is none to compare with."""
        return self._last_alone[0] if self._last_alone else 0

    def most(self, question: Question) -> int:
        """Credits to hold back before this question goes."""
        return self._prices.reserve(question)

    def price(self, question: Question, reply: Reply) -> int:
        """Credits to count as gone now that it was answered."""
        return self._prices.settle(question, len(reply.contacts) if isinstance(reply, SearchReply) else None)

    def learns_from(self, question: Question) -> bool:
        """Whether this question should go alone, so that it tells what a search costs."""
        return question.endpoint is Endpoint.SEARCH and self._prices.learning()

    def settled(self, permit: Permit, reply: Reply, settled: Settled) -> int:
        """Learn from a settlement; return the credits that turn out to have been counted too many before."""
        self.credits = settled.credits
        if settled.surprise:
            self._prices.forget()
        if not isinstance(reply, SearchReply):
            return 0
        if permit.lone and self._prices.learning():
            between = settled.between or {}
            sent = (between.get(endpoint, 0) for endpoint in (Endpoint.VERIFY, Endpoint.PHONES))
            self._prices.observe(self._gone(settled), len(reply.contacts), *sent)
        known = settled.alone and settled.credits is not None
        self._last_alone = (permit.attempt, settled.credits or 0) if known else None
        return self._prices.correction()

    def _gone(self, settled: Settled) -> int | None:
        """Credits gone since the reading before, if both stood alone and nothing unknown came between."""
        if settled.between is None or settled.credits is None or self._last_alone is None:
            return None
        return self._last_alone[1] - settled.credits
