"""How the bytes of an input become lines of text, and what to say where they cannot."""

from __future__ import annotations

import codecs
import io
import re
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

from pipeline.errors import ConfigError, InputUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = 1 << 16
"""Bytes looked at before anything is read, to tell what they are."""

_PIECE: Final = 1 << 14
"""Bytes decoded at a time: a pipe's last rows are not seen before so many came, or its end."""

LONGEST: Final = 1 << 24
"""The longest line and the longest cell, in characters: more is a damaged file, and would fill the memory."""

UTF8: Final = ("utf-8", "utf-8-sig")

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; UTF-32's begins with UTF-16's."""

_AS_CSV: Final = "Save it as CSV UTF-8 and give that file."
_UNPACKED: Final = "Unpack it and give the file inside, or pipe it in: gunzip -c FILE | leadcontact … -"
_CONVERTED: Final = "Convert it to CSV or JSONL and give that file."

_BINARY: Final = (
    (b"PK\x03\x04", "an Excel workbook or a zip file", _AS_CSV),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", _AS_CSV),
    (b"\x1f\x8b", "a gzip file", _UNPACKED),
    (b"BZh", "a bzip2 file", _UNPACKED),
    (b"\xfd7zXZ", "an xz file", _UNPACKED),
    (b"\x28\xb5\x2f\xfd", "a zstd file", _UNPACKED),
    (b"PAR1", "a Parquet file", _CONVERTED),
    (b"SQLite format 3\0", "an SQLite database", _CONVERTED),
    (b"%PDF", "a PDF", _AS_CSV),
)
_BY_SUFFIX: Final = {
    ".xlsx": _BINARY[0],
    ".xlsm": _BINARY[0],
    ".zip": _BINARY[0],
    ".gz": _BINARY[2],
    ".parquet": _BINARY[6],
}
_QUOTE_FIX: Final = 'Close it, or write a quote that belongs to a quoted cell twice ("").'
_WEB_PAGE: Final = re.compile(rb"\s*<(?:!doctype|html|head|body|table|meta|\?xml)\b", re.IGNORECASE)

_LABELS: Final = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8 with BOM", "utf-16": "UTF-16", "utf-32": "UTF-32"}


def label(encoding: str) -> str:
    """Name an encoding as people do."""
    return _LABELS.get(encoding, encoding)


class Stream(io.BufferedIOBase):
    """The bytes of one input, a file or a pipe: read once, in order, with its head known beforehand.

    `count` is the number of bytes handed out. What was lent (stdin) stays open when the stream is closed.
    """

    def __init__(self, name: str, raw: BinaryIO, *, lent: bool = False) -> None:
        self.name = name
        self.count = 0
        self._raw = raw
        self._lent = lent
        self.head = b""
        while len(self.head) < HEAD and (piece := self._pull(HEAD - len(self.head))):
            self.head += piece
        self._unread = self.head

    def readable(self) -> bool:
        """Answer as files do."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, up to `size`; none at the end."""
        size = io.DEFAULT_BUFFER_SIZE if size is None or size < 0 else size
        piece, self._unread = self._unread[:size], self._unread[size:]
        piece = piece or self._pull(size)
        self.count += len(piece)
        return piece

    read1 = read

    def close(self) -> None:
        """Let go of the file, if it is ours."""
        if not self._lent and hasattr(self, "_raw"):
            self._raw.close()
        super().close()

    def _pull(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except OSError as error:
            raise InputUnusable(f"{self.name} cannot be read: {error.strerror}.") from error


def check_is_text(stream: Stream, suffix: str) -> None:
    """Refuse what is no text at all: workbooks, archives, web pages, nothing."""
    head = stream.head
    if not head.strip(codecs.BOM_UTF8 + b" \t\r\n"):
        raise InputUnusable(f"{stream.name} is empty.", "Check that the export finished.")
    known = next((kind for kind in _BINARY if head.startswith(kind[0])), _BY_SUFFIX.get(suffix))
    if known:
        raise InputUnusable(f"{stream.name} looks like {known[1]}, not like text.", known[2])
    if _WEB_PAGE.match(head):
        raise InputUnusable(f"{stream.name} looks like a web page, not like a list.", _AS_CSV)


def encoding_of(stream: Stream, told: str | None) -> str:
    """Return the codec to read with: the user's word, else the byte order mark, else UTF-8."""
    marked = next((codec for mark, codec in _MARKS if stream.head.startswith(mark)), None)
    codec = _checked(told) if told else marked or "utf-8"
    if marked and not codec.startswith(marked[:5]):
        what = f"{stream.name} begins with the mark of {label(marked[:6].rstrip('-'))}, --encoding says {told}."
        raise InputUnusable(what, "Leave --encoding out.")
    if b"\0" in stream.head and not codec.startswith(("utf-16", "utf-32")):
        raise _not_text(stream)
    return marked or codec


def doubt(stream: Stream, encoding: str) -> str:
    """Warn of an encoding the user named for text that is UTF-8: "Müller" would be asked for as "MÃ¼ller"."""
    if encoding.startswith("utf") or stream.head.isascii():
        return ""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(stream.head)
    except UnicodeDecodeError:
        return ""
    return " as --encoding says, but it reads as UTF-8"


def _checked(told: str) -> str:
    try:
        b"a".decode(told, "replace")
        return codecs.lookup(told).name
    except (LookupError, UnicodeError, ValueError) as error:
        raise ConfigError(
            f"--encoding {told!r} is no encoding Python knows.", "Examples: utf-8, cp1252, latin-1, utf-16."
        ) from error


def _not_text(stream: Stream) -> InputUnusable:
    pairs = len(stream.head) // 2 or 1
    for codec, start in (("utf-16-le", 1), ("utf-16-be", 0)):
        if stream.head[start::2].count(0) > pairs * 0.4 and _reads_as(stream.head, codec):
            what = f"{stream.name} looks like UTF-16 without the mark that says so."
            return InputUnusable(what, f"Say so with --encoding {codec}.")
    return InputUnusable(f"{stream.name} looks like a binary file: it holds zero bytes.", _AS_CSV)


def _reads_as(head: bytes, codec: str) -> bool:
    """Whether bytes are text in an encoding: numbers in a binary file have zeros too, but decode to controls."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def lines(stream: Stream, encoding: str) -> Iterator[str]:
    """Yield the lines of a CSV file with their ends; what is not text is told by byte, offset and line.

    The text is decoded and parted a block at a time: a call for every line would cost as much as parsing it.
    """
    number, text = 0, ""
    try:
        decode = codecs.getincrementaldecoder(encoding)().decode
        while piece := stream.read(_PIECE):
            text += decode(piece)
            end = max(text.rfind("\n"), text.rfind("\r", 0, -1)) + 1  # a last \r may be half of \r\n
            block = _checked_lines(text[:end], stream, number)
            yield from block
            number, text = number + len(block), text[end:]
            if len(text) >= LONGEST:
                raise _too_long(stream, number + 1)
        yield from _checked_lines(text + decode(b"", final=True), stream, number)
    except UnicodeError as error:
        raise _undecodable(error, stream, encoding, number) from None


def _checked_lines(text: str, stream: Stream, before: int) -> list[str]:
    """Part text into lines; refuse it for what no line of a list holds."""
    parted = io.StringIO(text, newline="").readlines()
    if "\0" in text:
        number = next(n for n, line in enumerate(parted, before + 1) if "\0" in line)
        what = f"{stream.name}: line {number} holds a zero byte: the file is damaged or binary."
        raise InputUnusable(what, _AS_CSV)
    if len(text) >= LONGEST and len(longest := max(parted, key=len)) >= LONGEST:
        raise _too_long(stream, before + 1 + parted.index(longest))
    return parted


def _too_long(stream: Stream, line: int) -> InputUnusable:
    return InputUnusable(f"{stream.name}: line {line} is longer than 16 million characters.")


def misquoted(why: str, name: str, begins: int, ends: int) -> InputUnusable:
    """Say which quote of a CSV file is wrong, by what the reader said and the lines of the row it was in."""
    if "expected after" in why:
        row = "" if begins == ends else f" (the row begins at line {begins})"
        return InputUnusable(f"{name}: line {ends} has text after a closing quote{row}.", _QUOTE_FIX)
    if begins == ends:
        return InputUnusable(f"{name}: a quote that opens in line {begins} is never closed.", _QUOTE_FIX)
    what = f"{name}: a quote that opens in the row at line {begins} is not closed by line {ends}."
    return InputUnusable(what, _QUOTE_FIX)


def json_lines(stream: Stream, encoding: str) -> Iterator[str]:
    r"""Yield the lines of a JSONL file; bytes that are not UTF-8 stay as surrogates, for their line alone to fail.

    A line of LONGEST characters without its end stands for a longer one, whose rest is passed over.
    """
    done = 0
    errors = "surrogateescape" if encoding in UTF8 else "strict"
    text = io.TextIOWrapper(stream, encoding, errors, newline="\n")
    read = partial(text.readline, LONGEST)
    try:
        for line in iter(read, ""):
            yield line
            done += 1
            rest = line
            while len(rest) == LONGEST and not rest.endswith("\n"):
                rest = read()
    except UnicodeError as error:
        raise _undecodable(error, stream, encoding, done) from None


def _undecodable(error: UnicodeError, stream: Stream, encoding: str, lines_read: int) -> InputUnusable:
    """Say where: the text reader has used up all earlier bytes when it fails on the latest piece."""
    if not isinstance(error, UnicodeDecodeError) or "BOM" in error.reason:  # how Python says it differs by version
        what = f"{stream.name} has no mark that says which {label(encoding)} it is."
        return InputUnusable(what, f"Say --encoding {encoding}-le or --encoding {encoding}-be.")
    offset = stream.count - len(error.object) + error.start
    line = lines_read + 1 + error.object[: error.start].count(b"\n")
    byte = error.object[error.start]
    what = f"{stream.name}: byte 0x{byte:02X} at offset {offset}, line {line}, is not {label(encoding)}."
    if encoding in UTF8:
        return InputUnusable(what, "Say what it is with --encoding, e.g. --encoding cp1252.")
    return InputUnusable(what, "Leave --encoding out if it is UTF-8, else say what it is.")
