"""`make yield`: leads complete after days 1, 3, 5 and 7 by the order in which requests are spent.

The pipeline itself works through generated backlogs in virtual time, against a server that makes each lead need 0,
1 or 2 requests after its company's search. Beside it stand policies that share no code with it: companies in the
file's order, the next request with the most expected completions (the chances known), and one that knows every
answer before it asks.

Of the pipeline all is real but the matcher and the reading of answers: comparing each of a giant's thousand leads
with its thousand contacts, read anew, would take hours and decide nothing here, so a lead's contact is looked up by
its name and an answer is read once.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import Server, Site, write_leads

from pipeline import facts, protocol
from pipeline.matcher import Match
from pipeline.protocol import RawReply
from pipeline.store import ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from pipeline.model import Contact, Lead, Permit

DAYS: Final = (1, 3, 5, 7)
QUOTA: Final = 2_000
COMPANIES: Final = 10_000
LEADS: Final = 30_000
NEEDS: Final = (0, 1, 2)
TELLS: Final = {0: (0.97, 0.95), 1: (0.5, 0.95), 2: (0.5, 0.5)}
"""E-mail and phone confidence that leave a lead needing so many requests."""

Companies = list[list[int]]
"""What every lead of every company needs after the search."""


# --- the lists ----------------------------------------------------------------------------------------


def uniform(rng: random.Random) -> list[int]:
    """Company sizes, one to five leads."""
    return [rng.randint(1, 5) for _ in range(COMPANIES)]


def zipf(rng: random.Random) -> list[int]:
    """Company sizes, few large ones and many small."""
    weights = [1 / rank for rank in range(1, COMPANIES + 1)]
    scale = LEADS / sum(weights)
    sizes = [min(2_000, max(1, round(weight * scale))) for weight in weights]
    rng.shuffle(sizes)
    return sizes


def giant(rng: random.Random) -> list[int]:
    """One company with a thousand leads among small ones."""
    sizes = [rng.randint(1, 5) for _ in range(COMPANIES - 1)] + [1_000]
    rng.shuffle(sizes)
    return sizes


def needs(sizes: list[int], rng: random.Random, *, correlated: bool) -> Companies:
    """Say what every lead needs, each by itself or mostly as its company does."""
    companies = []
    for size in sizes:
        usual = rng.choice(NEEDS)
        companies.append([usual if correlated and rng.random() < 0.7 else rng.choice(NEEDS) for _ in range(size)])
    return companies


# --- policies that share no code with the pipeline ----------------------------------------------------


def in_file_order(companies: Companies) -> Iterator[int]:
    """Yield the leads every request completes: one company after the other."""
    for company in companies:
        yield company.count(0)
        for need in company:
            yield from [0] * (need - 1) + [1] * (need > 0)


def by_expectation(companies: Companies) -> Iterator[int]:
    """Yield the leads every request completes: always the most expected per request, the chances known."""
    chance = 1 / len(NEEDS)
    heap: list[tuple[float, int, int, int]] = []  # minus worth, tie, company or -1, requests left
    for n, company in enumerate(companies):
        size = len(company)
        options = [
            sum(size * chance for need in NEEDS if need <= most)
            / (1 + sum(size * chance * need for need in NEEDS if need <= most))
            for most in NEEDS
        ]
        heap.append((-max(options), n, n, 0))
    yield from _spend(heap, companies)


def clairvoyant(companies: Companies) -> Iterator[int]:
    """Yield the leads every request completes, knowing all answers beforehand."""
    heap = []
    for n, company in enumerate(companies):
        ordered, done, spent, best = sorted(company), 0, 1, 0.0
        for need in ordered:
            done, spent = done + 1, spent + need
            best = max(best, done / spent)
        heap.append((-best, n, n, 0))
    yield from _spend(heap, companies)


def _spend(heap: list[tuple[float, int, int, int]], companies: Companies) -> Iterator[int]:
    heapq.heapify(heap)
    tie = len(companies)
    while heap:
        _, _, company, left = heapq.heappop(heap)
        if company < 0:
            if left > 1:
                tie += 1
                heapq.heappush(heap, (-1 / (left - 1), tie, -1, left - 1))
            yield int(left == 1)
            continue
        for need in companies[company]:
            if need:
                tie += 1
                heapq.heappush(heap, (-1 / need, tie, -1, need))
        yield companies[company].count(0)


def after_days(policy: Callable[[Companies], Iterator[int]], companies: Companies) -> list[int]:
    """Leads complete after each of the days."""
    completed = list(islice(policy(companies), QUOTA * max(DAYS)))
    return [sum(completed[: QUOTA * day]) for day in DAYS]


def best_possible(companies: Companies, requests: int) -> float:
    """Expected completions of the best adaptive policy for a small list, by dynamic programming over its states."""
    chance = 1 / len(NEEDS)
    known: dict[tuple[Any, ...], float] = {}

    def best(sizes: tuple[int, ...], ones: int, twos: int, left: int) -> float:
        state = (sizes, ones, twos, left)
        if left == 0:
            return 0.0
        if state not in known:
            options = [0.0]
            if ones:
                options.append(1 + best(sizes, ones - 1, twos, left - 1))
            if twos:
                options.append(best(sizes, ones + 1, twos - 1, left - 1))
            options += [
                _expected(sizes, n, chance, lambda f, o, t, s: f + best(s, ones + o, twos + t, left - 1))
                for n in {size: n for n, size in enumerate(sizes)}.values()
            ]
            known[state] = max(options)
        return known[state]

    return best(tuple(sorted(map(len, companies))), 0, 0, requests)


def _expected(
    sizes: tuple[int, ...], n: int, chance: float, value: Callable[[int, int, int, tuple[int, ...]], float]
) -> float:
    from math import comb  # noqa: PLC0415 - only here

    size, rest, total = sizes[n], sizes[:n] + sizes[n + 1 :], 0.0
    for free in range(size + 1):
        for ones in range(size - free + 1):
            ways = comb(size, free) * comb(size - free, ones)
            total += ways * chance**size * value(free, ones, size - free - ones, rest)
    return total


# --- the pipeline -------------------------------------------------------------------------------------


@dataclass
class Backlog(Server):
    """A server that knows what every lead is to need."""

    companies: dict[str, list[int]] = field(default_factory=dict)
    requests: int = 0

    def __post_init__(self) -> None:
        Server.__init__(self)

    async def send(self, permit: Permit) -> RawReply:
        """Answer so that each lead needs what it is to need."""
        self.requests += 1
        await asyncio.sleep(0.02)
        asked = orjson.loads(permit.question.body)
        if permit.question.endpoint == "verify":
            told: dict[str, Any] = {"email": asked["email"], "is_deliverable": True, "confidence_score": 0.99}
        elif permit.question.endpoint == "phones":
            told = {"phone_numbers": [{"number": "+15551234567", "confidence": 0.99}]}
        else:
            contacts = [contact(asked["company"], n, need) for n, need in enumerate(self.companies[asked["company"]])]
            told = {"contacts": contacts, "total": len(contacts)}
        return RawReply(200, orjson.dumps({"success": True, "data": told}))


def surname(n: int) -> str:
    """Make a name that no other number gives."""
    return "".join("bcdfglmnprstvz"[n // 14**k % 14] + "aeiou"[(n + k) % 5] for k in range(4)).title()


def contact(company: str, n: int, need: int) -> dict[str, Any]:
    """The lead's contact, as sure as its need allows."""
    email, phone = TELLS[need]
    name = surname(n)
    address = f"{name.lower()}@{company.partition(' ')[0].lower()}.com"
    person = {"first_name": "Kim", "last_name": name, "email": address, "email_confidence": email}
    return person | {"phone": "+15557654321", "phone_confidence": phone, "company": company}


