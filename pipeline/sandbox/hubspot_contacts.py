"""The contacts of the HubSpot emulator: properties, records, merges, and what its batch calls do with them."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.protocol import iso
from pipeline.sandbox.replies import RawReply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

BATCH: Final = 100
ADDRESS: Final = re.compile(r"[^@\s,;<>()]+@(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE)
STANDARD: Final = {
    "email": "Email",
    "firstname": "First Name",
    "lastname": "Last Name",
    "phone": "Phone Number",
    "jobtitle": "Job Title",
    "company": "Company Name",
    "website": "Website URL",
}
READ_ONLY: Final = ("hs_object_id", "createdate", "lastmodifieddate", "hs_merged_object_ids", "hs_additional_emails")


class Problem(Exception):
    """A call that is refused as a whole, with the reply that says why."""

    def __init__(self, status: int, category: str, message: str, **more: object) -> None:
        self.reply = json_reply(trouble(category, message, **more), status)
        super().__init__(category)


def trouble(category: str, message: str, **more: object) -> dict[str, Any]:
    """An error's body, as the reference shows it."""
    return {
        "status": "error",
        "message": message,
        "correlationId": str(uuid.UUID(int=0)),
        "category": category,
        **more,
    }


class Contacts:
    """A portal's contacts. Addresses are unique without case, over the secondary ones too."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.records: dict[str, dict[str, str]] = {}
        self.properties: dict[str, dict[str, Any]] = {}
        self.written: list[tuple[str, int]] = []
        """Every batch write that was carried out: its kind and how many records it touched."""
        self.refused: set[str] = set()
        """Addresses that count as invalid, however they look: nobody knows all that HubSpot minds."""
        self._merged: dict[str, str] = {}
        self._now = now
        self._last = 100
        for name, label in STANDARD.items():
            self.define(name, label)
        for name in READ_ONLY:
            self.define(name, name, read_only=True)

    # --- what a test or an operator does ---

    def define(self, name: str, label: str = "", *, unique: bool = False, read_only: bool = False) -> None:
        """Make a property."""
        self.properties[name] = {
            "name": name,
            "label": label or name,
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": unique,
            "options": [],
            "archived": False,
            "modificationMetadata": {"readOnlyValue": read_only, "archivable": True},
        }

    def add(self, **properties: str) -> str:
        """Make a contact; returns its id."""
        self._last += 1
        record, at = str(self._last), iso(self._now())
        kept = {name: value for name, value in properties.items() if value}
        kept |= {"email": kept["email"].lower()} if "email" in kept else {}
        self.records[record] = kept | {"hs_object_id": record, "createdate": at, "lastmodifieddate": at}
        return record

    def merge(self, first: str, second: str) -> str:
        """Merge two contacts into a third, as HubSpot does: both old ids lead to it."""
        old = [self.records.pop(each) for each in (first, second)]
        both = {**old[1], **{name: value for name, value in old[0].items() if value}}
        emails = [each["email"] for each in old[1:] if each.get("email") and each["email"] != both.get("email")]
        merged = self.add(**{name: value for name, value in both.items() if name not in READ_ONLY})
        told = {"hs_merged_object_ids": f"{first};{second}", "hs_additional_emails": ";".join(emails)}
        self.records[merged] |= {name: value for name, value in told.items() if value}
        self._merged |= {first: merged, second: merged}
        return merged

    def owner(self, email: str) -> str | None:
        """The contact that an address belongs to."""
        wanted = email.strip().lower()
        return next((record for record, told in self.records.items() if wanted in _addresses(told)), None)

    # --- batch calls ---

    def read(self, body: dict[str, Any]) -> RawReply:
        """POST …/batch/read: by id, or by a property with unique values."""
        by, wanted = body.get("idProperty"), body.get("properties") or []
        ids = [str(each.get("id")) for each in _inputs(body)]
        _refuse_repeated(ids)
        found = {each: self._find(each, by) for each in ids}
        shown = dict.fromkeys(record for record in found.values() if record is not None)
        gone = [each for each, record in found.items() if record is None]
        missing = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
        errors = [trouble("OBJECT_NOT_FOUND", missing, context={"ids": gone})] if gone else []
        return self._batch([self._shown(record, wanted) for record in shown], errors)

    def create(self, body: dict[str, Any]) -> RawReply:
        """POST …/batch/create. With trace ids what fails is told item by item, without them it fails the call."""
        inputs = _inputs(body)
        self._check(inputs)
        results, errors = [], []
        traced = all("objectWriteTraceId" in each for each in inputs)
        for each in inputs:
            existing = self.owner(each["properties"].get("email", ""))
            if existing is None:
                results.append(self._shown(self.add(**each["properties"]), each["properties"], each))
            else:
                errors.append(_conflict(existing, each))
                if not traced:
                    raise Problem(409, "CONFLICT", errors[-1]["message"])
        self.written.append(("create", len(results)))
        return self._batch(results, errors, 201)

    def update(self, body: dict[str, Any]) -> RawReply:
        """POST …/batch/update, by record id."""
        inputs = _inputs(body)
        self._check(inputs)
        _refuse_repeated([str(each.get("id")) for each in inputs])
        results, errors = [], []
        for each in inputs:
            record = self._find(str(each.get("id")), None)
            email = each["properties"].get("email")
            owner = self.owner(email) if email else None
            if record is None:
                errors.append(
                    trouble("OBJECT_NOT_FOUND", "Object not found.", context={"ids": [str(each.get("id"))]})
                )
            elif owner not in (None, record):
                errors.append(_conflict(str(owner), each))
            else:
                results.append(self._changed(record, each))
        self.written.append(("update", len(results)))
        return self._batch(results, errors)

    def upsert(self, body: dict[str, Any]) -> RawReply:
        """POST …/batch/upsert, by a custom property with unique values."""
        inputs = _inputs(body)
        self._check(inputs)
        results, errors = [], []
        for each in inputs:
            by = str(each.get("idProperty"))
            if by == "email" or not self.properties.get(by, {}).get("hasUniqueValue"):
                raise Problem(400, "VALIDATION_ERROR", f"{by} is not a custom property with unique values")
            record = self._find(str(each.get("id")), by)
            owner = self.owner(each["properties"].get("email", ""))
            if owner not in (None, record):
                errors.append(_conflict(str(owner), each))
            else:
                record = record or self.add(**{by: str(each.get("id"))})
                results.append(self._changed(record, each))
        self.written.append(("upsert", len(results)))
        return self._batch(results, errors)

    # --- parts ---

    def _find(self, told: str, by: str | None) -> str | None:
        if by == "email":
            return self.owner(told)
        if by is not None:
            return next((record for record, has in self.records.items() if has.get(by) == told), None)
        record = self._merged.get(told, told)
        while record in self._merged:
            record = self._merged[record]
        return record if record in self.records else None

    def _changed(self, record: str, item: dict[str, Any]) -> dict[str, Any]:
        self.records[record] |= item["properties"] | {"lastmodifieddate": iso(self._now())}
        return self._shown(record, item["properties"], item)

    def _shown(self, record: str, wanted: Iterable[str], item: dict[str, Any] | None = None) -> dict[str, Any]:
        has = self.records[record]
        names = dict.fromkeys((*wanted, *READ_ONLY[:3]))
        shown = {"id": record, "properties": {name: has.get(name) for name in names}, "archived": False}
        shown |= {"createdAt": has["createdate"], "updatedAt": has["lastmodifieddate"]}
        trace = (item or {}).get("objectWriteTraceId")
        return shown | ({"objectWriteTraceId": trace} if trace is not None else {})

    def _batch(self, results: list[dict[str, Any]], errors: list[dict[str, Any]], status: int = 200) -> RawReply:
        at = iso(self._now())
        told: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at}
        if not errors:
            return json_reply(told, status)
        return json_reply(told | {"numErrors": len(errors), "errors": errors}, 207)

    def _check(self, inputs: Sequence[dict[str, Any]]) -> None:
        """Refuse the whole call for one value that cannot be."""
        for each in inputs:
            properties = each.get("properties")
            if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
                raise Problem(400, "VALIDATION_ERROR", "Invalid input JSON: properties are flat strings")
            for name, value in properties.items():
                self._check_value(name, value)

    def _check_value(self, name: str, value: str) -> None:
        property_ = self.properties.get(name)
        if property_ is None:
            raise _invalid(name, f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST")
        if property_["modificationMetadata"]["readOnlyValue"]:
            raise _invalid(name, f'"{name}" is a read only property', "READ_ONLY_VALUE")
        if name == "email" and (value in self.refused or not ADDRESS.fullmatch(value)):
            raise _invalid(name, f"Email address {value} is invalid", "INVALID_EMAIL")


def _addresses(told: dict[str, str]) -> list[str]:
    return [told.get("email", "").lower(), *told.get("hs_additional_emails", "").lower().split(";")]


def _inputs(body: dict[str, Any]) -> list[dict[str, Any]]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise Problem(400, "VALIDATION_ERROR", "Invalid input JSON: inputs is missing")
    if len(inputs) > BATCH:
        raise Problem(400, "VALIDATION_ERROR", f"The maximum number of inputs is {BATCH}, there were {len(inputs)}")
    return inputs


def _refuse_repeated(ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        raise Problem(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input. IDs must be unique")


def _invalid(name: str, message: str, error: str) -> Problem:
    told = [{"isValid": False, "message": message, "error": error, "name": name, "localizedErrorMessage": message}]
    return Problem(400, "VALIDATION_ERROR", f"Property values were not valid: {orjson.dumps(told).decode()}")


def _conflict(existing: str, item: dict[str, Any]) -> dict[str, Any]:
    trace = item.get("objectWriteTraceId")
    context = {"objectWriteTraceId": [trace]} if trace is not None else {}
    return trouble("CONFLICT", f"Contact already exists. Existing ID: {existing}", context=context)
