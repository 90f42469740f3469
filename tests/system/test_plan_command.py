"""`leadcontact plan` as a command: what it prints, how it exits, and that it leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from support import people, write_leads
from system_site import FAST, Machine, site

if TYPE_CHECKING:
    from pathlib import Path


ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl", "--sandbox", "--max-requests", "0")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A folder with a list, without a key and without a state."""
    machine = Machine(tmp_path_factory.mktemp("plan"))
    write_leads(machine.folder / "leads.csv", people(20))
    return machine


def files(machine: Machine) -> set[str]:
    return {str(path.relative_to(machine.folder)) for path in machine.folder.rglob("*")}


def test_without_key_or_history_it_says_what_is_known_and_what_is_not(machine: Machine) -> None:
    """Bounds, days on every plan, a curve in plain characters; no key is needed and no state is made."""
    before = files(machine)
    told = machine.run_alone("plan", "leads.csv", "--plan", "starter", "--daily-quota", "40")
    assert (told.code, told.err) == (0, "")
    assert "Plan      starter: 40 requests a day." in told.out
    assert "Requests  least 20, expected unknown, most " in told.out
    assert "assumed, the most they can cost until prices are known: a search 10, verify 1, phones 1" in told.out
    assert "the first search goes blind" in told.out
    assert "Expected  unknown: this account has no history" in told.out
    for name in ("free", "starter", "professional", "--daily-quota 40"):
        assert f"\n{name} " in told.out
    assert "Leads complete by the end of the day (# at least, . at most)" in told.out
    assert max(map(len, told.out.splitlines()[1:])) <= 120
    assert told.out.splitlines()[-1].endswith("#" * 40)
    assert told.out.isascii()
    assert files(machine) == before


def test_a_priority_that_is_no_column_is_refused_as_enrich_refuses_it(machine: Machine) -> None:
    """What `plan` takes, `enrich` takes."""
    told = [machine.run_alone(*words, "--priority", "Nope") for words in (("plan", "leads.csv"), ENRICH)]
    assert [run.code for run in told] == [65, 65]
    assert told[0].complaint == told[1].complaint
    assert "Nope" in told[0].complaint


def test_json_has_the_same_numbers_and_a_stable_shape(machine: Machine) -> None:
    """For machines: unknown is null, every day of the curve has its date."""
    told = orjson.loads(machine.run_alone("plan", "leads.csv", "--json").out)
    assert told["schema_version"] == 1
    assert set(told) == {
        *("schema_version", "leads", "job", "at", "rows", "requests", "credits", "saved", "history_leads"),
        *("plan", "window", "plans", "curve"),
    }
    rows = told["rows"]
    parts = ("to_ask_about", "nothing_to_ask", "duplicates", "answered", "finished")
    assert rows["all"] == sum(rows[part] for part in parts) == rows["looked_at"]
    assert told["requests"]["expected"] is told["credits"]["expected"] is told["saved"]["sure_email"] is None
    assert told["credits"]["search_is_assumed"]
    assert [plan["plan"] for plan in told["plans"]] == ["free", "starter", "professional"]
    assert set(told["curve"][0]) == {"day", "at_least", "expected", "at_most", "date"}
    assert told["curve"][-1]["at_least"] == told["curve"][-1]["at_most"] == rows["to_ask_about"]


async def test_after_a_night_it_expects_what_the_account_has_seen(tmp_path: Path) -> None:
    """With history a number is expected; with -o only what is left counts; and nobody was asked for it."""
    write_leads(tmp_path / "leads.csv", people(20))
    write_leads(tmp_path / "next.csv", people(10, start=100))
    async with site(tmp_path, credits=5000) as (machine, sandbox):
        assert (await machine.run("enrich", "leads.csv", "-o", "out.jsonl", *FAST)).code == 0
        asked = sandbox.count()
        left = await machine.run("plan", "leads.csv", "-o", "out.jsonl")
        told = await machine.run("plan", "next.csv", LEADCONTACT_API_KEY="")
        expected = orjson.loads((await machine.run("plan", "next.csv", "--json")).out)
        assert sandbox.count() == asked
    assert "Requests  least 0, expected 0, most 0\n" in left.out
    assert "only what is left of the job" in left.out
    assert left.out.endswith("Nothing is left to ask.\n")
    assert f"expected {expected['requests']['expected']:,}, " in told.out
    assert "a search 1, as lately" in told.out
    assert "goes blind" not in told.out
    assert "left above the reserve by our count: enough" in told.out
    assert "of this account looked at so far" in told.out
    assert "e-mails search should be sure of" in told.out


async def test_a_list_from_stdin_can_be_planned_too(tmp_path: Path) -> None:
    """A pipe is read once, as in a run."""
    leads = write_leads(tmp_path / "leads.csv", people(20))
    machine = Machine(tmp_path)
    piped = await machine.run("plan", "-", "--json", stdin=leads.read_bytes())
    named = await machine.run("plan", "leads.csv", "--json")
    assert orjson.loads(piped.out)["requests"] == orjson.loads(named.out)["requests"]
    assert files(machine) == {"leads.csv"}


async def test_a_long_list_from_stdin_is_counted_as_the_file_would_be(tmp_path: Path) -> None:
    """Though it is read more than once, where few companies hold much of it."""
    lines = (f"{n},Kim{n},Lee{n},giant.example" for n in range(45_000))
    text = "\n".join(["id,first_name,last_name,domain", *lines])
    told = await Machine(tmp_path).run("plan", "-", "--sandbox", "--state", "s.db", "--json", stdin=text.encode())
    assert orjson.loads(told.out)["requests"]["least"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("plan", "missing.csv"), 66, ("There is no file missing.csv.", "Check the name")),
        (("plan", "."), 65, ("is a folder, not a list.",)),
        (("plan", "leads.csv", "--column", "company=Firm"), 65, ("has no column",)),
        (("plan", "leads.csv", "--plan", "enterprise"), 78, ("no fixed number", "--daily-quota N")),
        (("plan", "leads.csv", "--reserve-requests", "25"), 78, ("reserve_requests keeps all 25", "Lower it")),
        (("plan", "leads.csv", "--state", "leads.csv"), 74, ("is not a state file",)),
    ],
)
def test_what_cannot_be_planned_says_why_and_how_to_mend_it(
    machine: Machine, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    """With the exit codes of every command, and nothing written."""
    before = files(machine)
    told = machine.run_alone(*arguments)
    assert told.code == code
    assert all(word in told.complaint for word in words), told.complaint
    assert files(machine) == before


def test_without_a_list_the_usage_is_shown(machine: Machine) -> None:
    """64, and --help has an example."""
    told = machine.run_alone("plan")
    assert (told.code, "Missing argument 'LEADS'" in told.err) == (64, True)
    assert "leadcontact plan leads.csv --plan starter" in machine.run_alone("plan", "--help").out
