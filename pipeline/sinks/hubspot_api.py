"""Calls to one HubSpot portal: counted, paced, repeated where that is safe; a refused batch is cut in half."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import Ambiguous, ConfigError, InputMissing, KeyRefused, NotSent, Unavailable
from pipeline.sinks import hubspot_wire as wire
from pipeline.sinks.hubspot_rules import Action, halves
from pipeline.sinks.hubspot_wire import Answer, Means

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from pipeline.sinks.hubspot_rules import Property, Record, Step
    from pipeline.sinks.hubspot_wire import Written
    from pipeline.sinks.sending import Send

CALLS, SECONDS = 90, 10.0
"""So many calls in so many seconds; the smallest portals allow 100, shared with other apps."""

PATIENCE: Final = {Means.SLOWER: (10.0,) * 12, Means.LOCKED: (2.0,) * 15, Means.DOWN: (1.0, 2.0, 4.0)}
"""Seconds to wait before another try, by what the answer was."""

LONGEST: Final = 60.0
"""Seconds: a Retry-After beyond it is a stop, not a pause."""

ENDPOINT: Final = {Action.CREATE: "create", Action.UPDATE: "update", Action.UPSERT: "upsert"}


class Doubtful(Exception):
    """A creation may have been carried out: look before it is sent again."""


class Api:
    """One portal. `count` is asked before each call and says whether it may be made."""

    def __init__(self, send: Send, version: str, count: Callable[[], Awaitable[bool]]) -> None:
        self._send = send
        self._version = version
        self._count = count
        self._recent: deque[float] = deque(maxlen=CALLS)

    # --- reading ---

    async def portal(self) -> str:
        """The portal's number: whose contacts these are."""
        return str((await self._read("GET", wire.ACCOUNT)).get("portalId") or "?")

    async def properties(self) -> dict[str, Property]:
        """The properties of the portal's contacts."""
        return wire.properties(await self._read("GET", self._path("properties", "contacts")))

    async def read(self, ids: Sequence[str], properties: Iterable[str], by: str | None = None) -> list[Record]:
        """Contacts by record id, or by e-mail; those there are."""
        asked = (*dict.fromkeys((*properties, "email", wire.MERGED_IDS, wire.OTHER_ADDRESSES)),)
        todo, found = [ids] if ids else [], []
        while todo:
            batch = todo.pop()
            where = self._path("objects", "contacts/batch/read")
            answer = await self.call("POST", where, wire.read_body(batch, asked, by))
            if answer.means is Means.READ:
                found += wire.records(answer.body)
            elif len(batch) > 1 and answer.means is Means.SPLIT:
                todo += [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            elif answer.means is Means.GONE:
                raise _no_such_path(where)
        return found

    async def members(self, list_id: str) -> AsyncIterator[list[str]]:
        """The record ids of a list, a page at a time."""
        after: str | None = ""
        while after is not None:
            query = f"?limit={wire.ONE_PAGE}{f'&after={after}' if after else ''}"
            answer = await self.call("GET", self._path("lists", f"{list_id}/memberships{query}"))
            if answer.means is not Means.READ:
                raise InputMissing(
                    f"HubSpot has no list {list_id} that this token may read.",
                    "The list's number stands in its address in HubSpot: …/lists/NUMBER.",
                )
            ids, after = wire.members(answer.body)
            yield ids

    async def _read(self, method: str, where: str) -> dict[str, Any]:
        answer = await self.call(method, where)
        if answer.means is not Means.READ:
            raise _no_such_path(where)
        return answer.body

    # --- writing ---

    async def write(
        self, action: Action, steps: Sequence[Step], upsert: str | None = None
    ) -> AsyncIterator[list[tuple[Step, Written]]]:
        """Write steps of one kind, what became of them call by call. Raises Doubtful only for creations."""
        where = self._path("objects", f"contacts/batch/{ENDPOINT[action]}")
        todo = [steps] if steps else []
        while todo:
            batch = todo.pop()
            body = wire.write_body(batch, upsert if action is Action.UPSERT else None)
            answer = await self.call("POST", where, body, once=action is Action.CREATE)
            if answer.means is Means.READ:
                yield list(zip(batch, wire.written(answer.body, batch), strict=True))
            elif name := wire.lacks_property(answer.body):
                raise ConfigError(
                    f"The HubSpot property {name} was deleted while contacts were pushed.",
                    f"Take {name} out of [hubspot.properties]; the next push goes on.",
                )
            elif len(batch) == 1:
                yield [(batch[0], wire.refused(answer.body))]
            else:
                todo += reversed(halves(batch))

    # --- calling ---

    async def call(self, method: str, where: str, body: bytes | None = None, *, once: bool = False) -> Answer:
        """Make a call until it is answered. `once`: in doubt it is not repeated, but raises Doubtful."""
        tries: Counter[Means] = Counter()
        while True:
            await self._may_call()
            answer, asked_to_wait = Answer(Means.DOWN, {}), 0.0
            doubt = False
            try:
                raw = await self._send(method, where, body)
            except NotSent as error:
                words = str(error)
            except Ambiguous as error:
                words, doubt = str(error), True
            else:
                answer = wire.understood(raw.status, raw.body)
                words, doubt = f"status {raw.status}", answer.means is Means.DOWN
                asked_to_wait = _seconds(raw.retry_after)
            if answer.means not in PATIENCE:
                return _taken(answer)
            if doubt and once:
                raise Doubtful
            await self._wait(answer.means, tries, asked_to_wait, words)

    async def _wait(self, means: Means, tries: Counter[Means], asked: float, words: str) -> None:
        patience = PATIENCE[means]
        if tries[means] >= len(patience) or asked > LONGEST:
            raise Unavailable(
                f"HubSpot does not take part at the moment ({words}).", "What was pushed is noted; push again later."
            )
        await asyncio.sleep(max(asked, patience[tries[means]]))
        tries[means] += 1

    async def _may_call(self) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._recent) == CALLS and now - self._recent[0] < SECONDS:
            await asyncio.sleep(SECONDS - (now - self._recent[0]))
        self._recent.append(asyncio.get_running_loop().time())
        if not await self._count():
            raise Unavailable(
                "The day's calls to HubSpot (hubspot_daily_calls) are used up.",
                "What was pushed is noted; push again tomorrow, or raise hubspot_daily_calls.",
            )

    def _path(self, area: str, rest: str) -> str:
        return wire.path(self._version, area, rest)


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdecimal() else 0.0


def _taken(answer: Answer) -> Answer:
    """An answer that is not to be waited for; raises where nothing more can be done today."""
    match answer.means:
        case Means.TOMORROW:
            raise Unavailable(
                "The HubSpot portal's calls of the day are used up, by all its apps together.",
                "What was pushed is noted; push again tomorrow.",
            )
        case Means.TOKEN:
            raise KeyRefused(
                "HubSpot does not accept the token in HUBSPOT_ACCESS_TOKEN.",
                "Copy it again from the private app (Settings > Integrations > Private Apps).",
            )
        case Means.SCOPE:
            scopes = wire.missing_scopes(answer.body) or "for this (HubSpot does not say which)"
            raise KeyRefused(
                f"The HubSpot token lacks the scope {scopes}.",
                "Tick it in the private app under Scopes; the same command then goes on.",
            )
        case Means.REDIRECT:
            raise ConfigError("HubSpot's address redirects, which is never followed.", "Check hubspot_url.")
    return answer


def _no_such_path(where: str) -> ConfigError:
    return ConfigError(f"HubSpot has nothing at {where}.", "Check hubspot_url and hubspot_version.")
