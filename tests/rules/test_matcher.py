"""Promise 6, the right person: a named row takes data only from that person, and nobody is guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.matcher import MOST_CANDIDATES, Match, match
from pipeline.model import Contact, Lead, Questions
from pipeline.normalize import fold_name

if TYPE_CHECKING:
    from random import Random

ANY = Questions()


def lead(first: str | None = None, last: str | None = None, **more: object) -> Lead:
    fields = {"row": 1, "lead_id": "1", "input": {}, "company": "Acme Corp", "domain": "acme.com"}
    return Lead.model_validate(fields | {"first_name": first, "last_name": last} | more)


def person(first: str | None, last: str | None, email: str | None = None, **more: object) -> Contact:
    fields = {"first_name": first, "last_name": last, "email": email, "company": "Acme Corp"}
    return Contact.model_validate(fields | more)


def found(row: Lead, *contacts: Contact, questions: Questions = ANY) -> tuple[str, float, Contact | None]:
    result = match(row, contacts, questions)
    return result.by, result.score, result.contact


NOBODY = ("none", 0.0, None)
JANE = person("Jane", "Smith", "jane@acme.com")
JOHN = person("John", "Smith", "john@acme.com")
BOSS = person("Erika", "Boss", "boss@acme.com", title="CEO", email_confidence=0.99)


# --- by e-mail ----------------------------------------------------------------------------------------


def test_the_same_address_is_the_same_person_whatever_its_case_or_company() -> None:
    elsewhere = person("Jane", "Jones", "Jane@ACME.com", company="Globex")
    assert found(lead("Jane", "Smith", email="jane@acme.com"), BOSS, elsewhere) == ("email", 1.0, elsewhere)


def test_an_address_is_the_same_however_its_domain_is_written() -> None:
    """Servers return international domains as people write them; rows hold what goes over the wire."""
    jane = person("Jane", "Smith", "Jane@MÜLLER.de")
    assert found(lead(email="jane@xn--mller-kva.de"), BOSS, jane) == ("email", 1.0, jane)


def test_the_ceos_data_never_lands_on_another_address() -> None:
    """The guide's own example takes contacts[0] (T0.2)."""
    result = match(lead(email="john@acme.com"), [BOSS], ANY)
    assert result == Match("none", 0.0, None, (BOSS,))


def test_an_unknown_address_falls_back_on_the_name() -> None:
    assert found(lead("Jane", "Smith", email="j.smith@old.com"), BOSS, JANE) == ("name", 1.0, JANE)


def test_a_shared_mailbox_names_nobody_by_itself() -> None:
    jane, john = person("Jane", "Smith", "info@acme.com"), person("John", "Doe", "info@acme.com")
    assert found(lead(email="info@acme.com"), jane, john) == NOBODY
    assert found(lead("John", "Doe", email="info@acme.com"), jane, john) == ("email", 1.0, john)
    assert found(lead(None, "Doe", email="info@acme.com"), jane, john) == ("email", 1.0, john)


