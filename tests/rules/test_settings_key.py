"""The API key: where it may stand, what it may be, and that it is never shown (promise 8)."""

from __future__ import annotations

import sys
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from pipeline.configured import KEY_PLACES, SECRETS, environment, load
from pipeline.errors import ConfigError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "lc_live_s3cret"  # noqa: S105 - nobody's


def key(folder: Path, environ: dict[str, str] | None = None, **options: object) -> str:
    """The key by the environment, the folder's .env and leads.toml, and options."""
    config = folder / "leads.toml"
    return load(options, config if config.exists() else None, environ or {}, cwd=folder)[0].key()


def refusal(folder: Path, environ: dict[str, str] | None = None, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        key(folder, environ, **options)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def says(text: str) -> str:
    """A secret manager's command that prints this."""
    return f"{sys.executable} -c 'print(\"{text}\")'"


# --- where it stands ----------------------------------------------------------------------------------


def test_the_key_comes_from_the_environment_or_dotenv(tmp_path: Path) -> None:
    """Spaces and line ends around it are cut."""
    assert key(tmp_path, {"LEADCONTACT_API_KEY": f" {SECRET}\n"}) == SECRET
    written(tmp_path / ".env", f"LEADCONTACT_API_KEY={SECRET}\n")
    assert key(tmp_path) == SECRET
    assert key(tmp_path, {"LEADCONTACT_API_KEY": "lc_other"}) == "lc_other"


def test_a_dollar_in_dotenv_is_a_dollar(tmp_path: Path) -> None:
    """No other variable is put into the key."""
    written(tmp_path / ".env", "LEADCONTACT_API_KEY='lc_${HOME}'\n")
    assert key(tmp_path) == "lc_${HOME}"


def test_the_key_comes_from_a_file_or_a_command(tmp_path: Path) -> None:
    """A secret that Docker or a manager hands over; also one saved by Notepad."""
    file = written(tmp_path / "key", f"\ufeff{SECRET}\n")
    assert key(tmp_path, api_key_file=file) == SECRET
    assert key(tmp_path, {"LEADCONTACT_API_KEY_FILE": str(file)}) == SECRET
    assert key(tmp_path, api_key_command=says(SECRET)) == SECRET


PLACES = ("option", "environment", ".env", "TOML")
"""Highest first."""

KINDS = ("api_key", "api_key_file", "api_key_command")
MAY_HOLD = {"option": KINDS[1:], "environment": KINDS, ".env": KINDS, "TOML": KINDS[1:]}
PAIRS = [
    (higher, kind, lower, other)
    for higher, lower in combinations(PLACES, 2)
    for kind in MAY_HOLD[higher]
    for other in MAY_HOLD[lower]
]


@pytest.mark.parametrize(("higher", "kind", "lower", "other"), PAIRS)
def test_the_higher_place_says_where_the_key_is(
    tmp_path: Path, higher: str, kind: str, lower: str, other: str
) -> None:
    """Whichever of the three ways it and the lower place use."""
    environ: dict[str, str] = {}
    options: dict[str, object] = {}
    for place, how, text in ((lower, other, "lc_lower"), (higher, kind, "lc_higher")):
        file = written(tmp_path / text, text)
        value = {"api_key": text, "api_key_file": str(file), "api_key_command": f"cat '{file}'"}[how]
        match place:
            case "option":
                options[how] = value
            case "environment":
                environ[f"LEADCONTACT_{how.upper()}"] = value
            case ".env":
                written(tmp_path / ".env", f'LEADCONTACT_{how.upper()}="{value}"\n')
            case _:
                written(tmp_path / "leads.toml", f'{how} = "{value}"\n')
    assert key(tmp_path, environ, **options) == "lc_higher"


def test_a_key_in_the_configuration_is_refused(tmp_path: Path) -> None:
    """Configuration files get shared and committed."""
    written(tmp_path / "leads.toml", f'api_key = "{SECRET}"\n')
    assert "holds an api_key" in refusal(tmp_path)


# --- what it may be -----------------------------------------------------------------------------------


def test_no_key_at_all_is_said_with_every_way_to_give_one(tmp_path: Path) -> None:
    """And how to try things without one."""
    said = refusal(tmp_path)
    for way in ("LEADCONTACT_API_KEY", ".env", "--api-key-file", "--api-key-command", "--sandbox"):
        assert way in said


BAD_KEYS = {
    "blank": ("", "is blank"),
    "spaces": ("  ", "is blank"),
    "line-end": ("\n", "is blank"),
    "space-inside": (f"{SECRET} x", "holds a space or a character"),
    "two-lines": (f"{SECRET}\nx", "holds a space or a character"),
    "dash": (f"{SECRET}\u2013", "holds a space or a character"),
    "umlaut": (f"{SECRET}\u00fc", "holds a space or a character"),
    "control": (f"{SECRET}\x07x", "holds a space or a character"),
    "zero-width": (f"{SECRET}\u200b", "holds a space or a character"),
}


@pytest.mark.parametrize(("bad", "why"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_a_key_that_cannot_be_one_is_refused_before_anything_is_sent(tmp_path: Path, bad: str, why: str) -> None:
    """Wherever it stands; a header could not even carry some of them."""
    file = written(tmp_path / "key", bad)
    assert f"The API key in LEADCONTACT_API_KEY {why}" in refusal(tmp_path, {"LEADCONTACT_API_KEY": bad})
    assert f"The API key in the file of --api-key-file {why}" in refusal(tmp_path, api_key_file=file)
    command = f"cat '{file}'"
    assert f"The API key in the answer of --api-key-command {why}" in refusal(tmp_path, api_key_command=command)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, or not text."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00" + SECRET.encode())
    for path in (tmp_path / "none", tmp_path, binary):
        said = refusal(tmp_path, api_key_file=path)
        assert f"The key file {path} cannot be read" in said
    assert "it is not text" in said


@pytest.mark.parametrize(
    ("command", "how"),
    [
        ("no-such-command-anywhere", "cannot be started (No such file or directory)"),
        (f"{sys.executable} -c 'import sys; sys.exit(\"{SECRET}\")'", "exited with 1"),
        (f"echo '{SECRET}", "cannot be parsed"),
        ("", "cannot be parsed"),
        (f"{sys.executable} -c 'import sys; sys.stdout.buffer.write(bytes([255, 254]))'", "printed what is not text"),
    ],
    ids=["missing", "fails", "unclosed-quote", "empty", "not-text"],
)
def test_a_key_command_that_fails_is_said_without_its_words(tmp_path: Path, command: str, how: str) -> None:
    """What it printed may be the key."""
    assert f"The command of --api-key-command failed: it {how}." in refusal(tmp_path, api_key_command=command)


# --- never shown --------------------------------------------------------------------------------------


def test_the_key_does_not_print(tmp_path: Path) -> None:
    """Not in a repr, not as text, not in a dump."""
    settings, _ = load({}, None, {"LEADCONTACT_API_KEY": SECRET}, cwd=tmp_path)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.key() == SECRET


ANY_TEXT = frozenset(
    {
        "account",
        "state",
        "departments",
        "titles",
        "job",
        "encoding",
        "priority",
        "summary",
        "suppress",
        "metrics_file",
        "hubspot_upsert",
    }
    | KEY_PLACES
    | SECRETS.keys()
)
"""Settings that may be any text at all."""


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - ANY_TEXT))
def test_a_key_put_into_another_setting_is_not_shown_in_the_error(tmp_path: Path, name: str) -> None:
    """The wrong line in a .env happens."""
    assert f"The setting {name} " in refusal(tmp_path, {f"LEADCONTACT_{name.upper()}": SECRET})


def test_not_even_a_traceback_shows_a_value() -> None:
    """Pydantic's own words leave it out too."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"plan": SECRET})
    assert SECRET not in str(caught.value)
    assert "plan" in str(caught.value)


def test_an_odd_variables_value_is_not_shown(tmp_path: Path) -> None:
    """Neither in the warning nor in the error."""
    _, warnings = load({}, None, {"LEADCONTACT_TOKEN": SECRET}, cwd=tmp_path)
    assert [SECRET in warning for warning in warnings] == [False]
    assert "LEADCONTACT_API_KEYS" in refusal(tmp_path, {"LEADCONTACT_API_KEYS": SECRET})


def test_the_environment_is_read_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """And handed on as a copy."""
    monkeypatch.setenv("LEADCONTACT_LIMIT", "3")
    found: dict[str, Any] = environment()
    assert found["LEADCONTACT_LIMIT"] == "3"
    found["LEADCONTACT_LIMIT"] = "4"
    assert environment()["LEADCONTACT_LIMIT"] == "3"
