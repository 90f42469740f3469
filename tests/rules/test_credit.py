"""What a call costs, learned from lone searches; and the rule for readings that come out of order."""

from __future__ import annotations

import pytest

from pipeline.credit import LONE_SEARCHES, Ceilings, Prices, affordable, after_reading
from pipeline.model import Questions
from pipeline.protocol import phones_question, search_question, verify_question

SEARCH = search_question("Acme Corp", Questions(), filtered=False)  # may return ten
VERIFY = verify_question("jane@acme.com")
PHONES = phones_question(email="jane@acme.com", first_name=None, last_name=None, company=None, questions=Questions())


def learned(*observations: tuple[int | None, int], **ceilings: int) -> Prices:
    """Prices after a blind search and these lone ones: (credits gone, contacts returned)."""
    prices = Prices(Ceilings(**ceilings))
    prices.observe(None, 5)
    for gone, contacts in observations:
        prices.observe(gone, contacts)
    return prices


# --- ceilings -----------------------------------------------------------------------------------------


def test_a_call_is_taken_to_cost_its_ceiling_until_its_price_is_known() -> None:
    """T1.4: a search its limit, verify and phones one each, unless set otherwise."""
    assert [Prices().reserve(question) for question in (SEARCH, VERIFY, PHONES)] == [10, 1, 1]
    dear = Prices(Ceilings(verify=2, phones=5, search_per_contact=3))
    assert [dear.reserve(question) for question in (SEARCH, VERIFY, PHONES)] == [30, 2, 5]
    assert Prices().reserve(search_question("Acme", Questions(), filtered=False, limit=50)) == 50


def test_verify_and_phones_never_show_a_price() -> None:
    """T0.5: whatever searches cost, the others are counted at their ceilings."""
    prices = learned((1, 4), (1, 7), verify=2, phones=5)
    assert [(prices.reserve(question), prices.settle(question, None)) for question in (VERIFY, PHONES)] == [
        (2, 2),
        (5, 5),
    ]


# --- learning -----------------------------------------------------------------------------------------

LEARNED = {
    "one-observation": ([(1, 5)], 10, 10),
    "first-only-set-the-gauge": ([(None, 5), (1, 5)], 10, 10),
    "fixed": ([(1, 5), (1, 3)], 1, 1),
    "fixed-same-number": ([(1, 5), (1, 5)], 1, 1),
    "fixed-dear": ([(4, 2), (4, 9)], 4, 4),
    "per-contact": ([(5, 5), (3, 3)], 10, 4),
    "two-per-contact": ([(10, 5), (6, 3)], 20, 8),
    "fixed-and-per-contact": ([(6, 5), (3, 2)], 11, 5),
    "ambiguous": ([(5, 5), (5, 5)], 10, 5),
    "ambiguous-with-one-contact": ([(1, 1), (1, 1)], 10, 4),
    "ambiguous-with-fixed-part": ([(3, 2), (3, 2)], 11, 5),
    "ambiguous-and-dear": ([(5, 2), (5, 2)], 13, 7),
    "ambiguous-and-dearer-than-the-ceiling": ([(6, 3), (6, 3)], 20, 8),
    "ambiguity-resolved": ([(5, 5), (5, 5), (2, 2)], 10, 4),
    "zero": ([(0, 5), (0, 3)], 0, 0),
    "disagreeing": ([(1, 5), (2, 5)], 10, 10),
    "fixed-and-dear-per-contact": ([(17, 2), (31, 4)], 73, 31),
    "third-disagrees": ([(1, 5), (1, 3), (2, 4)], 10, 10),
    "falling": ([(5, 2), (3, 4)], 10, 10),
    "steeper-than-a-price-from-nothing": ([(1, 3), (4, 5)], 10, 10),
    "not-whole": ([(1, 2), (2, 4), (2, 5)], 10, 10),
    "dearer-than-the-ceiling": ([(15, 5)], 15, 15),
    "dearer-fixed": ([(15, 5), (15, 3)], 15, 15),
    "nobody-returned-tells-nothing": ([(1, 0), (1, 0), (1, 0)], 10, 10),
    "nobody-is-free": ([(1, 5), (0, 0), (1, 3)], 1, 1),
    "nobody-costs-the-same": ([(1, 5), (1, 0), (1, 3)], 1, 1),
    "nobody-costs-more": ([(1, 5), (2, 0), (1, 3)], 10, 10),
    "nobody-costs-though-contacts-do": ([(5, 5), (1, 0), (3, 3)], 10, 10),
    "a-top-up-is-no-price": ([(-500, 5), (1, 5)], 10, 10),
}


@pytest.mark.parametrize(("observations", "reserve", "settle"), LEARNED.values(), ids=LEARNED)
def test_a_price_is_believed_when_two_lone_searches_agree(
    observations: list[tuple[int | None, int]], reserve: int, settle: int
) -> None:
    """`reserve` before a search of ten, `settle` after one that returned four; of readings that fit, the dearest."""
    prices = learned(*observations, search_per_contact=1)
    assert (prices.reserve(SEARCH), prices.settle(SEARCH, 4)) == (reserve, settle)