# --- by name: the ladder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "known", "score"),
    [
        (("Jane", "Smith"), ("JANE", "smith"), 1.0),
        (("José", "Muñoz"), ("Jose", "Munoz"), 1.0),
        (("Jane", "O'Brien"), ("Jane", "O\u2019Brien"), 1.0),
        (("Jane", "Smith-Jones"), ("Jane", "Smith Jones"), 1.0),
        (("Dr. Jane", "Smith, PhD"), ("Jane", "Smith"), 1.0),
        (("Jane Smith", None), ("Jane", "Smith"), 1.0),
        (("明", "王"), ("明", "王"), 1.0),
        (("Jürgen", "Müller"), ("Juergen", "Mueller"), 0.98),
        (("Jean-Luc", "Petit"), ("Jean Luc", "Petit"), 0.98),
        (("Ana", "De Vries"), ("Ana", "DeVries"), 0.98),
        (("Ana García", "López"), ("Ana", "García López"), 0.98),
        (("Jane A.", "Smith"), ("Jane", "Smith"), 0.95),
        (("Jane", "Smith"), ("Jane Adele", "Smith"), 0.95),
        (("Jane A.", "Smith"), ("Jane Adele", "Smith"), 0.95),
        (("J. Robert", "Oppen"), ("Robert", "Oppen"), 0.95),
        (("John", "Smith Jr."), ("John", "Smith"), 0.95),
        (("Jan", "van der Berg"), ("Jan", "Berg"), 0.95),
        (("Smith", "Jane"), ("Jane", "Smith"), 0.93),
        (("Bob", "Smith"), ("Robert", "Smith"), 0.9),
        (("Liz", "Smith"), ("Betty", "Smith"), 0.9),
        (("Pepe", "Ruiz"), ("José", "Ruiz"), 0.9),
        (("Hans", "Maier"), ("Johannes", "Maier"), 0.9),
        (("Ana", "García López"), ("Ana", "García"), 0.88),
        (("Ana", "Jones"), ("Ana", "Smith-Jones"), 0.88),
        (("Ana", "Pérez"), ("Ana", "García López Pérez"), 0.88),
        (("J.", "Smith"), ("Jane", "Smith"), 0.8),
        (("Jane", "Smith"), ("J", "Smith"), 0.8),
        (("J.", "Smith"), ("J.", "Smith"), 0.8),
        (("Bob", "Smith-Jones"), ("Robert", "Jones"), 0.792),
        ((None, "Smith"), ("Jane", "Smith"), 0.75),
    ],
)
def test_one_name_written_two_ways_is_one_person(
    asked: tuple[str | None, str | None], known: tuple[str, str], score: float
) -> None:
    contact = person(*known)
    assert found(lead(*asked), BOSS, contact) == ("name", score, contact)


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        (("Jane", "Smith"), ("Jane", "Smyth")),
        (("Jane", "Smith"), ("Joan", "Smith")),
        (("Jane", "Smith"), ("Jane", None)),
        (("Jane", "Smith"), (None, "Smith")),
        (("Jane", None), ("Jane", "Smith")),
        (("Jane", None), ("Jane", None)),
        (("Jane", "S."), ("Jane", "Smith")),
        (("Jane", "S."), ("Jane", "S.")),
        (("Jane A.", "Smith"), ("Jane B.", "Smith")),
        (("Jean", "Petit"), ("Jean-Luc", "Petit")),
        (("John", "Smith Jr."), ("John", "Smith Sr.")),
        (("Ana", "García López"), ("Ana", "García Pérez")),
        (("Ana", "de la Cruz"), ("Ana", "de la")),
        (("J.", "Smith-Jones"), ("Jane", "Jones")),
        (("J.", "Smith"), ("S.", "Jones")),
        (("J.", "Asmith"), ("Ja", "Smith")),
        (("Bob", "Smith"), ("Bill", "Smith")),
        (("明", "王"), ("明明", "王")),
    ],
)
def test_two_names_are_never_one_person(
    asked: tuple[str | None, str | None], known: tuple[str | None, str | None]
) -> None:
    """No likeness, and no two weak likenesses together, fill a field."""
    assert found(lead(*asked), person(*known, email="x@acme.com")) == NOBODY


def test_the_higher_rung_wins() -> None:
    bob, robert = person("Bob", "Smith", "bob@acme.com"), person("Robert", "Smith", "r@acme.com")
    assert found(lead("Bob", "Smith"), robert, bob) == ("name", 1.0, bob)


def test_two_people_on_one_rung_are_both_refused() -> None:
    namesake = person("Jane", "Smith", "jane.smith2@acme.com")
    result = match(lead("Jane", "Smith"), [JANE, BOSS, namesake], ANY)
    assert (result.by, result.contact) == ("none", None)
    assert set(result.candidates[:2]) == {JANE, namesake}


def test_one_person_listed_twice_is_not_ambiguous() -> None:
    twice = person("Jane", "SMITH", "jane@acme.com", phone="+1-555-123-4567", phone_confidence=0.9)
    bare = person("jane", "smith")
    assert found(lead("Jane", "Smith"), JANE, twice, bare) == ("name", 1.0, twice)


def test_namesakes_without_addresses_are_told_apart_by_title() -> None:
    boss, clerk = person("Jane", "Smith", title="CEO"), person("Jane", "Smith", title="Clerk")
    assert found(lead("Jane", "Smith"), boss, clerk) == NOBODY


