"""The sandbox's HubSpot portal keeps to the public reference: what others rely on when they test against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from pipeline.sandbox import HubSpotPortal
from pipeline.sandbox.hubspot import LISTS, LOCKED, READ, SCHEMAS, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = "/crm/v3/objects/contacts/batch"


class Caller:
    def __init__(self, **settings: Any) -> None:
        self.now = 1_000_000.0
        self.portal = HubSpotPortal(lambda: self.now)
        self.portal.ten_seconds_limit = settings.get("ten", 100)
        self.portal.daily_limit = settings.get("day", 250_000)

    def post(
        self, kind: str, *inputs: dict[str, Any], base: str = OBJECTS, **more: Any
    ) -> tuple[int, dict[str, Any]]:
        return self.call("POST", f"{base}/{kind}", {"inputs": inputs, **more})

    def call(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, dict[str, Any]]:
        raw = orjson.dumps(body) if body is not None else b""
        reply = self.portal.answer(method, path, query, "Bearer pat-x", raw)
        return reply.status, orjson.loads(reply.body)


@pytest.fixture
def caller() -> Caller:
    return Caller()


def new(email: str, trace: str | None = None, **more: str) -> dict[str, Any]:
    item: dict[str, Any] = {"properties": {"email": email, **more}}
    return item | ({"objectWriteTraceId": trace} if trace else {})


def test_a_batch_without_trace_ids_fails_whole_for_one_contact_there_is(caller: Caller) -> None:
    """With the wording, and the id, that others rely on; without case."""
    known = caller.portal.contacts.add(email="J@a.com")
    status, body = caller.post("create", new("j@A.com"))
    assert (status, body["category"]) == (409, "CONFLICT")
    assert body["message"] == f"Contact already exists. Existing ID: {known}"


def test_with_trace_ids_each_item_is_answered(caller: Caller) -> None:
    """207; one address twice in a batch is the same conflict."""
    status, body = caller.post("create", new("a@a.com", "x"), new("A@a.com", "y"), new("b@a.com", "z"))
    assert status == 207
    assert [one["objectWriteTraceId"] for one in body["results"]] == ["x", "z"]
    assert body["errors"][0]["context"] == {"objectWriteTraceId": ["y"]}
    assert body["numErrors"] == 1


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"email": "nobody"}, "INVALID_EMAIL"),
        ({"email": "j@a.com", "nope": "x"}, "PROPERTY_DOESNT_EXIST"),
        ({"email": "j@a.com", "hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ([{"property": "email", "value": "j@a.com"}], "flat strings"),
    ],
)
def test_one_value_that_cannot_be_fails_the_batch(caller: Caller, properties: Any, words: str) -> None:
    """400, and nothing of it is written; the guide's own dead shape too."""
    status, body = caller.post(
        "create", new("good@a.com", "1"), {"properties": properties, "objectWriteTraceId": "2"}
    )
    assert (status, body["category"]) == (400, "VALIDATION_ERROR")
    assert words in body["message"]
    assert not caller.portal.contacts.records


def test_at_most_a_hundred_a_call_and_no_id_twice(caller: Caller) -> None:
    """400 for the call."""
    assert caller.post("create", *(new(f"{n}@a.com") for n in range(101)))[0] == 400
    one = caller.portal.contacts.add(email="a@a.com")
    assert caller.post("read", {"id": one}, {"id": one})[0] == 400
    assert caller.post("update", *[{"id": one, "properties": {}}] * 2)[0] == 400
    assert caller.call("POST", f"{OBJECTS}/read", {"inputs": []})[0] == 400


def test_reading_by_email_finds_second_addresses_and_names_who_is_missing(caller: Caller) -> None:
    """Under the dated paths too; what was merged leads to where it is now."""
    contacts = caller.portal.contacts
    first, second = contacts.add(email="a@a.com"), contacts.add(email="b@a.com", phone="1")
    merged = contacts.merge(first, second)
    dated = "/crm/objects/2026-03/contacts/batch"
    status, body = caller.post("read", {"id": "B@a.com"}, {"id": "c@a.com"}, base=dated, idProperty="email")
    assert (status, body["results"][0]["id"]) == (207, merged)
    assert body["errors"][0]["context"] == {"ids": ["c@a.com"]}
    asked = ["phone", "hs_merged_object_ids"]
    status, body = caller.post("read", {"id": first}, properties=asked)
    assert (status, body["results"][0]["id"]) == (200, merged)
    assert body["results"][0]["properties"]["hs_merged_object_ids"] == f"{first};{second}"
    assert body["results"][0]["properties"]["phone"] == "1"


