"""Who is at work: lock files held by `flock`, which the kernel drops the moment their process dies."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from pipeline.errors import StateError

if TYPE_CHECKING:
    from pathlib import Path


TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, as it wrote itself down."""

    pid: str
    since: str


class Lock:
    """An exclusive lock on a file, held until released or until the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody holds it; say whether it is ours now.

        Somebody who only looks (`held_elsewhere`) is in the way for a moment: hence more than one try.
        """
        return any(self._try(n) for n in range(TRIES))

    def _try(self, n: int) -> bool:
        time.sleep(0.01 * n)
        fd = None
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}".encode())
        except OSError as error:
            if fd is not None:
                os.close(fd)
            if isinstance(error, BlockingIOError):
                return False
            raise StateError(
                f"The lock {self.path.name} beside the state file cannot be written ({error.strerror}).",
                "Make room on its disk, check the folder's permissions, or choose another place with --state.",
            ) from error
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def held_elsewhere(self) -> bool:
        """Whether somebody else holds it now; leaves no trace."""
        if not self.path.exists():
            return False
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)

    def holder(self) -> Holder:
        """Who holds the lock, for a message."""
        try:
            pid, _, since = self.path.read_text("utf-8").partition(" ")
        except OSError:
            pid, since = "", ""
        return Holder(pid or "?", since or "?")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Locks:
    """The lock files beside one state file: one for each run, one for each job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def job(self, job: int) -> Lock:
        """The lock that lets one run at a time work on a job."""
        return Lock(self.folder / f"job-{job}")

    def run(self, owner: str) -> Lock:
        """The lock that shows a run is alive."""
        return Lock(self.folder / f"run-{owner}")

    def alive(self, owner: str) -> bool:
        """Whether the run of that name still holds its lock; forgets the lock file of a dead one."""
        lock = self.run(owner)
        if lock.held_elsewhere():
            return True
        lock.path.unlink(missing_ok=True)
        return False
