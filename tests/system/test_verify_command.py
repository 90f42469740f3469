"""`verify` in scripts: a silent gate, a line of JSON an address, a summary without names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest
from system_site import FAST, Machine, site

if TYPE_CHECKING:
    from pathlib import Path

JANE, NOBODY = "jane.smith@acme.com", "not-an-address"


async def test_the_gate_says_nothing_and_exits_with_0_1_or_75(tmp_path: Path) -> None:
    """Safe, not safe, undecided; also where it fails, or cannot be asked at all."""
    (tmp_path / "list.csv").write_text(f"email\n{JANE}\n")
    async with site(tmp_path) as (machine, _):
        told = [
            await machine.run("verify", *words, "--gate", *FAST)
            for words in (
                (JANE,),
                (JANE, NOBODY),
                ("list.csv", "-o", "out.jsonl"),
                (JANE, "--config", "nowhere.toml"),
            )
        ]
    assert [(each.code, each.out, each.err) for each in told] == [
        (code, "", "") for code in (0, 1, 0, 75)
    ]  # fmt: skip


async def test_addresses_become_lines_of_json_and_a_summary_that_names_nobody(tmp_path: Path) -> None:
    """`-o -`: one object each, in order, also for addresses read from stdin; --summary has what was spent."""
    async with site(tmp_path) as (machine, sandbox):
        told = await machine.run("verify", JANE, "x@y@z", "-o", "-", "--summary", "s.json", *FAST)
        piped = await machine.run("verify", "-", "-o", "-", *FAST, stdin=f"{JANE}\n\nx@y@z\n".encode())
        assert len(sandbox.log) == 1
    first, second = map(orjson.loads, told.out.splitlines())
    assert {"email": JANE, "safe": True, "tier": "verified", "code": 0, "schema_version": 1}.items() <= first.items()
    assert (second["safe"], second["code"], told.code) == (False, 1, 1)
    assert piped.out == told.out
    written = (tmp_path / "s.json").read_text()
    summary = orjson.loads(written)
    assert summary["verdicts"] == {"safe": 1, "not_safe": 1, "undecided": 0}
    assert (summary["requests"]["verify"], summary["stop"]["why"], JANE in written) == (1, "done", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("verify", JANE, "--sandbox", "--state", "s.db", "--summary", "s.db"), "would overwrite"),
        (("verify", JANE, "-o", "-", "--gate"), "prints nothing"),
        (("verify", "-"), "held no address"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """A summary over the state, silence on stdout, an empty pipe: exit 64, nothing asked."""
    told = Machine(tmp_path).run_alone(*words)
    assert (told.code, said in told.err) == (64, True), told.err