@pytest.mark.parametrize(
    ("asked", "contacts"),
    [
        (("J.", "Smith"), (JANE, JOHN)),
        (("J.", "Smith"), (person("J.", "Smith", "j@acme.com"), JANE)),
        (("Jane", "Smith"), (person("J.", "Smith", "j@acme.com"), JOHN)),
        ((None, "Smith"), (JANE, JOHN)),
        ((None, "Smith"), (JANE, person("Ann", "Smith-Jones", "ann@acme.com"))),
    ],
)
def test_an_initial_or_a_bare_surname_must_fit_one_contact_only(
    asked: tuple[str | None, str | None], contacts: tuple[Contact, ...]
) -> None:
    assert found(lead(*asked), *contacts) == NOBODY


# --- the company --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "contact"),
    [
        ({"company": "Acme", "domain": None}, {"company": "ACME Corp."}),
        ({"company": "Acme", "domain": None}, {"company": None, "email": "jane@other.com"}),
        ({"company": "Acme"}, {"company": "Acme Global", "email": "jane@acme.com"}),
        ({"company": None}, {"company": "Acme Corp", "email": "jane@mail.acme.com"}),
        ({"company": None}, {"company": "Acme Inc", "email": "jane@acme.de"}),
        ({"company": None}, {"company": "Acme Worldwide Trading"}),
        ({"company": None}, {"company": "Acme Worldwide", "email": "jane@gmail.com"}),
        ({"company": "Estee & Co", "domain": None}, {"company": "The Estée Company"}),
        ({"company": None, "domain": "acme-foods.com"}, {"company": "AcmeFoods", "email": "jane@gmail.com"}),
        ({"company": None, "domain": None}, {"company": "Globex"}),
    ],
)
def test_a_contact_of_the_company_is_eligible(row: dict[str, Any], contact: dict[str, Any]) -> None:
    same = person("Jane", "Smith", **contact)
    assert found(lead("Jane", "Smith", **row), same) == ("name", 1.0, same)


@pytest.mark.parametrize(
    ("row", "contact"),
    [
        ({"company": "Acme", "domain": None}, {"company": "Globex"}),
        ({"company": "Acme", "domain": None}, {"company": "Acme Foods", "email": "jane@acmefoods.com"}),
        ({"company": "Acme"}, {"company": "Globex", "email": "jane@globex.com"}),
        ({"company": None}, {"company": "Globex", "email": "jane@globex.com"}),
        ({"company": "Acme"}, {"company": "Globex", "email": "jane@gmail.com"}),
    ],
)
def test_a_namesake_at_another_company_is_a_candidate_only(row: dict[str, Any], contact: dict[str, Any]) -> None:
    """Namesakes fill nothing (T4.8); neither are they anybody's best contact."""
    other = person("Jane", "Smith", **contact)
    assert match(lead("Jane", "Smith", **row), [other], ANY) == Match("none", 0.0, None, (other,))
    assert match(lead(**row), [other], ANY) == Match("none", 0.0, None, (other,))


# --- the best -----------------------------------------------------------------------------------------


def test_a_row_that_names_nobody_takes_the_surest_address() -> None:
    low = person("Ann", "Low", "ann@acme.com", email_confidence=0.7, title="CEO")
    none = person("Bea", "None", None, email_confidence=1.0, phone="+1", phone_confidence=1.0)
    assert found(lead(), none, low, BOSS) == ("best", 0.99, BOSS)
    assert match(lead(), [none, low, BOSS], ANY).candidates == (low, none)
    assert found(lead()) == NOBODY


def test_equal_addresses_are_told_apart_by_phone_and_then_by_rank() -> None:
    clerk = person("A", "A", "a@acme.com", email_confidence=0.9, title="Assistant to the CEO")
    chief = person("B", "B", "b@acme.com", email_confidence=0.9, title="Chief Executive Officer")
    rings = person("C", "C", "c@acme.com", email_confidence=0.9, phone="+1", phone_confidence=0.5)
    assert match(lead(), [clerk, chief, rings], ANY).contact == rings
    assert match(lead(), [clerk, chief], ANY).contact == chief


@pytest.mark.parametrize("field", ["title", "phone", "company", "department"])
def test_those_who_differ_in_one_field_only_keep_their_order(field: str) -> None:
    """Whichever way round the server lists them."""
    both = [person("A", "A", "a@acme.com", email_confidence=0.9, **{field: text}) for text in ("b", "a")]
    assert match(lead(), both, ANY) == match(lead(), both[::-1], ANY)


