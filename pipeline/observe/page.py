"""The report as one page: no script, no network, readable in mail and print, in the dark and in the light."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline import __version__
from pipeline.facts import tier
from pipeline.model import Endpoint, Outcome, Status
from pipeline.observe.pictures import Bar, Scale, histogram, stacked, steps
from pipeline.observe.told import BINS, USEFUL, and_then, day, finish, how_it_ended, local, sentence
from pipeline.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.observe.told import Ahead, Confidences, Reason, Spending, Story
    from pipeline.store.past import Night

STATES: Final = {
    Status.ENRICHED: "all that was wanted was found, surely enough",
    Status.PARTIAL: "something was found, but not all, or not surely enough",
    Status.NOT_FOUND: "nothing was found",
    Status.INVALID: "there was nothing to ask with",
    Status.FAILED: "given up after three nights",
    Status.PENDING: "still to come",
}

MATCHES: Final = {
    "email": "by the same e-mail address",
    "name": "by name",
    "best": "the company's best contact, for rows that name nobody",
    "none": "nobody was matched",
}

REASONS: Final = {
    "below_threshold": "something was found, but nothing sure enough",
    "not_among_N_of_N": "the person is not among the contacts that search returned",
    "company_has_no_contacts": "search knows nobody at the company",
    "no_email_found": "a number was found, an e-mail address was not",
    "email_not_deliverable": "mail to the address cannot be delivered",
    "no_contact_with_email": "nobody at the company has an e-mail address there",
    "nothing_found": "nothing was found",
    "erased": "erased on request",
}

RULES: Final = {
    "shared": "shared by rows of one company",
    "answered": "answered before",
    "emails": "e-mails search was sure of",
    "phones": "phones search was sure of",
}

OUTCOMES: Final = {
    Outcome.REFUSED: "refused",
    Outcome.SAID_NO: "answered with “no success”",
    Outcome.UNEXPECTED: "answered by something else",
    Outcome.AMBIGUOUS: "without an answer",
    Outcome.LOST: "under way when a run died",
    Outcome.SLOW_DOWN: "told to slow down",
    Outcome.NO_QUOTA: "told that the quota is used",
    Outcome.NO_CREDITS: "told that the credits are used",
    Outcome.DENIED: "with a refused key",
    Outcome.REDIRECT: "redirected",
}

LATEST: Final = 7
"""Nights that are listed."""

DAY: Final = 86_400


class Share(NamedTuple):
    """One line of a list with bars: what, how much, and how long its bar is, in per cent."""

    kind: str
    name: str
    n: int
    percent: float
    words: str = ""


class Chart(NamedTuple):
    """A picture over time: its line, the area below, a bound, and what stands at its edges."""

    title: str
    top: float
    line: str
    area: str
    bound: float | None
    bound_words: str
    now_words: str
    begins: str
    ends: str


def page(story: Story) -> str:
    """Write the report."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - nobody else needs it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": _number, "percent": _percent, "tier": tier, "counted": counted}
    template = environment.from_string(Path(__file__).with_name("report.html").read_text("utf-8"))
    return template.render(_context(story)).lstrip() + "\n"


def _context(story: Story) -> dict[str, Any]:
    spent = story.spending
    return {
        "name": Path(story.job).name,
        "headline": sentence(story),
        "lede": and_then(story),
        "story": story,
        "spent": spent,
        "share": (story.finished / story.counts.leads) if story.counts.leads else 0.0,
        "states": _shares({status: story.counts.by_status[status] for status in STATES}, STATES),
        "state_bar": stacked([(status, story.counts.by_status[status]) for status in STATES]),
        "endpoints": _endpoints(spent),
        "troubles": _troubles(spent),
        "saved": _saved(spent),
        "charts": list(filter(None, (_window_chart(story), _credits_chart(story)))),
        "sure": [_sure("E-mail addresses", story.emails), _sure("Phone numbers", story.phones)],
        "matches": _shares(story.matches, MATCHES),
        "reasons": [(reason, _reason_words(reason)) for reason in story.reasons],
        "ahead": story.ahead,
        "finish": finish(story),
        "curve": _curve(story, story.ahead) if story.ahead and len(story.ahead.curve) > 1 else None,
        "nights": [_night(night, spent) for night in reversed(spent.nights[-LATEST:])],
        "made": f"{day(local(story.now))} at {_clock(story.now)}",
        "version": __version__,
    }


# --- lists with bars ----------------------------------------------------------------------------------


def _shares(counts: Any, words: Any) -> list[Share]:  # noqa: ANN401 - any mapping by name
    total = sum(counts.values()) or 1
    return [
        Share(str(name), str(name).replace("_", " "), counts[name], 100 * counts[name] / total, words[name])
        for name in words
        if name in counts
    ]


def _endpoints(spent: Spending) -> list[Share]:
    counts = {endpoint: sum(spent.sent.get(endpoint, {}).values()) for endpoint in Endpoint}
    wrong = {endpoint: _wrong(spent, endpoint) for endpoint in Endpoint}
    words = {endpoint: f"{n:,} of them went wrong" if (n := wrong[endpoint]) else "" for endpoint in Endpoint}
    return _shares(counts, words)


