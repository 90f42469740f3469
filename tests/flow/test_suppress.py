"""Whom not to ask about: such rows cost nothing and say so, and such people are in no line and no result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from support import Server, Site, write_leads

from pipeline import app
from pipeline.configured import load
from pipeline.engine import encode
from pipeline.errors import ConfigError, InputMissing
from pipeline.model import SUPPRESSED_REASON, NoReply, Status
from pipeline.planning import plan
from pipeline.protocol import verify_question
from pipeline.results import results
from pipeline.sandbox import World
from pipeline.session import session

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.session import Parts

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}
COMPANY = "Northwind 0 Robotics"
STAFF = World(0).company(COMPANY).people


def named(n: int) -> dict[str, str]:
    return row(first=STAFF[n].first_name, last=STAFF[n].last_name)


def row(
    company: str = COMPANY, *, email: str = "", first: str = "", last: str = "", site: str = ""
) -> dict[str, str]:
    return {"Company": company, "Website": site, "Email": email, "First Name": first, "Last Name": last}


def listed(folder: Path, *entries: str) -> dict[str, Any]:
    (folder / "suppress.txt").write_text("\n".join(entries), "utf-8")
    return {"suppress": str(folder / "suppress.txt")}


def reasons(site: Site) -> dict[int, str | None]:
    return {line["row"]: line["reason"] for line in site.lines() if line["status"] == "invalid"}


def test_rows_of_suppressed_people_domains_and_companies_cost_nothing(tmp_path: Path) -> None:
    """However they are written."""
    site = Site(tmp_path, Server())
    leads = write_leads(
        tmp_path / "leads.csv",
        [
            row("Acme Corp", email="Jane.Smith@AcmeCorp.com"),
            row("Globex", site="https://www.globex.com/en"),
            row("Sub of Globex", email="x@mail.globex.com"),
            row("INITECH, Inc."),
            row("", email="bob@gmail.com"),
        ],
    )
    wish = listed(tmp_path, "jane.smith@acmecorp.com", "globex.com", "Initech", "gmail.com", "")
    assert plan(site.settings(**PLAN, **wish), str(leads)).requests.most == 0
    report = site.night(leads, **PLAN, **wish, max_requests=0)
    assert report.pending == 0
    assert reasons(site) == dict.fromkeys(range(1, 6), SUPPRESSED_REASON)
    assert site.server.log == []


@pytest.mark.parametrize("first", [0, 1])
def test_plan_counts_the_others(tmp_path: Path, first: int) -> None:
    """A row like a suppressed one is asked about."""
    site, rows = Site(tmp_path, Server()), [row("Globex"), row("Initech")]
    leads = write_leads(tmp_path / "leads.csv", [rows[first], rows[1 - first]])
    told = plan(site.settings(**PLAN, **listed(tmp_path, "globex"), steps="search"), str(leads))
    assert (told.total.rows, told.requests.most, told.total.nothing_to_ask) == (2, 1, 1)


def test_rows_taken_in_before_are_finished_at_once_and_the_wish_stays_with_the_job(tmp_path: Path) -> None:
    """Though the run may ask nothing; `resume` does not need to be told again."""
    site = Site(tmp_path, Server())
    others = [row(f"Northwind {n} Robotics") for n in range(40)]
    leads = write_leads(tmp_path / "leads.csv", [*others, row("Initech"), row("Acme")])
    site.night(leads, **PLAN, max_requests=0)
    wish = listed(tmp_path, "initech", "acme")
    site.resume(**PLAN, **wish, max_requests=0)
    assert reasons(site) == {41: SUPPRESSED_REASON, 42: SUPPRESSED_REASON}
    write_leads(leads, [*others, row("Initech"), row("Acme"), row("Acme", first="Jane", last="Smith")])
    site.night(leads, **PLAN, **wish, steps="search", max_requests=0)
    assert site.resume(**PLAN).pending == 0
    assert {entry.body["company"] for entry in site.server.log} == {other["Company"] for other in others}
    (tmp_path / "suppress.txt").unlink()
    with pytest.raises(InputMissing, match=r"suppress\.txt"):
        site.resume(str(site.out), **PLAN)


def test_a_changed_list_makes_no_row_another_lead(tmp_path: Path) -> None:
    """Suppressed or not, a row is known by what matters of it."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [row("Globex")])
    site.night(leads, **PLAN, max_requests=0)
    leads.write_text(leads.read_text("utf-8") + "\n", "utf-8")
    report = site.night(leads, **PLAN, **listed(tmp_path, "globex"), max_requests=0)
    assert report.jobs[0].counts.leads == len(site.lines()) == 1


