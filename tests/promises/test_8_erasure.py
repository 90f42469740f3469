"""Promise 8, for one who asks to be forgotten: no byte of them is left, they stay out, and the books stay true."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jobs_site import recount
from support import Server, Site, people, write_leads

from pipeline.app import ask
from pipeline.errors import JobHeld, UsageError
from pipeline.forget import Forgotten, forget
from pipeline.model import ERASED_REASON, NoReply
from pipeline.protocol import verify_question
from pipeline.sandbox import World
from pipeline.store.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.sandbox.world import Person

PLAN: dict[str, Any] = {"plan": "enterprise", "daily_quota": 5_000, "wait_up_to": 0, "concurrency": 4}
COMPANY = "Northwind 0 Robotics"
HEADERS = ("Record ID", "First Name", "Last Name", "Email", "Company Name", "Note")


def row(number: int, **cells: str) -> dict[str, str]:
    return dict.fromkeys(HEADERS, "") | {"Record ID": str(number), "Company Name": COMPANY} | cells


def someone(number: int, person: Person, **cells: str) -> dict[str, str]:
    return row(number, **{"First Name": person.first_name, "Last Name": person.last_name, **cells})


class Town:
    """A list in which one person appears in every way there is, enriched, and a second list that shares answers."""

    def __init__(self, folder: Path) -> None:
        world = World(0)
        staff = [person for person in world.company(COMPANY).people if person.phone]
        shared = Counter(  # the invented numbers are few: take somebody who shares theirs with nobody
            number
            for n in range(3)
            for person in world.company(f"Northwind {n} Robotics").people
            for number in {person.phone, *(number.number for number in person.numbers)}
        )
        self.person, self.other, *_ = sorted(
            staff, key=lambda person: max(shared[number.number] for number in person.numbers)
        )
        self.address = self.person.email
        self.rows = [
            someone(1, self.person, Email=self.address.upper()),
            someone(2, self.person),
            someone(3, self.other),
            row(4),
            someone(5, self.other, Note=f"assistant of {self.address}, call first"),
            {**someone(1, self.person, Email=self.address.upper()), "Note": "the same again"},
            *({**person, "Note": "", "Record ID": f"x{n}"} for n, person in enumerate(people(2, 2, start=1))),
        ]
        self.site = Site(folder, Server(seed=0, latency=0.02))
        self.leads = write_leads(folder / "leads.csv", self.rows)
        self.site.night(self.leads, **PLAN, min_phone_confidence=1.0, summary=folder / "summary.json")
        self.second = Site(folder, self.site.server, now=self.site.now, name="second.jsonl")
        (folder / "out.jsonl.torn-1").write_bytes(self.site.out.read_bytes()[:-20])
        self.second.night(write_leads(folder / "second.csv", self.rows[1:5]), **PLAN, max_requests=1)
        self.folder = folder

    def forget(self, address: str = "") -> Forgotten:
        return self.site.command(lambda parts: forget(parts, address or self.address), **PLAN)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "state.db")) as db:
            return db.execute(sql).fetchall()

    def traces(self) -> list[str]:
        """Files other than the user's own lists in which any byte tells of the person."""
        told = [self.address, self.address.upper(), self.person.phone or "", *(n.number for n in self.person.numbers)]
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".csv"]
        return [path.name for path in files if any(text.encode() in path.read_bytes() for text in told if text)]


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_no_byte_of_the_person_is_left(town: Town) -> None:
    """State, its log, both outputs, the copy kept aside: neither the address nor the person's numbers."""
    assert {"out.jsonl", "out.jsonl.torn-1", "state.db", "second.jsonl"} <= {*town.traces(), "second.jsonl"}
    told = town.forget()
    assert town.traces() == []
    assert (told.rows, told.mentions) == (3 + 1, 1 + 1), "in both lists"
    assert told.answers_cut >= 1
    assert told.answers_deleted >= 1
    assert told.emptied
    assert told.unusable == []


def test_lines_of_others_stay_byte_for_byte(town: Town) -> None:
    """Only lines that named the person change; theirs say `erased` and nothing else of them."""
    before = {orjson.loads(line)["row"]: line for line in town.site.out.read_bytes().splitlines()}
    town.forget()
    after = {orjson.loads(line)["row"]: line for line in town.site.out.read_bytes().splitlines()}
    named = {number for number, line in before.items() if town.address.encode() in line.lower()}
    assert {number: after.get(number) for number in before.keys() - named} == {
        number: before[number] for number in before.keys() - named
    }
    assert len(before.keys() - named) > 5
    erased = [orjson.loads(after[number]) for number in (1, 2, 6)]
    assert [(line["status"], line["reason"], line["input"], line["contact"]) for line in erased] == [
        ("invalid", "erased", {"_erased": True}, None)
    ] * 3
    shared = orjson.loads(after[3])
    assert shared["contact"]["last_name"] == town.other.last_name
    assert shared | {"candidates": []} == orjson.loads(before[3]) | {"candidates": []}
    assert "[erased], call first" in orjson.loads(after[5])["input"]["Note"]


