"""The values everything else speaks of: leads, questions, replies, policies and output lines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipeline.whom import Suppressed


class Frozen(BaseModel):
    """An immutable value that crosses a border of the program."""

    model_config = ConfigDict(frozen=True)


class Endpoint(StrEnum):
    """The three questions the API answers (guide, "Core API Endpoints"); also the names of the steps."""

    SEARCH = "search"
    VERIFY = "verify"
    PHONES = "phones"


class Status(StrEnum):
    """What became of a row. Every row taken in has exactly one (promise 5)."""

    ENRICHED = "enriched"
    PARTIAL = "partial"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    FAILED = "failed"
    PENDING = "pending"


FINISHED: Final = (Status.ENRICHED, Status.PARTIAL, Status.NOT_FOUND, Status.INVALID, Status.FAILED)


# --- what is asked ------------------------------------------------------------------------------------


UNREADABLE: Final = "_error"
"""The key of `Lead.input` that says why a row could not be read."""


ERASED: Final = "_erased"
"""The only key of `Lead.input` in a row about somebody who was erased."""

ERASED_REASON: Final = "erased"
"""Why such a row, and such an address, is not asked about."""

SUPPRESSED_REASON: Final = "suppressed"
"""Why a row about somebody the user named with `suppress` is not asked about."""


class Lead(Frozen):
    """One row of the user's list as the rules see it; absent or unusable fields are None.

    `input` holds every column as it came. `domain` is a company's registrable domain, never a free-mail
    one; `email` is a syntactically valid address. `unusable` says, by field, why a filled cell was not
    used, e.g. {"email": "…"}. `row` is the 1-based data row where the lead was first seen.
    """

    row: int
    lead_id: str
    input: dict[str, Any]
    company: str | None = None
    domain: str | None = None
    company_key: str | None = None
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    duplicate_of: int | None = None
    unusable: dict[str, str] = {}
    spelling: str | None = None
    """What the company is called in questions: the spelling of the first row taken in with its key."""

    @property
    def names_person(self) -> bool:
        """Whether the row is about somebody in particular: then only that person's data may fill it."""
        return bool(self.email or self.first_name or self.last_name)


class Question(NamedTuple):
    """One request that could be sent. `key` is the hash of endpoint and canonical body: same key, same answer."""

    endpoint: Endpoint
    body: bytes
    key: bytes
    limit: int = 1
    """The most contacts the answer may hold: the ceiling of a search's price."""


class Permit(NamedTuple):
    """The only key to the wire, made by Budget alone: one reserved request, good for one sending.

    `lone`: nothing else of this run is under way. `probe`: it asks an open circuit whether the API is well.
    """

    attempt: int
    question: Question
    reserved_at: float
    ceiling: int
    lone: bool = False
    probe: bool = False


# --- what comes back ----------------------------------------------------------------------------------


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None
Score = Annotated[float, Field(ge=0, le=1)] | None


class Contact(Frozen):
    """A person as `search` returns them (guide, "Endpoint 1"). What is there is not blank."""

    first_name: Text = None
    last_name: Text = None
    email: Text = None
    email_confidence: Score = None
    phone: Text = None
    phone_confidence: Score = None
    title: Text = None
    company: Text = None
    department: Text = None


class SearchReply(Frozen):
    """`search` understood: contacts, how many there are in all, credits left if told, and how many were erased."""

    contacts: tuple[Contact, ...] = ()
    total: int | None = None
    credits_remaining: int | None = None
    erased: int = 0


class VerifyReply(Frozen):
    """`verify` understood. `greylisted`: valid, not deliverable, SMTP 4xx: the mail server said "later"."""

    email: str | None = None
    valid: bool = False
    deliverable: bool = False
    confidence: float | None = None
    checked_at: str | None = None
    greylisted: bool = False


class Phone(Frozen):
    """One number as `phones` returns it (guide, "Endpoint 3")."""

    number: str
    type: str | None = None
    confidence: float | None = None
    country_code: str | None = None


class PhonesReply(Frozen):
    """`phones` understood: the numbers in the server's order."""

    phones: tuple[Phone, ...] = ()


class NoReply(Frozen):
    """An answer that carries no data: 404, a refusal, or something that could not be understood."""

    reason: str


Reply = SearchReply | VerifyReply | PhonesReply | NoReply


class Outcome(StrEnum):
    """What one request came to: the rows of the table "What an answer means" in the README."""

    FOUND = "found"  # 200, understood
    NOT_FOUND = "not_found"  # 404
    REFUSED = "refused"  # 400, 422 and other final 4xx
    SAID_NO = "said_no"  # 200 with success:false
    UNEXPECTED = "unexpected"  # 200 that is not the guide's shape
    GAVE_UP = "gave_up"  # every try of this window was ambiguous; a note in the journal, not an answer
    AMBIGUOUS = "ambiguous"  # perhaps spent: timeout, disconnect, 5xx
    NOT_SENT = "not_sent"  # certainly not spent
    WITHDRAWN = "withdrawn"  # reserved, then given back: the API fell ill or the run ended before its turn
    SLOW_DOWN = "slow_down"  # 429 with a short Retry-After
    NO_QUOTA = "no_quota"  # 429 otherwise
    NO_CREDITS = "no_credits"  # 402
    DENIED = "denied"  # 401, 403
    REDIRECT = "redirect"  # 3xx, never followed
    LOST = "lost"  # the process died before the answer came


