"""Counts what the events of a run tell: rows that were finished, and requests that were not needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.events import RowFinished
from pipeline.observe.summary import Saved
from pipeline.store.records import Did

if TYPE_CHECKING:
    from pipeline.events import Event


@dataclass(slots=True)
class Tallies:
    """What a run did so far."""

    saved: Saved = field(default_factory=Saved)
    finished: Counter[int] = field(default_factory=Counter)

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        if isinstance(event, RowFinished):
            self.finished[event.job] += 1
            self.saved.shared += event.shared
            self.saved.cached += event.cached
            self.saved.search_confirmed_email += event.verify_saved
            self.saved.search_gave_phone += event.phones_saved

    @property
    def did(self) -> Did:
        """The same, as the state keeps it."""
        saved = self.saved
        return Did(
            finished=self.finished.total(),
            shared=saved.shared,
            answered=saved.cached,
            sure_emails=saved.search_confirmed_email,
            sure_phones=saved.search_gave_phone,
        )
