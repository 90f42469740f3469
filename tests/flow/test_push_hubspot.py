"""HubSpot gets what is sure; what is empty is filled, nothing is doubled, nothing of theirs is overwritten."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from push_site import Killed, PushSite
from support import write_leads

from pipeline.errors import ConfigError, InputMissing, KeyRefused, Unavailable
from pipeline.sandbox.hubspot import DOWN, LOCKED, LOST, SCHEMAS, SERVER_ERROR, WRITE
from pipeline.session import session
from pipeline.targets import hubspot_list

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.session import Parts

ALREADY = "nothing new since the last push"


@pytest.fixture
def site(tmp_path: Path) -> PushSite:
    return PushSite(tmp_path)


def sure(site: PushSite) -> list[dict[str, Any]]:
    """The lines whose address may leave."""
    found = []
    for line in site.lines():
        email = line["email"]
        if email and email["deliverable"] is not False and (email["deliverable"] or email["confidence"] >= 0.9):
            found.append(line)
    return found


def emails(site: PushSite) -> list[str]:
    return [told["email"] for told in site.contacts.values() if "email" in told]


def test_rows_with_a_record_id_fill_what_is_empty_and_only_that(site: PushSite) -> None:
    """And of those whose address is not sure nothing is written at all."""
    site.listed(4)
    first = str(sure(site)[0]["input"]["Record ID"])
    site.contacts[first]["jobtitle"] = "As the customer says"
    told = site.push()
    assert told.results["updated"] == len(sure(site)) > 3
    assert told.lines == len(site.lines())
    assert site.contacts[first]["jobtitle"] == "As the customer says"
    assert site.contacts[first]["email"]
    assert len(emails(site)) == len(sure(site))
    assert site.hubspot.contacts.written == [("update", len(sure(site)))]


def test_what_a_push_filled_in_is_no_change_of_the_list(site: PushSite) -> None:
    """The next export holds our own findings: nothing is asked, and no finished line leaves the output."""
    rows = site.listed(3)
    site.push()
    before, asked = site.out.read_bytes(), len(site.server.log)
    names = {"Email": "email", "First Name": "firstname", "Last Name": "lastname", "Company Name": "company"}
    for row in rows:
        row.update({ours: site.contacts[row["Record ID"]].get(theirs, "") for ours, theirs in names.items()})
    assert sum(bool(row["Email"]) for row in rows) > 3
    leads = write_leads(site.folder / "leads.csv", rows)
    site.night(leads, plan="professional", max_requests=0)
    assert site.out.read_bytes() == before
    site.night(leads, plan="professional", wait_up_to=0)
    assert (len(site.server.log), site.out.read_bytes()) == (asked, before)
    rows[0]["Last Name"] = "Somebody-Else"
    assert site.night(write_leads(leads, rows), plan="professional", max_requests=0).pending == 1


def test_a_second_push_writes_nothing_and_asks_next_to_nothing(site: PushSite) -> None:
    """Two calls look at the portal; --again looks contacts up and finds them full."""
    site.listed()
    site.push()
    before = len(site.hubspot.calls)
    assert site.push().left[ALREADY] == len(sure(site))
    assert len(site.hubspot.calls) == before + 2
    assert site.push(again=True).results == {"unchanged": len(sure(site))}


def test_nobody_is_created_unless_asked_for(site: PushSite) -> None:
    """Rows without an id stay here; with --create they become contacts, once."""
    site.listed(known=False)
    assert not site.push().results
    assert not site.contacts
    assert site.push(hubspot_create=True).results == {"created": len(sure(site))}
    assert sorted(emails(site)) == sorted(line["email"]["value"].lower() for line in sure(site))


def test_with_create_a_contact_that_has_the_address_is_filled_instead(site: PushSite) -> None:
    """Also where HubSpot writes the address in another case, or knows it as a second one."""
    site.listed(known=False)
    address = str(sure(site)[0]["email"]["value"])
    first = site.hubspot.contacts.add(email=address.upper(), firstname="Kept")
    second = site.hubspot.contacts.add(email="other@example.com")
    merged = site.hubspot.contacts.merge(second, first)
    told = site.push(hubspot_create=True)
    assert told.results == {"created": len(sure(site)) - 1, "updated": 1}
    assert site.contacts[merged]["firstname"] == "Kept"
    assert site.contacts[merged]["email"] == "other@example.com"
    assert site.contacts[merged]["jobtitle"]


def test_an_address_that_belongs_to_another_record_is_a_conflict(site: PushSite) -> None:
    """Nothing is written to either; it is not looked at again until something changes."""
    site.listed()
    line = sure(site)[0]
    other = site.hubspot.contacts.add(email=str(line["email"]["value"]))
    told = site.push()
    assert told.results == {"conflict": 1, "updated": len(sure(site)) - 1}
    assert "email" not in site.contacts[str(line["input"]["Record ID"])]
    assert "jobtitle" not in site.contacts[other]
    assert site.push().left[ALREADY] == len(sure(site))


def test_a_contact_that_was_merged_meanwhile_is_filled_where_it_is_now(site: PushSite) -> None:
    """By the id the row brought; two rows of one record are one write."""
    site.listed(3)
    lines = sure(site)[:2]
    one, two = (str(line["input"]["Record ID"]) for line in lines)
    merged = site.hubspot.contacts.merge(one, two)
    told = site.push()
    assert told.results["updated"] == len(sure(site))
    assert site.contacts[merged]["email"] in [line["email"]["value"].lower() for line in lines]


def test_a_record_that_is_gone_is_told_and_never_made_anew(site: PushSite) -> None:
    """Not even with --create."""
    site.listed()
    del site.contacts[str(sure(site)[0]["input"]["Record ID"])]
    known = len(site.contacts)
    assert site.push(hubspot_create=True).results == {"missing": 1, "updated": len(sure(site)) - 1}
    assert len(site.contacts) == known


def test_a_dry_run_says_the_same_and_writes_nothing(site: PushSite) -> None:
    """Nor is anything noted: the push after it does all of it."""
    site.listed(known=False)
    told = site.push(dry_run=True, hubspot_create=True)
    assert told.results == {"create": len(sure(site))}
    assert {"email", "firstname"} <= set(told.rows[0].properties)
    assert not site.contacts
    assert not site.hubspot.contacts.written
    assert site.push(hubspot_create=True).results == {"created": len(sure(site))}


def test_one_bad_address_fails_nobody_else(site: PushSite) -> None:
    """A batch that is refused whole is cut in half until it is known whose fault it was."""
    site.listed(4, known=False)
    site.hubspot.contacts.refused.add(str(sure(site)[2]["email"]["value"]))
    assert site.push(hubspot_create=True).results == {
        "created": len(sure(site)) - 1,
        "refused: INVALID_EMAIL": 1,
    }


def test_a_push_killed_after_any_call_doubles_nothing(tmp_path: Path) -> None:
    """Also between the creation and the note of it: whoever goes on looks first."""
    kills = 0
    for calls in range(7):
        site = PushSite(tmp_path / str(calls))
        site.folder.mkdir()
        site.listed(known=False)
        site.portal.dies_after = calls
        with suppress(Killed):
            site.push(hubspot_create=True)
        kills += site.portal.dies_after < 0
        site.portal.dies_after = None
        told = site.push(hubspot_create=True)
        assert told.results.total() + told.left[ALREADY] == len(sure(site))
        assert len(emails(site)) == len(set(emails(site))) == len(sure(site)), calls
    assert kills == 4


@pytest.mark.parametrize("fault", [LOST, SERVER_ERROR, DOWN, LOCKED])
def test_a_call_that_goes_wrong_is_made_good_without_doubling(site: PushSite, fault: str) -> None:
    """An answer that was lost, a 500, a closed port, a locked portal: at any call of the push."""
    site.listed(known=False)
    for n in range(6):
        site.contacts.clear()
        site.hubspot.script.clear()
        site.hubspot.script.extend([*[None] * n, fault])
        told = site.push(hubspot_create=True, again=True)
        assert told.stopped is None
        assert sorted(emails(site)) == sorted(set(emails(site)))
        assert len(site.contacts) == len(sure(site)), n


# --- bad days -----------------------------------------------------------------------------------------


def test_a_token_without_a_scope_is_told_by_the_scopes_name(site: PushSite) -> None:
    """Before anything is written, or at the first write."""
    site.listed()
    site.hubspot.scopes.discard(WRITE)
    told = site.push()
    assert isinstance(told.stopped, KeyRefused)
    assert "lacks the scope crm.objects.contacts.write" in str(told.stopped)
    assert told.waiting == len(sure(site))
    site.hubspot.scopes.discard(SCHEMAS)
    with pytest.raises(KeyRefused, match=r"lacks the scope crm\.schemas\.contacts\.read"):
        site.push()


def test_a_deleted_property_of_the_mapping_is_named_before_anything_is_written(site: PushSite) -> None:
    """With what to do about it."""
    site.listed()
    site.hubspot.contacts.define("seniority")
    mapped = {"seniority": "email_tier", "website": "input:Company Name"}
    del site.hubspot.contacts.properties["seniority"]
    with pytest.raises(ConfigError, match="property seniority of the mapping is not in this portal"):
        site.push(hubspot_properties=mapped)
    assert not site.hubspot.contacts.written
    site.hubspot.contacts.define("seniority")
    site.push(hubspot_properties=mapped)
    filled = site.contacts[str(sure(site)[0]["input"]["Record ID"])]
    assert filled["seniority"] == "verified"
    assert filled["website"] == filled["company"]


def test_the_portals_day_limit_in_the_middle_stops_and_the_next_push_goes_on(site: PushSite) -> None:
    """Exit 75; nothing that was written is written again."""
    site.listed(50, known=False)
    assert len(sure(site)) > 100
    site.hubspot.daily_limit = 5
    told = site.push(hubspot_create=True)
    assert isinstance(told.stopped, Unavailable)
    assert told.stopped.exit_code == 75
    assert "calls of the day are used up" in str(told.stopped)
    assert (told.results["created"], told.waiting) == (100, len(sure(site)) - 100)
    site.now += 86_400
    told = site.push(hubspot_create=True)
    assert told.results == {"created": len(sure(site)) - 100}
    assert len(emails(site)) == len(set(emails(site))) == len(sure(site))


def test_our_own_day_limit_holds_over_restarts(site: PushSite) -> None:
    """It counts calls of the last 24 hours, whoever made them from this state."""
    site.listed()
    told = site.push(hubspot_daily_calls=4)
    assert "(hubspot_daily_calls) are used up" in str(told.stopped)
    with pytest.raises(Unavailable):
        site.push(hubspot_daily_calls=4)
    site.now += 90_000
    assert site.push(hubspot_daily_calls=5).results == {"updated": len(sure(site))}


def test_the_limit_of_ten_seconds_is_waited_for(site: PushSite) -> None:
    """Another app may use most of it."""
    site.listed()
    site.hubspot.ten_seconds_limit = 2
    began = site.now
    assert site.push().results == {"updated": len(sure(site))}
    assert 20 <= site.now - began <= 60


def test_rows_of_one_address_in_different_case_are_one_contact(site: PushSite) -> None:
    """Within a batch as well: HubSpot would refuse the second."""
    rows = site.listed(known=False)
    address = str(sure(site)[0]["email"]["value"])
    listed = [
        {"Email": each, "Company Name": rows[0]["Company Name"], "Id": each} for each in (address, address.upper())
    ]
    site.name = "twice.jsonl"
    site.night(_written(site, listed), plan="professional", columns={"id": "Id"})
    assert len({line["lead_id"] for line in sure(site)}) == 2
    assert site.push(hubspot_create=True).results == {"created": 2}
    assert emails(site) == [address.lower()]


def _written(site: PushSite, rows: list[dict[str, str]]) -> Path:

    return write_leads(site.folder / "twice.csv", rows)


# --- HubSpot in ---------------------------------------------------------------------------------------


def test_a_list_of_hubspots_is_read_page_by_page(site: PushSite) -> None:
    """With each contact's record id and what HubSpot knows, under the headers of its own exports."""
    names = [site.hubspot.contacts.add(firstname=f"N{n}", company="Acme") for n in range(260)]
    site.hubspot.lists["42"] = names

    async def go(parts: Parts) -> list[dict[str, str]]:
        async with session(parts) as opened:
            with await hubspot_list(opened, "hubspot:42", site._send("hubspot")) as file:
                return [orjson.loads(line) for line in file]

    rows = site.command(go)
    assert [row["Record ID"] for row in rows] == names
    assert (rows[0]["First Name"], rows[0]["Company Name"], rows[0]["Email"]) == ("N0", "Acme", "")
    site.hubspot.lists.clear()
    with pytest.raises(InputMissing, match="HubSpot has no list 42"):
        site.command(go)
