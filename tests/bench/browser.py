"""Looks at a report in a real headless Chromium: pictures of every width and scheme, nothing wider, nothing fetched.

    python tests/bench/browser.py REPORT.html FOLDER

Exits 1 if the page is wider than a screen or asks the network for anything. Needs `chromium` on the PATH.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
LOOKS = [(width, scheme, "screen") for width in (1280, 390, 320) for scheme in ("light", "dark")]
LOOKS += [(700, scheme, "print") for scheme in ("light", "dark")]


@contextmanager
def chromium() -> Iterator[str]:
    """Start a browser of our own; yields where it listens."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromium", *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "DevTools listening on" in line)
            yield said.split("ws://")[1].split("/")[0]
        finally:
            process.terminate()
            process.wait()


class Tab:
    """One tab, spoken to by the DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.fetched: list[str] = []
        self.loaded = False

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for what it returns."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (told := await self._socket.receive_json()).get("id") != self._number:
            self._note(told)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def _note(self, told: dict[str, Any]) -> None:
        self.loaded = self.loaded or told["method"] == "Page.loadEventFired"
        if told["method"] == "Network.requestWillBeSent":
            self.fetched.append(told["params"]["request"]["url"])

    async def open(self, address: str) -> None:
        """Open a page, script off."""
        for domain in ("Page", "Network"):
            await self.ask(f"{domain}.enable")
        await self.ask("Emulation.setScriptExecutionDisabled", value=True)
        await self.ask("Page.navigate", url=address)
        while not self.loaded:
            self._note(await self._socket.receive_json())

    async def look(self, width: int, scheme: str, media: str) -> tuple[float, bytes]:
        """Take a picture of the whole page; returns how many pixels it is too wide, and the PNG."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.ask("Emulation.setEmulatedMedia", media=media, features=features)
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 700}
        await self.ask("Emulation.setDeviceMetricsOverride", **screen)
        size = (await self.ask("Page.getLayoutMetrics"))["cssContentSize"]
        await self.ask("Emulation.setDeviceMetricsOverride", **screen | {"height": int(size["height"])})
        shot = await self.ask("Page.captureScreenshot")
        return float(size["width"]) - width, base64.b64decode(shot["data"])


async def look_at(page: str) -> tuple[list[tuple[float, bytes]], list[str]]:
    """Look at a page in every way; returns how it looks, and what it fetched besides itself."""
    with chromium() as place:
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://{place}/json/list") as listed:
                tabs = await listed.json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with http.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                await tab.open(page)
                looks = [await tab.look(*look) for look in LOOKS]
    return looks, [url for url in tab.fetched if url != page]


def check(page: Path, folder: Path) -> int:
    """Keep the pictures, print what is wrong; returns the exit code."""
    looks, fetched = asyncio.run(look_at(page.resolve().as_uri()))
    folder.mkdir(parents=True, exist_ok=True)
    for (width, scheme, media), (over, picture) in zip(LOOKS, looks, strict=True):
        name = folder / f"{media}-{width}-{scheme}.png"
        name.write_bytes(picture)
        print(f"{media:<8}{width:>6} px {scheme:<6} too wide by {max(0.0, over):.0f} px   {name}")
    print(f"fetched besides the page: {fetched or 'nothing'}")
    return int(any(over > 0 for over, _ in looks) or bool(fetched))


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1]), Path(sys.argv[2])))
