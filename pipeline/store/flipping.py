"""Counts, in the transaction that keeps an answer, whether it is another than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.flips import Flip, age_of, flipped
from pipeline.model import Answer
from pipeline.planner import told
from pipeline.protocol import decode
from pipeline.store.sql import SQL

if TYPE_CHECKING:
    import sqlite3

    from pipeline.model import Question


def count_flip(db: sqlite3.Connection, account: int, question: Question, status: int, body: bytes, at: float) -> None:
    """Compare an answer that is about to be kept with the newest older one; only those that tell something count."""
    older = db.execute(SQL["answers_before"], (account, question.key, at)).fetchmany(10)
    if not older or not told(after := _answer(question, status, body, at)):
        return
    before = next(filter(told, (_answer(question, *row) for row in older)), None)
    if before is not None:
        age = age_of(at - before.received_at)
        db.execute(SQL["count_flip"], (account, question.endpoint, age, flipped(before, after)))


def flips_of(db: sqlite3.Connection, account: int) -> list[Flip]:
    """The counts so far."""
    return [Flip(*row) for row in db.execute(SQL["flips"], (account,))]


def _answer(question: Question, status: int, body: bytes, at: float) -> Answer:
    verdict = decode(question, status, body)
    return Answer(question, verdict.outcome, verdict.reply, at)
