"""What happened, as frozen records. Nobody here knows who listens; none holds a key or personal data.

Every change of a lead's state, of a permit, of the circuit and of the gauge of credits is one of these; what a
whole commit changes is one record with a count. Named tuples, since some are made for every request; they are told
apart by their types.

    lead     RowsTakenIn -> RowFinished | RowDeferred -> RowsDue; RowReopened, RowsDropped
    permit   PermitGiven -> RequestSettled; RequestsLost, where another run died with some
    circuit  CircuitChanged, RunStopped
    gauge    RequestSettled (credits by our count), CreditsRead, CreditsForgotten, AccountShut
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.model import Endpoint, Outcome, Status


WORKING_ON: ContextVar[tuple[int, int] | None] = ContextVar("WORKING_ON", default=None)
"""Job and row for which a task works: for whom a permit was taken, though the budget knows no rows."""


class PermitGiven(NamedTuple):
    """A request is reserved, on disk. `key` is the question's hash, in hex."""

    endpoint: Endpoint
    key: str
    alone: bool
    probe: bool


class RequestSettled(NamedTuple):
    """A request came to something. `credits` is what is left by our count, if it was ever told."""

    endpoint: Endpoint
    key: str
    outcome: Outcome
    status: int | None = None
    cost: int = 0
    credits: int | None = None


class RequestsLost(NamedTuple):
    """A run died with these under way; they count as spent."""

    requests: int


class RowsTakenIn(NamedTuple):
    """Rows came in with one commit: new ones, and known ones of which something changed that matters."""

    job: int
    new: int
    changed: int


class RowsDropped(NamedTuple):
    """Unfinished rows that the list no longer has were dropped."""

    job: int
    rows: int


class RowFinished(NamedTuple):
    """A row got its line, and these requests were not needed for it."""

    job: int
    row: int
    status: Status
    shared: int = 0
    cached: int = 0
    verify_saved: bool = False
    phones_saved: bool = False


class RowDeferred(NamedTuple):
    """A row waits for a later window."""

    job: int
    row: int
    until: float


class RowsDue(NamedTuple):
    """Rows that waited for a later window are ready again."""

    job: int
    rows: int


class RowReopened(NamedTuple):
    """What was concluded about a row is taken back: it is pending again."""

    job: int
    row: int


class CreditsForgotten(NamedTuple):
    """The billing cycle turned: the old reading says nothing any more."""


class AccountShut(NamedTuple):
    """The server wants nothing more before that time, from any run."""

    until: float


class CreditsRead(NamedTuple):
    """The account told its credits; `alone` if the reading set the ledger rather than lowered it."""

    credits: int
    alone: bool


class ClockDiffers(NamedTuple):
    """The server's clock rules the window, `seconds` ahead of ours."""

    seconds: float


class CircuitChanged(NamedTuple):
    """The API looks ill, well again, or was given up."""

    state: str


class Waiting(NamedTuple):
    """The run sleeps: for a slot of the window, or because the server asked for it."""

    why: str
    until: float


class RunStopped(NamedTuple):
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
