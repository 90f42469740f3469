"""`import pipeline` for programs: every example runs, in and outside of an event loop, and the import is quick."""

from __future__ import annotations

import ast
import asyncio
import doctest
import gc
import inspect
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pipeline
from pipeline import library
from pipeline.events import PermitGiven
from pipeline.library import configure, plan, plan_sync, read_results, run, run_sync, verify, verify_sync

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.events import Event

ROOT = Path(__file__).parents[2]
LEADS = "First Name,Last Name,Company Name,Domain\nJane,Smith,Acme Corp,acmecorp.com\n"
DOCUMENTED: tuple[Callable[..., Any] | type, ...] = (
    *(configure, run, run_sync, read_results, plan, plan_sync),
    *(pipeline.Verifier, verify, verify_sync, pipeline.Settings, pipeline.Enriched),
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the list of the examples, a home and a state of its own, and no settings around."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("LEADCONTACT_API_KEY", raising=False)
    (tmp_path / "leads.csv").write_text(LEADS)
    return tmp_path


async def typed(source: str, names: dict[str, Any], mode: str = "single") -> str:
    """Run a piece of code as Jupyter does, `await` on its own allowed; returns what it printed."""
    code = compile(source, "<example>", mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(StringIO()) as out:
        result = eval(code, names)  # noqa: S307 - our own documentation
        if inspect.iscoroutine(result):
            await result
    return out.getvalue()


def everything() -> dict[str, Any]:
    return {"asyncio": asyncio, "pipeline": pipeline, **{name: getattr(pipeline, name) for name in pipeline.__all__}}


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda each: each.__name__)
async def test_the_example_of_every_name_does_what_it_says(documented: Callable[..., Any]) -> None:
    """Against the sandbox, inside a running event loop: the sync forms too."""
    examples = doctest.DocTestParser().get_examples(documented.__doc__ or "")
    assert examples, "it has no example"
    names = everything()
    if documented is read_results:
        await run("leads.csv", "leads.jsonl", pipeline.Settings(sandbox=True))
    for example in examples:
        told = await typed(example.source, names)
        assert doctest.OutputChecker().check_output(example.want, told, doctest.ELLIPSIS), told


@pytest.mark.parametrize(
    "block", re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
)
async def test_the_readmes_python_runs_as_it_stands(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied into a notebook, with nothing but the sandbox asked for by the environment."""
    monkeypatch.setenv("LEADCONTACT_SANDBOX", "1")
    await typed(block, {}, "exec")


def test_the_sync_forms_need_no_loop(folder: Path) -> None:
    """A plain script: a list, its results, an address; nothing printed."""
    settings = pipeline.Settings(sandbox=True)
    assert run_sync("leads.csv", folder / "leads.jsonl", settings).pending == 0
    (line,) = read_results(folder / "leads.jsonl", settings)
    written = pipeline.Enriched.model_validate_json((folder / "leads.jsonl").read_bytes())
    assert (line.email, line.phone, line.status) == (written.email, written.phone, written.status)
    assert verify_sync(line.email.value if line.email else "", settings).safe


def test_the_one_call_form_closes_with_its_loop() -> None:
    """Loop after loop, as scripts and task runners make them: nothing stays open or in memory, nothing warns."""
    settings = pipeline.Settings(sandbox=True)
    gc.collect()
    before = len(library._SHARED)
    for _ in range(2):
        assert asyncio.run(verify("jane.smith@acme.com", settings)).safe
    gc.collect()
    assert len(library._SHARED) == before


async def test_a_cancelled_run_ends_in_good_order_and_is_cancelled(folder: Path) -> None:
    """The caller's `cancel` is not swallowed, and the same call goes on."""
    asked = asyncio.Event()
    settings = pipeline.Settings(sandbox=True)

    def heard(event: Event) -> None:
        if isinstance(event, PermitGiven):
            asked.set()

    running = asyncio.create_task(run("leads.csv", "leads.jsonl", settings, on_event=heard))
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await run("leads.csv", "leads.jsonl", settings)).pending == 0


async def test_errors_are_raised_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with what to do; standard streams belong to the program."""
    for work in (
        run("nowhere.csv", "out.jsonl"),
        run("leads.csv", "-"),
        run("leads.csv", "out.jsonl"),
        verify("a@b.co"),
    ):
        with pytest.raises(pipeline.PipelineError, match=r"\.$"):
            await work
    assert capsys.readouterr() == ("", "")


def test_importing_it_is_quick_and_loads_none_of_its_parts() -> None:
    """Names come when they are asked for; aiohttp only when something is asked."""
    code = (
        "import sys, pipeline; print('pydantic' in sys.modules, [n for n in sys.modules if n.startswith('pipeline')])"
    )
    code += "; pipeline.verify; print('aiohttp' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.splitlines() == ["False ['pipeline']", "False"]