BETWEEN = {
    "phones-cost-one": ([(4, 6, 0, 3), (1, 4, 0, 0)], 1),
    "phones-are-free": ([(1, 6, 0, 3), (1, 4, 0, 0)], 1),
    "verify-and-phones": ([(3, 5, 1, 1), (2, 5, 1, 0), (1, 3, 0, 0)], 1),
    "per-contact": ([(7, 5, 1, 1), (3, 3, 0, 0)], 10),
    "not-to-be-told-apart-so-the-dearest": ([(4, 5, 0, 3), (4, 3, 0, 3)], 4),
    "narrowed-by-a-third": ([(4, 5, 0, 3), (4, 3, 0, 3), (3, 3, 0, 2)], 3),
    "told-by-one-that-nothing-came-before": ([(4, 5, 0, 3), (4, 3, 0, 3), (1, 3, 0, 0)], 1),
    "others-that-cost-now-this-now-that": ([(3, 3, 2, 0), (4, 3, 3, 0)], 10),
    "no-price-explains-it": ([(9, 5, 0, 1), (1, 5, 0, 0)], 10),
}


@pytest.mark.parametrize(("observations", "reserve"), BETWEEN.values(), ids=BETWEEN)
def test_what_was_sent_between_two_readings_is_reckoned_with(
    observations: list[tuple[int, int, int, int]], reserve: int
) -> None:
    """With few workers a verify or phones comes between most searches; the price is learned all the same."""
    prices = Prices()
    prices.observe(None, 5)
    for observation in observations:
        prices.observe(*observation)
    assert prices.reserve(SEARCH) == reserve


def test_what_was_counted_too_much_before_the_price_was_known_is_given_back_once() -> None:
    """`--max-credits` and the summary count what searches cost, not what they could have cost."""
    prices = Prices()
    assert [prices.settle(SEARCH, 5), prices.settle(SEARCH, 3)] == [10, 10]
    prices.observe(None, 5)
    prices.observe(1, 3)
    assert prices.correction() == 0
    prices.settle(SEARCH, 4)
    prices.observe(1, 4)
    assert [prices.correction(), prices.correction(), prices.settle(SEARCH, 9)] == [27, 0, 1]


def test_without_a_usable_answer_all_that_was_held_back_is_gone() -> None:
    """A timeout may have cost as much as any answer."""
    assert learned().settle(SEARCH, None) == 10
    assert learned((5, 5), (3, 3)).settle(SEARCH, None) == 10
    assert learned((1, 5), (1, 3)).settle(SEARCH, None) == 1


def test_searches_go_alone_until_the_price_is_known_but_not_for_ever() -> None:
    """At most five in a run; then the ceiling stands for the rest of it."""
    prices = Prices()
    assert prices.learning()
    prices.observe(None, 5)
    prices.observe(1, 5)
    assert prices.learning()
    prices.observe(1, 4)
    assert not prices.learning()
    odd = Prices()
    for gone in range(1, LONE_SEARCHES):
        odd.observe(gone * gone, 5)
        assert odd.learning()
    odd.observe(None, 0)
    assert not odd.learning()
    assert LONE_SEARCHES == 5
    assert odd.reserve(SEARCH) == 16


def test_after_a_surprise_the_ceilings_are_believed_again() -> None:
    """Credits went that no known price explains: the price has changed, or somebody else spends."""
    prices = learned((1, 5), (1, 3))
    assert prices.reserve(SEARCH) == 1
    prices.forget()
    assert (prices.reserve(SEARCH), prices.settle(SEARCH, 4), prices.learning()) == (10, 10, True)
    prices.observe(2, 5)
    assert prices.reserve(SEARCH) == 10
    prices.observe(2, 3)
    assert prices.reserve(SEARCH) == 2


# --- readings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledger", "reading", "under_way", "left"),
    [
        (None, 490, 0, 490),
        (None, 490, 30, 490),
        (100, 100, 0, 100),
        (100, 90, 0, 90),
        (100, 95, 10, 100),
        (100, 85, 10, 95),
        (100, 500, 0, 100),
        (100, 500, 50, 100),
        (100, 0, 0, 0),
        (100, -3, 0, -3),
    ],
)
def test_a_reading_only_lowers_the_ledger_by_what_calls_under_way_cannot_explain(
    ledger: int | None, reading: int, under_way: int, left: int
) -> None:
    """T1.5: a slow answer carries a stale, higher number; a quick one may contain the others' charges."""
    assert after_reading(ledger, reading, under_way) == left


@pytest.mark.parametrize(
    ("ledger", "under_way", "ceiling", "may_go"),
    [
        (None, 0, 10, True),
        (None, 500, 10, True),
        (20, 0, 10, True),
        (19, 0, 10, False),
        (30, 10, 10, True),
        (29, 10, 10, False),
        (11, 0, 1, True),
        (10, 0, 1, False),
        (10, 0, 0, True),
        (9, 0, 0, False),
        (-5, 0, 1, False),
    ],
)
def test_a_call_may_go_only_if_the_reserve_survives_the_dearest_end(
    ledger: int | None,
    under_way: int,
    ceiling: int,
    may_go: bool,  # noqa: FBT001
) -> None:
    """T1.3: a reserve of ten, whatever this call and those under way cost; only the first call is blind."""
    assert affordable(ledger, under_way, ceiling, 10) is may_go
