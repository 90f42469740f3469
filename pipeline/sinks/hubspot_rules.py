"""What is to become of contacts in HubSpot: created, filled up, or left alone. Pure: no socket, no clock.

The rules, in their order:
- a row that brought a record id is updated by that id and never created; a record that is gone stays gone;
- an address that belongs to another record is a conflict, and nothing is written;
- a row without one is that of the record with its address; if there is none it is created, where that is allowed;
- only empty properties are filled; two rows of one record, or of one address, are folded into one write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from pipeline.errors import ConfigError
from pipeline.sinks.contacts import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeline.sinks.contacts import Person

BATCH: Final = 100
"""The most records of one call."""

DEFAULT: Final = {
    "email": "email",
    "firstname": "first_name",
    "lastname": "last_name",
    "phone": "phone",
    "jobtitle": "title",
    "company": "company",
}
"""HubSpot property -> our field."""

LEAD_SOURCES: Final = ("leadsource", "lead_source", "hs_lead_source")
LEAD_SOURCE: Final = "=LeadContact"
"""Portals name it as they like, or have none; written only where one of these is there."""


class Action(StrEnum):
    """What is done with a contact."""

    CREATE = "create"
    UPDATE = "update"
    UPSERT = "upsert"
    UNCHANGED = "unchanged"
    CONFLICT = "conflict"
    MISSING = "missing"


DONE: Final = {Action.CREATE: "created", Action.UPDATE: "updated", Action.UPSERT: "updated"}
"""How a written action is called afterwards; the others keep their name."""


class Record(NamedTuple):
    """A contact as the portal has it."""

    id: str
    properties: dict[str, str]


class Step(NamedTuple):
    """What is to be done for one person: at which record, and which properties are written."""

    person: Person
    action: Action
    record: str | None = None
    fill: dict[str, str] = {}  # noqa: RUF012 - never changed
    folded_into: str | None = None
    """The key of another person whose step carries what this one would have written."""

    @property
    def target(self) -> str:
        """What is written to: a record, or the address of one to come."""
        return self.record or f"new {self.person.email.casefold()}"


@dataclass(slots=True)
class Portal:
    """What is known of the records that a batch may touch; grows with what the batch is going to write."""

    by_id: dict[str, Record]
    by_email: dict[str, Record]
    steps: dict[str, Step] = field(default_factory=dict)


def decide(
    people: Sequence[Person], portal: Portal, wanted: Mapping[str, str], upsert: str | None = None
) -> list[Step]:
    """Say what becomes of each person of a batch. `upsert` names the property by which the unknown are written."""
    values = ((person, properties_of(person, wanted)) for person in people)
    return [_upserted(person, portal, told, upsert) or _decided(person, portal, told) for person, told in values]


def _upserted(person: Person, portal: Portal, values: dict[str, str], upsert: str | None) -> Step | None:
    if upsert is None or person.record is not None or upsert not in values:
        return None
    target = f"{upsert} {values[upsert]}"
    if before := portal.steps.get(target):
        before.fill.update({name: value for name, value in values.items() if name not in before.fill})
        return Step(person, Action.UPSERT, folded_into=before.person.key)
    portal.steps[target] = step = Step(person, Action.UPSERT, None, values)
    return step


def _decided(person: Person, portal: Portal, values: dict[str, str]) -> Step:
    address = person.email.casefold()
    owner = portal.by_email.get(address)
    record = owner if person.record is None else portal.by_id.get(person.record)
    if record is None:
        return _created(person, portal, values) if person.record is None else Step(person, Action.MISSING)
    if owner is not None and owner.id != record.id:
        return Step(person, Action.CONFLICT, owner.id)
    return _filled(person, portal, record, values)


def _created(person: Person, portal: Portal, values: dict[str, str]) -> Step:
    new = Record("", dict(values))
    portal.by_email[person.email.casefold()] = new
    step = Step(person, Action.CREATE, None, new.properties)
    portal.steps[step.target] = step
    return step


def _filled(person: Person, portal: Portal, record: Record, values: dict[str, str]) -> Step:
    fill = {name: value for name, value in values.items() if not (record.properties.get(name) or "").strip()}
    portal.by_email.setdefault(person.email.casefold(), record)
    record.properties.update(fill)
    step = Step(person, Action.UPDATE, record.id or None, fill)
    if before := portal.steps.get(step.target):
        before.fill.update(fill)
        return Step(person, before.action, record.id or None, folded_into=before.person.key)
    if not fill:
        return Step(person, Action.UNCHANGED, record.id)
    portal.steps[step.target] = step
    return step


def halves(steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
    """Cut a batch that was refused as a whole; of a single step the second half is empty."""
    middle = (len(steps) + 1) // 2
    return steps[:middle], steps[middle:]


# --- the mapping --------------------------------------------------------------------------------------


class Property(NamedTuple):
    """A property of the portal's contacts."""

    name: str
    unique: bool = False
    read_only: bool = False
    options: frozenset[str] = frozenset()


