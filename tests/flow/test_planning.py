"""What `plan` tells holds: a run beside it sends no more and no fewer, and what was learned is expected."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from soak import size
from support import START, Server, Site, people, write_leads

from pipeline import planning
from pipeline.errors import ConfigError, UsageError
from pipeline.forecast import Span
from pipeline.model import Endpoint, Judgement, Policy, Questions, Status
from pipeline.sources import open_source
from pipeline.tallying import Books, Tally, mark_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.forecast import Total
    from pipeline.observe.planned import Planned

PLENTY: dict[str, Any] = {"plan": "enterprise", "daily_quota": 10**6, "max_per_second": 10**5, "concurrency": 20}


def site(folder: Path, name: str = "out.jsonl", **options: Any) -> Site:
    return Site(folder, Server(greylist_seconds=0.0, latency=(0.0, 0.01), **options), name=name)


def planned(machine: Site, leads: Path, **changes: Any) -> Planned:
    """Plan the list as it stands at this machine's time."""
    settings = machine.settings(**{**PLENTY, **changes})
    return planning.plan(settings, str(leads), str(machine.out), now=START + machine.now)


def mixed(count: int, rng: random.Random) -> list[dict[str, str]]:
    """Rows of every shape: with and without a person, an address, a company; some twice, some empty, some broken."""
    rows: list[dict[str, str]] = []
    for n in range(count):
        known = people(1, 2, start=rng.randrange(count // 3 + 1))
        row = dict(rng.choice(known))
        row["Email"] = rng.choice(["", "", f"kim{n}@northwind-{n % 7}.com", f"ann{n}@gmail.com", "nonsense"])
        company = row["Company Name"]
        row["Company Name"] = rng.choice([company, f"{company}, Inc.", company.upper(), "", "n/a"])
        rows += [row] * rng.choice([1, 1, 1, 2])
    return rows


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"spend": "full"},
        {"steps": "search"},
        {"steps": "verify"},
        {"steps": "verify,phones"},
        {"widen_limit": 50, "limit": 2},
        {"decision_maker_only": True},
    ],
    ids=lambda how: "-".join(f"{name}={value}" for name, value in how.items()) or "usual",
)
def test_a_run_sends_at_least_the_least_and_at_most_the_most(tmp_path: Path, how: dict[str, Any]) -> None:
    """Counted by the server, for lists of every kind of row; an empty account knows nothing of what to expect."""
    for seed in range(size(2, 20)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        machine = site(folder)
        leads = write_leads(folder / "leads.csv", mixed(60, random.Random(seed)))
        told = planned(machine, leads, **how)
        counts = machine.night(leads, **PLENTY, **how).jobs[0].counts
        sent, total = len(machine.server.log), told.total
        assert (total.duplicates, total.nothing_to_ask) == (counts.duplicates, counts.by_status[Status.INVALID])
        assert total.leads + total.nothing_to_ask == counts.leads
        assert told.requests.least <= sent <= told.requests.most, (seed, sent, told.requests)
        known = told.requests.least == told.requests.most or not told.total.backlog.waiting
        assert (told.requests.expected is not None) == known


def test_what_the_account_has_learned_is_expected_within_a_tenth(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """After a list of one kind, the requests of another one of that kind are known before they are sent."""
    machine = site(tmp_path)
    machine.night(write_leads(tmp_path / "past.csv", people(60)), **PLENTY)
    machine.name = "next.jsonl"
    leads = write_leads(tmp_path / "next.csv", people(80, start=1000))
    told, before = planned(machine, leads), len(machine.server.log)
    machine.night(leads, **PLENTY)
    sent = len(machine.server.log) - before
    assert told.requests.expected is not None
    record_property("expected over sent", f"{told.requests.expected / sent:.3f}")
    assert 0.9 * sent <= told.requests.expected <= 1.1 * sent


def test_jobs_that_wanted_something_else_teach_nothing(tmp_path: Path) -> None:
    """Who only searched does not know what a verify and a phone will take."""
    machine = site(tmp_path)
    machine.night(write_leads(tmp_path / "past.csv", people(20)), **PLENTY, steps="search")
    machine.name = "next.jsonl"
    leads = write_leads(tmp_path / "next.csv", people(20, start=1000))
    assert planned(machine, leads).requests.expected is None
    assert planned(machine, leads, steps="search").requests.expected == 20


def test_the_curve_is_what_the_nights_bring(tmp_path: Path) -> None:
    """Leads finished after each day lie between the bounds, and near what was expected."""
    machine = site(tmp_path)
    machine.night(write_leads(tmp_path / "past.csv", people(60)), **PLENTY)
    machine.name, machine.now = "next.jsonl", machine.now + 90_000
    leads = write_leads(tmp_path / "next.csv", people(80, start=1000))
    few: dict[str, Any] = {"plan": "free", "daily_quota": 100, "wait_up_to": 0, "max_per_second": 10**4}
    told = planned(machine, leads, **few)
    begun, days = machine.now, 0
    for point in told.curve:
        report = machine.night(leads, at=begun + 90_000 * point.day, **few)
        done = report.jobs[0].counts.leads - report.jobs[0].counts.pending
        assert point.at_least <= done <= point.at_most
        assert point.expected is not None
        assert abs(done - point.expected) <= 0.1 * report.jobs[0].counts.leads
        days += report.jobs[0].counts.pending > 0
    own = next(on for on in told.plans if on.daily == 100)
    assert own.days is not None
    assert own.days.least <= days <= own.days.most


def test_of_a_job_only_what_is_left_is_counted(tmp_path: Path) -> None:
    """Half a list done: finished leads and answers that are there cost nothing; done, nothing is left."""
    machine = site(tmp_path)
    leads = write_leads(tmp_path / "leads.csv", people(20))
    whole = planned(machine, leads)
    machine.night(leads, **PLENTY, max_requests=60)
    report = machine.night(leads, **PLENTY, max_requests=0)
    half, before = planned(machine, leads), len(machine.server.log)
    other = planning.plan(machine.settings(**PLENTY), str(leads), "other.jsonl", now=START + machine.now)
    machine.night(leads, **PLENTY)
    sent = len(machine.server.log) - before
    assert half.job == str(machine.out)
    assert half.total.finished == report.jobs[0].counts.leads - report.jobs[0].counts.pending > 0
    assert whole.total.rows == half.total.rows
    assert half.requests.least <= sent <= half.requests.most < whole.requests.most
    assert (other.job, other.total.finished) == (None, 0)
    assert other.saved.answered >= 20
    assert planned(machine, leads).requests == Span(0, 0, 0)


def test_a_company_the_job_knows_is_asked_about_as_the_job_spelt_it(tmp_path: Path) -> None:
    """So another spelling in the list of today costs nothing, and that is said beforehand."""
    machine = site(tmp_path)
    rows = [
        {"Last Name": f"Smith{n}", "Company Name": f"Northwind 1 Robotics{form}"}
        for n, form in enumerate(("", ", Inc."))
    ]
    machine.night(write_leads(tmp_path / "leads.csv", rows[:1]), **PLENTY, steps="search")
    leads, sent = write_leads(tmp_path / "leads.csv", rows), len(machine.server.log)
    assert planned(machine, leads, steps="search").requests.most == 0
    machine.night(leads, **PLENTY, steps="search")
    assert len(machine.server.log) == sent


def test_rows_of_the_job_that_the_list_of_today_lacks_are_still_to_be_asked(tmp_path: Path) -> None:
    """They stay in the job and are worked on, unless --prune drops them."""
    machine = site(tmp_path)
    rows = [{"Last Name": f"Smith{n}", "Company Name": f"Northwind {n} Robotics"} for n in range(9)]
    wishes: dict[str, Any] = {**PLENTY, "steps": "search"}
    machine.night(write_leads(tmp_path / "leads.csv", rows), **wishes, max_requests=2)
    leads = write_leads(tmp_path / "leads.csv", rows[:4])
    assert [planned(machine, leads, steps="search", prune=prune).requests.most for prune in (False, True)] == [7, 2]
    machine.night(leads, **wishes)
    assert len(machine.server.log) == 9


def test_changed_questions_are_refused_as_the_run_refuses_them(tmp_path: Path) -> None:
    """A plan of what would not be done helps nobody."""
    machine = site(tmp_path)
    leads = write_leads(tmp_path / "leads.csv", people(5))
    machine.night(leads, **PLENTY, max_requests=1)
    with pytest.raises(ConfigError, match=r"asks other questions.*--new-policy"):
        planned(machine, leads, limit=5)
    assert planned(machine, leads, limit=5, new_policy=True).requests.least


def test_a_list_of_hubspots_is_taken_in_before_it_can_be_planned(tmp_path: Path) -> None:
    """The message says how, without spending."""
    with pytest.raises(UsageError, match=r"enrich hubspot:1 .*--max-requests 0"):
        planning.plan(site(tmp_path).settings(), "hubspot:1")


GIANTS: dict[str, tuple[Callable[[int], tuple[object, ...]], tuple[int, int, int]]] = {
    "one company": (lambda n: (n, f"Kim{n}", f"Lee{n}", "giant.example"), (45_000, 1, 90_001)),
    "half of it": (
        lambda n: (n, f"Kim{n}", f"Lee{n}", "giant.example" if n % 2 else f"firm{n}.example"),
        (45_000, 22_501, 112_501),
    ),
    "one lead": (lambda _: (7, "Kim", "Lee", "acme.example"), (1, 1, 3)),
    "nothing to ask": (lambda n: (n, "", "", ""), (0, 0, 0)),
}


@pytest.mark.parametrize("case", GIANTS)
def test_a_long_list_of_few_companies_is_counted_as_it_is(tmp_path: Path, case: str) -> None:
    """A part of its companies cannot stand for it; and leads, least and most are those of the whole list."""
    row, (leads, least, most) = GIANTS[case]
    path = tmp_path / "leads.csv"
    lines = (",".join(map(str, row(n))) for n in range(45_000))
    path.write_text("\n".join(["id,first_name,last_name,domain", *lines]))
    told = planning.plan(site(tmp_path).settings(), str(path), now=START)
    assert told.total.rows == 45_000
    assert told.total.error < 0.1
    assert told.total.leads == pytest.approx(leads, rel=0.01)
    assert told.requests.least == pytest.approx(least, rel=0.1)
    assert told.requests.most == pytest.approx(most, rel=0.1)


def test_nothing_is_changed_and_nothing_made(tmp_path: Path) -> None:
    """No state where there was none; an existing one holds the same rows as before, and nobody was asked."""
    machine = site(tmp_path)
    leads = write_leads(tmp_path / "leads.csv", people(5))
    planned(machine, leads)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leads.csv"]
    machine.night(leads, **PLENTY, max_requests=3)
    before = dump(tmp_path / "state.db")
    planned(machine, leads)
    planned(machine, write_leads(tmp_path / "other.csv", people(9)), account="somebody else")
    assert dump(tmp_path / "state.db") == before
    assert len(machine.server.log) == 3


def dump(path: Path) -> list[str]:
    import sqlite3  # noqa: PLC0415 - only here
    from contextlib import closing  # noqa: PLC0415 - as above

    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def test_the_first_search_is_said_to_be_blind_until_credits_are_told(tmp_path: Path) -> None:
    """Then its price is learned, and reckoned with instead of the ceiling."""
    machine = site(tmp_path, credits=5000)
    leads = write_leads(tmp_path / "leads.csv", people(30))
    blind = planned(machine, leads)
    machine.night(leads, **PLENTY)
    told = planned(machine, write_leads(tmp_path / "next.csv", people(30, start=500)))
    assert (blind.blind, blind.prices.search, blind.prices.learned) == (10, 10, False)
    assert (told.blind, told.usage.credits, told.prices.learned) == (None, machine.server.account.credits.left, True)
    assert told.prices.search < 5


@pytest.mark.parametrize(("most", "thinned"), [(1000, 0), (10_000, 3)], ids=["a pipe", "a file"])
def test_a_sampled_list_is_counted_nearly_as_the_whole(tmp_path: Path, most: int, thinned: int) -> None:
    """Of a long list every so-manieth company is looked at, with all its rows; what it says is scaled up."""
    leads = write_leads(tmp_path / "leads.csv", people(size(1500, 6000)))
    whole, part = counted(leads, 10**6, 0), counted(leads, most, thinned)
    assert part.rows == whole.rows == whole.looked_at
    assert part.looked_at <= whole.rows / 4
    assert part.leads == pytest.approx(whole.leads, rel=0.01)
    assert 0.0 < part.error < 0.2
    assert whole.error == 0.0
    assert part.backlog.companies == pytest.approx(whole.backlog.companies, rel=part.error)
    assert part.backlog.follow == pytest.approx(whole.backlog.follow, rel=part.error)


@pytest.mark.parametrize(("wider", "follow"), [(0, 7), (50, 8)])
def test_what_may_follow_a_search_is_counted_by_hand(tmp_path: Path, wider: int, follow: int) -> None:
    """Two addresses and a number for who brings an address, else one and one; a wider search once a company."""
    rows = [("Kim", "Bo", "kim@acme.com"), ("Ann", "Li", ""), ("Ann", "Li", ""), ("", "", "")]
    columns = ("First Name", "Last Name", "Email")
    usual = {"Company Name": "Acme", "Website": "acme.com"}
    leads = write_leads(tmp_path / "leads.csv", [usual | dict(zip(columns, row, strict=True)) for row in rows])
    found = counted(leads, 100, 0, Policy(questions=Questions(widen_limit=wider)))
    assert (found.rows, found.leads, found.duplicates) == (4, 3, 1)
    assert (found.backlog.searches, found.shared, found.repeated) == ({3: 1.0}, 2, 3)
    assert (found.backlog.follow, found.verifies, found.phones) == (follow, 3, 3)


def test_an_address_that_two_people_share_is_verified_once(tmp_path: Path) -> None:
    """Two leads, one question: it is certain once."""
    rows = [{"First Name": name, "Email": "office@acme.com"} for name in ("Kim", "Ann")]
    leads = write_leads(tmp_path / "leads.csv", rows)
    found = counted(leads, 100, 0, Policy(judgement=Judgement(steps=(Endpoint.VERIFY,))))
    assert (found.leads, found.backlog.certain, found.backlog.most_known) == (2, 1, 1)


def counted(leads: Path, most: int, thinned: int, policy: Policy | None = None) -> Total:
    """Count a list of which nothing is known."""
    source = open_source(str(leads))
    tally = Tally(Books(None, None, START), source.columns, policy or Policy(), most, thinned)
    tally.read(source)
    return tally.total()


def test_rows_of_one_company_have_one_mark() -> None:
    """However its name or site is written; a free-mail address does not speak for a company."""
    names = ["Acme Corp", "acme", "ACME, Inc.", "Acme Corp."]
    assert len({mark_of(name, "") for name in names}) == 1
    assert len({mark_of(name, "kim@gmail.com") for name in names}) == 1
    sites = ["https://www.acme.com/about", "acme.com", "www.acme.com", "kim@acme.com", "ann@ACME.com"]
    assert len({mark_of("", site) for site in sites}) == 1
    assert len({mark_of(f"Firm {n} Works", "") >> 29 for n in range(200)}) == 8
