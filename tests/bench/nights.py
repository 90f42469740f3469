"""`make nights`: a night costs what the quota costs, whatever the list holds.

For lists of 10,000 to 1,000,000 leads (10,000,000 with --all): taking the list in beside a bare reading and bulk
insert of the same bytes, the same file again, the first request after the start, `status`, a night of 500 requests
with its CPU and memory, and the state's size. Everything durable; the network is a function.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline import app
from pipeline.protocol import RawReply
from pipeline.session import Parts
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pipeline.model import Permit

HEADERS: Final = ("Record ID", "First Name", "Last Name", "Email", "Company Name", "Website", "Job Title", "City")
QUOTA: Final = 500
STEP: Final = 7_368_787  # a prime: neighbours in the list are strangers


def write_list(path: Path, rows: int) -> None:
    """Write a CRM export with three leads a company, far apart: a night has the same work in a list of any size."""
    firms = rows // 3 + 1
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADERS)
        for n in range(rows):
            firm = n % firms * STEP % firms
            email = f"kim.lee{n}@firm{firm}.com" if n % 2 else ""
            row = (n + 1, "Kim", f"Lee{n}", email, f"Firm {firm} Works Inc.", f"www.firm{firm}.com")
            writer.writerow((*row, "Head of Sales", "Berlin"))


def bare(path: Path, folder: Path) -> float:
    """Read the list with csv.DictReader and insert its lines in bulk: CPU seconds."""
    begin = time.process_time()
    with path.open(newline="") as file:
        for _ in csv.DictReader(file):
            pass
    db = sqlite3.connect(folder / "bare.db")
    db.execute("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT)")
    with path.open() as file:
        db.executemany("INSERT INTO line (text) VALUES (?)", ((line,) for line in file))
    db.commit()
    db.close()
    return time.process_time() - begin


class Wire:
    """A network that answers at once, and notes when it was first asked."""

    def __init__(self) -> None:
        self.first = 0.0
        self.requests = 0

    async def send(self, permit: Permit) -> RawReply:
        """Answer with nobody."""
        self.first = self.first or time.perf_counter()
        self.requests += 1
        await asyncio.sleep(0.001)
        if permit.question.endpoint == "verify":
            told: dict[str, Any] = {"is_deliverable": True, "confidence_score": 0.99}
        elif permit.question.endpoint == "phones":
            told = {"phone_numbers": []}
        else:
            told = {"contacts": [], "total": 0, "credits_remaining": 10**6}
        return RawReply(200, orjson.dumps({"success": True, "data": told}))


def measure(folder: Path, what: str) -> dict[str, float]:
    """Do one thing in this process and tell what it took."""
    wire = Wire()

    @asynccontextmanager
    async def connect(_: object, __: str) -> AsyncIterator[Wire]:
        yield wire

    settings = Settings(
        api_key="lc_test_bench",
        plan="enterprise",
        daily_quota=10**9,
        state=folder / "state.db",
        max_requests=QUOTA if what == "night" else 0,
    )
    parts = Parts(settings, lambda _: None, lambda _: None, connect=connect)
    begin, cpu = time.perf_counter(), time.process_time()
    if what == "night":
        asyncio.run(app.resume(parts, []))
    else:
        asyncio.run(app.enrich(parts, str(folder / "leads.csv"), str(folder / "out.jsonl")))
    return {
        "wall": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "first": wire.first - begin,
        "requests": wire.requests,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def apart(folder: Path, what: str) -> dict[str, float]:
    """Measure in a process of its own, for its memory."""
    command = [sys.executable, __file__, "--measure", what, str(folder)]
    told: dict[str, float] = orjson.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return told


def status(folder: Path) -> float:
    """Run `leadcontact status`: seconds of wall time, start of Python included."""
    command = [sys.executable, "-m", "pipeline", "status", "--state", str(folder / "state.db"), "--plan", "free"]
    begin = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="10,000,000 leads too (takes an hour)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        what, folder = chosen.measure
        sys.stdout.buffer.write(orjson.dumps(measure(Path(folder), what)))
        return
    titles = ("leads", "intake", "of bare", "again", "memory", "first", "status", "night", "memory", "state")
    print("".join(f"{title:>11}" for title in titles))
    for rows in (10_000, 100_000, 1_000_000, *([10_000_000] if chosen.all else [])):
        with tempfile.TemporaryDirectory() as name:
            _row(Path(name), rows)


def _row(folder: Path, rows: int) -> None:
    leads = folder / "leads.csv"
    write_list(leads, rows)
    plain = bare(leads, folder)
    intake, again = apart(folder, "intake"), apart(folder, "intake")
    night = apart(folder, "night")
    shown = status(folder)
    size = (folder / "state.db").stat().st_size / rows
    cells = (
        f"{rows:,}",
        f"{intake['cpu']:.1f} s",
        f"{intake['cpu'] / plain:.1f}x",
        f"{again['wall'] * 1000:.0f} ms",
        f"{intake['memory']:.0f} MB",
        f"{night['first'] * 1000:.0f} ms",
        f"{shown * 1000:.0f} ms",
        f"{night['cpu'] / night['requests'] * 1e6:.0f} us",
        f"{night['memory']:.0f} MB",
        f"{size:.0f} B",
    )
    print("".join(f"{cell:>11}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
