"""What happened, as frozen records. Nobody here knows who listens; none holds a key or personal data.

Every change of a lead's state, of a permit, of the circuit and of the gauge of credits is one of these; what a
whole commit changes is one record with a count.

    lead     RowsTakenIn -> RowFinished | RowDeferred -> RowsDue; RowReopened, RowsDropped
    permit   PermitGiven -> RequestSettled; RequestsLost, where another run died with some
    circuit  CircuitChanged, RunStopped
    gauge    RequestSettled (credits by our count), CreditsRead, CreditsForgotten, AccountShut
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.model import Endpoint, Outcome, Status


WORKING_ON: ContextVar[tuple[int, int] | None] = ContextVar("WORKING_ON", default=None)
"""Job and row for which a task works: for whom a permit was taken, though the budget knows no rows."""


@dataclass(frozen=True, slots=True)
class PermitGiven:
    """A request is reserved, on disk. `key` is the question's hash, in hex."""

    endpoint: Endpoint
    key: str
    alone: bool
    probe: bool


@dataclass(frozen=True, slots=True)
class RequestSettled:
    """A request came to something. `credits` is what is left by our count, if it was ever told."""

    endpoint: Endpoint
    key: str
    outcome: Outcome
    status: int | None = None
    cost: int = 0
    credits: int | None = None


@dataclass(frozen=True, slots=True)
class RequestsLost:
    """A run died with these under way; they count as spent."""

    requests: int


@dataclass(frozen=True, slots=True)
class RowsTakenIn:
    """Rows came in with one commit: new ones, and known ones of which something changed that matters."""

    job: int
    new: int
    changed: int


@dataclass(frozen=True, slots=True)
class RowsDropped:
    """Unfinished rows that the list no longer has were dropped."""

    job: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowFinished:
    """A row got its line, and these requests were not needed for it."""

    job: int
    row: int
    status: Status
    shared: int = 0
    cached: int = 0
    verify_saved: bool = False
    phones_saved: bool = False


@dataclass(frozen=True, slots=True)
class RowDeferred:
    """A row waits for a later window."""

    job: int
    row: int
    until: float


@dataclass(frozen=True, slots=True)
class RowsDue:
    """Rows that waited for a later window are ready again."""

    job: int
    rows: int


@dataclass(frozen=True, slots=True)
class RowReopened:
    """What was concluded about a row is taken back: it is pending again."""

    job: int
    row: int


@dataclass(frozen=True, slots=True)
class CreditsForgotten:
    """The billing cycle turned: the old reading says nothing any more."""


@dataclass(frozen=True, slots=True)
class AccountShut:
    """The server wants nothing more before that time, from any run."""

    until: float


@dataclass(frozen=True, slots=True)
class CreditsRead:
    """The account told its credits; `alone` if the reading set the ledger rather than lowered it."""

    credits: int
    alone: bool


@dataclass(frozen=True, slots=True)
class ClockDiffers:
    """The server's clock rules the window, `seconds` ahead of ours."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The API looks ill, well again, or was given up."""

    state: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run sleeps: for a slot of the window, or because the server asked for it."""

    why: str
    until: float


@dataclass(frozen=True, slots=True)
class RunStopped:
    """The run asks nothing more."""

    why: str
    sentence: str


Event = (
    PermitGiven
    | RequestSettled
    | RequestsLost
    | RowsTakenIn
    | RowsDropped
    | RowFinished
    | RowDeferred
    | RowsDue
    | RowReopened
    | CreditsRead
    | CreditsForgotten
    | AccountShut
    | ClockDiffers
    | CircuitChanged
    | Waiting
    | RunStopped
)
Listener = Callable[[Event], None]
