"""The report's page: whole without script and network, readable for everybody, and about nobody."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from story_site import after_nights, story
from support import Server, Site

from pipeline.model import Status, Stop
from pipeline.observe.page import page
from pipeline.observe.pictures import HEIGHT, WIDTH, Scale, histogram, stacked, steps
from pipeline.observe.told import and_then, as_json, finish, sentence

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.told import Story

GRAPHICS = ("--good", "--mid", "--slate", "--warn", "--bad", "--soft")
TEXTS = ("--ink", "--soft", "--bad")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return after_nights(tmp_path_factory.mktemp("nights"), 2)


@pytest.fixture(scope="module")
def told(site: Site) -> Story:
    return story(site)


@pytest.fixture(scope="module")
def html(told: Story) -> str:
    return page(told)


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own page


def words(text: str) -> str:
    """What a reader sees, but for the style."""
    root = parsed(text)
    for head in root.findall("head"):
        root.remove(head)
    return " ".join(" ".join(root.itertext()).split())


# --- whole --------------------------------------------------------------------------------------------


def test_it_is_well_formed_and_asks_for_nothing(html: str) -> None:
    """No script, no address, no file beside it: it works in mail, in print and without a network."""
    elements = {element.tag for element in parsed(html).iter()}
    assert not elements & {"script", "link", "img", "iframe", "object", "a", "form", "input", "image", "use"}
    names = {name for element in parsed(html).iter() for name in element.attrib}
    assert not names & {"src", "href", "srcset", "action"}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import|//", html)
    assert html.startswith("<!DOCTYPE html>")
    assert len(html) < 60_000


def test_every_picture_says_what_it_shows(html: str) -> None:
    """For who does not see it."""
    pictures = [element for element in parsed(html).iter() if element.tag == "svg"]
    assert len(pictures) >= 6
    assert all(picture.get("role") == "img" and picture.get("aria-label") for picture in pictures)


def test_a_name_is_text_whatever_it_holds(told: Story) -> None:
    """Nothing in a file's name becomes part of the page."""
    odd = page(replace(told, job="/home/ann/<b>&\"'{{ 7 }}.jsonl"))
    assert "<b>&\"'{{ 7 }}.jsonl" in words(odd)


# --- for everybody ------------------------------------------------------------------------------------


def schemes(html: str) -> dict[str, dict[str, str]]:
    """The colours by scheme."""
    style = html[html.index("<style>") : html.index("</style>")]
    dark = style.index("@media screen and (prefers-color-scheme: dark)")
    parts = {"light": style[:dark], "dark": style[dark : style.index("* {", dark)]}
    return {name: dict(re.findall(r"(--\w+): (#[0-9a-f]{6});", part)) for name, part in parts.items()}


