"""`prospect`: companies in, one line of each contact out, over nights, rewrites and everything a job can meet."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jobs_site import recount
from support import Server, Site, write_leads

from pipeline import app
from pipeline.engine import encode
from pipeline.errors import UsageError
from pipeline.forget import forget
from pipeline.model import Status
from pipeline.people import address_id
from pipeline.purge import purge
from pipeline.refresh import refresh
from pipeline.replay import replay
from pipeline.results import results
from pipeline.sandbox import Fault, World
from pipeline.sandbox.answers import contacts_of
from pipeline.session import session

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.observe.summary import Report
    from pipeline.session import Parts

DAY = 86_400.0
PLAN: dict[str, Any] = {"plan": "professional", "wait_up_to": 0, "steps": "search"}
VERIFY = PLAN | {"steps": "search,verify"}
NAMES = [f"Northwind {n} Robotics" for n in range(6)]


def go(site: Site, companies: Path, *, at: float | None = None, **wishes: Any) -> Report:
    work = lambda parts: app.prospect(parts, str(companies), str(site.out))  # noqa: E731 - one line as any command
    return site.command(work, at=at, **{**PLAN, **wishes})


def listed(folder: Path, *rows: str | dict[str, str]) -> Path:
    table = [row if isinstance(row, dict) else {"Company": row} for row in rows]
    fields = list(dict.fromkeys(name for row in table for name in row))
    return write_leads(folder / "companies.csv", [dict.fromkeys(fields, "") | row for row in table])


def everybody(*companies: str, most: int = 10) -> set[str]:
    """The addresses search shows."""
    world = World(0)
    return {person.email for name in companies for person in world.company(name).people[:most]}


def addresses(site: Site) -> Counter[str]:
    return Counter(line["email"]["value"] for line in site.lines())


def by_person(site: Site) -> dict[str, dict[str, Any]]:
    lines = {line["contact_id"]: line for line in site.lines()}
    assert len(lines) == len(site.lines()), "one line a person"
    return lines


def calls(line: dict[str, Any]) -> list[tuple[str, str]]:
    return [(call["key"], call["at"]) for call in line["calls"]]


def sound(site: Site) -> None:
    kept, counted, wrong = recount(site.folder / "state.db")
    assert (kept, wrong) == (counted, [])


def test_every_contact_of_every_company_has_one_line(tmp_path: Path) -> None:
    """With the company's row, how sure it is and what it rests on; companies in = with + without + invalid."""
    site = Site(tmp_path, Server())
    report = go(site, listed(tmp_path, *NAMES, "n/a", NAMES[0]))
    assert addresses(site) == Counter(everybody(*NAMES))
    counts = report.jobs[0].counts
    found = [name for name in NAMES if World(0).company(name).people]
    assert {status: n for status, n in counts.by_status.items() if n} == {
        Status.ENRICHED: len(found),
        Status.INVALID: 1,
        **({Status.NOT_FOUND: len(NAMES) - len(found)} if len(found) < len(NAMES) else {}),
    }
    assert (counts.leads, counts.duplicates, report.jobs[0].contacts) == (7, 1, len(site.lines()))
    assert len(site.server.log) == len(NAMES)
    for line in site.lines():
        shown = next(
            c for c in contacts_of(World(0).company(line["input"]["Company"])) if c["email"] == line["email"]["value"]
        )
        assert line["input"]["Company"] == NAMES[line["row"] - 1]
        assert (line["email"]["confidence"], line["contact"]["title"]) == (shown["email_confidence"], shown["title"])
        assert (line["phone"] or {}).get("value") == shown["phone"]
        assert (line["match"], line["candidates"]) == ({"by": "company", "score": 1.0}, [])
        assert [call["endpoint"] for call in line["calls"]] == ["search"]
        assert line["status"] == ("enriched" if shown["email_confidence"] >= 0.9 else "partial")


def test_filters_shape_the_one_question_and_are_frozen(tmp_path: Path) -> None:
    """Decision makers, titles, departments and the limit."""
    site, companies = Site(tmp_path, Server()), listed(tmp_path, NAMES[0])
    wishes: dict[str, Any] = {
        "decision_maker_only": True,
        "titles": "CEO,CTO",
        "departments": "Executive",
        "limit": 3,
    }
    go(site, companies, max_requests=0, **wishes)
    with pytest.raises(Exception, match="asks other questions") as refused:
        go(site, companies, **{**wishes, "limit": 5})
    assert getattr(refused.value, "exit_code", 0) == 78
    go(site, companies, **wishes)
    assert site.server.log[0].body == {
        "company": NAMES[0],
        "include_phone": True,
        "limit": 3,
        "decision_maker_only": True,
        "departments": ["Executive"],
        "titles": ["CEO", "CTO"],
    }


