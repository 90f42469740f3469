"""Schedules: what is shipped under config/ is what the command prints, each in its reader's own quoting."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli import cli
from pipeline.errors import UsageError
from pipeline.schedule import CLUSTER, FILES, MACHINE, USUAL, written

CONFIG = Path(__file__).parents[2] / "config"
SHIPPED = {"cron": "cron/leadcontact", "cronjob.yaml": "kubernetes/cronjob.yaml"}

Shape = dict[str, Any]


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["schedule", "--print", *arguments], standalone_mode=False)
    assert (done.exception, done.return_value) == (None, 0)
    return done.stdout


@pytest.mark.parametrize("kind", FILES)
def test_what_is_shipped_is_what_the_command_prints(kind: str, tmp_path: Path) -> None:
    """One source: `schedule --print KIND` shows the files under config/, and writes the same with --into."""
    shipped = {name: (CONFIG / SHIPPED.get(name, f"systemd/{name}")).read_text("utf-8") for name in FILES[kind]}
    assert printed(kind) == "\n".join(shipped.values())
    printed(kind, "--into", str(tmp_path))
    assert sorted(path.read_text("utf-8") for path in tmp_path.iterdir()) == sorted(shipped.values())


def test_a_file_that_says_something_else_is_left_alone(tmp_path: Path) -> None:
    """The same again is fine; an edited unit is somebody's work."""
    printed("systemd", "--into", str(tmp_path))
    printed("systemd", "--into", str(tmp_path))
    (tmp_path / "leadcontact.timer").write_text("# mine\n")
    told = CliRunner().invoke(cli, ["schedule", "--print", "systemd", "--into", str(tmp_path)], standalone_mode=False)
    assert (told.return_value, "is there already and says something else" in told.stderr) == (74, True)
    assert (tmp_path / "leadcontact.timer").read_text() == "# mine\n"


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The lines would run nothing."""
    for program, warned in ((tmp_path / "nowhere", True), (sys.executable, False)):
        told = CliRunner().invoke(cli, ["schedule", "--print", "cron", "--program", str(program)])
        assert ("name yours with --program" in told.stderr) == warned


@pytest.mark.parametrize("kind", FILES)
def test_every_schedule_sets_the_state_and_does_both_steps(kind: str) -> None:
    """Whoever runs the command by hand beside it must find the same ledger."""
    night = USUAL[kind]._replace(state=f"{'/data' if kind == 'kubernetes' else '/var/mine'}/other.db", time="3:07")
    text = "\n".join(written(kind, night).values())
    assert len(re.findall(rf"LEADCONTACT_STATE\D+{night.state}", text)) == 1
    assert "--max-requests" in text
    assert "resume" in text
    assert {"cron": "\n7 3 * * * ", "systemd": "*-*-* 03:07:00", "kubernetes": '"7 3 * * *"'}[kind] in text


AWKWARD = "/srv/le ads/50%$HOME'x.csv"


def test_cron_hands_over_a_name_with_every_odd_character() -> None:
    """The shell gets it after cron has taken its own signs out."""
    line = written("cron", MACHINE._replace(leads=AWKWARD))["cron"].splitlines()[-1]
    command = line.split("leadcontact  ", 1)[1]
    assert "%" not in command.replace("\\%", "")
    assert shlex.split(command.replace("\\%", "%"))[2] == AWKWARD


def test_systemd_and_kubernetes_hand_it_over_too() -> None:
    """Doubled where a sign means something, quoted where it parts words."""
    service = written("systemd", MACHINE._replace(leads=AWKWARD, state="/srv/le ads/state.db"))["leadcontact.service"]
    assert 'enrich "/srv/le ads/50%%$$HOME\'x.csv" -o' in service
    assert '\nEnvironment="LEADCONTACT_STATE=/srv/le ads/state.db"\n' in service
    awkward = AWKWARD.replace("/srv", "/data")
    pod = pod_of(yaml.safe_load_all(written("kubernetes", CLUSTER._replace(leads=awkward))["cronjob.yaml"]))
    assert pod["initContainers"][0]["args"][1] == awkward


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        ("cron", {"leads": "new.csv"}, "no whole path"),
        ("cron", {"leads": "/srv/a\n* * * * * root reboot"}, "no whole path"),
        ("cron", {"user": "ann; reboot"}, "no schedule can"),
        ("systemd", {"time": "25:00"}, "not a time of day"),
        ("kubernetes", {"user": "ann"}, "is no number"),
        ("kubernetes", {"leads": "/elsewhere/new.csv"}, "in one folder"),
    ],
)
def test_what_cannot_be_written_down_is_refused(kind: str, said: dict[str, str], words: str) -> None:
    """With a sentence, before a night fails by it."""
    with pytest.raises(UsageError, match=words):
        written(kind, USUAL[kind]._replace(**said))


@pytest.mark.parametrize(("folder", "home"), [("/srv/leads", "yes"), ("/home/ann/leads", "read-only")])
def test_a_list_in_a_home_is_not_hidden_from_the_service(folder: str, home: str) -> None:
    """ProtectHome=yes would show an empty folder."""
    night = MACHINE._replace(leads=f"{folder}/new.csv", output=f"{folder}/out.jsonl")
    assert f"\nProtectHome={home}\n" in written("systemd", night)["leadcontact.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """`systemd-analyze verify` is clean for service and timer."""
    for name, text in written("systemd", MACHINE._replace(program=sys.executable)).items():
        (tmp_path / name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "leadcontact.service", tmp_path / "leadcontact.timer"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "leadcontact" in line]
    assert (done.returncode, said) == (0, [])


# --- the manifest, against the fields the API documents -----------------------------------------------

META: Shape = {"name": str}
SECRET: Shape = {"secretKeyRef": {"name": str, "key": str}}
CONTAINER: Shape = {
    "name": str,
    "image": str,
    "imagePullPolicy": str,
    "args": [str],
    "env": [{"name": str, "value": str, "valueFrom": SECRET}],
    "securityContext": {
        "allowPrivilegeEscalation": bool,
        "readOnlyRootFilesystem": bool,
        "capabilities": {"drop": [str]},
    },
    "resources": {"requests": {"cpu": str, "memory": str}, "limits": {"memory": str}},
    "volumeMounts": [{"name": str, "mountPath": str}],
}
POD: Shape = {
    "restartPolicy": str,
    "enableServiceLinks": bool,
    "automountServiceAccountToken": bool,
    "terminationGracePeriodSeconds": int,
    "securityContext": {
        "runAsNonRoot": bool,
        "runAsUser": int,
        "runAsGroup": int,
        "fsGroup": int,
        "seccompProfile": {"type": str},
    },
    "initContainers": [CONTAINER],
    "containers": [CONTAINER],
    "volumes": [{"name": str, "persistentVolumeClaim": {"claimName": str}, "emptyDir": {}}],
}
KINDS: dict[str, Shape] = {
    "PersistentVolumeClaim": {"accessModes": [str], "resources": {"requests": {"storage": str}}},
    "CronJob": {
        "schedule": str,
        "concurrencyPolicy": str,
        "startingDeadlineSeconds": int,
        "successfulJobsHistoryLimit": int,
        "failedJobsHistoryLimit": int,
        "jobTemplate": {"spec": {"backoffLimit": int, "template": {"spec": POD}}},
    },
}
"""The fields of the API's reference that are used, with their types."""


