"""What happened, as frozen records. Nobody here knows who listens; none holds a key or personal data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.model import Endpoint, Outcome, Status


@dataclass(frozen=True, slots=True)
class RequestSettled:
    """A request came to something. `key` is the question's hash, in hex."""

    endpoint: Endpoint
    key: str
    outcome: Outcome
    status: int | None = None


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
    RequestSettled | RowFinished | RowDeferred | CreditsRead | ClockDiffers | CircuitChanged | Waiting | RunStopped
)
Listener = Callable[[Event], None]