def test_only_addresses_search_is_not_sure_of_are_verified(tmp_path: Path) -> None:
    """Each once; the line says what verify said."""
    site = Site(tmp_path, Server(greylist_seconds=0.0))
    go(site, listed(tmp_path, *NAMES[:3]), **VERIFY, wait=True)
    world = World(0)
    unsure = {p.email for name in NAMES[:3] for p in world.company(name).people[:10] if p.email_confidence < 0.9}
    asked = Counter(entry.body["email"] for entry in site.server.log if entry.endpoint == "verify")
    assert unsure
    assert asked.keys() == unsure
    for line in site.lines():
        verified = line["email"]["value"] in unsure
        assert ("verify" in [call["endpoint"] for call in line["calls"]]) == verified
        assert (line["email"]["deliverable"] is not None) == verified
    assert site.server.asked_twice() == []


def test_at_any_moment_the_output_has_the_lines_of_finished_companies(tmp_path: Path) -> None:
    """One request a night; nothing is asked twice; the same lines as in one go."""
    site, companies = Site(tmp_path, Server()), listed(tmp_path, *NAMES)
    for night in range(len(NAMES) + 1):
        report = go(site, companies, at=night * DAY, max_requests=1)
        finished = {entry.body["company"] for entry in site.server.log}
        assert addresses(site) == Counter(everybody(*finished))
        assert report.pending == len(NAMES) - len(finished)
    assert site.server.asked_twice() == []
    assert len(site.server.log) == len(NAMES)
    sound(site)


@pytest.mark.parametrize("first", ["0", "5"])
def test_a_person_found_at_two_companies_has_the_line_of_the_first_row(tmp_path: Path, first: str) -> None:
    """Whichever is asked first; a name and a domain may be the same company to the API. A lost output agrees."""
    site = Site(tmp_path, Server())
    companies = listed(
        tmp_path,
        {"Company": "Globex", "Website": "", "Rank": "1"},
        {"Company": "", "Website": "globex.com", "Rank": first},
        {"Company": "Initech", "Website": "", "Rank": "0"},
    )
    go(site, companies, priority="Rank", max_requests=1)
    once = addresses(site)
    assert once == Counter(everybody("Globex"))
    go(site, companies, priority="Rank", at=DAY)
    assert addresses(site) == Counter(everybody("Globex", "Initech"))
    assert {line["row"] for line in site.lines()} == {1, 3}
    lines = by_person(site)
    site.out.unlink()
    site.resume(str(site.out), **PLAN)
    again = by_person(site)
    assert again.keys() == lines.keys()
    assert {who: line["row"] for who, line in again.items()} == {who: line["row"] for who, line in lines.items()}
    sound(site)


def test_results_are_the_lines_of_the_output(tmp_path: Path) -> None:
    """Partial ones too: what a company has before its addresses are verified."""
    site = Site(tmp_path, Server(greylist_seconds=0.0))
    go(site, listed(tmp_path, *NAMES[:3], "Globex", "globex.com"), **VERIFY, max_requests=6)

    async def read(parts: Parts) -> list[list[dict[str, Any]]]:
        async with session(parts) as opened:
            (job,) = opened.store.jobs.all()
            return [
                [orjson.loads(encode(line)) for line in results(opened, job, partial=how)] for how in (False, True)
            ]

    finished, all_ = site.command(read, **VERIFY)
    assert {line["contact_id"] for line in finished} == by_person(site).keys()
    pending = [line for line in all_ if line["status"] == "pending"]
    assert pending
    assert len({line["contact_id"] for line in all_}) == len(all_) == len(finished) + len(pending)