def mapping(told: Mapping[str, str], known: Mapping[str, Property], upsert: str | None) -> dict[str, str]:
    """The properties to write and where each comes from: the user's over ours. Raises ConfigError."""
    ours = DEFAULT | {name: LEAD_SOURCE for name in LEAD_SOURCES if _takes(known.get(name), LEAD_SOURCE[1:])}
    wanted = {name: source for name, source in (ours | dict(told)).items() if source}
    for name, source in wanted.items():
        _check(name, source, known)
    if wanted.get("email") != "email":
        raise ConfigError(
            "The mapping of HubSpot properties leaves out email, by which contacts are known.",
            'Take email out of [hubspot.properties], or write email = "email".',
        )
    if upsert is not None:
        _check_upsert(upsert, wanted, known)
    return wanted


def _takes(there: Property | None, value: str) -> bool:
    return there is not None and not there.read_only and (not there.options or value in there.options)


def _check(name: str, source: str, known: Mapping[str, Property]) -> None:
    if source not in FIELDS and not source.startswith(("=", "input:")):
        raise ConfigError(
            f"The HubSpot property {name} is to be filled from {source}, which is no field.",
            f"Fields: {', '.join(FIELDS)}; input:COLUMN for a column of your list, =TEXT for a text.",
        )
    if name not in known:
        raise ConfigError(
            f"The HubSpot property {name} of the mapping is not in this portal: deleted, or misspelt.",
            f"Nothing was written. Create it in HubSpot, or take {name} out of [hubspot.properties]"
            f"{f' (with {name} = {chr(34)}{chr(34)})' if name in DEFAULT else ''}.",
        )
    if known[name].read_only:
        raise ConfigError(f"HubSpot lets nobody write the property {name}.", "Take it out of [hubspot.properties].")


def _check_upsert(upsert: str, wanted: Mapping[str, str], known: Mapping[str, Property]) -> None:
    if upsert == "email" or upsert not in known or not known[upsert].unique:
        raise ConfigError(
            f"--upsert {upsert}: HubSpot upserts by a custom property with unique values, and by no other.",
            "Create one in HubSpot (unique values required), or leave --upsert out: contacts are known by e-mail.",
        )
    if upsert not in wanted:
        how = f'{upsert} = "contact_id"'
        raise ConfigError(
            f"--upsert {upsert} has no value to go by.", f"Say where it comes from: {how} in [hubspot.properties]."
        )


def properties_of(person: Person, wanted: Mapping[str, str]) -> dict[str, str]:
    """A person's properties; what is not known is left out."""
    found = ((name, _value(person, source)) for name, source in wanted.items())
    return {name: value for name, value in found if value}


def _value(person: Person, source: str) -> str:
    if source.startswith("="):
        return source[1:]
    if source.startswith("input:"):
        cell = person.line.input.get(source.removeprefix("input:"))
        return "" if cell is None else str(cell).strip()
    return person.fields.get(source, "")


def of(steps: Iterable[Step], action: Action) -> list[Step]:
    """The steps that are written in this way, each target once."""
    return [step for step in steps if step.action is action and step.folded_into is None]
