"""A plain receiver as a sink: signed batches of lines as JSON, each line with an id that stays if it is sent again.

A batch whose answer was lost is sent again: whoever receives it knows a line it has seen by `delivery`.
"""

from __future__ import annotations

import asyncio
import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.errors import Ambiguous, ConfigError, KeyRefused, NotSent, Unavailable
from pipeline.sinks.contacts import Delivered, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pipeline.sinks.contacts import Left, Person
    from pipeline.sinks.sending import Send

BATCH: Final = 100
WAITS: Final = (1.0, 2.0, 4.0)
LONGEST: Final = 60.0
"""Seconds: a Retry-After beyond it is a stop, not a pause."""

TOO_MUCH: Final = frozenset({400, 409, 413, 422})
"""Statuses that a smaller batch may not meet."""

AGAIN: Final = frozenset({408, 425, 429})


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 of "TIMESTAMP.BODY", as the header shows it."""
    return "v1=" + hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), sha256).hexdigest()


def payload(people: Sequence[Person]) -> list[dict[str, Any]]:
    """The lines of a batch, without how they were paid for."""
    return [{"delivery": _delivery(person), **_shown(person)} for person in people]


def _shown(person: Person) -> dict[str, Any]:
    shown: dict[str, Any] = person.line.model_dump(mode="json", exclude={"calls"})
    return shown


def _delivery(person: Person) -> str:
    return digest_of([person.key, _shown(person)]).hex()


class Webhook:
    """One receiver. `now` is the time that is signed (Unix seconds)."""

    batch = BATCH

    def __init__(self, send: Send, secret: str | None, now: Callable[[], float]) -> None:
        self._send = send
        self._secret = secret
        self._now = now

    async def open(self) -> str:
        """Nothing to look at."""
        return ""

    def refusal(self, _: Person) -> Left | None:
        """Whoever may leave may go to it."""
        return None

    def digest(self, person: Person) -> bytes:
        """What tells whether there is something new to send."""
        return digest_of(_shown(person))

    async def preview(self, people: Sequence[Person]) -> list[Delivered]:
        """All would be sent."""
        return [Delivered(person, "send") for person in people]

    async def deliver(self, people: Sequence[Person]) -> AsyncIterator[list[Delivered]]:
        """Send people; a batch that is refused as a whole is cut in half until it is known whose line it was."""
        todo = [people]
        while todo:
            batch = todo.pop()
            refused = await self._refused(batch)
            if refused is None:
                yield [Delivered(person, "sent") for person in batch]
            elif len(batch) == 1:
                yield [Delivered(batch[0], f"refused: status {refused}")]
            else:
                todo += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]

    async def _refused(self, batch: Sequence[Person]) -> int | None:
        """Send a batch until it is answered; the status if it was refused. Raises what ends a push."""
        lines = payload(batch)
        name = digest_of([line["delivery"] for line in lines]).hex()
        body = orjson.dumps({"schema_version": 1, "batch": name, "lines": lines})
        for wait in (*WAITS, None):
            status, words, asked = await self._once(body, name)
            if 200 <= status < 300:  # noqa: PLR2004 - HTTP's numbers
                return None
            if status in TOO_MUCH:
                return status
            _stop_if_final(status)
            if wait is None or asked > LONGEST:
                break
            await asyncio.sleep(max(wait, asked))
        raise Unavailable(
            f"The webhook's receiver is down ({words}).", "What was sent is noted; push again when it is up."
        )

    async def _once(self, body: bytes, name: str) -> tuple[int, str, float]:
        at = int(self._now())
        headers = {"X-LeadContact-Timestamp": str(at), "X-LeadContact-Delivery": name}
        if self._secret is not None:
            headers["X-LeadContact-Signature"] = signature(self._secret, at, body)
        try:
            raw = await self._send("POST", "", body, headers)
        except (NotSent, Ambiguous) as error:
            return 0, str(error), 0.0
        asked = raw.retry_after or ""
        return raw.status, f"status {raw.status}", float(asked) if asked.isdecimal() else 0.0


def _stop_if_final(status: int) -> None:
    """Raise for an answer that will be the same tomorrow."""
    if status in (401, 403):
        raise KeyRefused(
            f"The webhook's receiver refuses us (status {status}).",
            "Check that it knows the secret in LEADCONTACT_WEBHOOK_SECRET.",
        )
    if 300 <= status < 500 and status not in AGAIN:  # noqa: PLR2004 - HTTP's numbers
        raise ConfigError(f"Nothing receives at the webhook's address (status {status}).", "Check webhook_url.")
