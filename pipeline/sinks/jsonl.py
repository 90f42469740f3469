"""OUT.jsonl: a projection of the state that at any moment holds exactly one line per finished row.

The state knows how long the file is and how its last bytes hash. What lies beyond that length was written but
never accounted for: an unterminated last line is cut, anything else is copied aside before it is cut. A file
the state does not know is never touched.
"""

from __future__ import annotations

import glob
import os
import shutil
import stat
import sys
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from pipeline.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TAIL: Final = 4096
"""Bytes at the end of the output that its checksum covers: reading all of it would cost what the list costs."""


class Mark(Protocol):
    """How much of an output is accounted for."""

    @property
    def length(self) -> int:
        """Bytes."""
        ...

    @property
    def tail(self) -> bytes:
        """Checksum of the last TAIL of them."""
        ...


class Output(Protocol):
    """Something that takes finished lines."""

    def append(self, lines: Iterable[bytes]) -> tuple[int, bytes]:
        """Write lines so that they survive a power cut; return the new length and checksum."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class StdoutOutput:
    """`-o -`: lines go to standard output, which nobody can check afterwards."""

    def __init__(self, length: int = 0, stream: BinaryIO | None = None) -> None:
        self._length = length
        self._stream = stream or sys.stdout.buffer

    def append(self, lines: Iterable[bytes]) -> tuple[int, bytes]:
        """Write lines through to the reader. Raises BrokenPipeError if they do not all get there."""
        block = b"".join(lines)
        try:
            self._stream.write(block)
            self._stream.flush()
        except OSError as error:
            raise BrokenPipeError(error.errno, error.strerror) from error
        self._length += len(block)
        return self._length, b""

    def close(self) -> None:
        """Nothing to let go of."""


class JsonlOutput:
    """The output file of one job."""

    def __init__(self, path: Path, state: Path) -> None:
        self.path = path
        self._state = state
        self._file: BinaryIO | None = None
        self._length = 0
        self._end = b""
        self.repairs: list[str] = []
        """What was not as the state left it, and what became of it, in sentences."""

    def open(self, known: Mark, replacing: Mark | None) -> bool:
        """Make the file fit the state; return whether it must be written again from the state.

        Raises StateError if the file is not the one the state knows, or cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_no_file()
            rebuild = self._fit(known, replacing)
            if not rebuild:
                self._reopen()
        except OSError as error:
            raise self._unwritable(error) from error
        return rebuild

    def refuse_foreign(self) -> None:
        """Raise StateError if there is more than an empty file, for a job that has written nothing yet."""
        try:
            self._refuse_no_file()
            if self.path.is_dir() or (self.path.exists() and self.path.stat().st_size > 0):
                raise self._not_ours()
        except OSError as error:
            raise self._unwritable(error) from error

    def refuse_unwritable(self) -> None:
        """Raise StateError if no file could be written there, before anything is noted for it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _private(self._beside).close()
            self._beside.unlink()
            if self.path.exists():
                self.path.open("ab").close()
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, lines: Iterable[bytes]) -> tuple[int, bytes]:
        """Add lines and sync them to disk."""
        assert self._file is not None, "opened before it is appended to"  # noqa: S101 - our own slip
        block = b"".join(lines)
        try:
            _write(self._file, block)
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._length)
            raise self._unwritable(error) from error
        self._length += len(block)
        self._end = (self._end + block[-TAIL:])[-TAIL:]
        return self._length, _checksum(self._end)

    def lines(self) -> Iterator[bytes]:
        """The whole lines that stand in the file, if there is one."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))

    def write_beside(self, lines: Iterable[bytes]) -> tuple[int, bytes]:
        """Write a whole new version next to the file, synced; return its length and checksum."""
        length, end = 0, b""
        try:
            with _private(self._beside) as file:
                for line in lines:
                    file.write(line)
                    length += len(line)
                    end = (end + line)[-TAIL:]
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error
        return length, _checksum(end)

    def swap(self) -> None:
        """Put the new version in place, atomically, and go on from its end."""
        self.close()
        try:
            self._beside.replace(self.path)
            _sync_folder(self.path.parent)
            self._reopen()
        except OSError as error:
            raise self._unwritable(error) from error

    def change_leftovers(self, change: Callable[[bytes], bytes]) -> Iterator[str]:
        """Change lines of the copies that were kept aside, each copy atomically; names those that changed.

        A version that a crash left unfinished is nobody's and goes.
        """
        try:
            self._beside.unlink(missing_ok=True)
            for copy in sorted(self.path.parent.glob(glob.escape(self.path.name) + ".torn-*")):
                with copy.open("rb") as file:
                    if all(change(line) == line for line in file):
                        continue
                    file.seek(0)
                    with _private(self._beside) as target:
                        target.writelines(map(change, file))
                        target.flush()
                        os.fsync(target.fileno())
                self._beside.replace(copy)
                _sync_folder(self.path.parent)
                yield str(copy)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- fitting the file to the state ---

    def _fit(self, known: Mark, replacing: Mark | None) -> bool:
        if not self.path.exists():
            if known.length:
                self.repairs.append(f"{self.path} was missing; it was written again from the state.")
            return True
        size = self.path.stat().st_size
        for mark in filter(None, (known, replacing)):
            if size >= mark.length and self._matches(mark):
                self._cut(mark.length, size)
                return False
        if size == 0 or (size < known.length and not self._foreign()):
            kept = f"; what stood in it was kept in {copy.name}" if (copy := self._keep_copy(0)) else ""
            if known.length:
                self.repairs.append(f"{self.path} was cut short; it was written again from the state{kept}.")
            return True
        raise self._not_ours()

    def _refuse_no_file(self) -> None:
        """A device or a pipe cannot be read again, and so not be continued."""
        if self.path.is_dir():
            raise self._not_ours()
        if self.path.exists() and not self.path.is_file():
            raise StateError(f"The output {self.path} is no ordinary file.", "Name a file with -o, or - for stdout.")

    def _not_ours(self) -> StateError:
        if self.path.is_dir():
            return StateError(f"The output {self.path} is a folder.", "Name a file with -o.")
        return StateError(
            f"The output {self.path} exists and the state {self._state} did not write it, so it is left alone.",
            "Move it away, name another output with -o, or name what made it with --job or --state.",
        )

    def _matches(self, mark: Mark) -> bool:
        if mark.length == 0:
            return self.path.stat().st_size == 0 or not self._foreign()
        with self.path.open("rb") as file:
            file.seek(max(0, mark.length - TAIL))
            return _checksum(file.read(min(TAIL, mark.length))) == mark.tail

    def _foreign(self) -> bool:
        """A file of which nothing is accounted for is ours only if it can be: one crash before the first commit."""
        with self.path.open("rb") as file:
            return not OURS.startswith(file.read(len(OURS)))

    def _cut(self, length: int, size: int) -> None:
        """Remove what lies beyond the committed length; keep a copy if it is more than a torn line."""
        if size == length:
            return
        with self.path.open("rb") as file:
            file.seek(length)
            beyond = file.read(1 << 20)
        if b"\n" in beyond or len(beyond) < size - length:
            copy = self._keep_copy(length)
            kept = f"kept in {copy.name}" if copy else "dropped"
            self.repairs.append(f"Lines of {self.path} that the state does not know were cut and {kept}.")
        else:
            self.repairs.append(f"The last line of {self.path} was not whole and was cut.")
        os.truncate(self.path, length)

    def _keep_copy(self, start: int) -> Path | None:
        if self.path.stat().st_size == start:
            return None
        n = 1
        while (copy := self.path.with_name(f"{self.path.name}.torn-{n}")).exists():
            n += 1
        with self.path.open("rb") as file, _private(copy) as target:
            file.seek(start)
            shutil.copyfileobj(file, target)
            target.flush()
            os.fsync(target.fileno())
        return copy

    def _reopen(self) -> None:
        self._file = _private(self.path, os.O_APPEND, buffering=0)
        self._length = os.fstat(self._file.fileno()).st_size
        with self.path.open("rb") as file:
            file.seek(max(0, self._length - TAIL))
            self._end = file.read(TAIL)

    @property
    def _beside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")

    def _unwritable(self, error: OSError) -> StateError:
        reason = error.strerror or error
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "its folder is a file"
        return StateError(
            f"The output {self.path} cannot be written ({reason}).",
            "Check its folder's permissions and free space, or name another output with -o.",
        )


OURS: Final = b'{"schema_version":'


def _checksum(end: bytes) -> bytes:
    return blake2b(end, digest_size=16).digest()


def _private(path: Path, flags: int = os.O_TRUNC, buffering: int = -1) -> BinaryIO:
    """Open a file that only its owner can read: results are personal data."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:  # it may have stood there before, open to all
        os.fchmod(fd, 0o600)
    return os.fdopen(fd, "ab" if flags == os.O_APPEND else "wb", buffering)


def _write(file: BinaryIO, block: bytes) -> None:
    """Write all of it, past any buffer: what a full disk did not take must not come later, when the file closes."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
