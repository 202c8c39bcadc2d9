"""Parquet files: which column holds the pictures, types, row groups."""

from pathlib import Path
from typing import Any

import pytest

from datasets.test_layouts import BOTH, ONE, copy_of, encoded
from faststyle.datasets.layouts import open_layout
from faststyle.errors import OutputError

pyarrow = pytest.importorskip("pyarrow", reason="needs the extra ray")
parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra ray")


def make_table(path: Path, columns: dict[str, Any], rows: int = 1000) -> Path:
    parquet.write_table(pyarrow.table(columns).replace_schema_metadata({"of": "the set"}), path, row_group_size=rows)
    return path


def copied(path: Path, tmp_path: Path, choice: Any = ONE) -> Any:
    layout, files = open_layout(path, choice)
    copy_of(layout, files, tmp_path / "out")
    return parquet.ParquetFile(tmp_path / "out" / path.name)


@pytest.mark.parametrize("kind", [pyarrow.binary(), pyarrow.large_binary()])
def test_plain_columns_of_bytes(kind: Any, tmp_path: Path) -> None:
    pictures = pyarrow.array([encoded(i) for i in range(5)], kind)
    found = copied(make_table(tmp_path / "a.parquet", {"label": range(5), "jpg": pictures}, 2), tmp_path)
    table = found.read()
    assert found.num_row_groups == 3
    assert table.column("label").to_pylist() == list(range(5))
    assert table.schema.field("jpg").type == kind
    assert table.schema.metadata == {b"of": b"the set"}
    assert [value.as_py().startswith(f"a.parquet/{i} in a".encode()) for i, value in enumerate(table["jpg"])] == [
        True
    ] * 5


def test_a_row_without_a_picture_is_an_error_and_the_others_stay(tmp_path: Path) -> None:
    pictures = [encoded(0), None, encoded(2)]
    path = make_table(tmp_path / "a.parquet", {"label": range(3), "jpg": pyarrow.array(pictures, pyarrow.binary())}, 1)
    layout, _ = open_layout(path, ONE)
    samples = [sample for part in layout.parts("a.parquet") for sample in layout.samples(part)]
    assert [sample.error for sample in samples] == [None, "a.parquet/1 has no picture", None]
    assert copied(path, tmp_path, BOTH).read().column("label").to_pylist() == [0, 0, 2, 2]


def test_suffixes_are_those_of_the_content(tmp_path: Path) -> None:
    kinds = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".png"}
    path = make_table(tmp_path / "a.parquet", {"x": [encoded(0, kind) for kind in kinds]})
    layout, _ = open_layout(path, ONE)
    (part,) = layout.parts("a.parquet")
    assert [sample.suffix for sample in layout.samples(part)] == list(kinds.values())


def test_which_column_must_be_clear(tmp_path: Path) -> None:
    path = make_table(tmp_path / "a.parquet", {"left": [encoded(0)], "right": [encoded(1)], "label": ["x"]})
    for field, words in ((None, "left, right$"), ("label", "left, right$"), ("nope", "left, right$")):
        layout, _ = open_layout(path, ONE, field)
        with pytest.raises(OutputError, match=f"^a.parquet: --field must name the column .* bytes: {words}"):
            list(layout.parts("a.parquet"))
    layout, _ = open_layout(path, ONE, "right")
    (part,) = layout.parts("a.parquet")
    assert [sample.data for sample in layout.samples(part)] == [encoded(1)]


def test_a_table_without_rows_is_copied(tmp_path: Path) -> None:
    path = make_table(tmp_path / "a.parquet", {"jpg": pyarrow.array([], pyarrow.binary())})
    assert copied(path, tmp_path).read().num_rows == 0
