"""HubSpot's contacts API as bytes: paths, bodies, and what its answers mean. No socket.

Followed: the public reference of the CRM objects, properties and lists API (v3 and the dated versions), its usage
limits and its error bodies, all of whose fields are optional.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from pipeline.sinks.hubspot_rules import Property, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.sinks.hubspot_rules import Step

EXISTING: Final = re.compile(r"Existing ID:\s*(\d+)")
MERGED_IDS: Final = "hs_merged_object_ids"
OTHER_ADDRESSES: Final = "hs_additional_emails"
ACCOUNT: Final = "/account-info/v3/details"
ONE_PAGE: Final = 250
"""Members of a list a call."""


class Means(StrEnum):
    """What an answer asks us to do."""

    READ = "read"  # 2xx, also 207
    SPLIT = "split"  # 400, 409: something in the batch is not taken
    GONE = "gone"  # 404
    SLOWER = "slower"  # 429 of the ten seconds
    TOMORROW = "tomorrow"  # 429 of the day
    LOCKED = "locked"  # 423: wait two seconds
    TOKEN = "token"  # noqa: S105 - 401
    SCOPE = "scope"  # 403
    DOWN = "down"  # 5xx, or nothing that can be read
    REDIRECT = "redirect"


STATUS: Final = {
    400: Means.SPLIT,
    401: Means.TOKEN,
    403: Means.SCOPE,
    404: Means.GONE,
    409: Means.SPLIT,
    423: Means.LOCKED,
}


class Answer(NamedTuple):
    """An answer understood: what it asks of us, and its body as far as it is an object."""

    means: Means
    body: dict[str, Any]


def understood(status: int, raw: bytes) -> Answer:
    """What an answer means."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    told = body if isinstance(body, dict) else {}
    if status == 429:  # noqa: PLR2004 - HTTP's number
        return Answer(Means.TOMORROW if told.get("policyName") == "DAILY" else Means.SLOWER, told)
    if 200 <= status < 300:  # noqa: PLR2004 - as above
        return Answer(Means.READ if isinstance(body, dict) else Means.DOWN, told)
    if 300 <= status < 400:  # noqa: PLR2004 - as above
        return Answer(Means.REDIRECT, told)
    default = Means.SPLIT if 400 <= status < 500 else Means.DOWN  # noqa: PLR2004 - as above
    return Answer(STATUS.get(status, default), told)


# --- paths and bodies ---------------------------------------------------------------------------------


def path(version: str, area: str, rest: str) -> str:
    """Where something lies: /crm/v3/objects/…, or /crm/objects/2026-03/…"""
    return f"/crm/v3/{area}/{rest}" if version == "v3" else f"/crm/{area}/{version}/{rest}"


def read_body(ids: Sequence[str], properties: Iterable[str], by: str | None = None) -> bytes:
    """Ask for contacts by record id, or by a property with unique values."""
    asked: dict[str, Any] = {"properties": [*properties], "inputs": [{"id": each} for each in ids]}
    return orjson.dumps(asked | ({"idProperty": by} if by else {}))


def write_body(steps: Sequence[Step], upsert: str | None = None) -> bytes:
    """Write contacts; each item is known again by its trace id, which also asks for one result an item."""
    return orjson.dumps({"inputs": [_input(n, step, upsert) for n, step in enumerate(steps)]})


def _input(n: int, step: Step, upsert: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"properties": step.fill, "objectWriteTraceId": str(n)}
    if step.record is not None:
        item["id"] = step.record
    elif upsert is not None:
        item |= {"id": step.fill[upsert], "idProperty": upsert}
    return item


# --- answers ------------------------------------------------------------------------------------------


def records(body: Mapping[str, Any]) -> list[Record]:
    """The contacts of an answer."""
    found = body.get("results")
    return [Record(str(one["id"]), _texts(one.get("properties"))) for one in found or () if "id" in one]


def _texts(properties: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (properties or {}).items() if value is not None}