@pytest.mark.parametrize("lost", [False, True])
def test_whoever_is_forgotten_leaves_and_their_colleagues_stay(tmp_path: Path, *, lost: bool) -> None:
    """Their company is looked at again without them, and nothing is paid again; also if the output is lost."""
    site = Site(tmp_path, Server(greylist_seconds=0.0))
    companies = listed(tmp_path, "Globex", "globex.com", NAMES[1])
    go(site, companies, **VERIFY, wait=True)
    gone, asked = min(everybody("Globex")), len(site.server.log)
    if lost:
        site.out.unlink()
    site.command(lambda parts: forget(parts, gone), **VERIFY)
    assert all(gone.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    site.resume(**VERIFY, wait=True)
    assert addresses(site) == Counter(everybody("Globex", NAMES[1]) - {gone})
    assert len(site.server.log) == asked
    sound(site)


def test_no_hash_of_whoever_is_forgotten_is_left(tmp_path: Path) -> None:
    """Not even where their company's answer is purged, so that nobody can tell any more whose it was."""
    site = Site(tmp_path, Server())
    go(site, listed(tmp_path, "Globex", "globex.com"))
    gone = min(everybody("Globex"))
    site.command(lambda parts: purge(parts, "1d"), at=99 * DAY, **PLAN)
    site.command(lambda parts: forget(parts, gone), **PLAN)
    with closing(sqlite3.connect(tmp_path / "state.db")) as db:
        left = {contact for (contact,) in db.execute("SELECT contact FROM person")}
    assert left
    assert address_id(gone) not in left


def test_a_row_that_names_another_company_gives_up_its_people(tmp_path: Path) -> None:
    """Whoever else has them shows them then."""
    site = Site(tmp_path, Server())
    rows = [{"Record ID": "1", "Company": "Globex", "Website": ""}, {"Record ID": "2", "Website": "globex.com"}]
    go(site, listed(tmp_path, *rows))
    assert {line["row"] for line in site.lines()} == {1}
    go(site, listed(tmp_path, rows[0] | {"Company": "Initech"}, rows[1]))
    assert addresses(site) == Counter(everybody("Globex", "Initech"))
    assert {line["row"] for line in site.lines() if line["email"]["value"].endswith("@globex.com")} == {2}
    sound(site)


def test_a_refresh_keeps_whoever_is_not_found_any_more(tmp_path: Path) -> None:
    """With their old calls; new people come in; still a line each."""
    site = Site(tmp_path, Server())
    go(site, listed(tmp_path, *NAMES[:3]))
    before = by_person(site)
    site.server.account.change({"seed": 7})
    site.command(lambda parts: refresh(parts, str(site.out), "90d"), at=100 * DAY, **PLAN)
    after = by_person(site)
    assert before.keys() < after.keys()
    kept = [who for who in before if after[who]["email"] == before[who]["email"]]
    assert kept
    assert all(calls(after[who]) == calls(before[who]) for who in kept)
    site.out.unlink()
    site.resume(str(site.out), **PLAN, at=101 * DAY)
    assert by_person(site) == after
    sound(site)


def test_refused_companies_can_be_replayed(tmp_path: Path) -> None:
    """And failed ones are counted as such, not as companies without contacts."""
    site, companies = Site(tmp_path, Server()), listed(tmp_path, "Globex", "Initech")
    site.server.account.line_up([Fault.BAD_REQUEST])
    go(site, companies, concurrency=1)
    few = set(addresses(site))
    look = lambda parts: replay(parts, str(site.out), dry_run=True)  # noqa: E731 - as above
    assert [site.command(look, **wish).requests for wish in (PLAN, VERIFY)] == [1, 1 + 10]
    assert site.command(lambda parts: replay(parts, str(site.out)), **PLAN).rows == 1
    site.resume(**PLAN)
    assert few < set(addresses(site)) == everybody("Globex", "Initech")


def test_a_lost_output_after_a_purge_names_what_is_lost_and_a_kept_one_stays(tmp_path: Path) -> None:
    """Lines that stand are copied, whatever became of their answers."""
    site, companies = Site(tmp_path, Server()), listed(tmp_path, *NAMES[:2])
    go(site, companies)
    before = by_person(site)
    site.command(lambda parts: purge(parts, "1d"), at=99 * DAY, **PLAN)
    go(site, listed(tmp_path, *NAMES[:2], NAMES[0].replace(" ", "  ")), at=100 * DAY)
    assert by_person(site) == before
    site.out.unlink()
    site.resume(str(site.out), **PLAN, at=101 * DAY)
    assert site.lines() == []
    assert any("purged: rows 1-2" in words for words in site.said)


def test_a_job_is_of_one_kind(tmp_path: Path) -> None:
    """Its lines would be of two shapes."""
    site, companies = Site(tmp_path, Server()), listed(tmp_path, NAMES[0])
    go(site, companies, max_requests=0)
    with pytest.raises(UsageError, match="job of `prospect`"):
        site.night(companies, **PLAN)
