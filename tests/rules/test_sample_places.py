"""A sample is the same leads every time, a fair share of them, and says what it cannot read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sample import PLACES, Sample, place_of, sample_of


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("500", Sample("500", leads=500)),
        (" 1 ", Sample("1", leads=1)),
        ("2.5%", Sample("2.5%", share=0.025)),
        ("100 %", Sample("100 %", share=1.0)),
    ],
)
def test_a_number_of_leads_or_a_share_of_them(text: str, sample: Sample) -> None:
    """Both as people write them."""
    assert sample_of(text) == sample


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-5", "5%%", "half", "1e3"])
def test_anything_else_is_none(text: str) -> None:
    """And nobody's sample is empty by mistake."""
    assert sample_of(text) is None


@given(st.text(max_size=30))
def test_every_lead_has_one_place(lead_id: str) -> None:
    """Whatever its id is; the place is within bounds."""
    assert place_of(lead_id) == place_of(lead_id)
    assert 0 <= place_of(lead_id) < PLACES


def test_places_are_spread_evenly_and_never_change() -> None:
    """A tenth of the places holds a tenth of the leads; the places are part of the state and may not move."""
    places = [place_of(str(n)) for n in range(20_000)]
    for tenth in range(10):
        held = sum(tenth * PLACES <= 10 * place < (tenth + 1) * PLACES for place in places)
        assert held == pytest.approx(2_000, rel=0.1)
    assert place_of("4711") == PLACE_OF_4711


PLACE_OF_4711 = 116754155660952
