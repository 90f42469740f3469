"""What somebody's own typed program sees of `import pipeline`: mypy strict reads this file with the others.

Each `type: ignore` is a use that must be wrong: mypy complains if it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_type

import pytest

import pipeline

if TYPE_CHECKING:
    from pathlib import Path


async def night(leads: Path) -> list[str]:
    settings = pipeline.Settings(plan="starter", sandbox=True)
    assert_type(await pipeline.plan(leads, settings), pipeline.Planned)
    report = assert_type(await pipeline.run(leads, "out.jsonl", settings), pipeline.Report)
    assert_type(report.pending, int)
    lines = assert_type(pipeline.read_results("out.jsonl", settings), Iterator[pipeline.Enriched])
    return [line.email.value for line in lines if line.status is pipeline.Status.ENRICHED and line.email]


async def gate(emails: list[str]) -> list[bool | None]:
    async with pipeline.Verifier(pipeline.configure(plan="starter")) as verifier:
        verdicts = [await verifier.verify(email) for email in emails]
    verdicts.append(assert_type(await pipeline.verify("jane@acme.com"), pipeline.Verification))
    verdicts.append(pipeline.verify_sync("jane@acme.com"))
    return [assert_type(verdict.safe, bool | None) for verdict in verdicts]


def wrong() -> None:
    pipeline.run_sync(1, "out.jsonl")  # type: ignore[arg-type]
    pipeline.nothing  # type: ignore[attr-defined] # noqa: B018 - it is not there


def test_what_is_promised_is_there() -> None:
    """Every name of `__all__` can be had, and dir() tells them; a name that is not there is an AttributeError."""
    assert all(getattr(pipeline, name) is not None for name in pipeline.__all__)
    assert set(pipeline.__all__) <= set(dir(pipeline))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pipeline.nothing  # type: ignore[attr-defined] # noqa: B018 - as above
