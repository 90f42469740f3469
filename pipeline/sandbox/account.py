"""What the server decides about a request, without a socket in sight: door, quota, fault, answer, purse."""

from __future__ import annotations

import math
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from random import Random
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.model import Endpoint
from pipeline.sandbox.answers import answer
from pipeline.sandbox.faults import INSTEAD, SPOILT, Good
from pipeline.sandbox.meters import CreditMeter, QuotaMeter
from pipeline.sandbox.options import Fault
from pipeline.sandbox.replies import JSON_TYPE, NO_REPLY, RawReply, Refused, json_reply, refusal
from pipeline.sandbox.world import ACCEPTED, World

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.sandbox.journal import LogEntry
    from pipeline.sandbox.options import SandboxOptions

_LIKELY_KEY: Final = re.compile(r"lc_(?:test|live)_\S+")
_LEAKED_KEY: Final = re.compile(rb'"authorization"\s*:|\blc_(?:test|live)_\w', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as decisions need it; `body` is None if the bytes are not JSON."""

    endpoint: Endpoint
    path: str
    authorisation: str
    content_type: str
    raw: bytes
    body: Any
    malformed: bool


class Account:
    """One customer at the server: options in force, both meters, and the faults in store for them."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.world = World(options.seed)
        self.quota = QuotaMeter()
        self.credits = CreditMeter(options.credits)
        self.script: deque[Fault | None] = deque()
        self._rng = Random(options.seed)
        self._greylisted: dict[str, float] = {}

    def change(self, changes: dict[str, object]) -> None:
        """Put changed options in force. Raises pydantic's ValidationError and changes nothing."""
        self.options = self.options.changed(changes)
        if "credits" in changes:
            self.credits.set(self.options.credits)
        if "seed" in changes:
            self.world, self._rng = World(self.options.seed), Random(self.options.seed)

    def line_up(self, faults: Iterable[Fault | None]) -> None:
        """Say what happens to the next requests, one each; None is an ordinary answer."""
        self.script.extend(None if fault is None else Fault(fault) for fault in faults)

    def latency(self) -> float:
        """Draw how long the next answer takes, in seconds."""
        latency = self.options.latency
        return self._rng.uniform(*latency) if isinstance(latency, tuple) else latency

    def denial(self, asked: Asked) -> RawReply | None:
        """Tell why the key opens nothing; None for one that is accepted."""
        scheme, _, key = asked.authorisation.partition(" ")
        wanted = self.options.key
        accepted = key == wanted if wanted is not None else _LIKELY_KEY.fullmatch(key)
        if scheme != "Bearer" or not accepted:
            return refusal(401, "The API key is missing or not valid.")
        return refusal(403, "The account is closed.") if self.options.forbidden else None

    def decide(self, asked: Asked, entry: LogEntry, denied: RawReply | None) -> RawReply:
        """Turn a request into its reply; counts it, charges it, and notes its fault in `entry`."""
        if self._key_leaked(asked):
            return refusal(400, "The API key belongs in the Authorization header and nowhere else.")
        if denied:
            return denied
        if not self.quota.take(self.options, entry.at):
            return self._quota_is_spent(entry.at)
        entry.fault = self._due_fault(asked.endpoint)
        if entry.fault in INSTEAD or entry.fault is Fault.DROP:
            return self._fail(asked, entry.fault, entry.at)
        return self._serve(asked, entry)

    def settle(self, entry: LogEntry) -> None:
        """Give a failed request back to the quota if failures do not count."""
        if not self.options.count_failures and not entry.is_ok:
            self.quota.give_back(entry.at)

    def _key_leaked(self, asked: Asked) -> bool:
        key = self.options.key
        places = asked.raw + b"\n" + asked.path.encode()
        return bool(_LEAKED_KEY.search(places)) or (key is not None and key.encode() in places)

    def _quota_is_spent(self, now: float) -> RawReply:
        opens = self.quota.opens_at(self.options, now)
        told = {
            "seconds": {"Retry-After": str(max(1, math.ceil(opens - now)))},
            "date": {"Retry-After": formatdate(math.ceil(opens + self.options.date_skew), usegmt=True)},
            "none": {},
        }
        return refusal(429, "The daily request limit is reached.", told[self.options.retry_after])

    def _due_fault(self, endpoint: Endpoint) -> Fault | None:
        if self.options.fault_endpoint not in (None, endpoint):
            return None
        if self.script:
            return self.script.popleft()
        return self._fault_by_chance() if self.options.faults else None

    def _fault_by_chance(self) -> Fault | None:
        roll = self._rng.random()
        for fault, probability in self.options.faults.items():
            roll -= probability
            if roll < 0:
                return fault
        return None

    def _fail(self, asked: Asked, fault: Fault, now: float) -> RawReply:
        if self.options.charge_failures:
            with suppress(Refused):
                self._charged_answer(asked, now)
        instead = INSTEAD.get(fault)
        return instead(self.options, asked.path.partition("?")[0]) if instead else NO_REPLY

    def _serve(self, asked: Asked, entry: LogEntry) -> RawReply:
        if asked.content_type != JSON_TYPE:
            return refusal(415, f"Content-Type must be {JSON_TYPE}.")
        if asked.malformed:
            return refusal(400, "The body is not JSON.")
        try:
            value = self._charged_answer(asked, entry.at)
        except Refused as no:
            return no.reply
        if entry.fault in SPOILT:
            return SPOILT[entry.fault](Good(asked.endpoint, value, self.world, self.options))
        return json_reply(value)

    def _charged_answer(self, asked: Asked, now: float) -> dict[str, Any]:
        """Build the whole answer and take its price; raises Refused if the body is bad or credits lack."""
        found = answer(self.world, asked.endpoint, asked.body, now)
        if not self.credits.charge(self.options.price(asked.endpoint, found.items)):
            raise Refused(402, "Not enough credits for this answer.")
        if asked.endpoint is Endpoint.SEARCH:
            found.data["credits_remaining"] = self.credits.left
        elif asked.endpoint is Endpoint.VERIFY and self.options.greylist_seconds is not None:
            self._perhaps_accept(found.data, now, self.options.greylist_seconds)
        return {"success": True, "data": found.data}

    def _perhaps_accept(self, data: dict[str, Any], now: float, patience: float) -> None:
        """Let a greylisted address in once it has waited long enough."""
        if data["smtp_response"].startswith("451"):
            first = self._greylisted.setdefault(data["email"], now)
            if now - first >= patience:
                data.update(is_deliverable=True, confidence_score=0.95, smtp_response=ACCEPTED)


def read(endpoint: Endpoint, path: str, authorisation: str, content_type: str, raw: bytes) -> Asked:
    """Gather a request; a body that is not JSON is marked, not refused yet."""
    try:
        body, malformed = orjson.loads(raw), False
    except orjson.JSONDecodeError:
        body, malformed = None, True
    return Asked(endpoint, path, authorisation, content_type, raw, body, malformed)
