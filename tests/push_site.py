"""What push tests stand on: a site with a HubSpot portal and a receiver beside it, all in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from support import Server, Site, people, virtual_now, write_leads

from pipeline.errors import Ambiguous, NotSent
from pipeline.protocol import RawReply
from pipeline.push import push
from pipeline.sandbox import HubSpotPortal
from pipeline.sandbox.hubspot import DOWN
from pipeline.targets import target_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from pipeline.push import Pushed
    from pipeline.session import Parts
    from pipeline.settings import Settings
    from pipeline.sinks.sending import Send

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0, "max_per_second": 1000}
SETTINGS: dict[str, Any] = PLAN | {
    "hubspot_access_token": "pat-virtual",
    "hubspot_url": "http://127.0.0.1:1/hubspot",
    "webhook_url": "http://127.0.0.1:1/leads",
    "webhook_secret": "s3cret",
}


class Killed(BaseException):
    """The process died here."""


@dataclass
class Portal:
    """A portal as the socket would show it; `dies_after` kills the caller once so many calls are answered."""

    hubspot: HubSpotPortal
    dies_after: int | None = None

    async def __call__(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] = {},  # noqa: ARG002 - the socket's own shape
    ) -> RawReply:
        refuses = bool(self.hubspot.script) and self.hubspot.script[0] == DOWN
        where, _, query = path.partition("?")
        asked = dict(part.split("=") for part in query.split("&") if part)
        reply = self.hubspot.answer(method, where, asked, "Bearer pat-virtual", body or b"")
        await asyncio.sleep(0.05)
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise Killed
        if reply.status == 0:
            raise NotSent("connection refused") if refuses else Ambiguous("no answer in time")
        return RawReply(reply.status, reply.body)


@dataclass
class Receiver:
    """A webhook's receiver: `status` is what it answers, None that nobody listens; `lost`: answers get lost."""

    status: int | None = 200
    lost: int = 0
    rejects: frozenset[str] = frozenset()
    batches: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    async def __call__(
        self,
        method: str,  # noqa: ARG002 - the socket's own shape
        path: str,  # noqa: ARG002 - as above
        body: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> RawReply:
        if self.status is None:
            raise NotSent("connection refused")
        lines = orjson.loads(body or b"")["lines"]
        if any(line["email"]["value"] in self.rejects for line in lines):
            return RawReply(422, b"")
        self.batches.append((body or b"", dict(headers)))
        if self.lost:
            self.lost -= 1
            raise Ambiguous("no answer in time")
        return RawReply(self.status, b"")

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All lines that came, as often as they came."""
        return [line for body, _ in self.batches for line in orjson.loads(body)["lines"]]


class PushSite(Site):
    """A site whose job is pushed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Server())
        self.portal, self.receiver = Portal(HubSpotPortal(self._now)), Receiver()

    def _now(self) -> float:
        return self.clock_at(self.now) if asyncio._get_running_loop() is None else virtual_now()

    @property
    def hubspot(self) -> HubSpotPortal:
        return self.portal.hubspot

    @property
    def contacts(self) -> dict[str, dict[str, str]]:
        """The portal's contacts by id."""
        return self.hubspot.contacts.records

    def settings(self, **changes: Any) -> Settings:
        return super().settings(**SETTINGS | changes)

    def listed(self, companies: int = 2, *, known: bool = True, **more: str) -> list[dict[str, str]]:
        """Enrich people that the API knows; `known`: the portal has them as a CRM does, and the list their ids."""
        rows = [row for row in people(companies) if row["First Name"] not in ("", "Nobody")]
        for row in rows:
            if known:
                names = {"firstname": row["First Name"], "lastname": row["Last Name"]}
                row["Record ID"] = self.hubspot.contacts.add(**names, company=row["Company Name"])
            row.update(more)
        self.night(write_leads(self.folder / "leads.csv", rows), **PLAN)
        return rows

    def push(self, kind: str = "hubspot", *, dry_run: bool = False, again: bool = False, **changes: Any) -> Pushed:
        """Push the job."""

        async def go(parts: Parts) -> list[Pushed]:
            target = target_of(parts.settings, kind, self._send(kind))
            return await push(parts, [str(self.out)], target, dry_run=dry_run, again=again)

        (told,) = self.command(go, **changes)
        return told

    def _send(self, kind: str) -> Any:
        @asynccontextmanager
        async def send(*_: object) -> AsyncIterator[Send]:
            yield self.portal if kind == "hubspot" else self.receiver

        return send
