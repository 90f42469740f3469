"""`forget`: a person leaves the answers, the rows and the outputs, and is kept out. What was spent stays counted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from pipeline.addresses import clean_email
from pipeline.app import open_run, policies_of, run_of
from pipeline.errors import JobHeld, StateError, UsageError
from pipeline.facts import first_search, gather
from pipeline.jobs import held
from pipeline.model import ERASED, FINISHED, Endpoint
from pipeline.planner import ahead
from pipeline.protocol import verify_question
from pipeline.session import every_account, known_answers, state_path
from pipeline.sinks.jsonl import JsonlOutput
from pipeline.store import Store
from pipeline.store.erasure import Erasure
from pipeline.whom import Suppressed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterator

    from pipeline.engine import JobRun
    from pipeline.erased import Erased
    from pipeline.model import Lead, Policy
    from pipeline.session import Parts, Session
    from pipeline.store.erasure import Kept
    from pipeline.store.records import Job, Work


@dataclass(slots=True)
class Forgotten:
    """What was removed, and where."""

    rows: int = 0
    reopened: int = 0
    mentions: int = 0
    answers_deleted: int = 0
    answers_cut: int = 0
    outputs: list[str] = field(default_factory=list)
    given_away: list[str] = field(default_factory=list)
    """Jobs on standard output that had lines of the person: nobody can take those back."""
    pushed: list[str] = field(default_factory=list)
    """Other systems they were pushed into, with their record there: what is in those is not ours to change."""
    unusable: list[str] = field(default_factory=list)
    emptied: bool = True
    """Whether the state's log was emptied too."""

    @property
    def nothing(self) -> bool:
        """Whether nothing was known of the person."""
        counts = (self.rows, self.reopened, self.mentions, self.answers_deleted, self.answers_cut)
        return not any(counts) and not self.outputs and not self.pushed


async def forget(parts: Parts, address: str) -> Forgotten:
    """Erase a person from all accounts and jobs of the state, and keep them out."""
    email = clean_email(address)
    if email is None:
        raise UsageError("This is not an e-mail address.", "Say forget EMAIL: only the e-mail identifies a person.")
    told, path = Forgotten(), state_path(parts.settings)
    with every_account(parts) as sessions, ExitStack() as stack:
        # First, so that a run which begins now keeps them out itself.
        erased = await sessions[0].store.erasing.keep_out(email, parts.now())
        for opened in sessions:
            for job in opened.store.jobs.all():
                stack.enter_context(_free(opened, job))
        for opened in sessions:
            await _forget_in(opened, erased, email, told)
    told.emptied = Store.compact(path)
    return told