_known: dict[int, tuple[object, dict[str | None, Contact]]] = {}
"""By the identity of an answer's contacts, which are kept so that it stays theirs: the contacts by name."""


def look_up(lead: Lead, contacts: Sequence[Contact], _: object) -> Match:
    """Stand in for the matcher where no two people share a surname."""
    if id(contacts) not in _known:
        if len(_known) > QUOTA:
            _known.clear()
        _known[id(contacts)] = contacts, {contact.last_name: contact for contact in contacts}
    found = _known[id(contacts)][1].get(lead.last_name)
    return Match("name" if found else "none", float(found is not None), found, ())


class YieldSite(Site):
    """A machine whose network ends at the backlog's server."""

    @asynccontextmanager
    async def _connect(self, _session: Any, _key: str) -> AsyncIterator[Server]:
        yield self.server


def by_pipeline(companies: Companies, history: Companies) -> tuple[list[int], float]:
    """Leads complete after each of the days, and requests sent over what the work done needs at least."""
    with tempfile.TemporaryDirectory() as folder:
        server = Backlog()
        site = YieldSite(Path(folder), server)
        if history:
            site.name = "history.jsonl"
            site.night(_list(site, "Past", history), plan="enterprise", daily_quota=10**6, max_per_second=10**4)
        server.requests, site.name = 0, "out.jsonl"
        leads = _list(site, "Firm", companies)
        finished = []
        for day in range(1, max(DAYS) + 1):
            how = {"plan": "professional", "wait_up_to": 0, "max_per_second": 10**4, "concurrency": 8}
            report = site.night(leads, at=day * 90_000.0 + 86_400 * 30, **how)
            counts = report.jobs[0].counts
            finished.append(counts.leads - counts.pending)
        return [finished[day - 1] for day in DAYS], server.requests / (QUOTA * max(DAYS))