JOURNALED: Final = frozenset(
    {Outcome.FOUND, Outcome.NOT_FOUND, Outcome.REFUSED, Outcome.SAID_NO, Outcome.UNEXPECTED, Outcome.GAVE_UP}
)
"""Outcomes that are kept as answers; the others are only known to the ledger."""

UNSENT: Final = frozenset({Outcome.NOT_SENT, Outcome.WITHDRAWN})
"""Outcomes that cost nothing and count nowhere."""


class Origin(StrEnum):
    """Where a row's answer came from: paid now, found in the journal, or shared with another row of this run."""

    API = "api"
    CACHE = "cache"
    SHARED = "shared"


class Answer(NamedTuple):
    """What is known about one question. Times are Unix seconds.

    `inconclusive` counts the journal's answers to it that settled nothing (unexpected, greylisted, gave
    up) and are fresh; a conclusive answer stands even if an inconclusive one came later.
    """

    question: Question
    outcome: Outcome
    reply: Reply
    received_at: float
    origin: Origin = Origin.CACHE
    inconclusive: int = 0


# --- the user's wishes --------------------------------------------------------------------------------


class Questions(Frozen):
    """The half of the policy that shapes what is asked. Frozen in the job: another body is another bill."""

    limit: int = Field(10, ge=1, le=100)
    include_phone: bool = True
    decision_maker_only: bool = False
    departments: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    widen_limit: int = Field(0, ge=0, le=100)
    include_direct_dial: bool = True
    skip_mobile: bool = False

    @cached_property
    def _hashed(self) -> int:
        return hash(tuple(self.__dict__[name] for name in type(self).model_fields))

    def __hash__(self) -> int:
        """Computed once: every look for a question in a cache needs it."""
        return self._hashed


class Judgement(Frozen):
    """The half of the policy that judges what came back. Applies to unfinished rows at once."""

    steps: tuple[Endpoint, ...] = (Endpoint.SEARCH, Endpoint.VERIFY, Endpoint.PHONES)
    spend: str = "thrifty"
    min_confidence: float = Field(0.90, ge=0, le=1)
    min_phone_confidence: float = Field(0.90, ge=0, le=1)
    freshness_found_hours: float = Field(48, ge=1, le=2160)
    freshness_not_found_hours: float = Field(48, ge=1, le=2160)
    suppress: str | None = None
    """The file that names whom not to ask about."""

    @property
    def wants(self) -> tuple[object, ...]:
        """What decides how much a lead needs: jobs that agree on it learn for each other."""
        return frozenset(self.steps), self.spend, self.min_confidence, self.min_phone_confidence


class Kind(StrEnum):
    """What a job makes of a row: the person it names, or everybody of the company it names."""

    ENRICH = "enrich"
    PROSPECT = "prospect"


class Policy(Frozen):
    """What to ask and how to judge it."""

    questions: Questions = Questions()
    judgement: Judgement = Judgement()
    kind: Kind = Kind.ENRICH
    suppressed: Suppressed = Suppressed()

    @property
    def prospects(self) -> bool:
        """Whether every contact of a company is wanted."""
        return self.kind is Kind.PROSPECT


# --- the output line ----------------------------------------------------------------------------------


class MatchLine(Frozen):
    """How the row's contact was chosen; `best` only for a row that names no person, `company` for all of one's."""

    by: str = "none"
    score: float = 0.0


class ContactLine(Frozen):
    """Who the row turned out to be."""

    first_name: str | None = None
    last_name: str | None = None
    title: str | None = None
    department: str | None = None
    company: str | None = None


class EmailLine(Frozen):
    """The row's address; tiers are the guide's: >= 0.90 verified, 0.70-0.89 probable, < 0.70 risky."""

    value: str
    confidence: float | None
    tier: str | None
    deliverable: bool | None
    source: str
    checked_at: str | None


class PhoneLine(Frozen):
    """The row's number as paid for, and its E.164 form where it has one."""

    value: str
    e164: str | None
    confidence: float | None
    type: str | None
    source: str


class CallLine(Frozen):
    """One answer the row rests on; `key` is the question's hash, in hex."""

    endpoint: Endpoint
    origin: Origin
    at: str
    key: str


class Enriched(Frozen):
    """One line of OUT.jsonl, schema version 1.

    >>> line = '{"row":17,"lead_id":"4711","status":"not_found","input":{},"enriched_at":"2026-11-23T02:00:04Z"}'
    >>> Enriched.model_validate_json(line).status
    <Status.NOT_FOUND: 'not_found'>
    """

    schema_version: int = 1
    row: int
    lead_id: str
    status: Status
    duplicate_of: int | None = None
    input: dict[str, Any]
    match: MatchLine = MatchLine()
    contact: ContactLine | None = None
    email: EmailLine | None = None
    phone: PhoneLine | None = None
    candidates: tuple[Contact, ...] = ()
    calls: tuple[CallLine, ...] = ()
    reason: str | None = None
    enriched_at: str


class Prospect(Enriched):
    """One line of a `prospect` job: a contact of the company that `input` names."""

    contact_id: str


# --- why a run ends -----------------------------------------------------------------------------------


class Stop(StrEnum):
    """Why a run asks nothing more."""

    DONE = "done"
    QUOTA = "quota"
    MAX_REQUESTS = "max_requests"
    MAX_CREDITS = "max_credits"
    STOP_AT = "stop_at"
    SAMPLE = "sample"
    CREDITS = "credits"
    OUTAGE = "outage"
    CONTRACT = "contract"
    DENIED = "denied"
    REDIRECT = "redirect"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end of a run: why, in one sentence for people, and when the next request may go (Unix seconds)."""

    why: Stop
    sentence: str
    next_at: float | None = None