@contextmanager
def _free(opened: Session, job: Job) -> Iterator[None]:
    """Hold a job; raises JobHeld that tells what has happened so far."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(opened, job))
        except JobHeld as error:
            kept_out = "The address is kept out from now on, and nothing of it is removed yet."
            raise JobHeld(f"{error.what} {kept_out}", "Run this again when that run has ended.") from error
        yield


async def _forget_in(opened: Session, erased: Erased, email: str, told: Forgotten) -> None:
    erasing, jobs = opened.store.erasing, opened.store.jobs.all()
    pushed = opened.store.deliveries.of(erased.address_mark(email))
    told.pushed += dict.fromkeys(f"{one.sink}{f' (record {one.record})' if one.record else ''}" for one in pushed)
    await opened.store.deliveries.blank(pushed, erased)
    touched = erasing.touched(erased)
    found = {job.id: _Search(opened, job, erased, touched).found() for job in jobs}
    found[0] = Erasure(questions={verify_question(email).key})
    gone = {key for erasure in found.values() for key in erasure.questions}
    cut = [body for key, bodies in touched.items() if key not in gone for body in bodies]
    told.answers_cut += len(cut)
    told.answers_deleted += await erasing.erase(erased, found, cut, opened.parts.now())
    for job in jobs:
        erasure = found[job.id]
        told.rows += len(erasure.rows)
        told.reopened += len(erasure.reopened)
        told.mentions += len(erasure.masked)
        await _clean_output(opened, job, erased, erasure, told)


class _Search:
    """Looks for a person in one job: rows about them, rows that used them, rows and lines that mention them."""

    def __init__(self, opened: Session, job: Job, erased: Erased, touched: Container[bytes]) -> None:
        self._opened = opened
        self._erased = erased
        self._touched = touched
        self._job = job
        self._run: JobRun = run_of(opened, job)
        policies = policies_of(opened.parts.settings, job)
        # Whom a row was not told of, because they were suppressed, it was matched to all the same.
        self._policies = [policy.model_copy(update={"suppressed": Suppressed()}) for policy in policies]
        self._erasure = Erasure()
        self._calls: dict[tuple[str, int], set[bytes]] = {}
        self._shown: set[tuple[str, int]] = set()

    def found(self) -> Erasure:
        """All that is to be removed."""
        self._read_lines()
        about: set[int] = set()
        for kept in self._opened.store.erasing.rows(self._job.id):
            lead = self._run.lead(kept.work)
            if ERASED in lead.input:
                continue
            if kept.original in about or (kept.original is None and self._is_about(lead, kept)):
                about.add(kept.work.id)
                self._erase(lead, kept)
            else:
                self._mask(kept.work)
        return self._erasure

    def _read_lines(self) -> None:
        """What the output shows of them: it still knows what the answers may have lost."""
        output = self._run.output
        for line in output.lines() if isinstance(output, JsonlOutput) else ():
            try:
                if self._erased.cut_line(line) is line:
                    continue
                value = orjson.loads(line)
                row = (value["lead_id"], value["row"])
                shown = (value["email"] or {}).get("value")
                calls = {bytes.fromhex(call["key"]) for call in value["calls"] if call["endpoint"] != Endpoint.SEARCH}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # not a line of ours: the rewrite does not copy it either
            self._erasure.lines = True
            self._calls[row] = calls
            if self._erased.is_address(shown):
                self._shown.add(row)

    def _is_about(self, lead: Lead, kept: Kept) -> bool:
        """Whether the row is about them; if it only used them, it is noted to be asked again."""
        if self._erased.is_row(lead, kept.subject):
            return True
        if (lead.lead_id, lead.row) not in self._shown and not self._matched(lead, kept.work):
            return False
        if lead.names_person and lead.email is None:
            return True
        if kept.work.state in FINISHED or kept.work.held:
            self._erasure.reopened.append(kept.work)
        if not lead.names_person and not self._run.policy.prospects:
            self._erasure.questions |= self._questions(lead, kept.work)
        return False

    def _matched(self, lead: Lead, work: Work) -> bool:
        """Whether the contact chosen for the row is one of the erased, as the answers still tell."""
        return any(self._chosen(lead, work, policy) for policy in self._policies)

    def _chosen(self, lead: Lead, work: Work, policy: Policy) -> bool:
        search, wider = first_search(lead, policy), policy.questions.widen_limit > 0
        if search is None or (search.key not in self._touched and not wider):
            return False
        facts = gather(lead, known_answers(self._opened.store, lead, work, policy), policy)
        used = [facts.match.contact] if facts.match.contact else [found.contact for found in facts.people]
        return any(self._erased.is_address(contact.email) for contact in used)

    def _questions(self, lead: Lead, work: Work) -> set[bytes]:
        """The questions asked about the person this row is about, or used."""
        keys = set(self._calls.get((lead.lead_id, lead.row), ()))
        for policy in self._policies:
            questions = ahead(lead, known_answers(self._opened.store, lead, work, policy), policy)
            keys |= {question.key for question in questions if question.endpoint is not Endpoint.SEARCH}
        return keys

    def _erase(self, lead: Lead, kept: Kept) -> None:
        self._erasure.questions |= self._questions(lead, kept.work)
        self._erasure.rows.append(kept if lead.names_person else replace(kept, subject=b""))

    def _mask(self, work: Work) -> None:
        record, reason = orjson.loads(work.input), work.reason
        left, left_reason = self._erased.masked(record), self._erased.masked(reason)
        if left != record or left_reason != reason:
            self._erasure.masked.append((work, orjson.dumps(left).decode(), left_reason))


async def _clean_output(opened: Session, job: Job, erased: Erased, erasure: Erasure, told: Forgotten) -> None:
    """Write the job's output anew if it named them; what earlier accidents left beside it is cut too."""
    if job.output == "-":
        told.given_away += [job.name] if erasure.rows or erasure.reopened else []
        return
    run = run_of(opened, job)
    # Leftovers last: what is found damaged by the rewrite is put aside too.
    for clean in (_rewrite(opened, job), _cut_leftovers(run, erased, erasure)):
        try:
            told.outputs += [name async for name in clean]
        except StateError as error:
            told.unusable.append(str(error))


async def _rewrite(opened: Session, job: Job) -> AsyncIterator[str]:
    now = opened.store.jobs.find(job.name)
    if now is not None and now.stale:
        run = await open_run(opened, now)
        run.output.close()
        yield job.output


async def _cut_leftovers(run: JobRun, erased: Erased, erasure: Erasure) -> AsyncIterator[str]:
    ids = [b'"lead_id":' + orjson.dumps(kept.work.lead_id) for kept in erasure.rows]

    def left(line: bytes) -> bytes:
        return b"" if any(lead in line for lead in ids) else erased.cut_torn(line)

    if isinstance(run.output, JsonlOutput):
        for name in run.output.change_leftovers(left):
            yield name
