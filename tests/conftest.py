"""What tests share: the virtual clock's loop, and the bridge that lets aioresponses speak to today's aiohttp."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import core
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Iterable

# A busy machine is no failed promise: pytest-timeout ends what never ends.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

NEEDS_WRITER = "stream_writer" in inspect.signature(ClientResponse.__init__).parameters


class BridgedClientResponse(ClientResponse):
    """aioresponses 0.7 builds responses without `stream_writer`, which aiohttp >= 3.14 asks for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if NEEDS_WRITER:
            kwargs.setdefault("stream_writer", Mock(name="stream_writer"))
        super().__init__(*args, **kwargs)


@pytest.fixture(autouse=True)
def _aioresponses_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "ClientResponse", BridgedClientResponse)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that proofs left with `record_property`."""
    figures = sorted(set(_figures(terminalreporter.stats.get("passed", []))))
    if figures:
        terminalreporter.section("figures of the proofs")
        for promise, what, value in figures:
            terminalreporter.write_line(f"{promise:<28}{what:<58}{value:>12}")


def _figures(reports: Iterable[pytest.TestReport]) -> Iterable[tuple[str, str, str]]:
    for report in reports:
        where = report.nodeid.partition("::")[0].rpartition("/")[2].removesuffix(".py")
        for what, value in report.user_properties:
            yield where, what, f"{value:,}" if isinstance(value, int) else str(value)
