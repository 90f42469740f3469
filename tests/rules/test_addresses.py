"""An address, a domain or a number is taken only if it is certainly one; free mail is nobody's company."""

from __future__ import annotations

import pytest
from email_validator import validate_email
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.addresses import _PLAIN
from pipeline.normalize import clean_domain, clean_email, e164


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Jane.Smith@ACME.com", "jane.smith@acme.com"),
        ("  jane@acme.com\t", "jane@acme.com"),
        ("mailto:jane@acme.com?subject=Hello", "jane@acme.com"),
        ("<jane@acme.com>", "jane@acme.com"),
        ("Jane Smith <jane@acme.com>", "jane@acme.com"),
        ("jane@acme.com;", "jane@acme.com"),
        ("jane@müller.example.com", "jane@xn--mller-kva.example.com"),
        ("jane+list@acme.com", "jane+list@acme.com"),
        ("jane@acme.com; joe@acme.com", None),
        ("jane(at)acme.com", None),
        ("jane@acme", None),
        ("jane smith@acme.com", None),
        ("@acme.com", None),
        ("n/a", None),
        ("", None),
        ("\ud800@acme.com", None),
    ],
)
def test_an_address_is_one_valid_address_in_lower_case_or_nothing(cell: str, expected: str | None) -> None:
    assert clean_email(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("https://www.Acme.co.uk/about?x=1#y", "acme.co.uk"),
        ("acme.com", "acme.com"),
        ("WWW.ACME.COM.", "acme.com"),
        ("acme.com:8080/shop", "acme.com"),
        ("//acme.com", "acme.com"),
        ("jane@mail.acme.de", "acme.de"),
        ("mailto:jane@acme.de", "acme.de"),
        ("https://user:word@acme.com/", "acme.com"),
        ("müller.de", "xn--mller-kva.de"),
        ("XN--MLLER-KVA.de", "xn--mller-kva.de"),
        ("straße.de", "xn--strae-oqa.de"),
        ("example.com", "example.com"),
        ("shop-one.myshopify.com", "shop-one.myshopify.com"),
        ("wordpress.com", "wordpress.com"),
        ("jane@linkedin.com", "linkedin.com"),
    ],
)
def test_a_domain_is_the_part_a_company_registers(cell: str, expected: str) -> None:
    assert clean_domain(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        *("gmail.com", "jane@gmail.com", "www.googlemail.com", "mail.yahoo.co.jp", "hotmail.fr", "gmx.at"),
        *("t-online.de", "orange.fr", "proton.me", "qq.com", "comcast.net", "yandex.kz", "libero.it"),
    ],
)
def test_free_mail_is_nobodys_company(cell: str) -> None:
    """A gmail.com that became a company key would share one answer among strangers (T4.9)."""
    assert clean_domain(cell) is None


@pytest.mark.parametrize(
    "cell",
    [
        "https://www.linkedin.com/company/acme",
        "https://medium.com/@acme",
        "facebook.com/acme",
        "https://x.com/acme",
        "https://sites.google.com/view/acme",
        "https://www.google.com/search?q=acme",
        "192.168.1.1",
        "http://[::1]:80/",
        "localhost",
        "acme",
        "acme.local",
        "co.uk",
        "acme..com",
        "acme com",
        "a,b.com",
        "-",
        "",
    ],
)
def test_a_cell_that_names_no_company_gives_no_domain(cell: str) -> None:
    assert clean_domain(cell) is None


@given(st.text(max_size=40))
def test_a_clean_domain_or_address_is_its_own_clean_form(text: str) -> None:
    for clean in (clean_domain, clean_email):
        found = clean(text)
        assert found is None or clean(found) == found


@given(st.from_regex(r"[A-Za-z0-9]{1,12}(\.[A-Za-z0-9]{1,8})?@[A-Za-z]{2,10}\.(com|co\.uk|de)", fullmatch=True))
def test_mailboxes_that_differ_only_by_case_are_one(address: str) -> None:
    assert clean_email(address) == clean_email(address.upper()) == address.lower()


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("+1-555-123-4567", None, "+15551234567"),
        ("030 1234567", "de", "+49301234567"),
        ("030 1234567", None, None),
        ("+1 555", None, None),
        ("call me", "US", None),
    ],
)
def test_a_number_has_an_e164_form_where_it_is_possible(
    number: str, region: str | None, expected: str | None
) -> None:
    """The guide's own number is possible and not valid: validity is not asked."""
    assert e164(number, region) == expected


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.emails(),
        st.tuples(st.text(alphabet="abz09_+-.", max_size=12), st.text(alphabet="abx9-.", max_size=14)).map("@".join),
    )
)
def test_an_address_taken_at_sight_is_one_the_library_would_take_as_it_is(text: str) -> None:
    """The quick way knows nothing the library does not: it only saves asking."""
    plain = text.lower()
    if _PLAIN.fullmatch(plain):
        found = validate_email(plain, check_deliverability=False)
        assert clean_email(text) == plain == f"{found.local_part}@{found.ascii_domain}"
