"""What `plan` found, in words: what it takes, what is saved, how long it lasts, and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pipeline.order import ENOUGH
from pipeline.protocol import iso

if TYPE_CHECKING:
    from pipeline.forecast import Point, Prices, Span, Total
    from pipeline.store.ledger import Usage

SHOWN: Final = 12
"""Days of the curve that are drawn."""

WIDTH: Final = 40
"""Characters of its longest bar."""


class OnPlan(NamedTuple):
    """How long it takes with so many requests a day; `days` come after today. None: never, all are reserved."""

    name: str
    daily: int
    days: Span | None


class Savings(NamedTuple):
    """Requests that are not needed, by rule; None where that depends on answers of which nothing is known yet."""

    duplicates: int
    company: int
    answered: int
    sure_email: int | None
    sure_phone: int | None


@dataclass(frozen=True, slots=True)
class Planned:
    """All that can be told beforehand."""

    leads: str
    read_as: str
    job: str | None
    plan: str
    total: Total
    requests: Span
    credits: Span
    prices: Prices
    saved: Savings
    plans: list[OnPlan]
    curve: list[Point]
    seen: int
    """Leads of this account that were looked at: what expected numbers rest on."""

    usage: Usage
    reserve_credits: int
    blind: int | None
    """The most a first search may cost of which nobody knows what it leaves; None if none is blind."""

    now: float

    @property
    def today(self) -> date:
        """The day on which the plan was made, UTC."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def after(self, days: int | None) -> str | None:
        """The date so many days later, where the calendar goes that far."""
        try:
            return None if days is None else (self.today + timedelta(days=days)).isoformat()
        except OverflowError:
            return None


# --- for machines -------------------------------------------------------------------------------------


def as_json(told: Planned) -> dict[str, Any]:
    """Give the plan a stable shape (schema_version 1)."""
    total, saved = told.total, told.saved
    return {
        "schema_version": 1,
        "leads": told.leads,
        "job": told.job,
        "at": iso(told.now),
        "plan": told.plan,
        "window": {"used": told.usage.used + told.usage.under_way},
        "rows": {
            "all": total.rows,
            "looked_at": total.looked_at,
            "error": round(total.error, 4),
            "to_ask_about": total.leads,
            "nothing_to_ask": total.nothing_to_ask,
            "duplicates": total.duplicates,
            "answered": total.answered_leads,
            "finished": total.finished,
        },
        "requests": told.requests._asdict(),
        "credits": told.credits._asdict()
        | {
            "search": told.prices.search,
            "search_is_assumed": not told.prices.learned,
            "verify": told.prices.verify,
            "phones": told.prices.phones,
            "left": told.usage.credits,
            "reserve": told.reserve_credits,
            "blind_first_search": told.blind,
        },
        "saved": saved._asdict(),
        "history_leads": told.seen,
        "plans": [_plan_json(told, on) for on in told.plans],
        "curve": [point._asdict() | {"date": told.after(point.day)} for point in told.curve],
    }


def _plan_json(told: Planned, on: OnPlan) -> dict[str, Any]:
    days = None if on.days is None else on.days._asdict()
    dates = None if on.days is None else {name: told.after(n) for name, n in on.days._asdict().items()}
    return {"plan": on.name, "requests_a_day": on.daily, "days": days, "finished": dates}


# --- for people ---------------------------------------------------------------------------------------


def as_text(told: Planned) -> str:
    """Say it for people."""
    lines = [told.read_as, f"Plan      {told.plan}", *_rows(told)]
    lines += [
        f"Requests  {_span(told.requests)}{_failures(told)}",
        f"Credits   {_span(told.credits)}",
        *_prices(told),
    ]
    lines += [*_saved(told.saved), *_basis(told), *_days(told), "", *_curve(told)]
    return "\n".join(lines)


def _rows(told: Planned) -> list[str]:
    total = told.total
    others = [
        (total.nothing_to_ask, "with nothing to ask"),
        (total.duplicates, "duplicates"),
        (total.answered_leads, "answered already"),
        (total.finished, "finished already"),
    ]
    parts = "".join(f" + {n:,} {what}" for n, what in others if n)
    lines = [f"Rows      {total.rows:,} = {total.leads:,} lead{'s' * (total.leads != 1)} to ask about{parts}"]
    if total.looked_at < total.rows:
        lines.append(
            f"          estimated from {total.looked_at:,} of them; every number may be off by {total.error:.0%}"
        )
    if told.job is not None:
        lines.append(f"          only what is left of the job {told.job}")
    return lines


