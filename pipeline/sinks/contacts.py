"""Which lines may leave for another system, and what of them: the same for every sink."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import orjson

from pipeline.columns import fold
from pipeline.model import Status
from pipeline.normalize import lead_of, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from pipeline.model import Enriched

RECORD_ID: Final = frozenset({"recordid", "contactrecordid", "hsobjectid", "hubspotid", "hubspotcontactid"})
"""Headers, folded, under which HubSpot's own id of a contact travels through."""

CONTACT_FIELDS: Final = ("first_name", "last_name", "title", "department", "company")
IDENTITY: Final = ("email", "first_name", "last_name", "company")
PUSHABLE: Final = (Status.ENRICHED, Status.PARTIAL)


class Sure(NamedTuple):
    """From where on an address, and a number, is sure enough to leave."""

    email: float
    phone: float


class Person(NamedTuple):
    """Somebody who may leave: `key` tells their line from all others of the job, `fields` is what is known of them.

    `record` is the id that the row brought from HubSpot; `found`: a search found them, no row of a list names them.
    """

    key: str
    row: int
    email: str
    fields: dict[str, str]
    record: str | None
    found: bool
    line: Enriched


class Delivered(NamedTuple):
    """What became of one person at a sink, or would: the record over there, and the properties written."""

    person: Person
    result: str
    record: str | None = None
    properties: tuple[str, ...] = ()


class Left(NamedTuple):
    """A line that stays here, and why."""

    why: str


class Sink(Protocol):
    """Another system that takes contacts."""

    batch: int

    async def open(self) -> str:
        """Look at it; returns whose it is."""
        ...

    def refusal(self, person: Person) -> Left | None:
        """Why somebody is not for it."""
        ...

    def digest(self, person: Person) -> bytes:
        """What tells whether there is something new to push."""
        ...

    async def preview(self, people: Sequence[Person]) -> list[Delivered]:
        """What would become of people."""
        ...

    def deliver(self, people: Sequence[Person]) -> AsyncIterator[list[Delivered]]:
        """Write people; what became of them, call by call."""
        ...


NO_ADDRESS: Final = Left("no e-mail")
UNSURE: Final = Left("e-mail not sure enough")
DUPLICATE: Final = Left("duplicate row")
NOT_FOUND: Final = Left("nothing found")
BAD_RECORD: Final = Left("Record ID is not a number")


def outgoing(line: Enriched, columns: Mapping[str, str], sure: Sure) -> Person | Left:
    """Whether the line may leave, and what of it. An address counts if it is sure enough or verified."""
    if line.status not in PUSHABLE:
        return NOT_FOUND
    if line.duplicate_of is not None:
        return DUPLICATE
    email = line.email
    if email is None:
        return NO_ADDRESS
    if email.deliverable is False or not (email.deliverable or (email.confidence or 0.0) >= sure.email):
        return UNSURE
    contact_id = getattr(line, "contact_id", None)
    record = None if contact_id else record_of(line.input)
    if record is not None and not record.isdecimal():
        return BAD_RECORD
    key, fields = contact_id or line.lead_id, _fields(line, columns, sure)
    return Person(key, line.row, email.value, fields, record, found=contact_id is not None, line=line)


def filled_subject(person: Person, columns: Mapping[str, str]) -> bytes:
    """The subject a row has when its list is exported again, with its blanks filled: no change of the lead's."""
    told = person.line.input
    blank = [name for name in IDENTITY if name in columns and not str(told.get(columns[name]) or "").strip()]
    return read({**told, **{columns[name]: person.fields.get(name, "") for name in blank}}, columns).what.subject


def record_of(values: Mapping[str, Any]) -> str | None:
    """The id of HubSpot's that a row brought along; None if it brought none."""
    told = (str(value or "").strip() for name, value in values.items() if fold(name) in RECORD_ID)
    return next(filter(None, told), None)


def _fields(line: Enriched, columns: Mapping[str, str], sure: Sure) -> dict[str, str]:
    """What is known: of the contact, else what the row itself said."""
    contact, lead, email, phone = line.contact, lead_of(line.row, line.input, columns), line.email, line.phone
    known = {name: getattr(contact, name, None) or getattr(lead, name, None) for name in CONTACT_FIELDS}
    if email is not None:
        known |= {"email": email.value.lower(), "email_tier": email.tier, "email_confidence": email.confidence}
    if phone is not None and (phone.confidence or 0.0) >= sure.phone:
        known |= {"phone": phone.e164 or phone.value, "phone_type": phone.type}
    known |= {"lead_id": line.lead_id, "contact_id": getattr(line, "contact_id", None)}
    return {name: str(value) for name, value in known.items() if value not in (None, "")}


FIELDS: Final = (
    *CONTACT_FIELDS,
    *("email", "email_tier", "email_confidence", "phone", "phone_type", "lead_id", "contact_id"),
)
"""What a mapping may name."""


def digest_of(value: object) -> bytes:
    """The hash of what is pushed: if a line says something else later, it is pushed again."""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def chunks(people: Iterable[Person], size: int) -> Iterator[list[Person]]:
    """Take them so many at a time."""
    chunk: list[Person] = []
    for person in people:
        chunk.append(person)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
