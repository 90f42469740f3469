"""Where a setting comes from and what it may be: option > environment > `.env` > TOML > default."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.cli import cli
from pipeline.configured import NO_OPTION, SECRETS, load
from pipeline.errors import ConfigError
from pipeline.model import Endpoint
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PLACES = ("option", "environment", ".env", "TOML")
"""Highest first."""


def loaded(folder: Path, places: dict[str, dict[str, Any]], *, config: bool = True) -> tuple[Settings, list[str]]:
    """Write the places down and load; a setting is named as the place names it."""
    toml = "".join(f"{name} = {_toml(value)}\n" for name, value in places.get("TOML", {}).items())
    (folder / "leads.toml").write_text(toml, "utf-8")
    if ".env" in places:
        lines = (f"LEADCONTACT_{name.upper()}={value}\n" for name, value in places[".env"].items())
        (folder / ".env").write_text("".join(lines), "utf-8")
    environ = {f"LEADCONTACT_{name.upper()}": str(value) for name, value in places.get("environment", {}).items()}
    path = folder / "leads.toml" if config else None
    return load(places.get("option", {}), path, environ, cwd=folder)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def setting(folder: Path, **told: object) -> Settings:
    """Settings with these in TOML."""
    return loaded(folder, {"TOML": told})[0]


def complaint(folder: Path, places: dict[str, dict[str, Any]]) -> str:
    """What is said of settings that cannot be."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, places)
    assert caught.value.exit_code == 78
    return str(caught.value)


# --- order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("higher", "lower"), list(combinations(PLACES, 2)))
def test_the_higher_place_wins(tmp_path: Path, higher: str, lower: str) -> None:
    """And what only the lower one says still counts."""
    told: dict[str, dict[str, Any]] = {higher: {"limit": 3}, lower: {"limit": 7, "reserve_credits": 99}}
    settings, warnings = loaded(tmp_path, told)
    assert (settings.limit, settings.reserve_credits, warnings) == (3, 99, [])


@pytest.mark.parametrize("place", PLACES)
def test_every_place_beats_the_default(tmp_path: Path, place: str) -> None:
    """A setting said anywhere is in force."""
    assert Settings().limit == 10
    assert loaded(tmp_path, {place: {"limit": 3}})[0].limit == 3


def test_an_option_that_was_not_given_says_nothing(tmp_path: Path) -> None:
    """Click hands over None for it."""
    told: dict[str, dict[str, Any]] = {
        "option": {"limit": None, "strict": False},
        "TOML": {"limit": 3, "strict": True},
    }
    settings, _ = loaded(tmp_path, told)
    assert (settings.limit, settings.strict) == (3, False)


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    """`LEADCONTACT_LIMIT=` is how one unsets it."""
    assert loaded(tmp_path, {"environment": {"limit": ""}, "TOML": {"limit": 3}})[0].limit == 3