def fits(value: Any, shape: Any, place: str = "spec") -> list[str]:
    """Where a value is not of its documented shape."""
    if isinstance(shape, type):
        return [] if type(value) is shape else [f"{place}: {value!r} is no {shape.__name__}"]
    if isinstance(shape, list):
        return [odd for n, one in enumerate(value) for odd in fits(one, shape[0], f"{place}[{n}]")]
    odd = [f"{place}.{name} is no field" for name in value if name not in shape]
    return odd + [one for name in value if name in shape for one in fits(value[name], shape[name], f"{place}.{name}")]


def pod_of(manifest: Any) -> dict[str, Any]:
    """The pod a CronJob starts."""
    job = next(part for part in manifest if part["kind"] == "CronJob")
    pod: dict[str, Any] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def test_the_manifest_has_only_documented_fields_of_their_types() -> None:
    """As kubeconform would look at it; and what is mounted, claimed and named fits together."""
    claim, job = yaml.safe_load_all((CONFIG / "kubernetes" / "cronjob.yaml").read_text("utf-8"))
    assert (claim["apiVersion"], job["apiVersion"]) == ("v1", "batch/v1")
    for part in (claim, job):
        assert set(part) == {"apiVersion", "kind", "metadata", "spec"}
        assert fits(part["metadata"], META) + fits(part["spec"], KINDS[part["kind"]]) == []
    pod = pod_of([job])
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert [sorted(entry) for entry in container["env"]] == [["name", "value"]] * 2 + [["name", "valueFrom"]]
    assert (job["spec"]["concurrencyPolicy"], pod["restartPolicy"]) == ("Forbid", "Never")


def test_the_image_and_the_manifest_agree() -> None:
    """The same user, not root; the state where the volume is."""
    image = (CONFIG.parent / "Dockerfile").read_text("utf-8")
    assert f"--uid {CLUSTER.user} " in image
    assert f"LEADCONTACT_STATE={CLUSTER.state}" in image
    assert image.index("USER leadcontact") < image.index("ENTRYPOINT")