def test_a_confidence_without_a_number_speaks_for_nobody() -> None:
    mute = person("A", "A", "a@acme.com", email_confidence=0.9, phone_confidence=0.99)
    rings = person("B", "B", "b@acme.com", email_confidence=0.9, phone="+1", phone_confidence=0.5)
    assert match(lead(), [mute, rings], ANY).contact == rings


@pytest.mark.parametrize(
    ("questions", "title"),
    [
        (Questions(titles=("VP Sales",)), "Vice President of Sales"),
        (Questions(titles=("CTO", "CEO")), "Chief Executive Officer"),
        (Questions(departments=("engineering",)), "Engineer"),
        (Questions(decision_maker_only=True), "Head of Tax"),
    ],
)
def test_the_filters_of_the_questions_come_before_confidence(questions: Questions, title: str) -> None:
    surest = person("A", "A", "a@acme.com", email_confidence=1.0, title="Assistant to the CEO")
    wanted = person("B", "B", "b@acme.com", email_confidence=0.5, title=title, department="Engineering")
    assert found(lead(), surest, wanted, questions=questions) == ("best", 0.5, wanted)


def test_candidates_are_at_most_ten_and_the_nearest_come_first() -> None:
    crowd = [person("N", f"Other{n}", f"n{n}@acme.com", email_confidence=0.9, title="CEO") for n in range(20)]
    near = person("J.", "Jones", "jj@acme.com")
    result = match(lead("Jane", "Smith-Jones"), [*crowd, near], ANY)
    assert result.contact is None
    assert result.candidates[0] == near
    assert len(result.candidates) == MOST_CANDIDATES


# --- whatever comes -----------------------------------------------------------------------------------

FIRST = st.sampled_from(["Jane", "JANE", "J.", "Bob", "Robert", "Jane A.", "Zoë", "王", None, ""])
LAST = st.sampled_from(["Smith", "smith", "Jones", "Müller", "Mueller", "van Berg", None, ""])
EMAIL = st.sampled_from(["jane@acme.com", "Jane@acme.com", "x@globex.com", "info@gmail.com", None])
FIRM = st.sampled_from(["Acme Corp", "Acme", "Globex", None])
ODDS = st.none() | st.floats(0, 1)
CONTACTS = st.lists(
    st.builds(
        Contact,
        first_name=FIRST.filter(bool) | st.none(),
        last_name=LAST.filter(bool) | st.none(),
        email=EMAIL,
        email_confidence=ODDS,
        phone=st.sampled_from(["+1", None]),
        phone_confidence=ODDS,
        company=FIRM,
        title=st.sampled_from(["CEO", "Clerk", None]),
    ),
    max_size=8,
)
LEADS = st.builds(lead, FIRST, LAST, company=FIRM, email=st.sampled_from(["jane@acme.com", "info@gmail.com", None]))


@given(LEADS, CONTACTS, st.randoms(use_true_random=False))
def test_the_servers_order_decides_nothing(row: Lead, contacts: list[Contact], chance: Random) -> None:
    shuffled = contacts[:]
    chance.shuffle(shuffled)
    assert match(row, shuffled, ANY) == match(row, contacts, ANY)


@given(LEADS, CONTACTS)
def test_a_named_row_never_gets_somebody_of_another_name_and_address(row: Lead, contacts: list[Contact]) -> None:
    taken = match(row, contacts, ANY).contact
    if row.names_person and taken is not None:
        same_address = bool(row.email) and (taken.email or "").lower() == row.email
        names = fold_name((row.last_name or "").replace("ü", "ue")).split()[-1:]
        known = fold_name(f"{taken.first_name or ''} {taken.last_name or ''}".replace("ü", "ue")).split()
        assert same_address or (names and set(names) <= set(known))


@given(LEADS, CONTACTS)
def test_everybody_is_either_taken_or_a_candidate(row: Lead, contacts: list[Contact]) -> None:
    result = match(row, contacts, ANY)
    assert len(result.candidates) + (result.contact is not None) == len(contacts)
    assert (result.contact is None) == (result.by == "none")
    assert 0.0 <= result.score <= 1.0


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_name_is_too_strange_to_compare(first: str, last: str, other: str, second: str) -> None:
    given_name, surname, name, namesake = (text.strip() or None for text in (first, last, other, second))
    contacts = [person(name, namesake, "a@acme.com"), person(given_name, surname, "b@acme.com")]
    assert match(lead(first, last), contacts, ANY).by in {"name", "none", "best"}
