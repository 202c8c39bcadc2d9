"""Data sets in Parquet files, each row a picture's bytes and what belongs to it, as Hugging Face has them."""

from __future__ import annotations  # the types name pyarrow, which is loaded only for these

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.datasets.layout import SOME, Layout, Painted, Part, Sample, Span
from faststyle.errors import DataError, OutputError
from faststyle.files import replacing

if TYPE_CHECKING:
    import pyarrow

BYTES = "bytes"  # of a picture that is a struct, {bytes, path}
# by what a picture's file begins with; others go out as PNG
BEGINNINGS = {b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"}
ALL = 2**62  # rows of a row group: a piece is one


class ParquetLayout(Layout):
    """The other columns are kept. ``field`` is the column of the pictures. A part is a row group."""

    word = ".parquet files"
    suffixes = frozenset({".parquet"})

    def spans(self, file: str) -> Iterator[tuple[int, Span]]:
        with self._open(file) as table:
            self._column(table.schema_arrow, file)
            first = 0
            for group in range(table.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                if rows:
                    yield rows, (group, first)
                first += rows

    @contextmanager
    def _open(self, file: str) -> Iterator[Any]:
        import pyarrow.parquet

        try:
            with pyarrow.parquet.ParquetFile(self.root / file) as table:
                yield table
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{file} is no whole Parquet file ({str(error).strip().splitlines()[0]})") from error

    def _column(self, schema: pyarrow.Schema, file: str) -> str:
        """The pictures'. Raises ``OutputError``, since it is no matter of one file, if it is not clear which it is."""
        found: list[str] = [column.name for column in schema if _holds_bytes(column.type)]
        wanted = [name for name in found if self.field in (None, name)]
        if len(wanted) != 1:
            columns = ", ".join(found) or "none"
            raise OutputError(f"{file}: --field must name the column of the pictures; those with bytes: {columns}")
        return wanted[0]

    def read(self, file: str, span: Span) -> Iterator[Sample]:
        group, number = span
        with self._open(file) as table:
            column = self._column(table.schema_arrow, file)
            for batch in table.iter_batches(SOME, row_groups=[group]):
                for row in (batch.slice(at, 1) for at in range(len(batch))):
                    yield _sample(f"{file}/{number}", row, column)
                    number += 1

    def target(self, file: str, painted: Painted) -> str:
        return file

    def write(self, part: Part, painted: Iterable[Painted], output: Path, piece: Path) -> None:
        rows = (_repainted(each) for each in painted if each.data is not None)
        with replacing(piece) as temporary:
            _write(rows, temporary)

    def join(self, file: str, pieces: Sequence[Path], target: Path) -> None:
        import pyarrow.parquet

        pieces = [piece for piece in pieces if piece.stat().st_size]
        with self._open(file) as table:
            schema = table.schema_arrow
        with replacing(target) as temporary, _writer(temporary, schema) as writer:
            for piece in pieces:
                writer.write_table(pyarrow.parquet.read_table(piece), row_group_size=ALL)


def _holds_bytes(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        at = kind.get_field_index(BYTES)
        return at >= 0 and _holds_bytes(kind.field(at).type)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _sample(name: str, row: pyarrow.RecordBatch, column: str) -> Sample:
    value = row.column(column)[0].as_py()
    data = value.get(BYTES) if isinstance(value, dict) else value
    if data is None:
        return Sample(name, None, error=f"{name} has no picture", rest=(row, column))
    suffix = next((suffix for start, suffix in BEGINNINGS.items() if data.startswith(start)), ".png")
    return Sample(name, data, suffix, rest=(row, column))


def _repainted(painted: Painted) -> pyarrow.RecordBatch:
    """The row with another picture."""
    import pyarrow

    row, column = painted.sample.rest
    at = row.schema.get_field_index(column)
    value = row.column(at)[0].as_py()
    value = value | {BYTES: painted.data} if isinstance(value, dict) else painted.data
    field = row.schema.field(at)
    return row.set_column(at, field, pyarrow.array([value], field.type))


def _write(rows: Iterator[pyarrow.RecordBatch], path: Path) -> None:
    """As one row group; an empty file where there are none."""
    first = next(rows, None)
    if first is None:
        path.touch()
        return
    with _writer(path, first.schema) as writer:
        for row in chain([first], rows):
            writer.write_batch(row, row_group_size=ALL)


def _writer(path: Path, schema: pyarrow.Schema) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetWriter(path, schema)
