"""From clip to clip: reading, painting and writing at the same time."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from faststyle.errors import OutputError
from faststyle.files import replacing
from faststyle.imaging.images import Picture, resize_shorter_side
from faststyle.video.clips import Clip, Frame
from faststyle.video.writing import open_writer

T = TypeVar("T")
AHEAD = 3  # frames that wait between reading, painting and writing
SECOND = 1.0  # that a thread waits before it looks whether it is still wanted


class Frames(Protocol):
    """What paints frames in their order: uint8 (H, W, 3) to the same."""

    def stylize(self, photograph: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The next frame, painted."""


@dataclass(frozen=True)
class Written:
    """What became of a clip. ms: of painting one frame, the mean. damage: of the source, None if it was whole."""

    frames: int
    seconds: float
    ms: float
    damage: str | None

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds


def paint_clip(
    stylizer: Frames,
    clip: Clip,
    output: Path,
    *,
    size: int | None = None,
    newest: bool = False,
    stopping: Callable[[], object] = lambda: False,
) -> Written:
    """Paints a clip under a progress bar. size: of the shorter side, None as it is. newest: leaves out frames for which
    there is no time, as of a camera. stopping: once it is true, the clip ends with the frame that is due.

    Raises ``ImageError`` if no frame can be read, ``OutputError`` if the clip cannot be written; then there is none.
    """
    painting = 0.0

    def paint(frame: Frame) -> Frame:
        nonlocal painting
        rgb = frame.rgb if size is None else resize_shorter_side(Picture(frame.rgb), size, name=clip.name).rgb
        start = perf_counter()
        rgb = stylizer.stylize(rgb)
        painting += perf_counter() - start
        return replace(frame, rgb=rgb)

    started, count, whole = perf_counter(), 0, True
    try:
        with replacing(output) as path, tqdm(total=clip.frames, desc="painting", unit="frame") as bar:
            writer = open_writer(path, output.suffix.lower(), clip)
            with closing(ahead(clip, newest=newest)) as read, closing(ahead(map(paint, read))) as painted:
                for frame in painted:
                    writer.write(frame)
                    count += 1
                    bar.update()
                    if stopping():
                        whole = False
                        break
            writer.close(whole=whole)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    return Written(count, perf_counter() - started, 1e3 * painting / max(1, count), clip.damage if whole else None)


def ahead(items: Iterable[T], *, newest: bool = False) -> Generator[T, None, None]:
    """The items, made in a thread of their own some time before they are asked for, which ends when this is closed.

    newest: items for which there is no time are left out. Raises what making them raises.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(1 if newest else AHEAD)
    unwanted = threading.Event()

    def put(item: T | None, error: BaseException | None = None) -> None:
        while not unwanted.is_set():
            try:
                return waiting.put((item, error), timeout=SECOND)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in items:
                if unwanted.is_set():
                    return
                if not (newest and waiting.full()):
                    put(item)
            put(None, StopIteration())
        except BaseException as error:  # for whoever asks
            put(None, error)

    thread = threading.Thread(target=make, daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        unwanted.set()
        thread.join()