def test_the_books_stay_true(town: Town) -> None:
    """Every spend is still counted, every row accounted for, one line a finished row."""
    spent = town.query("SELECT count(*), sum(cost), count(dated) FROM attempt")
    leads = town.query("SELECT count(*) FROM lead")
    town.forget()
    assert town.query("SELECT count(*), sum(cost), count(dated) FROM attempt") == spent
    assert town.query("SELECT count(*) FROM lead") == leads
    kept, counted, wrong = recount(town.folder / "state.db")
    assert (kept, wrong) == (counted, [])
    report = town.site.night(town.leads, **PLAN)
    assert report.pending == 0
    assert sorted(line["row"] for line in town.site.lines()) == list(range(1, len(town.rows) + 1))


def test_a_row_that_had_used_the_person_is_asked_again_without_them(town: Town) -> None:
    """A row that names nobody took the company's best contact; now it takes the next."""
    best = Site(town.folder, town.site.server, now=town.site.now, name="best.jsonl")
    best.night(write_leads(town.folder / "best.csv", [row(1)]), **PLAN, steps="search")
    (line,) = best.lines()
    told = town.forget(line["email"]["value"])
    assert told.reopened >= 1
    asked = len(town.site.server.log)
    best.resume(str(best.out), **PLAN)
    (again,) = best.lines()
    assert again["match"]["by"] == "best"
    assert again["email"]["value"] != line["email"]["value"]
    assert len(town.site.server.log) == asked, "the search was paid for"


def test_they_stay_out(town: Town) -> None:
    """The same list, a new list, a later answer that names them, a question about them: none brings them back."""
    town.forget()
    asked = len(town.site.server.log)
    later = Site(town.folder, town.site.server, now=town.site.now + 200 * 86_400.0, name="later.jsonl")
    town.site.night(write_leads(town.leads, [*town.rows, row(99)]), **PLAN, at=later.now)
    later.night(write_leads(town.folder / "later.csv", town.rows[:5]), **PLAN)
    assert town.traces() == []
    new = town.site.server.log[asked:]
    assert any(entry.endpoint == "search" for entry in new), "the company was asked again and named them"
    assert not any(town.address in entry.question.casefold() for entry in new)
    assert [line["reason"] for line in later.lines() if line["row"] in (1, 2)] == [ERASED_REASON] * 2
    (answer,), _ = later.command(lambda parts: ask(parts, [verify_question(town.address)]), **PLAN)
    assert answer is not None
    assert answer.reply == NoReply(reason=ERASED_REASON)


def test_forgetting_twice_is_forgetting_once(town: Town) -> None:
    """The second time there is nothing left, and nothing changes."""
    town.forget()
    before = town.site.out.read_bytes(), town.second.out.read_bytes()
    told = town.forget(f" {town.address.upper()} ")
    assert told.nothing
    assert (town.site.out.read_bytes(), town.second.out.read_bytes()) == before


def test_whoever_is_not_known_yet_is_kept_out_too(tmp_path: Path) -> None:
    """`forget` may come before the list."""
    site = Site(tmp_path, Server())
    assert site.command(lambda parts: forget(parts, "jane.smith@acmecorp.com"), **PLAN).nothing
    leads = write_leads(tmp_path / "leads.csv", [{"Email": "Jane.Smith@AcmeCorp.com", "Company Name": "Acme Corp"}])
    site.night(leads, **PLAN)
    assert [(line["status"], line["reason"]) for line in site.lines()] == [("invalid", "erased")]
    assert site.server.log == []
    assert b"jane" not in (tmp_path / "state.db").read_bytes().lower()


