"""Parquet by pyarrow, an extra: a list's rows as values that JSON can hold, and results in a stable schema."""

from __future__ import annotations

from datetime import date, time
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import ConfigError, InputUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

MAGIC: Final = b"PAR1"
"""The first bytes of every Parquet file."""

TOGETHER: Final = 2_000
"""Rows read or written at a time."""


def is_parquet(head: bytes, suffix: str) -> bool:
    """Whether a file is, or claims to be, Parquet."""
    return head.startswith(MAGIC) or suffix == ".parquet"


def _arrow(path: object) -> Any:  # noqa: ANN401 - the package is untyped
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an extra of 45 MB, and 0.2 s
    except ImportError:
        raise ConfigError(
            f"{path} is Parquet, and pyarrow, which handles it, is not installed.",
            "Install the extra: pip install 'leadcontact-pipeline[parquet]'; or use CSV or JSONL.",
        ) from None
    return pyarrow


# --- in -----------------------------------------------------------------------------------------------


class Table:
    """A Parquet file that can be read row by row. Raises InputUnusable if it cannot."""

    def __init__(self, path: str) -> None:
        arrow = _arrow(path)
        self._path = path
        self._errors = (arrow.ArrowException, OSError)
        try:
            self._file = arrow.parquet.ParquetFile(path)
        except self._errors as error:
            raise self._unusable() from error
        self.headers: list[str] = list(self._file.schema_arrow.names)

    def rows(self) -> Iterator[list[Any]]:
        """Yield the rows that are not blank, cells in the order of the headers."""
        try:
            for batch in self._file.iter_batches(TOGETHER):
                columns = [[_plain(value) for value in column.to_pylist()] for column in batch.columns]
                yield from (list(row) for row in zip(*columns, strict=True) if any(map(_filled, row)))
        except self._errors as error:
            raise self._unusable() from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _unusable(self) -> InputUnusable:
        return InputUnusable(f"{self._path} cannot be read as Parquet.", "Check that the export finished.")


def _filled(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a cell holds
    """What JSON can hold of a value."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)


# --- out ----------------------------------------------------------------------------------------------


def write(file: BinaryIO, schema: Mapping[str, type], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows under a schema: name -> str, int, float or bool. Raises ConfigError without pyarrow."""
    arrow = _arrow("The format of the output")
    kinds = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), bool: arrow.bool_()}
    fields = arrow.schema([(name, kinds[kind]) for name, kind in schema.items()])
    with arrow.parquet.ParquetWriter(file, fields) as writer:
        for some in _batched(rows):
            arrays = [arrow.array([row[n] for row in some], field.type) for n, field in enumerate(fields)]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=fields))


def _batched(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Some rows at a time."""
    rest = iter(rows)
    while some := list(islice(rest, TOGETHER)):
        yield some
