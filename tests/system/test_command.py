"""The faces of the command: what each of them says, to whom, and how it exits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from support import people, write_leads
from system_site import FAST, KEY, Machine, Told, asked_again, ended, said, site

from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl")
COMMANDS = ("enrich", "resume", "status", "verify", "doctor", "sandbox")
CEO = "jane.smith@acme.com"
"""The guide's own example person; the sandbox confirms her."""


# --- help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_an_example(tmp_path: Path, command: str, flag: str) -> None:
    """Exit 0, on stdout, with a line one can copy."""
    told = Machine(tmp_path).run_alone(command, flag)
    assert (told.code, told.err) == (0, "")
    assert re.search(rf"^ +leadcontact {command}\b", told.out, re.MULTILINE)


def test_the_command_alone_lists_its_commands(tmp_path: Path) -> None:
    """Somebody who types the name only learns what there is, and its version."""
    told = Machine(tmp_path).run_alone("--help")
    assert told.code == 0
    assert all(re.search(rf"^  {command} ", told.out, re.MULTILINE) for command in COMMANDS)
    version = Machine(tmp_path).run_alone("--version")
    assert (version.code, version.out.startswith("leadcontact, version ")) == (0, True)


# --- enrich: what it says -----------------------------------------------------------------------------


async def test_the_first_line_says_the_plan_when_none_is_set(tmp_path: Path) -> None:
    """Somebody with 2,000 requests a day should not wait weeks at 25 without knowing."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, _):
        free = await machine.run(*ENRICH, "--max-requests", "0")
        told = await machine.run(*ENRICH, "--max-requests", "0", "--plan", "starter")
    assert free.err.splitlines()[0] == "Plan free (none was set): 25 requests a day. Say yours with --plan."
    assert told.err.splitlines()[0] == "Plan starter: 500 requests a day."


async def test_the_summary_accounts_for_every_row_and_request(tmp_path: Path) -> None:
    """Identity, requests by step, saved, quota, credits, state, the next command; the JSON says the same."""
    rows = people(4, 2)
    write_leads(tmp_path / "leads.csv", [*rows, rows[1]])
    async with site(tmp_path, credits=900) as (machine, sandbox):
        told = await machine.run(*ENRICH, *FAST, "--summary", "summary.json", "--max-requests", "9")
        last = await machine.run(*ENRICH, *FAST, "--summary", "last.json")
    summary = orjson.loads((tmp_path / "summary.json").read_bytes())
    (job,) = summary["jobs"]
    states = [job[state] for state in ("enriched", "partial", "not_found", "invalid", "failed", "pending")]
    assert sum(states) == job["leads"] == len(rows)
    assert (job["duplicates"], job["rows_read"]) == (1, len(rows) + 1)
    assert (
        summary["requests"]["sent"] == 9 == sum(summary["requests"][step] for step in ("search", "verify", "phones"))
    )
    assert (summary["stop"]["why"], summary["quota"]) == (
        "max_requests",
        {"requests": 5000, "used": 9, "next_request_at": None},
    )
    named = "{} enriched + {} partial + {} not found + {} invalid + {} failed + {} pending".format(*states)
    requests = "9 sent ({search} search, {verify} verify, {phones} phones)".format(**summary["requests"])
    for words in (
        "Paused: the 9 requests of --max-requests are used.",
        f"Output    {machine.out}",
        f"Rows      {len(rows)} leads = {named}",
        "1 more row is a duplicate",
        f"Requests  {requests}",
        "shared by rows of one company",
        "Quota     9 of 5,000 used in this window, 4,991 left",
        f"Credits   {summary['credits']['left']} left by our count, 10 kept in reserve",
        "Finish    about 20",
        f"State     {machine.state}",
        "Next      leadcontact resume",
    ):
        assert words in told.err
    assert (told.code, told.out, last.code, last.out) == (0, "", 0, "")
    done = orjson.loads((tmp_path / "last.json").read_bytes())
    assert (done["stop"]["why"], done["jobs"][0]["pending"], done["credits"]["left"]) == ("done", 0, sandbox.credits)
    assert done["quota"]["used"] == sandbox.count()
    assert len(machine.lines()) == len(rows) + 1


SCHEMA = {
    "schema_version": 1,
    "started_at": str,
    "ended_at": str,
    "stop": {"why": str, "sentence": str, "next_request_at": (str, type(None))},
    "jobs": list,
    "unusable": list,
    "requests": {"sent": int, "search": int, "verify": int, "phones": int, "outcomes": dict},
    "saved": {
        "shared_by_company": int,
        "answered_before": int,
        "verify_search_was_sure": int,
        "phones_search_was_sure": int,
    },
    "quota": {"requests": int, "used": int, "next_request_at": (str, type(None))},
    "credits": {"left": (int, type(None)), "reserve": int, "watched": bool, "read_at": (str, type(None))},
    "finish": {"days": (int, type(None)), "date": (str, type(None))},
    "flips": list,
    "state": str,
}


def fits(value: Any, schema: Any) -> bool:
    """Whether a value has exactly this shape."""
    if isinstance(schema, dict):
        return value.keys() == schema.keys() and all(fits(value[name], schema[name]) for name in schema)
    return isinstance(value, schema) if isinstance(schema, type | tuple) else value == schema


async def test_json_has_a_stable_schema_on_stdout(tmp_path: Path) -> None:
    """--json of enrich, resume, status and doctor: one document, nothing else on stdout."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, _):
        told = [await machine.run(*ENRICH, *FAST, "--json"), await machine.run("resume", *FAST, "--json")]
        status = orjson.loads((await machine.run("status", "--json")).out)
        doctor = orjson.loads((await machine.run("doctor", "--json")).out)
    assert all(fits(orjson.loads(one.out), SCHEMA) for one in told)
    keys = {
        "schema_version",
        "account",
        "plan",
        "state",
        "state_exists",
        "jobs",
        "quota",
        "finish",
        "credits",
        "flips",
        *("requests", "saved", "nights"),
    }
    assert status.keys() == keys
    assert (status["schema_version"], status["jobs"][0]["leads"], status["quota"]["requests"]) == (1, 3, 25)
    assert doctor.keys() == {"schema_version", "findings"}
    assert all(finding.keys() == {"what", "told", "fix", "exit_code"} for finding in doctor["findings"])


