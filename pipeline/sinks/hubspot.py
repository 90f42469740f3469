"""HubSpot as a sink: looks contacts up, decides by the rules, writes, and says what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeline.errors import Unavailable
from pipeline.sinks import hubspot_wire as wire
from pipeline.sinks.contacts import Delivered, Left, Person, digest_of
from pipeline.sinks.hubspot_api import Doubtful
from pipeline.sinks.hubspot_rules import BATCH, DONE, Action, Portal, Step, decide, mapping, of, properties_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from pipeline.sinks.hubspot_api import Api
    from pipeline.sinks.hubspot_wire import Written

NO_RECORD: Final = Left("no Record ID, and creating was not asked for (--create)")
LOOKS: Final = 3
"""How often a creation in doubt, or overtaken by somebody else's, is looked up again."""

WRITES: Final = (Action.UPDATE, Action.CREATE, Action.UPSERT)


class HubSpot:
    """One portal as a sink. `create`: rows without a record id may become new contacts."""

    batch = BATCH

    def __init__(self, api: Api, told: Mapping[str, str], *, create: bool, upsert: str | None) -> None:
        self._api = api
        self._told = told
        self._create = create
        self._upsert = upsert
        self._wanted: dict[str, str] = {}

    async def open(self) -> str:
        """Look at the portal; returns its number. Raises ConfigError for a mapping that it cannot take."""
        portal = await self._api.portal()
        self._wanted = mapping(self._told, await self._api.properties(), self._upsert)
        return portal

    def refusal(self, person: Person) -> Left | None:
        """Why somebody who may leave is still not for HubSpot."""
        allowed = person.record is not None or person.found or self._create
        return None if allowed else NO_RECORD

    def digest(self, person: Person) -> bytes:
        """What tells whether there is something new to push."""
        return digest_of([person.record, properties_of(person, self._wanted)])

    async def preview(self, people: Sequence[Person]) -> list[Delivered]:
        """What would become of people; only reads."""
        return [_shown(step) for step in await self._look_up(people)]

    async def deliver(self, people: Sequence[Person]) -> AsyncIterator[list[Delivered]]:
        """Write people, at most a batch; what became of them, call by call."""
        for looks_left in range(LOOKS - 1, -1, -1):
            again: list[Person] = []
            async for delivered in self._once(people, again, final=not looks_left):
                yield delivered
            if not again:
                return
            people = again
        raise Unavailable(
            "HubSpot left it in doubt what became of new contacts.", "Push again later: it looks first."
        )

    async def _once(
        self, people: Sequence[Person], again: list[Person], *, final: bool
    ) -> AsyncIterator[list[Delivered]]:
        steps = await self._look_up(people)
        shared: dict[str, list[Step]] = {}
        for step in steps:
            shared.setdefault(step.folded_into or step.person.key, []).append(step)
        yield [_shown(step) for step in steps if step.action not in WRITES]
        for action in WRITES:
            open_ = {step.person.key for step in of(steps, action)}
            try:
                async for written in self._api.write(action, of(steps, action), self._upsert):
                    open_ -= {step.person.key for step, _ in written}
                    raced = {step.person.key for step, told in written if told.why == "conflict" and not final}
                    again += _people(raced, shared)
                    kept = [(step, told) for step, told in written if step.person.key not in raced]
                    yield [_said(one, step, told) for step, told in kept for one in shared[step.person.key]]
            except Doubtful:
                again += _people(open_, shared)

    async def _look_up(self, people: Sequence[Person]) -> list[Step]:
        ids = list(dict.fromkeys(person.record for person in people if person.record is not None))
        emails = list({person.email.casefold(): person.email for person in people}.values())
        by_id = wire.by_id(await self._api.read(ids, self._wanted))
        found = wire.by_email(await self._api.read(emails, self._wanted, "email"))
        by_email = {address: by_id.get(record.id, record) for address, record in found.items()}
        return decide(people, Portal(by_id, by_email), self._wanted, self._upsert)


def _people(keys: Iterable[str], shared: Mapping[str, list[Step]]) -> list[Person]:
    return [step.person for key in keys for step in shared[key]]


def _shown(step: Step) -> Delivered:
    return Delivered(step.person, str(step.action), step.record, tuple(step.fill))


def _said(one: Step, carrier: Step, told: Written) -> Delivered:
    result = told.why or DONE[carrier.action]
    return Delivered(one.person, result, told.record or carrier.record, tuple(carrier.fill))