def test_the_dotenv_beside_the_configuration_is_read_else_that_of_the_working_directory(tmp_path: Path) -> None:
    """A cron job has no working directory worth the name."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "leads.toml").touch()
    (beside / ".env").write_text("LEADCONTACT_LIMIT=3\n")
    (tmp_path / ".env").write_text("LEADCONTACT_LIMIT=7\nOTHER=1\n")
    assert load({}, beside / "leads.toml", {}, cwd=tmp_path)[0].limit == 3
    assert load({}, None, {}, cwd=tmp_path)[0].limit == 7


def test_files_saved_by_notepad_are_read(tmp_path: Path) -> None:
    """Their first three bytes are no part of the first name."""
    (tmp_path / ".env").write_text("LEADCONTACT_API_KEY=lc_x\n", "utf-8-sig")
    (tmp_path / "leads.toml").write_text("limit = 3\n", "utf-8-sig")
    settings, _ = load({}, tmp_path / "leads.toml", {}, cwd=tmp_path)
    assert (settings.key(), settings.limit) == ("lc_x", 3)


def test_columns_of_all_places_are_put_together(tmp_path: Path) -> None:
    """Each names the headers it knows; for the same field the higher place wins."""
    told: dict[str, dict[str, Any]] = {
        "TOML": {"columns": {"email": "Mail", "company": "Firma", "title": "Titel"}},
        "environment": {"columns": "company=Konto, first_name=Vorname"},
        "option": {"columns": {"first_name": "Rufname"}},
    }
    settings, _ = loaded(tmp_path, told)
    assert settings.columns == {"email": "Mail", "company": "Konto", "title": "Titel", "first_name": "Rufname"}
    assert loaded(tmp_path, {"environment": {"columns": "email=A=B"}, "option": {"columns": {}}})[0].columns == {
        "email": "A=B"
    }


@pytest.mark.parametrize("place", ["environment", "TOML"])
def test_columns_that_are_no_table_are_refused(tmp_path: Path, place: str) -> None:
    """Whatever was written, it is an error of the configuration and not of ours."""
    said = complaint(tmp_path, {place: {"columns": "Mail"}})
    assert said.startswith("The setting columns in the ")
    assert "should be a valid dictionary" in said


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "meant"),
    [("daily_quta", "daily_quota"), ("daily-quota", "daily_quota"), ("step", "steps"), ("Limit", "limit")],
)
def test_an_unknown_toml_key_is_an_error_that_says_what_was_meant(tmp_path: Path, name: str, meant: str) -> None:
    """A misspelled limit that is silently ignored spends the quota."""
    said = complaint(tmp_path, {"TOML": {name: 5}})
    assert f"{name} in the configuration" in said
    assert f"Did you mean {meant}?" in said


def test_a_toml_key_like_nothing_points_to_the_readme(tmp_path: Path) -> None:
    """No guess is better than a wild one."""
    said = complaint(tmp_path, {"TOML": {"colour": 5}})
    assert "colour" in said
    assert "Did you mean" not in said


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_variable_that_resembles_a_setting_is_an_error(tmp_path: Path, place: str) -> None:
    """It was meant, and would not be obeyed."""
    said = complaint(tmp_path, {place: {"max_request": 5}})
    assert "LEADCONTACT_MAX_REQUEST in" in said
    assert "Did you mean LEADCONTACT_MAX_REQUESTS?" in said


@pytest.mark.parametrize("name", ["service_host", "service_port_http", "port", "port_80_tcp_addr", "version", "home"])
def test_any_other_variable_of_our_prefix_is_a_warning(tmp_path: Path, name: str) -> None:
    """Kubernetes injects such names for every service."""
    _, warnings = loaded(tmp_path, {"environment": {name: "10.0.0.1"}})
    assert warnings == [
        f"LEADCONTACT_{name.upper()} in the environment is not a setting of this program and is ignored."
    ]


def test_other_programs_variables_and_the_path_of_the_configuration_are_left_alone(tmp_path: Path) -> None:
    """LEADCONTACT_CONFIG is read before."""
    environ = {"LIMIT": "x", "MY_LEADCONTACT_LIMIT": "x", "LEADCONTACT_CONFIG": "x.toml", "leadcontact_limit": "x"}
    assert load({}, None, environ, cwd=tmp_path) == (Settings(columns={}), [])


def test_an_unknown_option_is_an_error_too(tmp_path: Path) -> None:
    """A command that hands over what no setting is named does not go on without it."""
    said = complaint(tmp_path, {"option": {"max_request": 5}})
    assert said == "max_request in the settings is not a setting. Did you mean max_requests?"


# --- values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.leadcontact.ai/v1", "https://api.leadcontact.ai/v1"),
        (" https://api.leadcontact.ai/v1/ ", "https://api.leadcontact.ai/v1"),
        ("https://proxy.example:8443/lc", "https://proxy.example:8443/lc"),
        ("http://localhost:8080/v1", "http://localhost:8080/v1"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("http://127.9.9.9/v1", "http://127.9.9.9/v1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_a_base_url_is_https_or_this_machine(tmp_path: Path, url: str, kept: str) -> None:
    """Every request carries the key."""
    assert setting(tmp_path, base_url=url).base_url == kept


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://api.leadcontact.ai/v1", "must begin with https://"),
        ("http://127.0.0.1.example.com/v1", "must begin with https://"),
        ("http://localhost.example.com", "must begin with https://"),
        ("http://10.0.0.1/v1", "must begin with https://"),
        ("api.leadcontact.ai/v1", "is not a web address"),
        ("ftp://api.leadcontact.ai", "is not a web address"),
        ("https://", "is not a web address"),
        ("https://host:0/v1", "is not a web address"),
        ("https://host:s3cret", "is not a web address"),
        ("https://host:99999", "is not a web address"),
        ("https://[s3cret", "is not a web address"),
        ("https://jane:s3cret@api.leadcontact.ai", "may not hold a user, a password"),
        ("https://s3cret@api.leadcontact.ai", "may not hold a user, a password"),
        ("https://api.leadcontact.ai/v1?key=s3cret", "may not hold a user, a password, a query"),
        ("https://api.leadcontact.ai/v1#s3cret", "may not hold a user, a password, a query or a fragment"),
        ("https://jane:s3cret@api\u2100.ai", "is not a web address"),
    ],
)
def test_any_other_base_url_is_refused_without_being_shown(tmp_path: Path, url: str, why: str) -> None:
    """It may hold a password."""
    said = complaint(tmp_path, {"TOML": {"base_url": url}})
    assert f"The setting base_url in the configuration {tmp_path / 'leads.toml'} {why}" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("60m", 3600), ("1.5h", 5400), ("1d", 86_400), ("45", 45), (" 2 h ", 7200), (0, 0)],
)
def test_durations_are_written_as_people_write_them(tmp_path: Path, text: object, seconds: float) -> None:
    """A bare number is seconds."""
    assert setting(tmp_path, wait_up_to=text).wait_up_to == seconds
    assert loaded(tmp_path, {"environment": {"wait_up_to": text}})[0].wait_up_to == seconds


BAD: list[tuple[str, object]] = [
    ("wait_up_to", "-5"),
    ("wait_up_to", "2 weeks"),
    ("timeout", "9s"),
    ("timeout", 31),
    ("freshness_found", "59m"),
    ("freshness_not_found", "91d"),
    ("plan", "gold"),
    ("daily_quota", 0),
    ("daily_quota", "2,000"),
    ("concurrency", 0),
    ("max_requests", -1),
    ("min_confidence", 1.01),
    ("min_confidence", "nan"),
    ("limit", 101),
    ("stop_at", "24:00"),
    ("stop_at", "6.30"),
    ("window_zone", "Mars/Olympus"),
    ("window_zone", "../../etc/passwd"),
    ("steps", "search,dance"),
    ("steps", ","),
    ("strict", "perhaps"),
    ("account", ""),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=str)
def test_an_impossible_value_is_an_error_that_names_the_setting_and_never_shows_the_value(
    tmp_path: Path, name: str, value: object
) -> None:
    """It says the file, and all ways to change it: an option only where there is one."""
    said = complaint(tmp_path, {"TOML": {name: value}})
    option = name.replace("_", "-")
    ways = f"LEADCONTACT_{name.upper()} or the TOML key {name}."
    assert said.startswith(f"The setting {name} in the configuration {tmp_path / 'leads.toml'} ")
    assert said.endswith(f"Change {ways}" if name in NO_OPTION else f"Change --{option}, {ways}")
    assert len(str(value)) < 4 or str(value) not in said


def test_options_that_are_named_exist() -> None:
    """And whoever sets a thing by an option finds it named."""
    # the sandbox takes no settings, and the columns of an export are not those of a list
    commands = [command for name, command in cli.commands.items() if name not in ("sandbox", "export")]
    options = {option for command in commands for one in command.params for option in one.opts}
    named = {name: f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    assert {name for name, option in named.items() if option not in options} == NO_OPTION


FLAGS = {name for name, field in Settings.model_fields.items() if field.annotation is bool}
NUMBERS = [
    name for name, field in Settings.model_fields.items() if isinstance(field.default, int | float | None | tuple)
]


@pytest.mark.parametrize("name", sorted({*NUMBERS} - SECRETS.keys() - FLAGS))
def test_true_is_no_number_and_no_name(tmp_path: Path, name: str) -> None:
    """`daily_quota = true` would be a quota of one."""
    assert f"The setting {name} in " in complaint(tmp_path, {"TOML": {name: True}})


@pytest.mark.parametrize(
    ("place", "told", "words"),
    [
        ("environment", {"wait_up_to": "soon"}, "wait_up_to in the environment must be a time such as 90s, 60m, 2h"),
        ("environment", {"strict": "perhaps"}, "The setting strict in the environment should be true or false."),
        (
            "TOML",
            {"columns": {"company": 5}},
            'Change --column company="HEADER", LEADCONTACT_COLUMNS or the TOML key',
        ),
        ("TOML", {"columns": {"company": 5}}, "The setting columns.company in the configuration "),
        ("TOML", {"columns": {"compny": "Firma"}}, "leads.toml is no field. Did you mean company?"),
        ("environment", {"columns": "colour=Farbe"}, "in the environment is no field. Fields: company, domain,"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words_with_its_place(
    tmp_path: Path, place: str, told: dict[str, Any], words: str
) -> None:
    """What form is wanted, and where to change it."""
    assert words in complaint(tmp_path, {place: told})


@pytest.mark.parametrize("line", ["LEADCONTACT_PLAN='starter", "= starter", "LEADCONTACT PLAN=starter"])
def test_a_dotenv_with_a_broken_line_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    """Settings that are silently dropped are a wrong bill."""
    (tmp_path / ".env").write_text(f"# ours\nLEADCONTACT_LIMIT=3\n{line}\nLEADCONTACT_ACCOUNT=acme\n")
    with pytest.raises(ConfigError, match=r"Line 3 of .*\.env is not NAME=value, or a quote in it is not closed"):
        load({}, None, {}, cwd=tmp_path)


def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, a folder, not TOML, not UTF-8: 78, not a traceback."""
    broken, latin = tmp_path / "broken.toml", tmp_path / "latin.toml"
    broken.write_text("limit = = 3")
    latin.write_bytes(b'account = "M\xfcller"')
    for path in (tmp_path / "none.toml", tmp_path, broken, latin):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            load({}, path, {}, cwd=tmp_path)
        assert str(path) in str(caught.value)


