"""The real command beside the sandbox's HubSpot: a list in, contacts back out, and no token where none belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from system_site import FAST, Machine, site

from pipeline.sandbox.hubspot import WRITE

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "pat-never-seen-in-any-log"  # noqa: S105 - that is the point


async def test_a_list_of_hubspots_is_enriched_and_pushed_back(tmp_path: Path) -> None:
    """By its own record ids; a dry run first, then the push after a run, then nothing left to push."""
    async with site(tmp_path, hubspot=True) as (machine, sandbox):
        portal = sandbox.hubspot
        assert portal is not None
        machine.environment |= {"HUBSPOT_ACCESS_TOKEN": TOKEN, "LEADCONTACT_HUBSPOT_URL": sandbox.hubspot_url}
        enriched = await machine.run("enrich", "hubspot:1", "-o", "out.jsonl", *FAST)
        assert enriched.code == 0, enriched.err
        ids = portal.lists["1"]
        assert [line["input"]["Record ID"] for line in sorted(machine.lines(), key=lambda line: line["row"])] == ids
        dry = await machine.run("push", "hubspot", "out.jsonl", "--dry-run", "--json")
        (told,) = orjson.loads(dry.out)["jobs"]
        assert told["results"]["update"] > len(ids) // 2
        assert not portal.contacts.written
        again = await machine.run("resume", "out.jsonl", *FAST, "--push", "hubspot")
        assert again.code == 0, again.err
        assert portal.contacts.written == [("update", told["results"]["update"])]
        assert f"{told['results']['update']:>8,}  updated" in again.err
        last = await machine.run("push", "hubspot", "out.jsonl")
        assert "nothing new since the last push" in last.out
        assert (
            TOKEN
            not in enriched.err
            + dry.err
            + dry.out
            + again.err
            + last.out
            + machine.state.read_bytes().decode("latin-1")
        )


async def test_contacts_of_target_companies_become_records_once(tmp_path: Path) -> None:
    """Prospect with --push: sure ones are created with their person's data; the same command again creates nobody."""
    (tmp_path / "companies.txt").write_text("Northwind 1 Robotics\nNorthwind 2 Robotics\nNorthwind 3 Robotics\n")
    async with site(tmp_path, hubspot=True) as (machine, sandbox):
        portal = sandbox.hubspot
        assert portal is not None
        machine.environment |= {"HUBSPOT_ACCESS_TOKEN": TOKEN, "LEADCONTACT_HUBSPOT_URL": sandbox.hubspot_url}
        command = ("prospect", "companies.txt", "-o", "out.jsonl", *FAST, "--push", "hubspot")
        first = await machine.run(*command)
        made = list(portal.contacts.written)
        again = await machine.run(*command)
    sure = [line for line in machine.lines() if line["email"] and (line["email"]["confidence"] or 0) >= 0.9]
    assert (first.code, again.code, portal.contacts.written) == (0, 0, made)
    assert made == [("create", len(sure))]
    assert len(sure) == len({line["contact_id"] for line in sure}) > 3


async def test_a_missing_scope_ends_with_77_and_a_full_day_with_75(tmp_path: Path) -> None:
    """One sentence each, naming what to do; no token ends before anything is spent."""
    async with site(tmp_path, hubspot=True) as (machine, sandbox):
        portal = sandbox.hubspot
        assert portal is not None
        machine.environment |= {"LEADCONTACT_HUBSPOT_URL": sandbox.hubspot_url}
        none = await machine.run("enrich", "hubspot:1", "-o", "out.jsonl", "--push", "hubspot", *FAST)
        assert (none.code, "There is no HubSpot token." in none.complaint, len(sandbox.log)) == (78, True, 0)
        machine.environment["HUBSPOT_ACCESS_TOKEN"] = TOKEN
        portal.scopes.discard(WRITE)
        scope = await machine.run("enrich", "hubspot:1", "-o", "out.jsonl", "--push", "hubspot", *FAST)
        assert scope.code == 77
        assert "lacks the scope crm.objects.contacts.write" in scope.complaint
        sandbox.set(hubspot_daily_limit=0)
        full = await machine.run("push", "hubspot", "out.jsonl")
        assert full.code == 75
        assert "calls of the day are used up" in full.complaint
        assert (await machine.run("enrich", "hubspot:x", "-o", "o.jsonl", *FAST)).code == 64


def test_invented_people_never_leave_for_a_real_portal(tmp_path: Path) -> None:
    """--sandbox has a portal of its own; a sandbox beside it and a real address is refused."""
    machine = Machine(tmp_path, {"HUBSPOT_ACCESS_TOKEN": TOKEN})
    (tmp_path / "leads.csv").write_text("First Name,Last Name,Company Name\nJane,Smith,Acme Corp\n")
    told = machine.run_alone(
        "enrich", "leads.csv", "-o", "out.jsonl", "--sandbox", "--push", "hubspot", "--create", *FAST
    )
    assert told.code == 0, told.err
    assert "to hubspot 127.0.0.1:" in told.err
    local = machine.run_alone("push", "hubspot", "out.jsonl", "--base-url", "http://127.0.0.1:9/v1")
    assert (local.code, "The people of a sandbox are invented" in local.complaint) == (78, True)


async def test_the_next_command_names_the_receiver_that_this_one_named(tmp_path: Path) -> None:
    """So that it runs as it stands; an address from the environment may be a secret and is not shown."""
    address = "http://127.0.0.1:9/leads"
    async with site(tmp_path) as (machine, _):
        (tmp_path / "leads.csv").write_text("company\nNorthwind 1 Robotics\n")
        await machine.run("prospect", "leads.csv", "-o", "out.jsonl", *FAST)
        named = await machine.run("push", "webhook", "out.jsonl", "--dry-run", "--webhook-url", address)
        machine.environment["LEADCONTACT_WEBHOOK_URL"] = address
        known = await machine.run("push", "webhook", "out.jsonl", "--dry-run")
    assert f"out.jsonl --webhook-url {address}\n" in named.out
    assert "out.jsonl\n" in known.out