async def test_the_next_command_works_when_it_is_copied(tmp_path: Path) -> None:
    """What the summary advises names the state and the account that this run used."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    machine = Machine(tmp_path)
    told = await machine.run(
        *ENRICH, "--sandbox", "--max-requests", "1", "--state", "my state.db", "--plan", "starter"
    )
    advised = told.err.splitlines()[-1].removeprefix("Next      leadcontact ")
    assert advised == "resume --plan starter --state 'my state.db' --sandbox"
    last = await machine.run(
        "resume", "--plan", "starter", "--state", "my state.db", "--sandbox", "--wait-up-to", "0"
    )
    assert (last.code, "Plan starter: 500 requests a day." in last.err) == (0, True)
    assert len(machine.rows()) >= 5


async def test_quiet_says_only_what_is_wrong(tmp_path: Path) -> None:
    """For a cron that mails whatever is said."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, sandbox):
        quiet = await machine.run(*ENRICH, *FAST, "--quiet")
        sandbox.set(faults={Fault.UNAUTHORISED: 1.0})
        write_leads(tmp_path / "leads.csv", people(2, 1))
        loud = await machine.run(*ENRICH, *FAST, "--quiet")
    assert quiet == (0, "", "")
    assert loud.code == 77
    assert loud.err != ""


