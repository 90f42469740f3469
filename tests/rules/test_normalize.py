"""What becomes of the user's cells: nothing is guessed, and what is distinct stays distinct."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.model import Lead
from pipeline.normalize import (
    clean_company,
    company_key,
    fold_name,
    is_askable_company,
    lead_of,
    split_name,
    subject_of,
)

COLUMNS = {
    "id": "Record ID",
    "company": "Company Name",
    "domain": "Website",
    "email": "Email",
    "first_name": "First",
    "last_name": "Last",
    "name": "Full Name",
    "title": "Job",
    "city": "City",
}
ROW = {"Company Name": "Acme Corp", "Email": "jane@acme.com", "First": "Jane", "Last": "Smith"}
ANY_TEXT = st.text(max_size=40)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "Zs"]), max_size=30)


def lead(**cells: object) -> Lead:
    headers = {"id": "Record ID"} | {field: COLUMNS[field] for field in cells}
    return lead_of(1, {headers[field]: value for field, value in cells.items()}, headers)


# --- companies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        *("", "  ", ".", "-", "--", "?", "n/a", "N/A", "#N/A", "none", "NULL", "unknown", "Test", "Self"),
        *("self-employed", "Freelance", "(private)", "7", "!!!", "- n/a -", "tbd"),
    ],
)
def test_a_placeholder_is_no_company(cell: str) -> None:
    assert clean_company(cell) is None
    assert company_key(cell, None) is None
    assert not is_askable_company(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("3M", "3M"),
        ("X", "X"),
        ("42", "42"),
        ("  Acme \n  Corp\t", "Acme Corp"),
        ("Acme\u00a0Corp", "Acme Corp"),
        ("Cafe\u0301 Noir", "Café Noir"),
        ("Yahoo!", "Yahoo!"),
        ("Test Rite Labs", "Test Rite Labs"),
    ],
)
def test_a_company_keeps_its_spelling(cell: str, expected: str) -> None:
    assert clean_company(cell) == expected


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["Acme", "ACME, Inc.", "acme corp", "Acme Corporation", "Acme Co., Ltd.", "Acme\u00a0LLC"], "acme"),
        (["ACME GmbH", "Acme GmbH & Co. KG", "Acme AG", "Acme AG & Co. KGaA"], "acme"),
        (["Acme S.A.", "Acme SA", "Acme S. A.", "Acme SAS", "Acme S.à r.l.", "Acme Sàrl"], "acme"),
        (["Acme S.p.A.", "Acme s.r.l.", "Acme, P.C."], "acme"),
        (["Acme A/S", "Acme ApS", "Acme Oy", "Acme AB", "Acme Sp. z o.o.", "Acme s.r.o."], "acme"),
        (["Acme Pty Ltd", "Acme Pte. Ltd.", "Acme Sdn. Bhd.", "Acme K.K.", "Acme S.A. de C.V."], "acme"),
        (["Acme™", "Acme®", "\uff21\uff23\uff2d\uff25", "Acme Inc. (Class A)", "Acme Inc (Class C)"], "acme"),
        (["A. O. Smith", "A.O. Smith", "AO Smith Inc"], "ao smith"),
        (["McDonald's", "McDonald\u2019s", "MCDONALDS"], "mcdonalds"),
        (["Smith & Sons", "Smith and Sons Ltd", "Smith&Sons"], "smith and sons"),
        (["Deere & Company", "Deere & Co."], "deere and co"),
        (["Hershey Company (The)", "The Hershey Company", "Hershey Company, The"], "the hershey"),
    ],
)
def test_spellings_of_one_firm_share_a_key(names: list[str], key: str) -> None:
    assert [company_key(name, None) for name in names] == [f"n:{key}"] * len(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Enterprise Solutions", "The Solutions Co"),
        ("A-B-C Company", "Company"),
        ("A-B-C Company", "ABC Company"),
        ("Merck & Co.", "Merck KGaA"),
        ("Acme Holdings", "Acme"),
        ("Acme Group", "Acme International"),
        ("Williams Companies", "Williams-Sonoma"),
        ("Day Spa", "Day Inc"),
        ("Fix My PC", "Fix My, Inc."),
        ("Canal+", "Canal"),
        ("C++ Works", "C Works"),
        ("The Limited", "The Company"),
        ("Limited Brands", "Brands"),
        ("Inc", "Co"),
        ("SA", "AG"),
        ("ромашка", "василёк"),
        ("東京電力", "関西電力"),
        ("किताब घर", "कताब घर"),
        ("شركة النور", "شركة الهدى"),
        ("Estée Maison", "Este Maison"),
    ],
)
def test_two_firms_never_share_a_key(one: str, other: str) -> None:
    """The cases that have merged strangers in other programs (T4.7), and legal forms that are words too."""
    keys = {company_key(one, None), company_key(other, None)}
    assert len(keys) == 2
    assert None not in keys


@pytest.mark.parametrize("name", ["SA", "Inc", "GmbH & Co. KG", "Ltd.", "Co", "Limited Limited"])
def test_a_company_called_like_a_legal_form_keeps_a_name(name: str) -> None:
    """Others turn SA into the empty string, and then all such firms are one."""
    assert len(company_key(name, None) or "") > len("n:")


@pytest.mark.parametrize("name", ["X", "X Inc.", "京", "É"])
def test_a_name_too_short_to_share_can_still_be_asked(name: str) -> None:
    assert company_key(name, None) is None
    assert is_askable_company(name)


def test_the_domain_decides_before_the_name() -> None:
    assert company_key("Acme", "acme.com") == company_key("Anything else", "acme.com") == "d:acme.com"
    assert company_key("Acme", "gmail.com") == "n:acme"
    assert company_key(None, None) is None


@given(NAMES)
def test_a_key_does_not_depend_on_case_spacing_or_composition(name: str) -> None:
    spaced = "  " + name.replace(" ", " \u00a0 ") + " "
    assert company_key(spaced, None) == company_key(name, None)
    assert company_key(unicodedata.normalize("NFD", name), None) == company_key(name, None)
    if name.isascii():
        assert company_key(name.upper(), None) == company_key(name.lower(), None)


@given(ANY_TEXT)
def test_a_key_is_never_empty_and_a_clean_name_is_clean(name: str) -> None:
    key = company_key(name, None)
    assert key is None or sum(map(str.isalnum, key.removeprefix("n:"))) > 1
    clean = clean_company(name)
    assert clean is None or clean_company(clean) == clean


@given(st.text("abcdefg ", min_size=3, max_size=12), st.sampled_from(["Inc.", "GmbH", "S.p.A.", "Ltd", "LLC"]))
def test_a_legal_form_at_the_end_changes_nothing(name: str, form: str) -> None:
    assume(sum(map(str.isalnum, name)) > 1)
    assert company_key(f"{name} {form}", None) == company_key(name, None)


# --- people -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "expected"),
    [
        ("Jane Smith", ("Jane", "Smith")),
        ("Smith, Jane", ("Jane", "Smith")),
        ("Dr. Jane A. Smith Jr., PhD", ("Jane A.", "Smith Jr.")),
        ("Smith, Jr., John", ("John", "Smith Jr.")),
        ("Smith, John Jr.", ("John", "Smith Jr.")),
        ("Jan van der Berg", ("Jan", "van der Berg")),
        ("van der Berg", (None, "van der Berg")),
        ("Ahmed Al Mansour", ("Ahmed", "Al Mansour")),
        ("Al Gore", ("Al", "Gore")),
        ("Cher", ("Cher", None)),
        ("Dr. Smith", (None, "Smith")),
        ("Dipl.-Ing. Hans Müller", ("Hans", "Müller")),
        ('Robert "Bob" Smith (he/him)', ("Robert", "Smith")),
        ("Jane Smith MD", ("Jane", "Smith")),
        ("Jane Smith, MBA, CFA", ("Jane", "Smith")),
        ("Yo Yo Ma", ("Yo Yo", "Ma")),
        ("Ma, Jack", ("Jack", "Ma")),
        ("Don Smith", ("Don", "Smith")),
        ("王小明", ("王小明", None)),
        ("Mr.", (None, None)),
        (" , ", (None, None)),
        ("", (None, None)),
    ],
)
def test_a_full_name_is_split_where_people_split_it(full: str, expected: tuple[str | None, str | None]) -> None:
    assert split_name(full) == expected


@given(ANY_TEXT)
def test_splitting_invents_no_letters(full: str) -> None:
    known = fold_name(full).replace(" ", "")
    words = [word for part in split_name(full) if part for word in part.split()]
    assert all(fold_name(word).replace(" ", "") in known for word in words)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Jean-Luc", "jean luc"),
        ("O\u2019Brien", "obrien"),
        ("Müller", "muller"),
        ("Groß", "gross"),
        ("Ødegård Łoś", "odegard los"),
        ("Æsir Đoković", "aesir dokovic"),
        ("  SMITH,  J. ", "smith j"),
        ("İpek IŞIK", "ipek isik"),
        ("かが", "かが"),
    ],
)
def test_a_folded_name_has_no_case_accents_or_punctuation(name: str, expected: str) -> None:
    assert fold_name(name) == expected


@given(ANY_TEXT)
def test_folding_twice_is_folding_once(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


# --- leads --------------------------------------------------------------------------------------------


def test_a_lead_takes_from_a_row_what_can_be_used() -> None:
    found = lead_of(17, ROW | {"Record ID": " 0017 ", "Job": "CEO", "City": "Rome", "Other": 1}, COLUMNS)
    assert found == Lead(
        row=17,
        lead_id="0017",
        input=ROW | {"Record ID": " 0017 ", "Job": "CEO", "City": "Rome", "Other": 1},
        company="Acme Corp",
        domain="acme.com",
        company_key="d:acme.com",
        email="jane@acme.com",
        first_name="Jane",
        last_name="Smith",
        title="CEO",
    )


def test_a_filled_cell_that_cannot_be_used_is_named_and_not_quoted() -> None:
    found = lead(company="n/a", domain="linkedin.com/in/jane", email="jane@", name="-", title=["CEO"])
    assert found.unusable == {
        "company": "no company name",
        "domain": "free-mail or social site, not a company's domain",
        "email": "not an e-mail address",
        "name": "no name",
        "title": "not text",
    }
    assert lead(domain="our site").unusable == {"domain": "not a web address"}
    assert lead(company="", email=None, domain="  ", name="NULL").unusable == {}


def test_free_mail_gives_an_address_and_no_domain() -> None:
    found = lead(company="Acme", email="jane@gmail.com")
    assert (found.email, found.domain, found.company_key) == ("jane@gmail.com", None, "n:acme")
    assert found.unusable == {}


def test_the_domain_column_comes_before_the_address() -> None:
    assert lead(domain="acme.com", email="jane@agency.com").domain == "acme.com"


@pytest.mark.parametrize(("cell", "expected"), [(17, "17"), (17.0, "17"), ("a-1", "a-1"), (True, "True")])
def test_an_id_is_text_however_the_file_holds_it(cell: object, expected: str) -> None:
    """Parquet makes 17.0 of an id that CSV calls 17: it is the same lead."""
    assert lead(id=cell, company="Acme").lead_id == expected


@pytest.mark.parametrize("cell", ["", None, float("nan"), "n/a", "NULL", {}])
def test_a_blank_id_gives_way_to_a_hash_of_what_matters(cell: object) -> None:
    found = lead(id=cell, company="Acme")
    assert found.lead_id == lead(company="ACME Inc.").lead_id
    assert found.lead_id.startswith("h:")
    assert len(found.lead_id) == 18


def test_what_matters_is_company_name_address_and_domain() -> None:
    base = lead(company="Acme", name="Jane Smith", title="CEO")
    assert subject_of(base) == subject_of(lead(company="ACME Inc", name="smith, JANE", title="CTO"))
    others = [
        lead(company="Globex", name="Jane Smith"),
        lead(company="Acme", name="Joe Smith"),
        lead(company="Acme", name="Jane Smith", email="jane@gmail.com"),
        lead(company="Acme", name="Jane Smith", domain="acme.com"),
    ]
    assert len({subject_of(one) for one in (base, *others)}) == 5
    assert len(subject_of(base)) == 16


def test_firms_too_short_to_share_are_still_different_leads() -> None:
    assert lead(company="X").lead_id != lead(company="Y").lead_id


def test_first_and_last_name_columns_come_before_the_full_name() -> None:
    found = lead(first_name="Jane", last_name="", name="J. Smith")
    assert (found.first_name, found.last_name) == ("Jane", "Smith")


def test_null_is_a_name_in_title_case_only() -> None:
    assert lead(last_name="Null").last_name == "Null"
    assert lead(last_name="NULL").last_name is None


@given(
    st.dictionaries(
        st.sampled_from(sorted(COLUMNS.values())), st.none() | st.floats() | st.text() | st.lists(st.none())
    )
)
def test_no_row_is_too_strange_to_take_in(record: dict[str, Any]) -> None:
    found = lead_of(1, record, COLUMNS)
    assert found.lead_id
    assert found.input.keys() == record.keys()
    assert lead_of(9, record, COLUMNS).lead_id == found.lead_id


def test_a_cell_of_any_length_is_read() -> None:
    assert company_key("Acme " + "Co " * 5000, None) == "n:acme"
    assert lead(name="van " * 70 + "Berg").last_name


@pytest.mark.parametrize("field", ["company", "first_name", "last_name", "name", "email", "domain"])
def test_a_cell_that_is_a_whole_text_names_nobody(field: str) -> None:
    """Somebody pasted a thread: its length is told, what it says is not."""
    found = lead(**{"company": "Acme", field: 30_000 * "Acme"})
    assert found.unusable == {field: "120,000 characters, too long"}
    assert getattr(found, field, None) is None


def test_half_a_surrogate_pair_does_not_end_the_run() -> None:
    assert lead(company="Acme \ud83d", name="Jane \udc00 Smith").company == "Acme"
