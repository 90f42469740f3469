"""The parts of a run, with the sandbox in place of the API if the settings want it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from pipeline.session import Parts
from pipeline.written import is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pipeline.events import Event
    from pipeline.settings import Settings

SANDBOX_KEY: Final = "lc_test_sandbox"
SANDBOX_TOKEN: Final = "pat-sandbox"  # noqa: S105 - opens nothing but the sandbox


@asynccontextmanager
async def parts_for(
    settings: Settings, tell: Callable[[Event], None], say: Callable[[str], None], *, signals: bool
) -> AsyncIterator[Parts]:
    """Make the parts; a sandbox lives as long as they do."""
    made = Parts(settings, tell, say, signals=signals)
    if not settings.sandbox:
        yield made
        return
    from pipeline.sandbox import Sandbox, SandboxOptions  # noqa: PLC0415 - aiohttp's server costs 0.3 s

    options = SandboxOptions(key=SANDBOX_KEY, credits=10_000, latency=(0.02, 0.08), hubspot=True)
    async with Sandbox(options) as sandbox:
        made.settings = beside(settings_for(settings, sandbox.base_url), sandbox.hubspot_url)
        yield made


def settings_for(settings: Settings, base_url: str) -> Settings:
    """Point the settings at a sandbox."""
    return settings.model_copy(update={"base_url": base_url, "api_key": SecretStr(SANDBOX_KEY)})


def beside(settings: Settings, hubspot_url: str) -> Settings:
    """Put the sandbox's own HubSpot beside it, unless one on this machine was named: no invented person leaves."""
    if is_loopback(urlsplit(settings.hubspot_url).hostname or ""):
        return settings
    token = SecretStr(SANDBOX_TOKEN)
    return settings.model_copy(update={"hubspot_url": hubspot_url, "hubspot_access_token": token})
