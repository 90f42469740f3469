"""Doctor: what would spoil the night is found beforehand, each with one sentence that says what to do."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from support import Server, Site, people, write_leads
from system_site import FAST, KEY, site, until

from pipeline.doctor import Finding, Machine, examine
from pipeline.errors import StateError
from pipeline.session import Parts
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def findings(state: Path, **machine: Any) -> list[Finding]:
    """Examine a machine whose API cannot be reached."""
    settings = Settings(api_key=SecretStr(KEY), base_url="http://127.0.0.1:1/v1", state=state)
    parts = Parts(settings, lambda _: None, lambda _: None)
    return asyncio.run(examine(parts, probe=False, machine=Machine(**machine)))


def one(found: list[Finding], words: str) -> Finding:
    """The one finding that says this."""
    (fitting,) = [finding for finding in found if words in finding.told]
    return fitting


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_state_on_a_network_file_system_is_found(tmp_path: Path, kind: str) -> None:
    """By the kernel's table of mounts, before SQLite loses anything."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path}/far {kind} rw 0 0\n")
    found = one(findings(tmp_path / "far" / "state.db", mounts=mounts), f"network file system ({kind})")
    assert (found.exit_code, found.fix) == (74, "Choose a local path with --state.")


def test_a_disk_that_is_nearly_full_is_found(tmp_path: Path) -> None:
    """A night that cannot write pays for nothing it can keep."""
    found = one(findings(tmp_path / "state.db", free=lambda _: 30_000_000), "30 MB free at")
    assert (found.exit_code, found.fix) == (74, "Make room before the night.")


def test_an_output_that_became_a_folder_is_found(tmp_path: Path) -> None:
    """What `enrich` refuses, `doctor` does not pass."""
    night = Site(tmp_path, Server())
    leads = write_leads(tmp_path / "leads.csv", people(1, 1))
    night.night(leads, plan="free", max_requests=1)
    night.out.unlink()
    night.out.mkdir()
    found = one(findings(tmp_path / "state.db"), f"{night.out} is a folder")
    assert (found.exit_code, found.fix) == (74, "Move it away, or name another output with -o.")
    with pytest.raises(StateError, match="is a folder"):
        night.night(leads, plan="free")


def test_an_output_that_others_can_read_is_found(tmp_path: Path) -> None:
    """It holds people's data; nights that append keep the mode, and so it must be said."""
    night = Site(tmp_path, Server())
    night.night(write_leads(tmp_path / "leads.csv", people(1, 1)), plan="free")
    assert not [finding for finding in findings(tmp_path / "state.db") if "read by others" in finding.told]
    night.out.chmod(0o644)
    found = one(findings(tmp_path / "state.db"), f"{night.out} can be read by others (mode 644)")
    assert (found.exit_code, found.fix) == (0, f"If that is not meant: chmod 600 {night.out}")


def test_another_state_file_is_found(tmp_path: Path) -> None:
    """A cron user with another HOME counts the quota from nothing: both places and the way to one are told."""
    other = tmp_path / "cron" / ".local" / "state" / "leadcontact-pipeline" / "state.db"
    mine = tmp_path / "state.db"
    assert not [finding for finding in findings(mine, homes=(tmp_path / "cron",)) if "another state" in finding.told]
    other.parent.mkdir(parents=True)
    other.touch()
    found = one(findings(mine, homes=(tmp_path / "cron",)), f"there is another state file, {other}")
    assert f"set LEADCONTACT_STATE={mine} in both" in found.fix
    assert not [finding for finding in findings(other, homes=(tmp_path / "cron",)) if "another state" in finding.told]


@pytest.mark.parametrize("place", ["/proc/none/state.db", "/proc/self/state.db"])
def test_a_place_where_no_state_can_be_written_is_found(tmp_path: Path, place: str) -> None:
    """Also before there is a state at all."""
    found = one(findings(tmp_path / place), "cannot be written")
    assert (found.what, found.exit_code) == ("state", 74)


async def test_a_clock_that_is_off_is_found_by_the_probe_alone(tmp_path: Path) -> None:
    """The server's Date is compared only when a request was asked for."""
    async with site(tmp_path, date_skew=660.0) as (machine, sandbox):
        quiet = await machine.run("doctor", *FAST[:4])
        assert sandbox.count() == 0
        probed = await machine.run("doctor", "--probe", *FAST[:4])
    assert "the server's" not in quiet.out
    assert re.search(
        r"^look +clock +6[56]\d s behind the server's\n +-> Set this machine's clock", probed.out, re.MULTILINE
    )
    assert (quiet.code, probed.code, sandbox.count()) == (0, 0, 1)


async def test_who_holds_a_lock_is_told_with_what_to_do(tmp_path: Path) -> None:
    """Process, since when, and that its work is kept if it is stopped."""
    write_leads(tmp_path / "leads.csv", people(2, 1))
    async with site(tmp_path, latency=12.0) as (machine, sandbox):
        process = await machine.start("enrich", "leads.csv", "-o", "out.jsonl", *FAST)
        await until(sandbox.count)
        held = await machine.run("doctor")
        process.kill()
        await process.communicate()
        freed = await machine.run("doctor")
    words = (
        rf"^look +job +\S+out\.jsonl is being worked on by process {process.pid} since 20\S+\n +-> Wait for it, or"
    )
    assert re.search(words, held.out, re.MULTILINE)
    assert "is being worked on" not in freed.out
