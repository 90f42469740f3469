"""A HubSpot portal of the sandbox: who may call, how often, and which part of it a path means. No socket.

It follows the public reference of the contacts, properties and lists API: 100 items a call, the two rate limits
with their `policyName`, 207 for what failed in part, 403 that names the scopes, 423 for a locked portal.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.sandbox.hubspot_contacts import Contacts, Problem, trouble
from pipeline.sandbox.replies import JSON_TYPE, NO_REPLY, RawReply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeline.sandbox.world import World

READ: Final = "crm.objects.contacts.read"
WRITE: Final = "crm.objects.contacts.write"
SCHEMAS: Final = "crm.schemas.contacts.read"
LISTS: Final = "crm.lists.read"
SCOPES: Final = frozenset({READ, WRITE, SCHEMAS, LISTS})

TEN_SECONDS: Final = 10.0
DAY: Final = 86_400.0
_TOKEN: Final = re.compile(r"pat-\S+")
_PATH: Final = re.compile(r"/crm/(?:v3/(?P<v3>\w+)|(?P<dated>\w+)/\d{4}-\d{2})/(?P<rest>[\w/-]+)")
_MEMBERS: Final = re.compile(r"(\d+)/memberships")

NEEDED: Final = {"read": READ, "create": WRITE, "update": WRITE, "upsert": WRITE}

LOCKED, SERVER_ERROR, LOST, DOWN = "locked", "server_error", "lost", "down"
"""Faults for a script: 423; 500 before anything is done; done, and the answer lost; nobody listens."""


class HubSpotPortal:
    """One portal. What a test turns stands open: `contacts`, `lists`, `scopes`, the limits, `script`."""

    def __init__(self, now: Callable[[], float] = time.time, *, portal: int = 62515) -> None:
        self.contacts = Contacts(now)
        self.lists: dict[str, list[str]] = {}
        self.scopes = set(SCOPES)
        self.portal = portal
        self.daily_limit = 250_000
        self.ten_seconds_limit = 100
        self.script: deque[str | None] = deque()
        self.calls: list[str] = []
        """The path of every call that was let in."""
        self._now = now
        self._times: deque[float] = deque()

    def answer(self, method: str, path: str, query: Mapping[str, str], authorisation: str, raw: bytes) -> RawReply:
        """Answer one request."""
        try:
            self._let_in(authorisation)
            fault = self.script.popleft() if self.script else None
            if fault in (DOWN, SERVER_ERROR, LOCKED):
                return _failed(fault)
            self.calls.append(path)
            reply = self._served(method, path, query, raw)
        except Problem as problem:
            return problem.reply
        return NO_REPLY if fault == LOST else reply

    def _let_in(self, authorisation: str) -> None:
        scheme, _, token = authorisation.partition(" ")
        if scheme != "Bearer" or not _TOKEN.fullmatch(token):
            raise Problem(401, "INVALID_AUTHENTICATION", "Authentication credentials not found or not valid.")
        now = self._now()
        while self._times and self._times[0] <= now - DAY:
            self._times.popleft()
        lately = sum(at > now - TEN_SECONDS for at in self._times)
        for policy, used, limit in (
            ("DAILY", len(self._times), self.daily_limit),
            ("TEN_SECONDLY_ROLLING", lately, self.ten_seconds_limit),
        ):
            if used >= limit:
                told = {"errorType": "RATE_LIMIT", "policyName": policy}
                raise Problem(429, "RATE_LIMITS", f"You have reached your {policy.lower()} limit.", **told)
        self._times.append(now)

    def _served(self, method: str, path: str, query: Mapping[str, str], raw: bytes) -> RawReply:
        if (method, path) == ("GET", "/account-info/v3/details"):
            return json_reply({"portalId": self.portal, "accountType": "SANDBOX", "timeZone": "UTC"})
        found = _PATH.fullmatch(path)
        area, rest = (found["v3"] or found["dated"], found["rest"]) if found else ("", "")
        match method, area, rest.rpartition("/"):
            case "GET", "properties", (_, _, "contacts"):
                self._needs(SCHEMAS)
                return json_reply({"results": list(self.contacts.properties.values())})
            case "POST", "objects", ("contacts/batch", _, kind) if kind in NEEDED:
                self._needs(NEEDED[kind])
                done: RawReply = getattr(self.contacts, kind)(_object(raw))
                return done
            case "GET", "lists", (_, _, "memberships"):
                self._needs(LISTS)
                return self._members(rest, query)
        raise Problem(404, "OBJECT_NOT_FOUND", "There is nothing at this path.")

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            missing = [
                {"message": "One or more scopes are required.", "context": {"requiredGranularScopes": [scope]}}
            ]
            message = "This app hasn't been granted all required scopes to make this call."
            raise Problem(403, "MISSING_SCOPES", message, errors=missing)

    def _members(self, rest: str, query: Mapping[str, str]) -> RawReply:
        found = _MEMBERS.fullmatch(rest)
        if found is None or found[1] not in self.lists:
            raise Problem(404, "OBJECT_NOT_FOUND", "List does not exist.")
        limit, after = int(query.get("limit", "100")), int(query.get("after", "0"))
        if not 1 <= limit <= 250:  # noqa: PLR2004 - the reference's bound
            raise Problem(400, "VALIDATION_ERROR", "limit must be between 1 and 250")
        ids = self.lists[found[1]]
        told: dict[str, Any] = {"results": [{"recordId": each} for each in ids[after : after + limit]]}
        if after + limit < len(ids):
            told["paging"] = {"next": {"after": str(after + limit)}}
        return json_reply(told | {"total": len(ids)})

    def state(self) -> dict[str, Any]:
        """The portal's contacts, lists and limits as plain data."""
        return {
            "portal": self.portal,
            "contacts": list(self.contacts.records.values()),
            "lists": {name: len(ids) for name, ids in self.lists.items()},
            "calls_today": len(self._times),
            "daily_limit": self.daily_limit,
        }

    def furnish(self, world: World, companies: int = 8) -> None:
        """Put invented people into list 1, as a CRM has them: names and companies, and little else."""
        record_ids = []
        for n in range(companies):
            company = world.company(f"Northwind {n} Robotics")
            for person in company.people[:3]:
                names = {"firstname": person.first_name, "lastname": person.last_name}
                record_ids.append(self.contacts.add(**names, company=f"Northwind {n} Robotics"))
        self.lists["1"] = record_ids


def _failed(fault: str) -> RawReply:
    if fault == LOCKED:
        return RawReply(423, orjson.dumps(trouble("LOCKED", "The portal is locked; wait two seconds.")), JSON_TYPE)
    return NO_REPLY if fault == DOWN else json_reply(trouble("SERVER_ERROR", "internal error"), 500)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Problem(400, "VALIDATION_ERROR", "Invalid input JSON")
    return body
