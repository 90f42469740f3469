"""What tests share: the virtual clock's loop, and the bridge that lets aioresponses speak to today's aiohttp."""

from __future__ import annotations

import inspect
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import core

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
