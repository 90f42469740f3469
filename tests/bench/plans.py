"""`plan` of a long list against `csv.DictReader` alone: CPU time of paired rounds, and the peak memory of planning.

`python tests/bench/plans.py --rows 10000000` shows that memory does not grow with the list.
"""

from __future__ import annotations

import argparse
import csv
import random
import resource
import statistics
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.planning import plan
from pipeline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 3
HEADER = ["Record ID", "First Name", "Last Name", "Email", "Company Name", "Phone", "Notes"]


def write(path: Path, rows: int) -> None:
    """Write a CRM export of three leads a company, every second one with an address."""
    rng = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for n in range(rows):
            company = rng.randrange(rows // 3 + 1)
            address = f"kim{n}@firm{company}.com" if n % 2 else ""
            name = f"Name{rng.randrange(10**6)}"
            writer.writerow([n, f"Kim{n % 997}", name, address, f"Firm {company} Works Inc", "", "met at fair"])


def seconds(work: Callable[[], object]) -> float:
    """CPU time of something."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def read_alone(path: Path) -> None:
    """Read the file as the standard library does, and drop the rows."""
    with path.open(newline="", encoding="utf-8") as file:
        deque(csv.DictReader(file), 0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        leads, settings = Path(folder) / "leads.csv", Settings(state=Path(folder) / "none.db")
        write(leads, rows)
        pairs = [
            (seconds(lambda: read_alone(leads)), seconds(lambda: plan(settings, str(leads)))) for _ in range(ROUNDS)
        ]
        told = plan(settings, str(leads))
    ratio = statistics.median(ours / alone for alone, ours in pairs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{rows:,} rows, {told.total.looked_at:,} looked at, estimates within about {told.total.error:.0%}")
    for what, value, goal, met in (
        ("plan over csv.DictReader alone", f"{ratio:.2f}", "<= 2.00", ratio <= 2),
        ("peak memory of this process", f"{memory:.0f} MB", "<= 200 MB", memory <= 200),
    ):
        print(f"{what:<40}{value:>16}   {goal:<12}{'met' if met else 'NOT MET'}")


if __name__ == "__main__":
    main()
