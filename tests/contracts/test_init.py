"""`init`: a few answers become files that the commands read, and nothing that is there is lost."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.beginning import Beginning, has_key, toml_of, with_key
from pipeline.cli.init import interview
from pipeline.cli.running import guarded
from pipeline.configured import load
from pipeline.errors import StateError, UsageError

if TYPE_CHECKING:
    from pipeline.settings import Settings

KEY = "lc_live_never_shown"
LIST = "Company Name,Email,E-mail 2,Notes\nAcme,jane@acme.com,,x\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.csv").write_text(LIST)
    return tmp_path


def answered(*answers: str, config: str = "leadcontact.toml") -> str:
    """Answer the questions in this order; returns what was shown."""
    with CliRunner().isolation("".join(f"{answer}\n" for answer in answers)) as streams:
        assert interview(Path(config)) == 0
        return streams[0].getvalue().decode()


def settings(config: str = "leadcontact.toml") -> Settings:
    """Read what a command with this configuration would."""
    loaded, warnings = load({}, Path(config), {}, cwd=Path.cwd())
    assert warnings == []
    return loaded


def test_enter_at_every_question_is_enough(folder: Path) -> None:
    """All but the list has a default; the next command is printed as it can be copied."""
    shown = answered("", "", "export.csv", "", "")
    assert (settings().plan, settings().api_key, settings().columns) == ("free", None, {})
    assert '# company = "Company Name"' in (folder / "leadcontact.toml").read_text()
    assert "Next      leadcontact plan export.csv --config leadcontact.toml\n" in shown
    assert "leadcontact enrich export.csv -o export-enriched.jsonl --config leadcontact.toml\n" in shown
    assert "put LEADCONTACT_API_KEY=... into .env" in shown
    assert not (folder / ".env").exists()


def test_the_key_is_not_shown_and_only_its_owner_reads_it(folder: Path) -> None:
    """Neither on the screen nor in the configuration."""
    shown = answered("starter", KEY, "export.csv", "y", "out.jsonl")
    assert KEY not in shown + (folder / "leadcontact.toml").read_text()
    assert settings().key() == KEY
    assert [stat.S_IMODE((folder / name).stat().st_mode) for name in (".env", "leadcontact.toml")] == [0o600] * 2


def test_what_cannot_be_used_is_said_and_asked_again() -> None:
    """A plan that is none, a key with a space, a list that is not there."""
    shown = answered("gold", "enterprise", "8000", "two words", KEY, "nowhere.csv", "export.csv", "", "")
    assert "'gold' is not one of" in shown
    assert "holds a space" in shown
    assert "two words" not in shown
    assert "There is no file nowhere.csv." in shown
    assert (settings().quota, settings().key()) == (8000, KEY)


def test_columns_are_shown_and_can_be_corrected() -> None:
    """By name or number, - for none; what cannot be is said, and asked again at once. Then all of it is certain."""
    corrected = ("", "", "E-Post", "3", "", "", "", "", "", "4")
    shown = answered("", KEY, "export.csv", "n", *corrected, "y", "")
    assert 'there is no column "E-Post"' in shown
    assert "  email     E-mail 2\n" in shown
    assert settings().columns == {"company": "Company Name", "email": "E-mail 2", "priority": "Notes"}


def test_a_coin_toss_is_put_to_the_user(folder: Path) -> None:
    """Where a command would refuse to guess, the question is which."""
    (folder / "export.csv").write_text("Email,E-Mail Address,Company\nj@a.co,,Acme\n")
    shown = answered("", KEY, "export.csv", *("", "", "2", *[""] * 6), "", "")
    assert "could both be the email" in shown
    assert settings().columns == {"company": "Company", "email": "E-Mail Address"}


def test_nothing_is_overwritten_silently(folder: Path) -> None:
    """A configuration only after a yes; of a .env only the key's line, and that after a yes."""
    (folder / "leadcontact.toml").write_text("# mine\n")
    with pytest.raises(UsageError, match="was kept"):
        answered("")
    assert (folder / "leadcontact.toml").read_text() == "# mine\n"
    (folder / ".env").write_text("OTHER=1\nexport LEADCONTACT_API_KEY=old\n# end")
    answered("y", "", "n", "export.csv", "", "")
    assert (folder / ".env").read_text() == "OTHER=1\nexport LEADCONTACT_API_KEY=old\n# end"
    answered("y", "", "y", KEY, "export.csv", "", "")
    assert (folder / ".env").read_text() == f"OTHER=1\nLEADCONTACT_API_KEY={KEY}\n# end"


def test_leaving_in_the_middle_writes_nothing(folder: Path) -> None:
    """Ctrl-C, or the end of the answers, before the last one."""
    with pytest.raises(click.Abort):
        answered("starter", KEY, "export.csv", "y")
    assert sorted(path.name for path in folder.iterdir()) == ["export.csv"]


def test_ctrl_c_at_any_question_ends_quietly() -> None:
    """As every interrupted command: 130, and no sentence about something gone wrong."""

    def interrupted() -> int:
        raise click.Abort

    assert guarded(interrupted) == 130


def test_what_cannot_be_written_is_a_sentence(folder: Path) -> None:
    """A .env that is no text, a folder that is not there."""
    (folder / ".env").write_bytes(b"\xff")
    with pytest.raises(StateError, match="cannot be read as text"):
        answered("")
    with pytest.raises(UsageError, match="There is no folder"):
        answered(config="nowhere/leadcontact.toml")


def test_in_a_terminal_the_key_leaves_no_trace(folder: Path) -> None:
    """The real command in a real terminal; without one it says what to do instead."""
    terminal, its_end = pty.openpty()
    answers = ((b"plan [", ""), (b"API key:", KEY), (b"leads (", "export.csv"), (b"be? [", ""), (b"go [", ""))
    command = (sys.executable, "-m", "pipeline", "init")
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True) as process:
        os.close(its_end)
        shown = b""
        for question, answer in answers:
            while question not in shown:
                shown += os.read(terminal, 1000)
            os.write(terminal, f"{answer}\n".encode())
        while b"-o export-enriched.jsonl" not in shown:
            shown += os.read(terminal, 1000)
    os.close(terminal)
    assert process.returncode == 0
    assert KEY.encode() not in shown
    assert settings().key() == KEY


text = st.text(st.characters(codec="utf-8"), min_size=1)


@given(headers=st.dictionaries(st.sampled_from(("company", "email", "name")), text), quota=st.integers(1, 10**6))
def test_any_header_comes_back_out_of_the_configuration(headers: dict[str, str], quota: int) -> None:
    """Quotes, line ends, control characters, any script."""
    read = tomllib.loads(toml_of(Beginning("c.toml", "enterprise", quota, "l.csv", "o", headers, headers)))
    assert (read["columns"], read["daily_quota"]) == (headers, quota)
    commented = tomllib.loads(toml_of(Beginning("c.toml", "free", None, "l.csv", "o", headers)))
    assert (commented["columns"], commented["plan"]) == ({}, "free")


@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_key_comes_back_out_of_dotenv(key: str) -> None:
    """Whatever signs it has."""
    from io import StringIO  # noqa: PLC0415 - only here

    from dotenv import dotenv_values  # noqa: PLC0415 - as above

    written = with_key("A=1\n", key)
    assert has_key(written)
    assert dotenv_values(stream=StringIO(written), interpolate=False) == {"A": "1", "LEADCONTACT_API_KEY": key}
