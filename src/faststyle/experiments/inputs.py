"""What a user gives, checked before anything heavy is imported. No torch."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import CheckpointError, FaststyleError, ImageError, OutputError
from faststyle.experiments.launch import is_first
from faststyle.experiments.schema import DecoderConfig, TrainConfig
from faststyle.files import check_output
from faststyle.imaging.images import Picture, resize_shorter_side
from faststyle.imaging.masks import Mask
from faststyle.imaging.reading import read_picture
from faststyle.network_config import NetworkConfig
from faststyle.resources import PAINTINGS
from faststyle.training.sources import Photographs

PICTURE = "stylized.png"  # of an optimisation, in its run folder


@dataclass(frozen=True)
class TrainingInputs:
    """What a training reads and where its weights go. styles: at their sizes, by name. preview: uint8 (H, W, 3)."""

    styles: dict[str, Picture]
    photographs: Photographs
    preview: NDArray[np.uint8] | None
    weights_path: Path


@dataclass(frozen=True)
class DecoderInputs:
    """What the training of a decoder reads and where its weights go."""

    photographs: Photographs
    weights_path: Path


@dataclass(frozen=True)
class DistillationInputs(DecoderInputs):
    """The same of a distillation, and its paintings."""

    paintings: list[Path]


@dataclass(frozen=True)
class StyledRegion:
    """A painting at its size, the part of it that counts, and where it goes at the photograph's size; None: all."""

    style: Picture
    style_mask: Mask | None = None
    mask: Mask | None = None


@dataclass(frozen=True)
class OptimizationInputs:
    """What is painted, and where the picture goes. photograph: at ``image_size``. mask: where any style goes."""

    photograph: Picture
    regions: list[StyledRegion]
    mask: Mask | None
    output: Path


@contextmanager
def hold(run_dir: str) -> Iterator[None]:
    """Keeps other runs out of a run folder, which it makes. Raises ``OutputError`` if one is in it."""
    folder = Path(run_dir)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    if is_first():
        try:
            lock.acquire()
        except Timeout:
            raise OutputError(f"another run is writing in {folder}: wait for it, or set hydra.run.dir") from None
    try:
        yield
    finally:
        if lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)  # while held: whoever opened it finds it gone, and stops
            lock.release()
        if new and not any(folder.iterdir()):  # refused
            folder.rmdir()


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Puts the setting's name before the text of a ``FaststyleError`` inside."""
    try:
        yield
    except FaststyleError as error:
        raise type(error)(f"{key}: {error}") from error


def choose_init(init: str | None, network: NetworkConfig) -> str | None:
    """``init``; for ``auto`` the shipped paintings if ``network`` is like theirs but for its rows, else None."""
    if init != "auto":
        return init
    theirs = read_checkpoint(PAINTINGS).header.network if PAINTINGS.is_file() else None
    alike = theirs and replace(theirs, rows=network.rows, keeps=network.keeps) == network
    return PAINTINGS.stem if alike else None


def choose_output(
    output: str | None, default: Path, suffixes: Collection[str], *, overwrite: bool, sources: Collection[str]
) -> Path:
    """``output``, or ``default``, which lies in the run folder and may be replaced. Raises as ``check_output``."""
    with naming("output"):
        return check_output(output or default, suffixes, overwrite=overwrite or not output, sources=sources)


def check_run_folder(run_dir: str, patterns: Iterable[str], sources: Collection[str]) -> None:
    """Raises ``OutputError`` if a source is among the files in the run folder that the run replaces or removes."""
    with naming("run_dir"):
        for path in (found for pattern in patterns for found in Path(run_dir).glob(pattern)):
            check_output(path, [path.suffix], overwrite=True, sources=sources)


def check_starts(settings: DecoderConfig) -> None:
    """Raises ``CheckpointError`` if ``init`` or ``resume`` is a file that is not there."""
    for key, path in (("init", settings.init), ("resume", settings.resume)):
        if path not in (None, "auto") and not Path(path).is_file():
            raise CheckpointError(f"{key}: no checkpoint {path}")


def check_own(settings: TrainConfig | DecoderConfig, is_own: Callable[[Path], bool]) -> None:
    """Raises ``OutputError`` where a run that goes on would replace an ``output`` that is not its own, unasked."""
    if not settings.output or settings.resume is None or settings.overwrite:
        return
    path = Path(settings.output)
    if path.exists() and not is_own(path):
        raise OutputError(f"output: {path} exists, and is not this run's: set overwrite to replace it")


def load_style(image: str | None, size: int) -> Picture:
    """The style picture, its shorter side at ``size`` pixels. Raises ``ImageError`` that says what to set."""
    if not image:
        raise ImageError("style.image: set style.image=PATH to a painting, or style=NAME")
    try:
        picture = read_picture(image)
    except ImageError as error:
        raise ImageError(f"style.image: {error}; set style.image=PATH to a painting") from error
    return resize_shorter_side(picture, size, name=f"style.image: {image}")
