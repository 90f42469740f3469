"""`make mutants`: small changes made on purpose to the modules the promises rest on; each must turn some test red.

mutmut makes the mutants and runs, for each, the tests that reach it; `[tool.mutmut]` in pyproject.toml says which
modules and which tests. Here a sample is drawn by seed, so the same command looks at the same mutants, and the
outcome is printed: a table by module, and what survived as a diff.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = ROOT / "mutants"
MUTMUT: Final = Path(sys.executable).with_name("mutmut")

NOTICED: Final = {1, 3, 24, -24, 36, 152, 255}
"""mutmut's exit codes for a mutant that made a test fail or run for ever; all others count against us."""


@dataclass(frozen=True, slots=True)
class Module:
    """A mutated module: its mutants' names and what became of them; None for those not tried."""

    path: str
    results: dict[str, int | None]

    def sample(self, size: int, seed: int) -> list[str]:
        """Draw so many mutants, always the same for a seed."""
        names = sorted(self.results)
        return sorted(random.Random(f"{seed}:{self.path}").sample(names, min(size, len(names))))

    def noticed(self, names: list[str]) -> int:
        """How many of these some test noticed."""
        return sum(self.results[name] in NOTICED for name in names)


def modules() -> Iterator[Module]:
    """Every mutated module, as mutmut keeps it."""
    for meta in sorted(RESULTS.rglob("*.meta")):
        results = orjson.loads(meta.read_bytes())["exit_code_by_key"]
        yield Module(str(meta.relative_to(RESULTS).with_suffix("")), results)


def mutmut(*arguments: str) -> str:
    """Run mutmut at the root of the tree; its progress goes to stderr."""
    done = subprocess.run([MUTMUT, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout


def report(drawn: dict[str, list[str]]) -> float:
    """Print the table and the survivors; return the share that was noticed."""
    total: Counter[str] = Counter()
    survivors: list[str] = []
    print(f"{'module':<32}{'mutants':>9}{'tried':>8}{'killed':>8}{'share':>8}")
    for module in modules():
        names = drawn[module.path]
        killed = module.noticed(names)
        print(f"{module.path:<32}{len(module.results):>9}{len(names):>8}{killed:>8}{killed / len(names):>8.0%}")
        total.update(mutants=len(module.results), tried=len(names), killed=killed)
        survivors += [name for name in names if module.results[name] not in NOTICED]
    share = total["killed"] / total["tried"]
    print(f"{'all':<32}{total['mutants']:>9}{total['tried']:>8}{total['killed']:>8}{share:>8.1%}\n")
    for name in survivors:
        print(name, *changed_lines(mutmut("show", name)), sep="\n  ")
    return share


def changed_lines(diff: str) -> list[str]:
    """Only the lines that differ."""
    return [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def main() -> None:
    """Draw, run, print; exit 1 if too few were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=40, help="mutants of each module")
    parser.add_argument("--all", action="store_true", help="every mutant of every module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.9, help="share of mutants that must be noticed")
    options = parser.parse_args()
    mutmut("run", "none")  # makes the mutants and notes which tests reach which function
    size = sys.maxsize if options.all else options.sample
    drawn = {module.path: module.sample(size, options.seed) for module in modules()}
    print(mutmut("run", *(name for names in drawn.values() for name in names))[-200:], file=sys.stderr)
    sys.exit(report(drawn) < options.least)


if __name__ == "__main__":
    main()
