"""Promise 6: a lead that names a person gets contact data only from a contact that matches that person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support import Server, Site, people, write_leads

from pipeline.normalize import fold_name

if TYPE_CHECKING:
    from pathlib import Path

PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0}


def test_nobody_gets_somebody_elses_data(tmp_path: Path) -> None:
    """Over a list of people the server knows and people it does not: names agree, or nothing is filled."""
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", people(40, 4)), **PLAN)
    matched = 0
    for line in site.lines():
        first, last = line["input"]["First Name"], line["input"]["Last Name"]
        if not last:
            assert line["match"]["by"] in ("best", "none")
        elif line["match"]["by"] == "none":
            assert line["contact"] is None
            assert line["email"] is None
        else:
            matched += 1
            assert fold_name(line["contact"]["last_name"]) == fold_name(last)
            assert fold_name(line["contact"]["first_name"]) == fold_name(first)
    assert matched > 80


def test_the_chief_executives_address_is_not_put_on_every_lead(tmp_path: Path) -> None:
    """The guide's own example takes contacts[0] (T0.2); here the others are candidates."""
    rows = [{"First Name": "John", "Last Name": "Unknown", "Company Name": "Acme Corp", "Email": ""}]
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", rows), steps="search", **PLAN)
    (line,) = site.lines()
    assert line["email"] is None
    assert line["status"] == "not_found"
    assert line["reason"].startswith("not_among_")
    assert len(line["candidates"]) > 0


def test_a_row_that_names_nobody_takes_the_companys_best(tmp_path: Path) -> None:
    """`best` is for such rows alone."""
    rows = [{"Company Name": "Acme Corp"}]
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", rows), steps="search", **PLAN)
    (line,) = site.lines()
    assert line["match"]["by"] == "best"
    assert line["email"]["source"] == "search"


def test_a_free_mail_address_makes_no_company(tmp_path: Path) -> None:
    """Two strangers at gmail.com are not colleagues (T4.9)."""
    rows = [{"Email": "jane.smith@gmail.com"}, {"Email": "john.doe@gmail.com"}]
    site = Site(tmp_path, Server())
    site.night(write_leads(tmp_path / "leads.csv", rows), **PLAN)
    assert all(entry.endpoint != "search" for entry in site.server.log)
    assert {line["email"]["value"] for line in site.lines()} == {row["Email"] for row in rows}
