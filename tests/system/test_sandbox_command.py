"""`leadcontact sandbox`: it serves what it was told, and says in a sentence what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from support import people, write_leads
from system_site import FAST, KEY, Machine, ended, said, site

from pipeline.sandbox import Fault

if TYPE_CHECKING:
    from pathlib import Path

ENRICH = ("enrich", "leads.csv", "-o", "out.jsonl")


async def test_the_sandbox_command_serves_what_it_was_told(tmp_path: Path) -> None:
    """A free port, a key, a quota, a log of one line an event; SIGTERM ends it."""
    machine = Machine(tmp_path)
    server = await machine.start("sandbox", "--port", "0", "--key", KEY, "--daily-quota", "3", "--log", "log.jsonl")
    url = (await said(server, "LeadContact sandbox at ")).split()[3]
    write_leads(tmp_path / "leads.csv", people(4, 1))
    told = await machine.run(*ENRICH, *FAST, LEADCONTACT_BASE_URL=url, LEADCONTACT_API_KEY=KEY)
    wrong = await machine.run(*ENRICH, *FAST, LEADCONTACT_BASE_URL=url, LEADCONTACT_API_KEY="lc_live_wrong")
    server.terminate()
    end = await ended(server)
    log = [orjson.loads(line) for line in (tmp_path / "log.jsonl").read_bytes().splitlines()]
    asked = [line for line in log if line["event"] == "asked"]
    assert (told.code, "the server said that the day's requests are used up" in told.err) == (0, True)
    assert len(asked) >= 4
    assert len(log) == 2 * len(asked)
    assert (wrong.code, end.code in (0, 143, -15), end.out) == (0, True, "")
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--host", "192.0.2.1"), 78, "listens on this machine only"),
        (("--fault", "server_eror=1"), 64, "--fault server_eror=1 names no fault. Did you mean server_err"),
        (("--fault", "zzz"), 64, "leadcontact sandbox --list-faults names them."),
        (("--fault", "drop=often"), 64, "Write a number from 0 to 1, such as drop=0.5."),
        (("--fault", "server_error=5"), 64, "--fault server_error=5 is no chance."),
        (("--latency", "slow"), 64, "--latency slow is no time. Write seconds such as 0.2, or a range"),
        (("--latency", "0.4-0.1"), 64, "--latency 0.4-0.1 is no time."),
        (("--latency", "nan"), 64, "--latency nan is no time."),
        (
            ("--price-search", "free"),
            64,
            "--price-search free is no price. Write whole credits such as 1",
        ),
        (("--log", "no/such/folder/log"), 74, "Choose another --port (0 takes a free one) or another --log."),
    ],
)
def test_a_sandbox_that_cannot_be_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """Off this machine, or with options that mean nothing: one sentence."""
    told = Machine(tmp_path).run_alone("sandbox", "--port", "0", *arguments)
    assert (told.code, words in told.complaint) == (code, True), told.complaint


async def test_a_sandbox_on_a_taken_port_is_refused(tmp_path: Path) -> None:
    """Two terminals, one port: a sentence, not a traceback."""
    async with site(tmp_path) as (machine, sandbox):
        port = sandbox.base_url.split(":")[2].removesuffix("/v1")
        told = await machine.run("sandbox", "--port", port)
    assert (told.code, f"cannot listen on port {port}" in told.complaint) == (74, True)


def test_the_sandbox_lists_its_faults(tmp_path: Path) -> None:
    """So that nobody has to read the source for their names."""
    told = Machine(tmp_path).run_alone("sandbox", "--list-faults")
    assert told.out.split() == [fault.value for fault in Fault]