def test_suppressed_contacts_are_no_candidates_and_nobodys_best(tmp_path: Path) -> None:
    """The next best is taken; a named row gets its own person and not the others."""
    best, other = STAFF[0], STAFF[1]
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [row(), named(1)])
    site.night(leads, **PLAN, **listed(tmp_path, best.email), steps="search")
    assert best.email.encode() not in site.out.read_bytes()
    lines = {line["row"]: line for line in site.lines()}
    assert lines[1]["match"]["by"] == "best"
    assert lines[2]["email"]["value"] == other.email


def test_a_row_that_turns_out_to_be_a_suppressed_person_tells_nothing_of_them(tmp_path: Path) -> None:
    """Named without an address: the company's search tells who it is, and their number is not asked for."""
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [named(0)])
    site.night(leads, **PLAN, **listed(tmp_path, STAFF[0].email))
    (line,) = site.lines()
    assert (line["status"], line["reason"]) == ("invalid", SUPPRESSED_REASON)
    assert (line["email"], line["phone"], line["contact"]) == (None, None, None)
    assert [entry.endpoint for entry in site.server.log] == ["search"]


def test_suppressed_contacts_of_a_company_get_no_line(tmp_path: Path) -> None:
    """By address or by domain; a company whose every contact is left out has none."""
    companies = write_leads(tmp_path / "companies.csv", [{"Company": COMPANY}, {"Company": "Globex"}])
    site = Site(tmp_path, Server())
    wish = listed(tmp_path, STAFF[0].email, "globex.com")
    work = lambda parts: app.prospect(parts, str(companies), str(site.out))  # noqa: E731 - as any command
    report = site.command(work, **PLAN | wish, steps="search")
    shown = {line["email"]["value"] for line in site.lines()}
    assert shown == {person.email for person in STAFF[:10]} - {STAFF[0].email}
    assert report.jobs[0].counts.by_status[Status.NOT_FOUND] == 1


def test_lines_written_before_reach_no_sink_and_stay_in_the_output(tmp_path: Path) -> None:
    """Results leave them out; a rewrite of the output does not blank what was concluded."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", [named(0), named(1)]), **PLAN, steps="search")
    before = [line["email"]["value"] for line in site.lines()]
    wish = listed(tmp_path, STAFF[0].email)

    async def read(parts: Parts) -> list[dict[str, Any]]:
        async with session(parts) as opened:
            (job,) = opened.store.jobs.all()
            return [orjson.loads(encode(line)) for line in results(opened, job)]

    assert [line["row"] for line in site.command(read, **PLAN | wish)] == [2]
    site.out.unlink()
    site.resume(str(site.out), **PLAN | wish)
    assert sorted(line["email"]["value"] for line in site.lines()) == sorted(before)


def test_a_suppressed_address_is_not_verified(tmp_path: Path) -> None:
    """`verify EMAIL` says why."""
    site = Site(tmp_path, Server())
    wish = listed(tmp_path, "jane@acme.com")
    (answer,), _ = site.command(lambda parts: app.ask(parts, [verify_question("jane@acme.com")]), **PLAN | wish)
    assert answer is not None
    assert answer.reply == NoReply(reason=SUPPRESSED_REASON)
    assert site.server.log == []


def test_a_csv_names_people_by_their_address_and_others_by_domain_and_company(tmp_path: Path) -> None:
    """An opt-out's company is not suppressed with them."""
    file = tmp_path / "suppress.csv"
    file.write_text("Email,Company,Website\njane@globex.com,Globex,\n,Acme Corp,initech.com\n", "utf-8")
    site = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", [row("Globex"), row("Acme"), row("Initrode", site="initech.com")])
    site.night(leads, **PLAN, suppress=str(file), max_requests=0)
    assert reasons(site).keys() == {2, 3}


def test_a_file_adds_to_what_the_configuration_names(tmp_path: Path) -> None:
    """`[suppress]` in TOML with the option's file; a misspelt key is told."""
    config = tmp_path / "x.toml"
    config.write_text('[suppress]\nfile = "old.txt"\nemails = ["a@acme.com"]\ncompanies = ["Acme"]\n', "utf-8")
    settings, _ = load({"suppress": "new.txt"}, config, {}, cwd=tmp_path)
    assert settings.suppress is not None
    assert (str(settings.suppress.file), settings.suppress.emails) == ("new.txt", ("a@acme.com",))
    config.write_text('[suppress]\nemial = ["a@acme.com"]\n', "utf-8")
    with pytest.raises(ConfigError, match="emial under suppress"):
        load({}, config, {}, cwd=tmp_path)
