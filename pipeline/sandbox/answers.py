"""The three endpoints as the guide shows them: from a parsed body to the `data` of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pipeline.model import Endpoint
from pipeline.sandbox.replies import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.sandbox.world import Company, Number, Person, World

Body = dict[str, Any]
MAX_LIMIT: Final = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """The `data` part of a good answer. `items`: contacts or numbers in it, None where it cannot be empty."""

    data: dict[str, Any]
    items: int | None


def answer(world: World, endpoint: Endpoint, body: object, now: float) -> Answer:
    """Answer one request; raises Refused with 400 or 422 for a body that cannot be served."""
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    return _ANSWERS[endpoint](world, body, now)


def _search(world: World, body: Body, _now: float) -> Answer:
    name = "domain" if "company" not in body and "domain" in body else "company"
    company = world.company(_required_text(body, name))
    limit = _limit(body)
    matches = _matches(company, body)
    with_phone = _flag(body, "include_phone", default=False)
    contacts = [_contact(person, company.name, with_phone=with_phone) for person in matches[:limit]]
    return Answer({"contacts": contacts, "total": len(matches)}, len(contacts))


def _verify(world: World, body: Body, now: float) -> Answer:
    email = _required_text(body, "email")
    verdict = world.verify(email)
    data = {
        "email": email,
        "is_valid": verdict.valid,
        "is_deliverable": verdict.deliverable,
        "confidence_score": verdict.confidence,
        "smtp_response": verdict.smtp_response,
        "verification_timestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return Answer(data, None)


def _phones(world: World, body: Body, _now: float) -> Answer:
    email, company = _text(body, "email"), _text(body, "company")
    first, last = _text(body, "first_name"), _text(body, "last_name")
    if not email and not (company and (first or last)):
        raise Refused(400, "Give email, or company with first_name or last_name.")
    skipped = set()
    if _flag(body, "skip_mobile", default=False):
        skipped.add("mobile")
    if not _flag(body, "include_direct_dial", default=True):
        skipped.add("direct_dial")
    numbers = [_number(n) for n in world.numbers(email, first, last, company) if n.type not in skipped]
    return Answer({"phone_numbers": numbers}, len(numbers))


_ANSWERS: Final[dict[Endpoint, Callable[[World, Body, float], Answer]]] = {
    Endpoint.SEARCH: _search,
    Endpoint.VERIFY: _verify,
    Endpoint.PHONES: _phones,
}


def _matches(company: Company, body: Body) -> list[Person]:
    people = list(company.people)
    if _flag(body, "decision_maker_only", default=False):
        people = [person for person in people if person.decides]
    if departments := {name.casefold() for name in _texts(body, "departments")}:
        people = [person for person in people if person.department.casefold() in departments]
    if titles := [_as_words(title) for title in _texts(body, "titles")]:
        people = [person for person in people if any(title in _as_words(person.title) for title in titles)]
    return people


def _as_words(title: str) -> str:
    """Put a space around every word, so that "CTO" is not found inside "Director"."""
    return f" {' '.join(title.casefold().split())} "


def _contact(person: Person, company: str, *, with_phone: bool) -> Body:
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "email_confidence": person.email_confidence,
        "phone": person.phone if with_phone else None,
        "phone_confidence": person.phone_confidence if with_phone else None,
        "title": person.title,
        "company": company,
        "department": person.department,
    }


def _number(number: Number) -> Body:
    return {
        "number": number.number,
        "type": number.type,
        "confidence": number.confidence,
        "country_code": number.country_code,
    }


def contacts_of(company: Company) -> list[Body]:
    """Everybody of a company as `search` shows them, telephone and all."""
    return [_contact(person, company.name, with_phone=True) for person in company.people]


def _required_text(body: Body, name: str) -> str:
    if body.get(name) is None:
        raise Refused(400, f"{name} is missing.")
    text = _text(body, name)
    if not text:
        raise Refused(422, f"{name} is blank.")
    return text


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name} must be a string.")
    return (value or "").strip()


def _texts(body: Body, name: str) -> list[str]:
    value = body.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Refused(400, f"{name} must be a list of strings.")
    return value


def _flag(body: Body, name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise Refused(400, f"{name} must be true or false.")
    return value


def _limit(body: Body) -> int:
    limit = body.get("limit", 10)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise Refused(400, f"limit must be a whole number from 1 to {MAX_LIMIT}.")
    return limit