async def test_json_log_lines_are_json_with_the_run(tmp_path: Path) -> None:
    """Every line on stderr, the summary too; all of one run have the same name."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    async with site(tmp_path) as (machine, _):
        told = await machine.run(*ENRICH, *FAST, "--log-format", "json", "--log-level", "debug")
    lines = [orjson.loads(line) for line in told.err.splitlines()]
    assert all({"at", "run", "event"} <= line.keys() for line in lines)
    assert {"message", "RequestSettled", "RowFinished", "summary"} <= {line["event"] for line in lines}
    assert len({line["run"] for line in lines[1:]}) == 1
    assert fits(lines[-1]["summary"], SCHEMA)


# --- enrich: in and out -------------------------------------------------------------------------------


async def test_stdin_and_stdout_make_a_pipe(tmp_path: Path) -> None:
    """`-` and `-o -`: stdout carries data only, one line a row; --job gives the job its name."""
    leads = write_leads(tmp_path / "leads.csv", rows := people(2, 1)).read_bytes()
    async with site(tmp_path) as (machine, sandbox):
        command = ("enrich", "-", "-o", "-", "--job", "x", *FAST)
        told = await machine.run(*command, stdin=leads)
        count = sandbox.count()
        again = await machine.run(*command, stdin=leads)
    assert (told.code, again.code, again.out, sandbox.count()) == (0, 0, "", count)
    assert sorted(orjson.loads(line)["row"] for line in told.out.splitlines()) == list(range(1, len(rows) + 1))
    assert "stdin: CSV" in told.err
    assert "Next      leadcontact status" in told.err


async def test_a_closed_pipe_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """`| head` goes away: one sentence, 74, and the next run hands out what nobody has read, for nothing."""
    write_leads(tmp_path / "leads.csv", rows := people(2, 1))
    async with site(tmp_path) as (machine, sandbox):
        command = ("enrich", "leads.csv", "-o", "-", "--job", "x", *FAST)
        process = await machine.start(*command)
        reader = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
        reader.close()
        assert process.stderr is not None
        err = (await process.stderr.read()).decode()
        assert await process.wait() == 74
        complaint = Told(74, "", err).complaint
        assert complaint == "Standard output was closed before it took all. The next run writes what is missing."
        again = await machine.run(*command)
    assert sorted(orjson.loads(line)["row"] for line in again.out.splitlines()) == list(range(1, len(rows) + 1))
    assert asked_again(sandbox) == 0


async def test_jsonl_in_any_shape_travels_through(tmp_path: Path) -> None:
    """Nested values, numbers and nulls come out in `input` as they went in."""
    rows: list[dict[str, Any]] = [
        {"company": "Northwind 1 Robotics", "tags": ["a", {"b": None}], "n": 1.5},
        {"company": "Northwind 2 Robotics", "n": None},
    ]
    (tmp_path / "leads.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    async with site(tmp_path) as (machine, _):
        assert (await machine.run("enrich", "leads.jsonl", "-o", "out.jsonl", *FAST)).code == 0
    assert [line["input"] for line in sorted(machine.lines(), key=lambda line: int(line["row"]))] == rows


async def test_new_rows_join_the_job_and_nothing_is_asked_again(tmp_path: Path) -> None:
    """The list grew since last night: only what is new is asked, the output grows by its lines."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    async with site(tmp_path) as (machine, sandbox):
        await machine.run(*ENRICH, *FAST)
        before, count = machine.out.read_bytes(), sandbox.count()
        write_leads(tmp_path / "leads.csv", people(3, 1))
        assert (await machine.run(*ENRICH, *FAST)).code == 0
        assert sandbox.count() > count
        assert asked_again(sandbox) == 0
    assert machine.out.read_bytes().startswith(before)
    assert machine.rows() == list(range(1, 10))


async def test_the_cron_recipe_takes_in_first_and_asks_later(tmp_path: Path) -> None:
    """`enrich --max-requests 0 && resume`: the first spends nothing, the second works on all lists."""
    async with site(tmp_path) as (machine, sandbox):
        for n in range(2):
            write_leads(tmp_path / f"{n}.csv", people(1, 1, start=n))
            told = await machine.run("enrich", f"{n}.csv", "-o", f"{n}.jsonl", "--max-requests", "0", *FAST[:4])
            assert (told.code, sandbox.count()) == (0, 0)
            assert "0 failed + 3 pending" in told.err
        done = await machine.run("resume", *FAST)
        assert done.code == 0
        assert done.err.count("Rows      3 leads = ") == 2
    assert [machine.rows(tmp_path / f"{n}.jsonl") for n in range(2)] == [[1, 2, 3]] * 2


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (("--max-requests", "2"), "Paused: the 2 requests of --max-requests are used."),
        (("--max-credits", "10"), "Paused: the next call could pass the 10 credits of --max-credits."),
        (("--daily-quota", "2"), "Paused: the 2 requests of this window are used."),
        (("--reserve-requests", "4998"), "Paused: the 2 requests of this window are used."),
    ],
)
async def test_a_pause_is_0_and_with_strict_75(tmp_path: Path, limit: tuple[str, str], words: str) -> None:
    """A used up allowance is normal nightly life, unless somebody wants to be told."""
    write_leads(tmp_path / "leads.csv", people(3, 2))
    async with site(tmp_path) as (machine, sandbox):
        told = await machine.run(*ENRICH, *FAST, *limit)
        count = sandbox.count()
        strict = await machine.run(*ENRICH, *FAST, *limit, "--strict")
    assert (told.code, strict.code, 1 <= count <= 2) == (0, 75, True)
    assert words in told.err