def test_updates_are_answered_one_by_one(caller: Caller) -> None:
    """A record that is gone, an address of another."""
    contacts = caller.portal.contacts
    one, two = contacts.add(email="a@a.com"), contacts.add(firstname="B")
    told = [{"id": two, "properties": {"email": "A@a.com"}}, {"id": "9", "properties": {}}]
    status, body = caller.post("update", {"id": one, "properties": {"phone": "1"}}, *told)
    assert status == 207
    assert [error["category"] for error in body["errors"]] == ["CONFLICT", "OBJECT_NOT_FOUND"]
    assert contacts.records[one]["phone"] == "1"


def test_upsert_is_by_a_custom_unique_property_alone(caller: Caller) -> None:
    """By e-mail it is refused."""
    caller.portal.contacts.define("uid", unique=True)
    item = {"id": "7", "idProperty": "uid", "properties": {"email": "a@a.com", "uid": "7"}}
    assert caller.post("upsert", item)[0] == 200
    assert caller.post("upsert", item | {"properties": {"firstname": "J"}})[0] == 200
    (record,) = caller.portal.contacts.records.values()
    assert (record["firstname"], record["email"]) == ("J", "a@a.com")
    assert caller.post("upsert", item | {"idProperty": "email"})[0] == 400


def test_both_rate_limits_name_their_policy() -> None:
    """The ten seconds pass, the day does not."""
    caller = Caller(ten=1, day=2)
    details = ("GET", "/account-info/v3/details")
    assert caller.call(*details)[0] == 200
    assert caller.call(*details)[1]["policyName"] == "TEN_SECONDLY_ROLLING"
    caller.now += 11
    assert caller.call(*details)[0] == 200
    caller.now += 11
    status, body = caller.call(*details)
    assert (status, body["policyName"], body["errorType"]) == (429, "DAILY", "RATE_LIMIT")


@pytest.mark.parametrize("scope", [READ, WRITE, SCHEMAS, LISTS])
def test_a_scope_that_is_missing_is_named(caller: Caller, scope: str) -> None:
    """403 with its category."""
    caller.portal.lists["1"] = []
    calls: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
        READ: lambda: caller.post("read", {"id": "1"}),
        WRITE: lambda: caller.post("create", new("a@a.com")),
        SCHEMAS: lambda: caller.call("GET", "/crm/properties/2026-03/contacts"),
        LISTS: lambda: caller.call("GET", "/crm/v3/lists/1/memberships"),
    }
    caller.portal.scopes.discard(scope)
    status, body = calls[scope]()
    assert (status, body["category"]) == (403, "MISSING_SCOPES")
    assert body["errors"][0]["context"]["requiredGranularScopes"] == [scope]
    assert [call()[0] for name, call in calls.items() if name != scope].count(403) == 0


def test_a_lists_members_come_in_pages(caller: Caller) -> None:
    """In the order of the list, with where the next page begins."""
    caller.portal.lists["5"] = [str(n) for n in range(7)]
    status, first = caller.call("GET", "/crm/v3/lists/5/memberships", limit="5")
    assert (status, len(first["results"]), first["paging"]["next"]["after"]) == (200, 5, "5")
    assert "paging" not in caller.call("GET", "/crm/v3/lists/5/memberships", limit="5", after="5")[1]
    assert caller.call("GET", "/crm/v3/lists/6/memberships")[0] == 404
    assert caller.call("GET", "/crm/v3/lists/5/memberships", limit="251")[0] == 400


def test_the_door(caller: Caller) -> None:
    """No token, no path, no JSON, a locked portal."""
    assert caller.portal.answer("GET", "/account-info/v3/details", {}, "Bearer lc_x", b"").status == 401
    assert caller.call("GET", "/crm/v3/objects/deals")[0] == 404
    assert caller.portal.answer("POST", f"{OBJECTS}/read", {}, "Bearer pat-x", b"{").status == 400
    caller.portal.script.append(LOCKED)
    assert caller.post("read", {"id": "1"})[0] == 423