def _list(site: YieldSite, prefix: str, companies: Companies) -> Path:
    names = [f"{prefix}{n:05d} Works" for n in range(len(companies))]
    assert isinstance(site.server, Backlog)
    site.server.companies |= dict(zip(names, companies, strict=True))
    rows = [
        {"First Name": "Kim", "Last Name": surname(n), "Company Name": name}
        for name, company in zip(names, companies, strict=True)
        for n in range(len(company))
    ]
    return write_leads(site.folder / f"{prefix}.csv", rows)


# --- the table ----------------------------------------------------------------------------------------


def main() -> None:
    """Print the table."""
    facts.match = look_up  # type: ignore[attr-defined,assignment]
    ledger.decode = lru_cache(QUOTA)(protocol.decode)  # type: ignore[attr-defined]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lists", default="uniform,zipf,giant")
    chosen = parser.parse_args()
    print(f"{'list':<30}{'order':<34}" + "".join(f"{f'day {day}':>8}" for day in DAYS) + "   of known chances")
    for name in chosen.lists.split(","):
        for correlated in (False, True):
            for seed in range(chosen.seeds):
                _case(name, seed, correlated=correlated)


def _case(name: str, seed: int, *, correlated: bool) -> None:
    rng = random.Random(seed)
    sizes = {"uniform": uniform, "zipf": zipf, "giant": giant}[name](rng)
    companies = needs(sizes, rng, correlated=correlated)
    history = needs([rng.randint(1, 5) for _ in range(100)], rng, correlated=correlated)
    known = after_days(by_expectation, companies)
    label = f"{name}{', correlated' if correlated else ''}, seed {seed}"
    rows = [
        ("companies in file order", after_days(in_file_order, companies)),
        ("most expected, chances known", known),
        ("clairvoyant", after_days(clairvoyant, companies)),
    ]
    for what, past in (("pipeline, no history", []), ("pipeline, with history", history)):
        finished, spent = by_pipeline(companies, past)
        rows.append((f"{what} ({spent:.2f} of quota)", finished))
    for what, finished in rows:
        shares = " ".join(f"{done / best:.2f}" for done, best in zip(finished, known, strict=True))
        print(f"{label:<30}{what:<34}" + "".join(f"{done:>8,}" for done in finished) + f"   {shares}", flush=True)
        label = ""


if __name__ == "__main__":
    main()
