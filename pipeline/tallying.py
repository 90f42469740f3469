"""How much there is to ask about a list: every row by the rules of a run or, of a long list, a part of it.

Of most lists that is a part of the companies: a company is looked at with all its rows or not at all, since they
share its search. Where a few hold much of the list, a part of their leads is looked at instead, and each search
counts once. What tells companies apart here is rougher and much quicker than the company key: its host, else its name
without the commonest legal forms.
"""

from __future__ import annotations

import math
from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zlib import crc32

import orjson

from pipeline.facts import company_asked, first_search, reachable
from pipeline.forecast import Backlog, Total, sum_of
from pipeline.frequent import Frequent
from pipeline.lexicon import FREE_MAIL, LEGAL_FORMS
from pipeline.model import UNREADABLE, Answer, Endpoint
from pipeline.normalize import lead_of, subject_of
from pipeline.planner import Ask, at_most, next_step, unaskable
from pipeline.session import known_answers
from pipeline.store.records import FINISHED_STATES, Work
from pipeline.suppressed import is_lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pipeline.erased import Erased
    from pipeline.lists import Record
    from pipeline.model import Lead, Policy, Question
    from pipeline.sources import Source
    from pipeline.store import Store
    from pipeline.store.records import Job, Standing

    Wanted = Callable[[int], bool]
    """Whether rows of a company with this mark are wanted."""

BITS: Final = 32
SPREAD: Final = 2_654_435_769
"""Knuth's multiplier: parts neighbours in the hash's upper bits."""

EXACT: Final = 40_000
"""Leads up to which every one is looked at."""

LOOKED_AT: Final = 6_000
"""Of a longer list half as many rows are looked at, up to so many."""

GIANT: Final = 100
"""A company with more than one in so many rows of a long list is looked at apart."""


# --- what is known already ----------------------------------------------------------------------------


class Books:
    """What the state, if there is one, knows of leads: their job's rows and the journal's answers."""

    def __init__(self, store: Store | None, job: Job | None, now: float) -> None:
        self._store = store
        self._job = job
        self._now = now
        self._has_answers = store is not None and store.jobs.newest_answer() > 0

    def erased(self) -> Erased | None:
        """Who must stay out, if anybody was erased."""
        erased = self._store.erasing.erased() if self._store else None
        return erased or None

    def spelling(self, company_key: str) -> str | None:
        """How the job spells a company in questions."""
        return self._store.jobs.spelling(self._job.id, company_key) if self._store and self._job else None

    def standing(self, lead: Lead, subject: bytes) -> Standing | None:
        """How far the job has got with a lead."""
        return self._store.jobs.standing(self._job.id, lead.lead_id, subject) if self._store and self._job else None

    def answers(self, lead: Lead, standing: Standing | None, policy: Policy) -> dict[bytes, Answer]:
        """Collect answers that hold for a lead, as a run would find them."""
        if self._store is None or not self._has_answers:
            return {}
        taken_in, replayed_at, fresh_from = standing[1:] if standing else (self._now, 0.0, 0.0)
        work = Work(0, lead.row, lead.lead_id, "", taken_in, 0, lead.spelling, 0, 0.0, 0, replayed_at, fresh_from)
        return known_answers(self._store, lead, work, policy)


# --- one lead -----------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """What the rules say of all leads that have the same fields, before any answer."""

    asks: bool = False
    searches: bool = False
    follow: int = 0
    verifies: bool = False
    phones: bool = False
    widens: bool = False


NOTHING: Final = Kind()
"""A row about which nothing can be asked."""


class Seen(NamedTuple):
    """A lead as it was counted. `need` None: it waits for its search."""

    mark: int
    kind: Kind
    finished: bool = False
    search: bytes | None = None
    need: int | None = 0
    most: int = 0
    certain: tuple[bytes, ...] = ()
    answered: tuple[bytes, ...] = ()


