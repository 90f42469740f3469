"""Headers are recognised as the exports write them; a coin toss is refused, and the user has the last word."""

from __future__ import annotations

import pytest

from pipeline import columns
from pipeline.errors import InputUnusable, UsageError


def fields(header: str, **told: str) -> dict[str, str]:
    """Tell the columns recognised in a header line of names split by `|`."""
    headers = columns.headers_of(header.split("|"))
    return columns.recognise(headers, told, "leads.csv").fields


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "Record ID|First Name|Last Name|Email|Company name|Website URL|Job Title|Associated Company",
            (
                "company=Company name,domain=Website URL,email=Email,first_name=First Name,last_name=Last Name,"
                "title=Job Title,id=Record ID"
            ),
        ),
        (
            "Record ID|Company name|Company Domain Name|Website URL",
            "company=Company name,domain=Company Domain Name,id=Record ID",
        ),
        (
            "Lead ID|FirstName|LastName|Email|Company|Website|Title",
            (
                "company=Company,domain=Website,email=Email,first_name=FirstName,last_name=LastName,title=Title,"
                "id=Lead ID"
            ),
        ),
        ("Contact ID|Account Name|Email", "company=Account Name,email=Email,id=Contact ID"),
        (
            "Person - ID|Person - Name|Person - Email - Work|Person - Organization|Organization - ID",
            "company=Person - Organization,email=Person - Email - Work,name=Person - Name,id=Person - ID",
        ),
        ("Lead - ID|Lead - Title|Organization - Name", "company=Organization - Name,id=Lead - ID"),
        (
            "company_name|first_name|e-mail|full-name",
            "company=company_name,email=e-mail,first_name=first_name,name=full-name",
        ),
        ("Vorname|Nachname|Firma|E-Mail", "company=Firma,email=E-Mail,first_name=Vorname,last_name=Nachname"),
        ("Vorname|Name|Firma", "company=Firma,first_name=Vorname,last_name=Name"),
        ("Prénom|Nom|Société", "company=Société,first_name=Prénom,last_name=Nom"),
        ("Nom|Entreprise", "company=Entreprise,name=Nom"),
        ("name|website", "company=name,domain=website"),
        ("name|email", "email=email,name=name"),
        (
            "First Name|Last Name|URL|Email Address|Company|Position",
            "company=Company,email=Email Address,first_name=First Name,last_name=Last Name,title=Position",
        ),
        ("Email|Work Email", "email=Email"),
        ("Company|Priority", "company=Company"),
    ],
)
def test_exports_are_recognised(header: str, expected: str) -> None:
    assert fields(header) == dict(pair.split("=") for pair in expected.split(","))


def test_no_synonym_serves_two_fields() -> None:
    names = [columns.fold(name) for groups in columns._KNOWN.values() for name in groups.replace(">", ",").split(",")]
    assert sorted(set(names)) == sorted(names)
    assert "" not in names


def test_the_users_word_wins() -> None:
    told = fields("Company|Kunde|Rank", company="Kunde", priority="rank")
    assert told == {"company": "Kunde", "priority": "Rank"}


def test_recognition_can_be_switched_off() -> None:
    assert fields("Company|Email|ID", id="", email=" ") == {"company": "Company"}


def test_a_field_that_does_not_exist() -> None:
    with pytest.raises(UsageError) as caught:
        fields("Company", compnay="Company")
    assert caught.value.what == "--column compnay=… names no field."
    assert caught.value.fix.startswith('Did you mean "company"? Fields: "company", "domain"')


def test_a_header_that_is_not_there() -> None:
    with pytest.raises(InputUnusable) as caught:
        fields("Company|Kunde|" + "|".join(f"c{n}" for n in range(30)), company="Kudne")
    assert caught.value.what == 'leads.csv has no column "Kudne" (company).'
    assert caught.value.fix.startswith('Did you mean "Kunde"? Headers: "Company", "Kunde", "c0"')
    assert caught.value.fix.endswith(" and 20 more.")


def test_no_usable_column() -> None:
    with pytest.raises(InputUnusable) as caught:
        fields("City|Colour")
    assert caught.value.what == (
        'leads.csv has no usable column: neither company, domain nor e-mail is among its headers ("City", "Colour").'
    )
    assert caught.value.fix == 'Name one with --column, e.g. --column company="HEADER".'


@pytest.mark.parametrize("header", ["Jane Smith", "Jane|jane@b.example", '{"a": 1}|x', "Jane|+33 639981234"])
def test_a_list_without_a_header_shows_nobodys_data(header: str) -> None:
    for told in ({}, {"company": "Firm"}):
        with pytest.raises(InputUnusable) as caught:
            fields(header, **told)
        assert "Jane" not in str(caught.value)
        assert "put a header line above it" in str(caught.value)


def test_headers_in_messages_are_bounded_and_printable() -> None:
    with pytest.raises(InputUnusable) as caught:
        fields("\x1b[31mRed|" + "x" * 500)
    assert '(" [31mRed", "' in caught.value.what
    assert len(caught.value.what) < 200
