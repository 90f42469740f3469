"""HubSpot's answers as bytes: what they ask of us, and what became of each item."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from test_hubspot_rules import person

from pipeline.sinks.hubspot_rules import Action, Record, Step
from pipeline.sinks.hubspot_wire import (
    Means,
    Written,
    by_email,
    by_id,
    lacks_property,
    missing_scopes,
    path,
    read_body,
    refused,
    understood,
    write_body,
    written,
)


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        (200, {}, Means.READ),
        (207, {}, Means.READ),
        (200, [], Means.DOWN),
        (400, {}, Means.SPLIT),
        (409, {}, Means.SPLIT),
        (422, {}, Means.SPLIT),
        (401, {}, Means.TOKEN),
        (403, {}, Means.SCOPE),
        (404, {}, Means.GONE),
        (423, {}, Means.LOCKED),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, Means.SLOWER),
        (429, {}, Means.SLOWER),
        (429, {"policyName": "DAILY"}, Means.TOMORROW),
        (302, {}, Means.REDIRECT),
        (500, {}, Means.DOWN),
    ],
)
def test_what_an_answer_asks_of_us(status: int, body: Any, means: Means) -> None:
    """By its status, and of a 429 by its policy."""
    assert understood(status, orjson.dumps(body)).means is means


def test_a_page_of_html_means_that_they_are_down() -> None:
    """Whatever its status."""
    assert understood(200, b"<html>").means is Means.DOWN


def test_paths_of_both_kinds_of_versions() -> None:
    """The version stands at another place in each."""
    assert path("v3", "objects", "contacts/batch/read") == "/crm/v3/objects/contacts/batch/read"
    assert path("2026-03", "objects", "contacts/batch/read") == "/crm/objects/2026-03/contacts/batch/read"


def test_bodies_are_flat_and_traced() -> None:
    """The guide's list of property and value is a dead shape."""
    update = Step(person("1", "a@a.com"), Action.UPDATE, "7", {"phone": "1"})
    upsert = Step(person("2", "b@a.com"), Action.UPSERT, None, {"uid": "u"})
    assert orjson.loads(write_body([update]))["inputs"] == [
        {"properties": {"phone": "1"}, "objectWriteTraceId": "0", "id": "7"}
    ]
    assert orjson.loads(write_body([upsert], "uid"))["inputs"][0] | {} == {
        "properties": {"uid": "u"},
        "objectWriteTraceId": "0",
        "id": "u",
        "idProperty": "uid",
    }
    assert orjson.loads(read_body(["a@a.com"], ["phone"], "email"))["idProperty"] == "email"


def creations(*addresses: str) -> list[Step]:
    return [Step(person(each, each), Action.CREATE, None, {"email": each}) for each in addresses]


def test_items_are_told_apart_in_any_order_also_without_trace_ids() -> None:
    """By trace, else by record, else by address; one of which nothing is said was not taken."""
    steps = creations("a@a.com", "b@a.com", "c@a.com")
    body = {
        "results": [{"id": "9", "properties": {"email": "b@a.com"}}, {"id": "8", "objectWriteTraceId": "0"}],
    }
    assert [one.record for one in written(body, steps)] == ["8", "9", None]
    assert written(body, steps)[2].why == "refused: HubSpot did not say why"


def test_what_failed_in_part_is_told_by_item() -> None:
    """A conflict with whose it is; sentences that may name people are left out."""
    errors = [
        {"message": "Contact already exists. Existing ID: 55", "context": {"objectWriteTraceId": ["1"]}},
        {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["7"]}},
    ]
    steps = [*creations("a@a.com", "b@a.com"), Step(person("3", "c@a.com"), Action.UPDATE, "7", {"phone": "1"})]
    told = written({"results": [{"id": "1", "objectWriteTraceId": "0"}], "errors": errors}, steps)
    assert told == [Written("1"), Written("55", "conflict"), Written(None, "missing")]
    said = refused({"category": "VALIDATION_ERROR", "message": '[{"message":"j@a.com is","error":"INVALID_EMAIL"}]'})
    assert said == Written(None, "refused: INVALID_EMAIL")


def test_merged_contacts_go_by_all_their_ids_and_addresses() -> None:
    """Without case."""
    record = Record(
        "3", {"email": "A@a.com", "hs_additional_emails": "b@a.com; C@a.com", "hs_merged_object_ids": "1;2"}
    )
    assert set(by_id([record])) == {"1", "2", "3"}
    assert set(by_email([record])) == {"a@a.com", "b@a.com", "c@a.com"}


def test_errors_name_scopes_and_properties_wherever_they_stand() -> None:
    """All fields of an error are optional."""
    assert missing_scopes({"errors": [{"context": {"requiredGranularScopes": ["a", "b"]}}, {}]}) == "a, b"
    assert missing_scopes({"context": {"missingScopes": ["c"]}}) == "c"
    assert missing_scopes({}) == ""
    message = 'Property values were not valid: [{"message":"Property \\"nope\\" does not exist"}]'
    assert lacks_property({"message": message}) == "nope"
    assert lacks_property({}) is None