def _wrong(spent: Spending, endpoint: str) -> int:
    outcomes = spent.sent.get(endpoint, {})
    return sum(n for outcome, n in outcomes.items() if outcome not in USEFUL and outcome != "under_way")


def _troubles(spent: Spending) -> list[tuple[int, str]]:
    told = [
        (sum(outcomes.get(outcome, 0) for outcomes in spent.sent.values()), words)
        for outcome, words in OUTCOMES.items()
    ]
    return sorted((one for one in told if one[0]), reverse=True)


def _saved(spent: Spending) -> list[Share]:
    did = spent.saved
    counts = dict(zip(RULES, (did.shared, did.answered, did.sure_emails, did.sure_phones), strict=True))
    return [one._replace(name=one.words, words="") for one in _shares(counts, RULES)]


# --- over time ----------------------------------------------------------------------------------------


def _window_chart(story: Story) -> Chart | None:
    points, spent = [(at, float(n)) for at, n in story.window_over_time], story.spending
    if len(points) < 2 or not spent.requests:  # noqa: PLR2004 - a line has two ends
        return None
    points.append((max(story.now, points[-1][0]), float(spent.used)))
    allowed = spent.quota - spent.reserve_requests
    top = max(spent.quota, *(n for _, n in points))
    words = f"quota {spent.quota:,}" if allowed == spent.quota else f"quota less reserve {allowed:,}"
    return _chart(story, "Requests that count in the window", points, (top, allowed), (words, f"{spent.used:,} now"))


def _credits_chart(story: Story) -> Chart | None:
    points, spent = [(at, float(n)) for at, n in story.credits_over_time], story.spending
    if not points or spent.usage.credits is None:
        return None
    points.append((max(story.now, points[-1][0]), float(spent.usage.credits)))
    top, words = max(n for _, n in points), f"reserve {spent.reserve_credits:,}"
    now = f"{spent.usage.credits:,} left by our count"
    return _chart(story, "Credits left", steps(points), (top, spent.reserve_credits), (words, now))


def _chart(
    story: Story,
    title: str,
    points: Sequence[tuple[float, float]],
    bounds: tuple[float, float],
    words: tuple[str, str],
) -> Chart:
    """All charts begin and end alike; `bounds`: the top, and where the dashed line goes."""
    top, bound = bounds
    first, last = story.window_over_time[0][0], max(story.now, points[-1][0])
    scale = Scale(first, last, top)
    edges = [_clock(at) if last - first < DAY else day(local(at)) for at in (first, last)]
    return Chart(title, top, scale.line(points), scale.area(points), scale.y(bound), *words, *edges)


def _curve(story: Story, ahead: Ahead) -> dict[str, Any]:
    """Leads finished by day: what is certain, expected, and possible."""
    done = float(story.finished)
    scale = Scale(ahead.curve[0].day, ahead.curve[-1].day, done + max(point.at_most for point in ahead.curve))
    least = [(point.day, done + point.at_least) for point in ahead.curve]
    most = [(point.day, done + point.at_most) for point in ahead.curve]
    usual = [(point.day, done + point.expected) for point in ahead.curve if point.expected is not None]
    return {
        "band": scale.area(most, least),
        "lines": [scale.line(usual)] if usual else [scale.line(least), scale.line(most)],
        "expected": bool(usual),
        "top": scale.top,
        "begins": "today",
        "ends": day(then) if (then := story.date_after(ahead.curve[-1].day)) else "in thousands of years",
    }


# --- how sure -----------------------------------------------------------------------------------------


def _sure(title: str, told: Confidences) -> dict[str, Any]:
    kinds = [tier((number + 0.5) / BINS) or "" for number in range(BINS)]
    tiers = [
        ("verified", "0.90 and more", told.verified),
        ("probable", "0.70 to 0.89", told.probable),
        ("risky", "below 0.70", told.risky),
    ]
    bars: list[Bar] = histogram(told.bins, kinds)
    return {"title": title, "told": told, "bars": bars, "tiers": tiers, "most": max(told.bins)}


# --- small things -------------------------------------------------------------------------------------


def _reason_words(reason: Reason) -> str:
    return REASONS.get(reason.reason, reason.reason)


def _night(night: Night, spent: Spending) -> dict[str, Any]:
    under_way = spent.running and night is spent.nights[-1]
    return {
        "when": f"{day(local(night.started_at))}, {_clock(night.started_at)}",
        "requests": night.requests,
        "finished": night.did.finished if night.did else None,
        "saved": sum(night.did[1:]) if night.did else None,
        "end": "It is under way." if under_way else how_it_ended(night),
    }


def _clock(at: float) -> str:
    return f"{local(at):%H:%M:%S}"


def _number(n: float) -> str:
    return f"{n:,.0f}"


def _percent(share: float) -> str:
    """Never 0 % of something, nor 100 % of not all."""
    if 0 < share < 0.005:  # noqa: PLR2004 - what would be rounded to nothing
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"  # noqa: PLR2004 - or to all