def brightness(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_aa(html: str, scheme: str) -> None:
    """Text 4.5, what a picture is understood by 3 (WCAG 2.2, 1.4.3 and 1.4.11); the scale itself is checked too."""
    assert round(contrast("#000000", "#ffffff")) == 21
    colours = schemes(html)[scheme]
    assert {name: c for name in TEXTS if (c := contrast(colours[name], colours["--paper"])) < 4.5} == {}
    assert {name: c for name in GRAPHICS if (c := contrast(colours[name], colours["--paper"])) < 3} == {}


def test_every_colour_has_its_name_in_both_schemes_and_print_is_light(html: str) -> None:
    """No colour stands outside the two tables, but for the white of paper."""
    found = schemes(html)
    assert found["light"].keys() == found["dark"].keys()
    rules = html[html.index("* {") : html.index("</style>")]
    assert set(re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsla?\(", rules)) == {"#ffffff"}
    assert "@media print" in html
    assert "prefers-color-scheme: light" not in html


def test_no_colour_speaks_alone(html: str) -> None:
    """Every kind that a picture colours is named in words beside its dot."""
    kinds = {element.get("class") for element in parsed(html).iter() if element.tag == "rect"}
    dots = " ".join(element.get("class", "") for element in parsed(html).iter() if element.tag == "i").split()
    assert kinds <= set(dots)


# --- about nobody -------------------------------------------------------------------------------------


def test_it_holds_no_personal_data_but_with_samples(site: Site, told: Story, html: str) -> None:
    """Nobody's name, address or number, no company and no cell of the list; nor in the JSON."""
    private = set()
    for line in site.lines():
        private |= {cell for cell in line["input"].values() if len(cell) > 3}
        private |= {line[field]["value"] for field in ("email", "phone") if line[field]}
        private |= {one[name] for one in line["candidates"] for name in ("last_name", "email", "phone") if one[name]}
    said = words(html) + str(as_json(told))
    assert len(private) > 100
    assert [secret for secret in private if re.search(rf"\b{re.escape(secret)}\b", said)] == []
    assert "holds no personal data" in said
    shown = words(page(story(site, samples=True)))
    assert "This page holds personal data" in shown
    assert any(secret in shown for secret in private if "@" in secret)


# --- the story ----------------------------------------------------------------------------------------


def test_the_page_tells_the_numbers_of_the_json(told: Story, html: str) -> None:
    """One story, two tellings."""
    shown, numbers = words(html), as_json(told)
    assert numbers["sentence"] in shown
    for status in Status:
        assert re.search(rf"{status.replace('_', ' ')} [^0-9]*\b{numbers['rows'][status]:,}\b", shown)
    rules = {"shared_by_company": "rows of one company", "verify_search_was_sure": "e-mails search was sure of"}
    for rule, called in rules.items():
        assert re.search(rf"{called} {numbers['saved'][rule]:,}\b", shown)
    for reason in told.reasons:
        assert f" {reason.rows:,} {reason.example_row:,} " in shown
    assert numbers["ahead"]["requests"]["most"] > 0


def test_the_json_has_a_stable_shape(told: Story) -> None:
    """Schema version 1: keys are added, never taken away."""
    numbers = as_json(told)
    assert numbers["schema_version"] == 1
    assert set(numbers) == {
        *("schema_version", "job", "output", "at", "sentence", "running", "rows", "quota", "credits", "requests"),
        *("saved", "nights", "over_time", "email", "phone", "match", "reasons", "ahead"),
    }
    assert set(numbers["requests"]) == {"sent", "search", "verify", "phones"}
    assert set(numbers["nights"][0]) == {
        *("started_at", "ended_at", "stop", "requests", "finished", "saved", "running"),
    }
    assert set(numbers["email"]) == {"rows", "verified", "probable", "risky", "unknown", "bins"}
    assert set(numbers["ahead"]) == {"leads", "error", "requests", "days", "finished", "curve"}


@pytest.mark.parametrize("stop", list(Stop))
def test_every_end_of_a_run_has_its_sentence(told: Story, stop: Stop) -> None:
    """And after those that nobody can foresee the end of, none is foretold."""
    night = told.spending.nights[-1]._replace(stop=stop)
    ended = replace(told, spending=replace(told.spending, nights=[night]))
    assert re.match(r"It [^.]*\.", and_then(ended)[0])
    unsure = stop in (Stop.CREDITS, Stop.OUTAGE, Stop.CONTRACT, Stop.DENIED, Stop.REDIRECT)
    assert ("cannot be told" in (finish(ended) or "")) is unsure


def test_who_reserves_every_request_never_ends(told: Story) -> None:
    """And a list that only waits says so; a page can be made of both."""
    assert told.ahead is not None
    never = replace(told, ahead=told.ahead._replace(days=None, curve=[]))
    waits = replace(told, ahead=told.ahead._replace(leads=0))
    assert finish(never) == "The rest will not be done: all requests of a day are reserved."
    assert "will be looked at again" in str(finish(waits))
    assert "Leads finished by day" not in words(page(never))
    far = replace(told, ahead=told.ahead._replace(days=told.ahead.requests._replace(least=10**9, expected=10**9)))
    assert "in thousands of years" in str(finish(far))


def test_nothing_is_known_of_a_fresh_list(told: Story, tmp_path: Path) -> None:
    """No charts, no histogram, no numbers made up; the page stands."""
    from story_site import PLAN, leads_of  # noqa: PLC0415 - only here

    site = Site(tmp_path, Server())
    site.night(leads_of(tmp_path), max_requests=0, **PLAN)
    shown = words(page(story(site)))
    assert "None was sent so far." in shown
    assert "Quota and credits over time" not in shown
    assert "unknown" in shown
    assert sentence(told) not in shown


# --- pictures -----------------------------------------------------------------------------------------


def test_lines_lie_where_their_numbers_are() -> None:
    """From left to right, from the ground up; nothing leaves the box."""
    scale = Scale(10.0, 20.0, 50.0)
    assert scale.line([(10, 0), (15, 25), (20, 99)]) == "M0.0,200.0 L500.0,100.0 L1000.0,0.0"
    assert scale.area([(10, 50), (20, 50)]) == "M0.0,0.0 L1000.0,0.0 L1000.0,200.0 L0.0,200.0 Z"
    assert Scale(5.0, 5.0, 0.0).line([(5, 0)]) == f"M0.0,{HEIGHT:.1f}"
    assert steps([(0, 9), (2, 5), (3, 5)]) == [(0, 9), (2, 9), (2, 5), (3, 5), (3, 5)]


def test_bars_are_as_high_as_their_counts_and_the_smallest_is_seen() -> None:
    """A part of none is no bar; parts that follow each other fill the whole width."""
    low, high = histogram([1, 0, 1000], ["a", "b", "c"])
    assert (low.kind, high.kind, high.height, low.height) == ("a", "c", HEIGHT, 3.0)
    bars = stacked([("a", 1), ("b", 0), ("c", 3)])
    assert [(bar.kind, bar.x, bar.width) for bar in bars] == [("a", 0.0, WIDTH / 4), ("c", WIDTH / 4, 3 * WIDTH / 4)]