def thinning(rows: int) -> int:
    """How often to halve a list of so many rows, so that a part of it is looked at that is large enough."""
    return 0 if rows <= EXACT else (rows // LOOKED_AT).bit_length()


def tallied(make: Callable[..., Tally], feed: Callable[[Tally, Wanted | None], None], thinned: int) -> Total:
    """Count a list, `feed` reading it into a tally once more for each part that is looked at in its own way."""
    whole = make(EXACT, thinned)
    feed(whole, None)
    giants = whole.giants()
    if not giants:
        return whole.total()
    great = make(LOOKED_AT, 0, by_lead=True)
    feed(great, giants.__contains__)
    rest = make(EXACT, thinning(whole.rows - great.rows))
    feed(rest, lambda mark: mark not in giants)
    return sum_of(great.total(), rest.total())


class Tally:
    """Counts rows; of more than `most` leads only those of every second company are kept, then of every fourth …

    With `by_lead` the companies are few: of each every second lead is kept, then every fourth …
    """

    def __init__(
        self,
        books: Books,
        columns: Mapping[str, str],
        policy: Policy,
        most: int,
        thinned: int = 0,
        *,
        by_lead: bool = False,
    ) -> None:
        self._books = books
        self._columns = columns
        self._policy = policy
        self._most = most
        self._thinned = thinned
        self._by_lead = by_lead
        self.rows = 0
        self._companies = Frequent()
        self._leads: dict[bytes, Seen] = {}
        self._lead_ids: set[str] = set()
        self._repeats: Counter[tuple[int, Kind]] = Counter()
        self._kinds: dict[tuple[bool, ...], Kind] = {}
        self._spellings: dict[str, str | None] = {}
        self._erased = books.erased()

    # --- rows in ---

    def read(self, source: Source, among: Wanted | None = None) -> None:
        """Count all rows, or those `among` whose companies' marks they are; most go no further than their mark."""
        fields = [field for field in ("company", "domain", "email") if field in self._columns]
        at = {field: place for place, field in enumerate(fields)}
        company, domain, email = (at.get(field, len(fields)) for field in ("company", "domain", "email"))
        mark = 0  # of the row looked at last, which is the one that comes next

        def wanted(cells: Sequence[Any]) -> bool:
            nonlocal mark
            cells = (*cells, None)
            mark = mark_of(cells[company], cells[domain] or cells[email])
            return self._wants(mark, among)

        for record in source.sifted(fields, wanted):
            self._take(mark, record)

    def read_again(self, leads: Iterable[Lead], among: Wanted | None = None) -> None:
        """Count rows that were taken in before, read as a run reads them."""
        for lead in leads:
            mark = mark_of(lead.company, lead.domain or lead.email)
            if self._wants(mark, among):
                self._count(mark, lead)

    def read_rest(self, leads: Iterable[Lead], among: Wanted | None = None) -> None:
        """Count rows of the job that the list just read does not hold; what is looked at stands for the others."""
        for lead in leads:
            mark = mark_of(lead.company, lead.domain or lead.email)
            if (among is None or among(mark)) and lead.lead_id not in self._lead_ids and self._count(mark, lead):
                self.rows += 1 << self._thinned

    def _wants(self, mark: int, among: Wanted | None) -> bool:
        """Count a row, and say whether it is among those to be looked at."""
        if among is not None and not among(mark):
            return False
        self.rows += 1
        self._companies.add(mark)
        return self._by_lead or not mark >> BITS - self._thinned

    def giants(self) -> frozenset[int]:
        """Marks of companies that a part of the companies cannot stand for; none if all was looked at."""
        return self._companies.above(self.rows / GIANT) if self._thinned else frozenset()

    def _take(self, mark: int, record: Record) -> None:
        values = record.values if record.error is None else {**record.values, UNREADABLE: record.error}
        self._count(mark, lead_of(record.row, values, self._columns))

    def _count(self, mark: int, lead: Lead) -> bool:
        """Look at a row, and say whether it is in the part that is."""
        subject = subject_of(lead)
        kind = self._kind(lead, subject)
        identity = _identity(lead, subject, kind, lead.input)
        mark = int.from_bytes(identity[:4]) if self._by_lead else mark
        if mark >> BITS - self._thinned:
            return False
        self._lead_ids.add(lead.lead_id)
        if identity in self._leads:
            self._repeats[mark, kind] += 1
            return True
        self._leads[identity] = self._seen(mark, lead, subject, kind)
        while len(self._leads) > self._most and self._thinned < BITS:
            self._thin()
        return True

    def _thin(self) -> None:
        self._thinned += 1
        skip = BITS - self._thinned
        self._leads = {identity: seen for identity, seen in self._leads.items() if not seen.mark >> skip}
        self._repeats = Counter({repeat: n for repeat, n in self._repeats.items() if not repeat[0] >> skip})

    def _kind(self, lead: Lead, subject: bytes) -> Kind:
        erased = self._erased is not None and self._erased.is_row(lead, subject)
        if UNREADABLE in lead.input or erased or is_lead(self._policy.suppressed, lead):
            return NOTHING
        fields = (company_asked(lead), lead.email, lead.first_name, lead.last_name)
        shape = tuple(field is not None for field in fields)
        kind = self._kinds.get(shape)
        if kind is None:
            kind = self._kinds[shape] = _kind_of(lead, self._policy)
        return kind

    def _seen(self, mark: int, lead: Lead, subject: bytes, kind: Kind) -> Seen:
        if not kind.asks:
            return Seen(mark, kind)
        standing = self._books.standing(lead, subject)
        if standing is not None and standing.state in FINISHED_STATES:
            return Seen(mark, kind, finished=True)
        lead = self._spelt(lead)
        search = first_search(lead, self._policy)
        answers = self._books.answers(lead, standing, self._policy)
        return _counted(mark, lead, kind, search, answers, self._policy)

    def _spelt(self, lead: Lead) -> Lead:
        """All rows of a company ask by the spelling of the first."""
        key, asked = lead.company_key, company_asked(lead)
        if key is None:
            return lead
        if key not in self._spellings:
            self._spellings[key] = self._books.spelling(key) or asked
        spelling = self._spellings[key]
        return lead if spelling == asked else lead.model_copy(update={"spelling": spelling})

    # --- the sum ---

    def total(self) -> Total:
        """Add up; what was looked at stands for the rest."""
        looked_at = len(self._leads) + self._repeats.total()
        scale = self.rows / looked_at if looked_at else 0.0
        companies = 1.0 if self._by_lead else scale
        leads = [seen for seen in self._leads.values() if seen.kind.asks and not seen.finished]
        waiting = [seen for seen in leads if seen.need is None]
        asked = [seen.search for seen in waiting]
        return Total(
            rows=self.rows,
            looked_at=looked_at,
            error=0.0
            if looked_at == self.rows
            else 2 / math.sqrt(max(1, len({seen.mark for seen in self._leads.values()}))),
            duplicates=round(scale * self._repeats.total()),
            nothing_to_ask=round(scale * sum(not seen.kind.asks for seen in self._leads.values())),
            finished=round(scale * sum(seen.finished for seen in self._leads.values())),
            answered_leads=round(scale * sum(seen.need == 0 for seen in leads)),
            backlog=_backlog(leads, waiting, scale, companies),
            repeated=scale * sum(n * _alone(kind) for (_, kind), n in self._repeats.items()),
            shared=scale * len(asked) - companies * len(set(asked)),
            answered=scale * sum(len(seen.answered) for seen in leads),
            verifies=scale * sum(seen.kind.verifies for seen in leads),
            phones=scale * sum(seen.kind.phones for seen in leads),
        )

    def _error(self, looked_at: int) -> float:
        """Two standard errors of a count of the companies, or leads, that were looked at."""
        if looked_at == self.rows:
            return 0.0
        return 2 / math.sqrt(max(1, len({seen.mark for seen in self._leads.values()})))


def mark_of(company: Any, place: Any) -> int:  # noqa: ANN401 - whatever a cell of JSON holds
    """Return 32 bits that rows of one company have in common."""
    if isinstance(place, str) and place:
        host = place.rpartition("@")[2].lower()
        if host not in FREE_MAIL:
            if "/" in host:
                host = host.partition("//")[2].partition("/")[0] or host
            return crc32(host.strip().removeprefix("www.").encode("utf-8", "replace")) * SPREAD & 0xFFFF_FFFF
    text = company.lower() if isinstance(company, str) and company else str(place)
    text = text.replace(",", "").replace(".", "").rstrip()
    first, _, last = text.rpartition(" ")
    while first and (last,) in LEGAL_FORMS:
        text = first
        first, _, last = text.rpartition(" ")
    return crc32(text.encode("utf-8", "replace")) * SPREAD & 0xFFFF_FFFF


def _identity(lead: Lead, subject: bytes, kind: Kind, values: Mapping[str, Any]) -> bytes:
    """What makes two rows one lead; a row that names nobody is known by all it holds."""
    named = kind.asks or not lead.lead_id.startswith("h:")
    told = lead.lead_id.encode("utf-8", "surrogatepass") if named else orjson.dumps(values)
    return blake2b(told, key=subject, digest_size=12).digest()


def _kind_of(lead: Lead, policy: Policy) -> Kind:
    if unaskable(lead, policy):
        return NOTHING
    search, steps = first_search(lead, policy), policy.judgement.steps
    open_, follow = at_most(lead, {}, policy)
    widens = search is not None and lead.names_person and policy.questions.widen_limit > policy.questions.limit
    known = len(open_ - {search.key}) if search else len(open_)
    return Kind(
        asks=True,
        searches=search is not None,
        follow=known + follow - widens,
        verifies=Endpoint.VERIFY in steps and (lead.email is not None or search is not None),
        phones=Endpoint.PHONES in steps and (reachable(lead) or (search is not None and not lead.names_person)),
        widens=widens,
    )


def _counted(
    mark: int,
    lead: Lead,
    kind: Kind,
    search: Question | None,
    answers: dict[bytes, Answer],
    policy: Policy,
) -> Seen:
    key = search.key if search else None
    known = tuple(answers)
    waits = key is not None and key not in answers
    if waits and policy.judgement.spend == "thrifty":
        return Seen(mark, kind, search=key, need=None, most=kind.follow, answered=known)
    step = next_step(lead, answers, policy, math.inf)
    questions = step.questions if isinstance(step, Ask) else ()
    certain = tuple(question.key for question in questions if question.key != key)
    if waits:
        return Seen(mark, kind, search=key, need=None, most=kind.follow, certain=certain, answered=known)
    open_, follow = at_most(lead, answers, policy) if answers else (certain, kind.follow - len(certain))
    left = step.left if isinstance(step, Ask) else 0
    most = len(open_) + follow if left else 0
    return Seen(mark, kind, search=key, need=left, most=max(most, left), certain=certain, answered=known)


def _alone(kind: Kind) -> int:
    """Requests a row would take by itself, each step once."""
    return kind.searches + kind.verifies + kind.phones


def _backlog(leads: list[Seen], waiting: list[Seen], scale: float, companies: float) -> Backlog:
    """Scale up what was seen: each lead stands for `scale`, each company for `companies`."""
    sizes = Counter(Counter(seen.search for seen in waiting).values())
    larger = scale / companies if companies else 1.0
    wider = {seen.search for seen in waiting if seen.kind.widens}
    certain = {key for seen in leads for key in seen.certain}
    needs = Counter(seen.need for seen in leads if seen.need)
    known = [seen for seen in leads if seen.need]
    shared = sum(len(seen.certain) for seen in known) - len({key for seen in known for key in seen.certain})
    return Backlog(
        searches={round(size * larger): n * companies for size, n in sizes.items()},
        known={need: n * scale for need, n in needs.items() if need is not None},
        shared=shared * scale,
        certain=len(certain) * scale,
        follow=sum(seen.most for seen in waiting) * scale + len(wider) * companies,
        most_known=(sum(seen.most for seen in known) - shared) * scale,
    )
