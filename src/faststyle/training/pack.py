"""The pack: photographs decoded once into a memory-mapped uint8 array (N, S, S, 3).

Training reads only the pack, so that an epoch never waits for a decoder nor meets a damaged file.
"""

import hashlib
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from faststyle.errors import DataError, ImageError
from faststyle.files import replacing
from faststyle.imaging.images import SUFFIXES, decode_picture, find_pictures, square
from faststyle.imaging.sample_photos import read_sample_crop, sample_crop_names

log = logging.getLogger(__name__)

SAMPLES = "samples"  # as data.root: crops of the sample photographs
FORMAT = 1  # of the pack's files; another number rebuilds


@dataclass(frozen=True)
class Source:
    """Photographs in a folder or a zip: their names, how to read one, and a fingerprint of names, sizes and dates."""

    names: list[str]
    read: Callable[[str], bytes]
    fingerprint: str


def open_source(root: Path) -> Source:
    """A folder (nested folders, too), a ``.zip``, read in place, or ``samples``. Raises ``DataError``."""
    if str(root) == SAMPLES:
        names = sample_crop_names()
        return Source(names, read_sample_crop, _digest(names))
    if root.is_dir():
        files = find_pictures(root)
        names = [str(path.relative_to(root)) for path in files]
        stats = [path.stat() for path in files]
        stamps = [f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in zip(names, stats, strict=True)]
        source = Source(names, lambda name: (root / name).read_bytes(), _digest(stamps))
    elif root.suffix.lower() == ".zip" and root.is_file():
        try:
            archive = zipfile.ZipFile(root)
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"data.root: {root} is no whole zip file ({error})") from error
        infos = [i for i in archive.infolist() if Path(i.filename).suffix.lower() in SUFFIXES]
        infos = sorted((i for i in infos if not Path(i.filename).name.startswith(".")), key=lambda i: i.filename)
        stamps = [f"{i.filename} {i.file_size} {i.CRC}" for i in infos]
        source = Source([i.filename for i in infos], archive.read, _digest(stamps))
    else:
        raise DataError(f"data.root: no folder or zip file {root}; set data.root=PATH to your photographs")
    if not source.names:
        raise DataError(f"data.root: no pictures in {root} (looked for {', '.join(sorted(SUFFIXES))})")
    return source


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Pack:
    """pixels: uint8 (N, S, S, 3), memory-mapped, read only. names: N file names. skipped: file name to reason."""

    pixels: NDArray[np.uint8]
    names: list[str]
    skipped: dict[str, str]


def load_pack(root: str | Path, size: int, cache_dir: str | Path) -> Pack:
    """The pack of ``root`` at ``size`` pixels, built under ``cache_dir`` unless it is there and still fits its source.

    Raises ``DataError`` if the source is missing or empty, or if no picture in it can be read.
    """
    root = Path(root) if root == SAMPLES else Path(root).resolve()
    source = open_source(root)
    folder = Path(cache_dir) / f"{root.stem}-{size}px-{source.fingerprint}"
    if not (folder / "index.json").is_file():
        _build(root, source, size, folder)
    index = json.loads((folder / "index.json").read_text())
    if index["format"] != FORMAT:
        _build(root, source, size, folder)
        index = json.loads((folder / "index.json").read_text())
    names = index["names"]
    pixels = np.memmap(folder / "pixels.u8", dtype=np.uint8, mode="r", shape=(len(names), size, size, 3))
    return Pack(pixels, names, index["skipped"])


def _build(root: Path, source: Source, size: int, folder: Path) -> None:
    """Pixels first, index last: a pack with an index is whole."""
    count = len(source.names)
    with replacing(folder / "pixels.u8") as path:
        errors = _decode(source, size, path, f"packing {root.name}")
        kept = [row for row in range(count) if errors[row] is None]
        if not kept:
            raise DataError(f"data.root: none of the {count} pictures in {root} can be read ({errors[0]})")
        _keep_rows(path, kept, (count, size, size, 3))
    skipped = {source.names[row]: error for row, error in enumerate(errors) if error is not None}
    if skipped:
        log.warning("%d of %d pictures skipped, listed in %s", len(skipped), count, folder / "index.json")
        for error in list(skipped.values())[:5]:
            log.warning("skipped: %s", error)
    names = [source.names[row] for row in kept]
    index = {"format": FORMAT, "source": str(root), "size": size, "names": names, "skipped": skipped}
    with replacing(folder / "index.json") as path:
        path.write_text(json.dumps(index, indent=1))


def _decode(source: Source, size: int, path: Path, title: str) -> list[str | None]:
    """Every picture into its row of a new file, on all cores. Returns each one's error, None where it is well."""
    count = len(source.names)
    pixels = np.memmap(path, dtype=np.uint8, mode="w+", shape=(count, size, size, 3))

    def decode(row: int) -> str | None:
        name = source.names[row]
        try:
            pixels[row] = square(decode_picture(source.read(name), name=name), size)
        except (ImageError, OSError, zipfile.BadZipFile, zlib.error) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes outside the interpreter's lock
        return list(tqdm(pool.map(decode, range(count)), total=count, desc=title, unit="picture"))


def _keep_rows(path: Path, rows: list[int], shape: tuple[int, int, int, int]) -> None:
    """Moves ``rows`` to the front and cuts the file after them."""
    pixels = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
    for new, old in enumerate(rows):
        if new != old:
            pixels[new] = pixels[old]
    pixels.flush()
    os.truncate(path, len(rows) * pixels[0].nbytes)