def _span(span: Span) -> str:
    expected = "unknown" if span.expected is None else f"{span.expected:,}"
    return f"least {span.least:,}, expected {expected}, most {span.most:,}"


def _failures(told: Planned) -> str:
    return " (failed requests count too and come on top)" if told.requests.most else ""


def _prices(told: Planned) -> list[str]:
    prices, usage = told.prices, told.usage
    search = f"a search {prices.search:,.3g}"
    others = f"verify {prices.verify}, phones {prices.phones}"
    if prices.learned:
        lines = [f"          {search}, as lately; assumed, the most they can cost: {others}"]
    else:
        lines = [f"          assumed, the most they can cost until prices are known: {search}, {others}"]
    if told.blind is not None:
        words = f"credits were never told, and it may cost up to {told.blind:,}"
        lines.append(f"          the first search goes blind: {words}")
    elif usage.credits is not None:
        there = max(0, usage.credits - told.reserve_credits)
        verdict = "enough" if there >= told.credits.most else "perhaps not enough"
        if there < told.credits.least:
            verdict = "not enough; the days below reckon as if there were"
        lines.append(f"          {there:,} left above the reserve by our count: {verdict}")
    return lines


def _saved(saved: Savings) -> list[str]:
    parts = [
        (saved.duplicates, "by duplicates"),
        (saved.company, "shared by rows of one company"),
        (saved.answered, "answered before"),
        (saved.sure_email, "e-mails search should be sure of"),
        (saved.sure_phone, "phones search should be sure of"),
    ]
    told = [f"{n:,} {what}" for n, what in parts if n]
    lines = [f"Saved     {', '.join(told)}"] if told else []
    if saved.sure_email is None or saved.sure_phone is None:
        lines.append("          not known yet: e-mails and phones that search will be sure of")
    return lines


def _basis(told: Planned) -> list[str]:
    if told.seen >= ENOUGH:
        return [f"Expected  from the {told.seen:,} leads of this account looked at so far"]
    if told.requests.expected is not None:
        return []
    few = f"; {told.seen:,} were looked at, {ENOUGH} are enough" if told.seen else ""
    return [f"Expected  unknown: this account has no history of what leads need after their search{few}"]


def _days(told: Planned) -> list[str]:
    width = max(len(on.name) for on in told.plans)
    used = told.usage.used + told.usage.under_way
    lines = [f"Window    {used:,} requests used already; what it has left goes today", ""] if used else [""]
    lines += [f"{'With':<{width + 2}}{'a day':>9}   {'days after today: least / expected / most':<43}finished"]
    for on in told.plans:
        if on.days is None:
            lines.append(f"{on.name:<{width + 2}}{on.daily:>9,}   never: all of them are reserved")
            continue
        days = " / ".join("unknown" if n is None else f"{n:,}" for n in on.days)
        lines.append(f"{on.name:<{width + 2}}{on.daily:>9,}   {days:<43}{_finished(told, on.days)}")
    return lines


def _finished(told: Planned, days: Span) -> str:
    if days.expected is not None:
        return f"about {told.after(days.expected) or 'in thousands of years'}"
    return f"by {told.after(days.most) or 'thousands of years from now'}"


def _curve(told: Planned) -> list[str]:
    if not told.total.leads:
        return ["Nothing is left to ask."]
    expected = any(point.expected is not None for point in told.curve)
    key = "# as expected, . at most" if expected else "# at least, . at most"
    lines = [f"Leads complete by the end of the day ({key})"]
    points = told.curve[: 1 + next(n for n, point in enumerate(told.curve) if _sure(point) >= _sure(told.curve[-1]))]
    step = max(1, -(-(len(points) - 1) // (SHOWN - 1)))
    for point in [*points[:-1:step], points[-1]]:
        sure, possible = _length(_sure(point), told), _length(point.at_most, told)
        bar = "#" * sure + "." * (possible - sure)
        lines.append(f"{told.after(point.day) or f'day {point.day:,}':<12}{_numbers(point):>24}  {bar}")
    return lines


def _sure(point: Point) -> int:
    return point.at_least if point.expected is None else point.expected


def _numbers(point: Point) -> str:
    if point.expected is None:
        return f"{point.at_least:,} to {point.at_most:,}"
    return f"{point.expected:,}"


def _length(leads: int, told: Planned) -> int:
    return round(WIDTH * leads / max(1, told.total.leads))