def test_a_row_that_may_mean_them_is_not_asked_about_by_name(tmp_path: Path) -> None:
    """Their company's search is cut before it is kept; then `phones` would still find them by their name."""
    person = next(person for person in World(0).company(COMPANY).people if person.phone)
    site = Site(tmp_path, Server(seed=0))
    site.command(lambda parts: forget(parts, person.email), **PLAN)
    stranger = {**someone(2, person), "First Name": "Nobody", "Last Name": "Known"}
    site.night(write_leads(tmp_path / "leads.csv", [someone(1, person), stranger]), **PLAN)
    assert [entry.endpoint for entry in site.server.log] == ["search"]
    assert {line["row"]: line["status"] for line in site.lines()} == {1: "not_found", 2: "not_found"}
    assert not any(number.number in site.out.read_text() for number in person.numbers)


def test_a_row_that_ended_as_suppressed_is_erased_too(tmp_path: Path) -> None:
    """It was matched to them; only nothing was told of it."""
    person = next(person for person in World(0).company(COMPANY).people if person.phone)
    site = Site(tmp_path, Server(seed=0))
    (tmp_path / "suppressed.txt").write_text(person.email)
    wishes = {**PLAN, "suppress": {"file": tmp_path / "suppressed.txt"}}
    site.night(write_leads(tmp_path / "leads.csv", [someone(1, person, Note="a secret")]), **wishes)
    assert [line["reason"] for line in site.lines()] == ["suppressed"]
    told = site.command(lambda parts: forget(parts, person.email), **wishes)
    assert told.rows == 1
    assert "a secret" not in site.out.read_text()
    assert b"a secret" not in (tmp_path / "state.db").read_bytes()


def test_what_is_put_aside_while_forgetting_is_cut_as_well(town: Town) -> None:
    """An output with a damaged end is repaired on the way, and its end kept beside it."""
    with town.site.out.open("ab") as out:
        out.write(b'{"row":99,"email":{"value":"' + town.address.encode() + b'"}}\n')
    town.forget()
    assert town.traces() == []


def test_other_accounts_of_the_state_forget_too(town: Town) -> None:
    """Another customer's lists and answers lie in the same file."""
    theirs = Site(town.folder, Server(seed=0), now=town.site.now, name="theirs.jsonl")
    theirs.night(write_leads(town.folder / "theirs.csv", town.rows[:3]), **PLAN, account="customer")
    assert "theirs.jsonl" in town.traces()
    town.forget()
    assert town.traces() == []


def test_an_output_that_cannot_be_used_does_not_stop_the_rest(town: Town) -> None:
    """It is named and left alone; everything else is erased."""
    town.site.out.write_bytes(b"somebody else's\n" * 1_000)
    told = town.forget()
    assert [str(town.site.out) in problem for problem in told.unusable] == [True]
    assert town.traces() == []


def test_a_crash_after_the_state_forgot_is_made_good_by_any_next_command(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is marked as stale in the same commit."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.forget.open_run", dies)
        with pytest.raises(KeyboardInterrupt):
            town.forget()
    assert "out.jsonl" in town.traces()
    town.site.night(town.leads, **PLAN)
    assert "out.jsonl" not in town.traces()
    town.forget()
    assert town.traces() == []


def test_nothing_is_removed_while_a_run_holds_a_job(town: Town) -> None:
    """Exit 75; the address is kept out from that moment, and the same command later does the rest."""
    before = town.site.out.read_bytes()
    lock = Lock(town.folder / "state.db.locks" / "job-2")
    with lock:
        assert lock.acquire()
        with pytest.raises(JobHeld):
            town.forget()
    assert town.site.out.read_bytes() == before
    town.forget()
    assert town.traces() == []


def test_only_an_address_can_be_forgotten(town: Town) -> None:
    """A name is not enough to know a person by."""
    with pytest.raises(UsageError) as refused:
        town.forget("Jane Smith")
    assert refused.value.exit_code == 64
    assert "Jane" not in str(refused.value)


def test_the_state_cannot_be_asked_who_was_erased(town: Town, tmp_path: Path) -> None:
    """Marks are keyed: another state has other marks for the same address, and old questions cannot be guessed."""
    town.forget()
    other = Site(tmp_path / "other", Server())
    other.folder.mkdir()
    other.command(lambda parts: forget(parts, town.address), **PLAN)
    with closing(sqlite3.connect(other.folder / "state.db")) as db:
        marks = set(db.execute("SELECT mark FROM erased"))
    assert marks
    assert marks.isdisjoint(town.query("SELECT mark FROM erased"))
    key = verify_question(town.address).key.hex().upper()
    tables = ("attempt", "answer", "purged")
    found: Callable[[str], Any] = lambda table: town.query(f"SELECT 1 FROM {table} WHERE hex(key) = '{key}'")  # noqa: S608, E731
    assert [found(table) for table in tables] == [[], [], []]
