"""What becomes of contacts in HubSpot, as a table: no portal, no socket."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.model import ContactLine, EmailLine, Enriched, PhoneLine, Status
from pipeline.sinks.contacts import BAD_RECORD, DUPLICATE, NO_ADDRESS, NOT_FOUND, UNSURE, Left, Person, Sure, outgoing
from pipeline.sinks.hubspot import HubSpot
from pipeline.sinks.hubspot_api import Api
from pipeline.sinks.hubspot_rules import DEFAULT, Action, Portal, Property, Record, decide, mapping, of

SURE = Sure(0.9, 0.9)
KNOWN = {name: Property(name) for name in DEFAULT}


def line(**changes: Any) -> Enriched:
    told: dict[str, Any] = {
        "row": 1,
        "lead_id": "h:1",
        "status": Status.ENRICHED,
        "input": {"Company Name": "Acme"},
        "contact": ContactLine(first_name="Jane", last_name="Smith", title="CEO", company="Acme"),
        "email": email(),
        "phone": PhoneLine(value="+1-555", e164="+1555", confidence=0.95, type="direct_dial", source="search"),
        "enriched_at": "2026-11-25T00:00:00Z",
    }
    return Enriched(**{**told, **changes})


def email(confidence: float | None = 0.95, *, deliverable: bool | None = None) -> EmailLine:
    return EmailLine(
        value="Jane@Acme.com",
        confidence=confidence,
        tier="x",
        deliverable=deliverable,
        source="search",
        checked_at=None,
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"email": None}, NO_ADDRESS),
        ({"email": email(0.89)}, UNSURE),
        ({"email": email(None)}, UNSURE),
        ({"email": email(0.99, deliverable=False)}, UNSURE),
        ({"status": Status.INVALID, "reason": "suppressed"}, NOT_FOUND),
        ({"status": Status.NOT_FOUND}, NOT_FOUND),
        ({"duplicate_of": 3}, DUPLICATE),
        ({"input": {"Record ID": "abc"}}, BAD_RECORD),
    ],
)
def test_what_stays_here(changes: dict[str, Any], why: Left) -> None:
    """And why."""
    assert outgoing(line(**changes), {}, SURE) == why


@pytest.mark.parametrize("told", [email(0.9), email(0.3, deliverable=True), email(None, deliverable=True)])
def test_an_address_that_is_sure_or_verified_may_leave(told: EmailLine) -> None:
    """An unsure number stays behind."""
    person = outgoing(line(email=told, phone=line().phone.model_copy(update={"confidence": 0.5})), {}, SURE)  # type: ignore[union-attr]
    assert isinstance(person, Person)
    assert "phone" not in person.fields
    assert person.fields["email"] == "jane@acme.com"


@pytest.mark.parametrize("header", ["Record ID", "hs_object_id", "Contact Record ID", "record-id"])
def test_hubspots_own_id_travels_through(header: str) -> None:
    """Under whatever its exports call it; of a prospect the row's id is the company's, and is not used."""
    person = outgoing(line(input={header: " 42 "}), {}, SURE)
    assert isinstance(person, Person)
    assert person.record == "42"


class Prospect(Enriched):
    contact_id: str


def test_a_prospect_is_found_and_its_rows_id_is_its_companys() -> None:
    """So it may be created, and never fills the record with that number."""
    told = Prospect(**line(input={"Record ID": "42"}).model_dump(), contact_id="c:7")
    person = outgoing(told, {}, SURE)
    assert isinstance(person, Person)
    assert (person.key, person.record, person.found) == ("c:7", None, True)


@pytest.mark.parametrize(
    ("record", "found", "create", "goes"),
    [("7", False, False, True), (None, True, False, True), (None, False, True, True), (None, False, False, False)],
)
def test_who_may_be_written_at_all(record: str | None, found: bool, create: bool, goes: bool) -> None:  # noqa: FBT001 - a table
    """By its id, as a prospect, or because it was said."""
    sink = HubSpot(Api(None, "v3", None), {}, create=create, upsert=None)  # type: ignore[arg-type]
    somebody = person("1", "j@a.com", record)._replace(found=found)
    assert (sink.refusal(somebody) is None) is goes


def person(key: str, address: str, record: str | None = None, **fields: str) -> Person:
    return Person(key, 1, address, {"email": address.lower(), **fields}, record, found=False, line=line())


def portal(*records: Record, **ids: str) -> Portal:
    found = {record.id: record for record in records}
    by_id = found | {old: found[new] for old, new in ids.items()}
    return Portal(by_id, {told.properties["email"]: told for told in records if "email" in told.properties})


def decided(
    people: list[Person], there: Portal, upsert: str | None = None
) -> list[tuple[Action, str | None, list[str]]]:
    steps = decide(people, there, DEFAULT | {"uid": "lead_id"}, upsert)
    return [(step.action, step.record, sorted(step.fill)) for step in steps]


def test_only_empty_properties_are_filled() -> None:
    """A blank one is empty."""
    there = portal(Record("7", {"email": "j@a.com", "firstname": "Kept", "lastname": " "}))
    told = decided([person("1", "J@A.com", first_name="Jane", last_name="Smith")], there)
    assert told == [(Action.UPDATE, "7", ["lastname"])]


def test_two_rows_of_one_record_are_one_write() -> None:
    """The second adds what the first lacked."""
    there = portal(Record("7", {}))
    people = [
        person("1", "j@a.com", "7", first_name="Jane"),
        person("2", "j@a.com", "7", first_name="No", title="CEO"),
    ]
    steps = decide(people, there, DEFAULT)
    (write,) = of(steps, Action.UPDATE)
    assert write.fill == {"email": "j@a.com", "firstname": "Jane", "jobtitle": "CEO"}
    assert steps[1].folded_into == "1"


def test_two_records_never_get_one_address() -> None:
    """Not in one batch either."""
    told = decided(
        [person("1", "j@a.com", "7"), person("2", "J@a.com", "8")], portal(Record("7", {}), Record("8", {}))
    )
    assert [action for action, _, _ in told] == [Action.UPDATE, Action.CONFLICT]


def test_upsert_is_for_rows_without_a_record_id() -> None:
    """Those with one are filled by it as ever."""
    people = [person("1", "j@a.com", "7", lead_id="u1"), person("2", "k@a.com", lead_id="u2")]
    told = decided(people, portal(Record("7", {})), "uid")
    assert told == [(Action.UPDATE, "7", ["email", "uid"]), (Action.UPSERT, None, ["email", "uid"])]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "1", "2", "9"])), max_size=8))
def test_no_batch_writes_a_record_or_an_address_twice(rows: list[tuple[str, str | None]]) -> None:
    """Whatever rows meet in it, each has one step."""
    people = [person(str(n), f"{who}@a.com", record) for n, (who, record) in enumerate(rows)]
    there = portal(Record("1", {"email": "a@a.com"}), Record("2", {}))
    steps = decide(people, there, DEFAULT)
    writes = of(steps, Action.UPDATE) + of(steps, Action.CREATE)
    created = [step.person.email for step in of(steps, Action.CREATE)]
    assert len(steps) == len(people)
    assert len({step.target for step in writes}) == len(writes)
    assert "a@a.com" not in created
    assert len(set(created)) == len(created)


# --- the mapping --------------------------------------------------------------------------------------


def test_the_lead_source_is_written_only_where_the_portal_has_it() -> None:
    """And where it takes our text."""
    assert mapping({}, KNOWN, None) == DEFAULT
    assert mapping({}, KNOWN | {"leadsource": Property("leadsource")}, None)["leadsource"] == "=LeadContact"
    closed = Property("leadsource", options=frozenset({"Web"}))
    assert "leadsource" not in mapping({}, KNOWN | {"leadsource": closed}, None)


def test_the_users_mapping_goes_over_ours() -> None:
    """A blank source leaves a property out."""
    told = mapping({"phone": "", "mobilephone": "phone"}, KNOWN | {"mobilephone": Property("mobilephone")}, None)
    assert "phone" not in told
    assert told["mobilephone"] == "phone"


@pytest.mark.parametrize(
    ("told", "upsert", "words"),
    [
        ({"jobtitle": "tittle"}, None, "filled from tittle, which is no field"),
        ({"seniority": "title"}, None, "seniority of the mapping is not in this portal"),
        ({"fixed": "title"}, None, "lets nobody write the property fixed"),
        ({"email": ""}, None, "leaves out email"),
        ({}, "email", "by a custom property with unique values"),
        ({}, "uid", "--upsert uid has no value to go by"),
    ],
)
def test_a_mapping_that_cannot_be(told: dict[str, str], upsert: str | None, words: str) -> None:
    """Said before anything is written."""
    known = KNOWN | {"fixed": Property("fixed", read_only=True), "uid": Property("uid", unique=True)}
    with pytest.raises(ConfigError, match=words):
        mapping(told, known, upsert)
