"""Shapes of the report's pictures: where the points of a line, an area or a bar lie in a box of WIDTH by HEIGHT."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH: Final = 1000
HEIGHT: Final = 200

GAP: Final = 6
"""Room between two bars."""


class Scale(NamedTuple):
    """Where values lie: from `first` to `last` across, from 0 to `top` upwards."""

    first: float
    last: float
    top: float

    def x(self, value: float) -> float:
        """How far to the right."""
        return WIDTH * (value - self.first) / ((self.last - self.first) or 1)

    def y(self, value: float) -> float:
        """How far below the upper edge."""
        return HEIGHT * (1 - min(value, self.top) / (self.top or 1))

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        """A path through these points."""
        return "M" + " L".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)

    def area(self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]] = ()) -> str:
        """What lies between two lines, or below one."""
        ground = lower or [(upper[0][0], 0.0), (upper[-1][0], 0.0)]
        return self.line([*upper, *reversed(ground)]) + " Z"


def steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of a line that keeps each value until the next."""
    kept = [(at, before) for (_, before), (at, _) in pairwise(points)]
    return [points[0], *(point for pair in zip(kept, points[1:], strict=True) for point in pair)]


class Bar(NamedTuple):
    """One bar of a picture, and what it is."""

    x: float
    y: float
    width: float
    height: float
    kind: str


def histogram(bins: Sequence[int], kinds: Sequence[str]) -> list[Bar]:
    """Bars side by side; a bin that holds anything at all is seen."""
    width, most = WIDTH / len(bins), max(bins) or 1
    heights = [max(3.0, HEIGHT * n / most) if n else 0.0 for n in bins]
    return [
        Bar(number * width + GAP / 2, HEIGHT - height, width - GAP, height, kind)
        for number, (height, kind) in enumerate(zip(heights, kinds, strict=True))
        if height
    ]


def stacked(parts: Sequence[tuple[str, int]]) -> list[Bar]:
    """One bar made of parts that follow each other."""
    total, done, bars = sum(n for _, n in parts) or 1, 0, []
    for kind, n in parts:
        if n:
            bars.append(Bar(WIDTH * done / total, 0.0, WIDTH * n / total, HEIGHT, kind))
        done += n
    return bars