def test_a_dotenv_that_is_not_text_is_named(tmp_path: Path) -> None:
    """And nothing of it is shown."""
    (tmp_path / ".env").write_bytes(b"LEADCONTACT_API_KEY=s3cret\xfc\n")
    with pytest.raises(ConfigError, match="not UTF-8") as caught:
        load({}, None, {}, cwd=tmp_path)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


# --- what follows from them ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "quota"),
    [
        ({}, 25),
        ({"plan": "starter"}, 500),
        ({"plan": "professional"}, 2000),
        ({"plan": "starter", "daily_quota": 50}, 50),
        ({"plan": "enterprise", "daily_quota": 100_000}, 100_000),
    ],
)
def test_the_plan_says_the_quota_unless_daily_quota_does(tmp_path: Path, told: dict[str, object], quota: int) -> None:
    """No plan set is the free one (guide, "Rate Limits")."""
    assert setting(tmp_path, **told).quota == quota


def test_enterprise_needs_a_daily_quota(tmp_path: Path) -> None:
    """The guide names none for it."""
    with pytest.raises(ConfigError, match="--daily-quota"):
        _ = setting(tmp_path, plan="enterprise").quota


def test_lists_are_written_with_commas_or_as_lists(tmp_path: Path) -> None:
    """In the order the user wants."""
    told = {"environment": {"steps": " verify, search ", "titles": "CEO, VP Sales"}}
    settings, _ = loaded(tmp_path, told)
    assert settings.steps == (Endpoint.VERIFY, Endpoint.SEARCH)
    assert settings.titles == ("CEO", "VP Sales")
    assert setting(tmp_path, steps=["phones"]).steps == (Endpoint.PHONES,)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Chatham"])
def test_a_calendar_window_may_be_of_any_zone(tmp_path: Path, zone: str) -> None:
    """The server's day is where the server says it is."""
    settings = setting(tmp_path, window="calendar", window_zone=zone)
    assert (settings.window, settings.window_zone) == ("calendar", zone)


def test_the_policy_is_made_of_the_settings(tmp_path: Path) -> None:
    """Both halves, hours for freshness."""
    told = {"limit": 5, "skip_mobile": True, "spend": "full", "steps": "search", "freshness_found": "3d"}
    policy = setting(tmp_path, **told).policy
    assert (policy.questions.limit, policy.questions.skip_mobile, policy.questions.include_phone) == (5, True, True)
    judged = policy.judgement
    assert (judged.spend, judged.steps, judged.freshness_found_hours) == ("full", (Endpoint.SEARCH,), 72)
    assert judged.freshness_not_found_hours == 48
