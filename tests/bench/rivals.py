"""What a user would write, or pick, in place of this program: each sends the same searches to the same upstream.

`measured(name, base)` runs one in a process of its own, so that neither its imports nor its reactor get in our way.
None of them keeps a quota, or an answer through a crash, except Scrapy's cache.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

KEY: Final = "lc_test_bench"
HEADERS: Final = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
WORKERS: Final = 50
FEW, MANY = 200, 4000


def bodies(n: int) -> Iterator[dict[str, Any]]:
    """What is asked."""
    for company in range(n):
        yield {"company": f"Rival {company} Works", "include_phone": True, "limit": 10}


def guide(base: str) -> int:
    """The loop of the API guide: one request after another, a connection each."""
    import requests

    for body in bodies(FEW):
        response = requests.post(f"{base}/contacts/search", headers=HEADERS, json=body, timeout=10)
        response.json()["data"]["contacts"]
    return FEW


def gathered(base: str) -> int:
    """asyncio.gather over aiohttp: everything at once, kept in memory."""
    import aiohttp

    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=WORKERS)
        async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:

            async def ask(body: dict[str, Any]) -> Any:
                async with session.post(f"{base}/contacts/search", json=body) as response:
                    return await response.json()

            await asyncio.gather(*map(ask, bodies(MANY)))

    asyncio.run(main())
    return MANY


def metered(base: str) -> int:
    """Requests of httpx, metered by aiometer."""
    import aiometer
    import httpx

    async def main() -> None:
        limits = httpx.Limits(max_connections=WORKERS, max_keepalive_connections=WORKERS)
        async with httpx.AsyncClient(headers=HEADERS, limits=limits) as client:

            async def ask(body: dict[str, Any]) -> Any:
                return (await client.post(f"{base}/contacts/search", json=body)).json()

            async with aiometer.amap(ask, list(bodies(MANY)), max_at_once=WORKERS) as answers:
                async for _ in answers:
                    pass

    asyncio.run(main())
    return MANY


def crawled(base: str) -> int:
    """Scrapy with JOBDIR and HTTPCACHE: resumable, and it keeps its answers."""
    import scrapy
    from scrapy.crawler import CrawlerProcess
    from scrapy.http import JsonRequest

    class Spider(scrapy.Spider):  # type: ignore[misc]
        name = "search"

        async def start(self) -> AsyncIterator[Any]:
            for body in bodies(MANY):
                yield JsonRequest(f"{base}/contacts/search", headers=HEADERS, data=body)

        def parse(self, response: Any) -> Iterator[dict[str, Any]]:
            yield {"contacts": response.json()["data"]["contacts"]}

    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "JOBDIR": f"{folder}/job",
            "HTTPCACHE_ENABLED": True,
            "HTTPCACHE_DIR": f"{folder}/cache",
            "FEEDS": {f"{folder}/out.jsonl": {"format": "jsonlines"}},
            "CONCURRENT_REQUESTS": WORKERS,
            "CONCURRENT_REQUESTS_PER_DOMAIN": WORKERS,
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": False,
            "LOG_LEVEL": "ERROR",
            "TELNETCONSOLE_ENABLED": False,
        }
        process = CrawlerProcess(settings)
        process.crawl(Spider)
        process.start()
    return MANY


def loaded(base: str) -> int:
    """The dlt REST client in a parallel transformer, as its documentation shows; nothing is loaded anywhere."""
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient

    client = RESTClient(base_url=base, headers=HEADERS)

    @dlt.resource(selected=False)  # type: ignore[untyped-decorator]
    def companies() -> Iterator[dict[str, Any]]:
        yield from bodies(MANY)

    @dlt.transformer(data_from=companies)  # type: ignore[untyped-decorator]
    def search(body: dict[str, Any]) -> Any:
        @dlt.defer  # type: ignore[untyped-decorator]
        def ask() -> Any:
            return client.post("contacts/search", json=body).json()

        return ask()

    return sum(1 for _ in search)


RIVALS: Final[dict[str, Callable[[str], int]]] = {
    "the guide's requests loop": guide,
    "asyncio.gather and aiohttp": gathered,
    "aiometer and httpx": metered,
    "Scrapy, JOBDIR and HTTPCACHE": crawled,
    "dlt REST client": loaded,
}


def measured(name: str, base: str) -> float | None:
    """Requests a second of one of them; None if it is not installed."""
    command = [sys.executable, __file__, name, base]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr[-2000:]
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    begin = time.perf_counter()
    sent = RIVALS[sys.argv[1]](sys.argv[2])
    print(sent / (time.perf_counter() - begin))