async def test_a_changed_key_prints_one_line_and_keeps_everything(tmp_path: Path) -> None:
    """Ledger and answers belong to the account, not to the key."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, sandbox):
        await machine.run(*ENRICH, *FAST, "--max-requests", "1")
        sandbox.set(key="lc_live_another_one")
        told = await machine.run(*ENRICH, *FAST, LEADCONTACT_API_KEY="lc_live_another_one")
        again = await machine.run(*ENRICH, *FAST, LEADCONTACT_API_KEY="lc_live_another_one")
    assert (told.code, asked_again(sandbox)) == (0, 0)
    assert told.err.count("The API key changed; ledger and answers stay") == 1
    assert "The API key changed" not in again.err


# --- verify -------------------------------------------------------------------------------------------


async def test_verify_is_a_gate(tmp_path: Path) -> None:
    """0: all are safe; 1: one is not; 75: it could not be decided. The verdicts are the data."""
    async with site(tmp_path) as (machine, sandbox):
        good = await machine.run("verify", CEO, *FAST)
        bad = await machine.run("verify", CEO, "not-an-address", *FAST, "--json")
        strict = await machine.run("verify", CEO, "--min-confidence", "1", *FAST)
        unknown = await machine.run("verify", "someone@acme.com", *FAST, "--max-requests", "0")
        assert sandbox.count() == 1
    assert (good.code, bad.code, strict.code, unknown.code) == (0, 1, 1, 75)
    assert re.fullmatch(rf"{CEO}  0\.\d\d  verified  safe to write to\n", good.out)
    verdicts = orjson.loads(bad.out)["verdicts"]
    assert [verdict["verdict"] for verdict in verdicts] == ["safe to write to", "not an e-mail address"]
    assert "undecided: not answered" in unknown.out


async def test_verify_takes_a_list(tmp_path: Path) -> None:
    """Only verify is asked; 0 if all are safe, 1 if one is not, 75 while rows are pending."""
    async with site(tmp_path) as (machine, sandbox):
        for name, addresses in (("good", [CEO]), ("bad", [CEO, "nobody.here@acme.invalid"])):
            (tmp_path / f"{name}.csv").write_text("\n".join(["Email", *addresses, ""]))
        command = ("-o", "good.jsonl", *FAST)
        waiting = await machine.run("verify", "good.csv", *command, "--max-requests", "0")
        good = await machine.run("verify", "good.csv", *command)
        bad = await machine.run("verify", "bad.csv", "-o", "bad.jsonl", *FAST)
        assert {entry.endpoint for entry in sandbox.log} == {"verify"}
        assert asked_again(sandbox) == 0
    assert (waiting.code, good.code, bad.code) == (75, 0, 1)
    assert "1 of 2 addresses is not safe to write to." in bad.err


# --- status and doctor --------------------------------------------------------------------------------


async def test_status_shows_quota_credits_and_jobs_and_makes_nothing(tmp_path: Path) -> None:
    """On a fresh machine it says how to begin and leaves no file behind."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path, credits=77) as (machine, sandbox):
        fresh = await machine.run("status")
        assert not machine.state.exists()
        await machine.run(*ENRICH, *FAST, "--max-requests", "2")
        told = await machine.run("status", "--plan", "professional")
    assert fresh.out.startswith("Plan      free (none was set): 25 requests a day. Say yours with --plan.\n")
    assert told.out.startswith("Plan      professional: 2,000 requests a day.\n")
    assert "there is no state file yet at " in fresh.out
    for words in (
        "Quota     2 of 2,000 used in this window, 1,998 left",
        f"Credits   {sandbox.credits} left by our count, last read on 20",
        f"Job       {machine.out}",
        "Rows      3 leads = ",
    ):
        assert words in told.out
    assert (fresh.code, told.code, told.err) == (0, 0, "")


async def test_doctor_finds_what_would_spoil_the_night(tmp_path: Path) -> None:
    """An odd key, a server that is not there: each with its fix; nothing is spent."""
    write_leads(tmp_path / "leads.csv", people(1, 1))
    async with site(tmp_path) as (machine, sandbox):
        well = await machine.run("doctor")
        odd = await machine.run("doctor", LEADCONTACT_API_KEY="sk-12345678")
        none = await machine.run("doctor", LEADCONTACT_API_KEY="")
        sandbox.set(latency=20.0)
        holder = await machine.start("enrich", "leads.csv", "-o", "sub/out.jsonl", *FAST, "--log-level", "debug")
        await said(holder, "leads.csv: CSV")
        held = await machine.run("doctor")
        holder.kill()
        await ended(holder)
        (tmp_path / "sub" / "out.jsonl").unlink(missing_ok=True)
        (tmp_path / "sub").rmdir()
        (tmp_path / "sub").write_text("a file where the folder was")
        unwritable = await machine.run("doctor")
        await sandbox.pause_listening()
        away = await machine.run("doctor")
        assert sandbox.count() <= 1
    codes = [told.code for told in (well, odd, none, held, unwritable)]
    assert (codes, away.code in (74, 75)) == ([0, 0, 78, 0, 74], True)
    assert re.search(r"^ok +key +lc_live_… \(\d+ characters\)$", well.out, re.MULTILINE)
    assert re.search(r"^look +key +11 characters, of an unfamiliar form\n +-> The guide shows", odd.out, re.MULTILINE)
    assert re.search(r"^wrong +key +.*is blank", none.out, re.MULTILINE)
    assert f"is being worked on by process {holder.pid} since" in held.out
    assert "sub cannot be written" in unwritable.out
    assert "cannot be reached" in away.out
    assert not any(KEY in told.out + told.err for told in (well, odd, none, held, unwritable, away))
