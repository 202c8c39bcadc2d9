"""The table of layouts, and which one a data set has. A new one is a ``Layout`` and a row in ``LAYOUTS``."""

from pathlib import Path

from faststyle.datasets.choice import Choice
from faststyle.datasets.files import FolderLayout, ZipLayout
from faststyle.datasets.layout import Layout
from faststyle.datasets.shards import TarLayout
from faststyle.datasets.tables import ParquetLayout
from faststyle.errors import DataError, OutputError
from faststyle.imaging.images import find_pictures

LAYOUTS: dict[str, type[Layout]] = {
    "folder": FolderLayout,
    "zip": ZipLayout,
    "tar": TarLayout,
    "parquet": ParquetLayout,
}


def open_layout(
    source: Path, choice: Choice, field: str | None = None, output: Path | None = None
) -> tuple[Layout, list[str]]:
    """A data set's layout, and its files, relative to the layout's root; of a folder of pictures one, ``""``.

    source: a folder, searched recursively, or one file. Raises ``DataError`` if there is nothing, or several kinds,
    ``OutputError`` if the copy, ``output``, would be found there, too.
    """
    words = ", ".join(layout.word for layout in LAYOUTS.values())
    source = source.absolute()
    if source.is_dir():
        if output is not None and source.resolve() in (output.resolve(), *output.resolve().parents):
            raise OutputError(f"{output} is in the data set: choose another")
        root, paths = source, find_pictures(source, {suffix for each in LAYOUTS.values() for suffix in each.suffixes})
    elif source.is_file():
        root, paths = source.parent, [source]
    else:
        raise DataError(f"no data set {source}: expected a folder, or one of: {words}")
    found = {kind: [path for path in paths if path.suffix.lower() in each.suffixes] for kind, each in LAYOUTS.items()}
    found = {kind: paths for kind, paths in found.items() if paths}
    if source.is_file() and not found.keys() - {"folder"}:
        raise DataError(f"{source} is no data set: expected a folder, or one of: {words}")
    if not found:
        raise DataError(f"nothing in {source}: expected {words}")
    if len(found) > 1:
        examples = " and ".join(f"{LAYOUTS[kind].word} ({paths[0].name})" for kind, paths in found.items())
        raise DataError(f"{source} holds {examples}: give a folder with one kind")
    ((kind, paths),) = found.items()
    layout = LAYOUTS[kind](root, choice, field)
    return layout, [path.relative_to(root).as_posix() for path in paths] if layout.joins else [""]