def by_id(found: Iterable[Record]) -> dict[str, Record]:
    """Contacts by their id, and by the ids of those that were merged into them."""
    known: dict[str, Record] = {}
    for record in found:
        for each in (*_listed(record, MERGED_IDS), record.id):
            known[each] = record
    return known


def by_email(found: Iterable[Record]) -> dict[str, Record]:
    """Contacts by their addresses, without case; a contact may have several."""
    known: dict[str, Record] = {}
    for record in found:
        for each in (*_listed(record, OTHER_ADDRESSES), record.properties.get("email", "")):
            if each:
                known[each.casefold()] = record
    return known


def _listed(record: Record, name: str) -> list[str]:
    return [each.strip() for each in record.properties.get(name, "").split(";") if each.strip()]


class Written(NamedTuple):
    """What became of one item: its record, or why not."""

    record: str | None
    why: str = ""


def written(body: Mapping[str, Any], steps: Sequence[Step]) -> list[Written]:
    """What became of each item of a batch, also where some failed (207); one that is not told of was not taken."""
    places = {
        name: n for n, step in enumerate(steps) for name in (f"trace {n}", step.record, _address(step.fill)) if name
    }
    made: dict[int, Written] = {}
    for one in body.get("results") or ():
        names = (f"trace {one.get('objectWriteTraceId')}", str(one.get("id")), _address(one.get("properties") or {}))
        for n in [places[name] for name in names if name in places][:1]:
            made[n] = Written(str(one.get("id") or "") or None)
    for error in body.get("errors") or ():
        context = error.get("context") or {}
        names = (*(f"trace {each}" for each in context.get("objectWriteTraceId") or ()), *(context.get("ids") or ()))
        made |= {places[name]: refused(error) for name in names if name in places}
    return [made.get(n, SILENT) for n in range(len(steps))]


SILENT: Final = Written(None, "refused: HubSpot did not say why")


def _address(properties: Mapping[str, Any]) -> str | None:
    email = str(properties.get("email") or "")
    return f"email {email.casefold()}" if email else None


CODES: Final = re.compile(r'"error":\s*"([A-Z_]+)"')


def refused(error: Mapping[str, Any]) -> Written:
    """Why an item was refused, in HubSpot's own codes: its sentences may name the person."""
    message = str(error.get("message") or "")
    if existing := EXISTING.search(message):
        return Written(existing[1], "conflict")
    category = str(error.get("category") or "refused")
    if category == "OBJECT_NOT_FOUND":
        return Written(None, "missing")
    code = CODES.search(message)
    return Written(None, f"refused: {code[1] if code else category}")


def lacks_property(body: Mapping[str, Any]) -> str | None:
    """The property that is not in the portal (any more), if that is what an error is about."""
    found = re.search(r'Property \\?"([^"\\]+)\\?" does not exist', str(body.get("message") or ""))
    return found[1] if found else None


def missing_scopes(body: Mapping[str, Any]) -> str:
    """The scopes that a token lacks."""
    contexts = [body.get("context") or {}, *((error.get("context") or {}) for error in body.get("errors") or ())]
    names = ("requiredGranularScopes", "requiredScopes", "missingScopes")
    scopes = [str(each) for context in contexts for name in names for each in context.get(name) or ()]
    return ", ".join(dict.fromkeys(scopes))


def properties(body: Mapping[str, Any]) -> dict[str, Property]:
    """The portal's contact properties."""
    return {
        str(one["name"]): Property(
            str(one["name"]),
            unique=bool(one.get("hasUniqueValue")),
            read_only=bool((one.get("modificationMetadata") or {}).get("readOnlyValue")),
            options=frozenset(str(option.get("value")) for option in one.get("options") or ()),
        )
        for one in body.get("results") or ()
        if not one.get("archived")
    }


def members(body: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """A page of a list's record ids, and where the next begins."""
    ids = [str(one["recordId"]) for one in body.get("results") or ()]
    return ids, ((body.get("paging") or {}).get("next") or {}).get("after")
