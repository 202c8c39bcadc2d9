"""The pack: photographs decoded once into a memory-mapped uint8 array (N, S, S, 3).

Training reads only the pack, so that an epoch never waits for a decoder nor meets a damaged file.
"""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm import tqdm

from faststyle.errors import DAMAGED, DataError, ImageError, describe, printable
from faststyle.files import replacing, reserve
from faststyle.imaging.images import center_square
from faststyle.imaging.reading import decode_picture
from faststyle.training.sources import Photographs

log = logging.getLogger(__name__)

FORMAT = 1  # of the pack's files; another number rebuilds


@dataclass(frozen=True)
class Pack:
    """pixels: uint8 (N, S, S, 3), memory-mapped, read only. names: N file names. skipped: file name to reason."""

    pixels: NDArray[np.uint8]
    names: list[str]
    skipped: dict[str, str]


def load_pack(photographs: Photographs, size: int, cache_dir: str | Path) -> Pack:
    """The pack of ``photographs`` at ``size`` pixels, built under ``cache_dir`` unless it is there and still fits.

    Of several processes that want the same pack, ranks of one training or not, one builds it while the others wait.
    Raises ``DataError`` if none of the photographs can be read, or if nothing can be written there.
    """
    folder = Path(cache_dir) / f"{photographs.name}-{size}px-{photographs.fingerprint}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            index = _read_index(folder, size) or _build(photographs, size, folder)
    except OSError as error:
        raise DataError(f"cannot write the pack {folder}: {error.strerror or error}") from error
    names = index["names"]
    pixels = np.memmap(folder / "pixels.u8", dtype=np.uint8, mode="r", shape=(len(names), size, size, 3))
    return Pack(pixels, names, index["skipped"])


def _read_index(folder: Path, size: int) -> dict[str, Any] | None:
    """Reads the index; None if there is no whole pack of this format."""
    path, pixels = folder / "index.json", folder / "pixels.u8"
    if not path.is_file():
        return None
    try:
        index: dict[str, Any] = json.loads(path.read_bytes())
        whole = len(index["names"]) * size * size * 3 == pixels.stat().st_size > 0
        if whole and all(isinstance(name, str) for name in (*index["names"], *index["skipped"].values())):
            return index if index["format"] == FORMAT else None
    except (OSError, *DAMAGED):
        pass
    log.warning("the pack %s is damaged and built anew", folder)
    return None


def _build(photographs: Photographs, size: int, folder: Path) -> dict[str, Any]:
    """Pixels first, index last: a pack with an index is whole."""
    count = len(photographs.names)
    with replacing(folder / "pixels.u8") as path:
        errors = _decode(photographs, size, path)
        kept = [row for row in range(count) if errors[row] is None]
        if not kept:
            raise DataError(f"data.root: none of the {count} pictures in {photographs.name} can be read ({errors[0]})")
        _keep_rows(path, kept, (count, size, size, 3))
    skipped = {photographs.names[row]: error for row, error in enumerate(errors) if error is not None}
    if skipped:
        log.warning("%d of %d pictures skipped, listed in %s", len(skipped), count, folder / "index.json")
        for error in list(skipped.values())[:5]:
            log.warning("skipped: %s", error)
    names = [photographs.names[row] for row in kept]
    index = {"format": FORMAT, "source": photographs.name, "size": size, "names": names, "skipped": skipped}
    with replacing(folder / "index.json") as path:
        path.write_text(json.dumps(index, indent=1))
    return index


def _decode(photographs: Photographs, size: int, path: Path) -> list[str | None]:
    """Every picture into its row of a new file, on all cores. Returns each one's error, None where it is well."""
    count = len(photographs.names)
    reserve(path, count * size * size * 3)
    pixels = np.memmap(path, dtype=np.uint8, mode="r+", shape=(count, size, size, 3))

    def decode(row: int) -> str | None:
        name = photographs.names[row]
        try:
            pixels[row] = center_square(decode_picture(photographs.read(name), name=name), size)
        except (ImageError, DataError) as error:
            return str(error)
        except MemoryError as error:
            return f"{name}: {describe(error)}"
        return None

    title = printable(f"packing {photographs.name}")
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
