"""Clips to write: containers by PyAV, animations (GIF, WebP) by Pillow."""

from __future__ import annotations  # the types name av, which is loaded only for clips

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faststyle.errors import OutputError
from faststyle.video import ANIMATIONS
from faststyle.video.clips import FULL_RANGE, MATRICES, Clip, Container, Frame

H264 = ("libx264", {"crf": "18", "preset": "veryfast"})
# by suffix: FFmpeg's name of the container, its video codec, and that one's options
FORMATS: dict[str, tuple[str, str, dict[str, str]]] = {
    ".mp4": ("mp4", *H264),
    ".mov": ("mov", *H264),
    ".mkv": ("matroska", *H264),
    ".webm": ("webm", "libvpx-vp9", {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),
    ".avi": ("avi", "mpeg4", {"qmin": "2", "qmax": "4"}),
}


class ClipWriter(ABC):
    """A clip being written: frames of one size, then ``close``. All raise ``OutputError``."""

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Adds a frame."""

    @abstractmethod
    def close(self, *, whole: bool = True) -> None:
        """Makes the file playable. Sound goes to its own end, or else to that of the last frame."""


def open_writer(path: Path, suffix: str, like: Clip) -> ClipWriter:
    """What writes a clip of a suffix to ``path``. like: the clip whose rate, times, colours and sound are kept."""
    return AnimationWriter(path, suffix) if suffix in ANIMATIONS else ContainerWriter(path, suffix, like)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """FFmpeg's and Pillow's errors as ``OutputError``."""
    try:
        yield
    except (OSError, ValueError) as error:  # FFmpeg's are both, or one of them
        raise OutputError(f"cannot write the clip: {getattr(error, 'strerror', None) or error}") from error


class ContainerWriter(ClipWriter):
    """An odd row or column is left out, which the codecs cannot hold."""

    def __init__(self, path: Path, suffix: str, like: Clip) -> None:
        import av

        kind, codec, options = FORMATS[suffix]
        self.path, self.like = path, like
        self.end: Fraction | None = None  # of the last frame, in seconds
        self.waiting = like.sound if isinstance(like, Container) else deque()
        self.sound: dict[int, Any] = {}
        with _telling(path):
            self.file = av.open(str(path), "w", format=kind)
            self.video: Any = self.file.add_stream(codec, rate=like.rate, options=options)
            for stream in like.streams if isinstance(like, Container) else []:
                name = stream.codec_context.name
                if name not in self.file.supported_codecs:
                    raise OutputError(f"{suffix} cannot hold the sound of {like.name} ({name}): .mkv can")
                self.sound[stream.index] = self.file.add_stream_from_template(stream)

    def write(self, frame: Frame) -> None:
        """Adds a frame, and the sound until its end."""
        import av

        look = self.like.look
        height, width = (side - side % 2 for side in frame.rgb.shape[:2])
        if self.end is None:
            self._start(height, width)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb[:height, :width]))
        picture = picture.reformat(
            format="yuv420p",
            src_color_range=FULL_RANGE,
            dst_colorspace=MATRICES[look.matrix],
            dst_color_range=look.range,
        )
        picture.time_base, picture.pts = self.like.time_base, round(frame.start / self.like.time_base)
        self.end = frame.start + frame.duration
        with _telling(self.path):
            self.file.mux(self.video.encode(picture))
            self._add_sound(self.end)

    def _start(self, height: int, width: int) -> None:
        look, context = self.like.look, self.video.codec_context
        self.video.width, self.video.height, self.video.pix_fmt = width, height, "yuv420p"
        context.time_base = self.like.time_base
        context.colorspace, context.color_range = look.matrix, look.range
        context.color_primaries, context.color_trc = look.primaries, look.transfer
        if look.aspect:
            context.sample_aspect_ratio = look.aspect

    def _add_sound(self, until: Fraction | None) -> None:
        while self.waiting and (until is None or (self.waiting[0].pts or 0) * self.waiting[0].time_base < until):
            packet = self.waiting.popleft()
            packet.stream = self.sound[packet.stream.index]
            self.file.mux(packet)

    def close(self, *, whole: bool = True) -> None:
        """Writes what the codec still holds, and the index."""
        with _telling(self.path):
            if self.end is not None:
                self.file.mux(self.video.encode(None))
                self._add_sound(None if whole else self.end)
            self.file.close()


class AnimationWriter(ClipWriter):
    """Keeps the frames until the end: animations are short."""

    def __init__(self, path: Path, suffix: str) -> None:
        self.path, self.format = path, ANIMATIONS[suffix]
        self.images: list[Image.Image] = []
        self.starts: list[Fraction] = []
        self.end = Fraction(0)

    def write(self, frame: Frame) -> None:
        """Keeps a frame."""
        image = Image.fromarray(frame.rgb)
        self.images.append(image.quantize(dither=Image.Dither.FLOYDSTEINBERG) if self.format == "GIF" else image)
        self.starts.append(frame.start)
        self.end = frame.start + frame.duration

    def close(self, *, whole: bool = True) -> None:
        """Writes the file, which runs for ever."""
        if not self.images:
            return
        ms = [round(1000 * (end - start)) for start, end in pairwise([*self.starts, self.end])]
        with _telling(self.path), self.path.open("wb") as file:
            self.images[0].save(
                file, self.format, save_all=True, append_images=self.images[1:], duration=ms, loop=0, quality=90
            )
