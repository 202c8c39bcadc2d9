"""Clips to read, as frames with their times: containers by PyAV, animations (GIF, WebP) by Pillow."""

from __future__ import annotations  # the types name av, which is loaded only for clips

import platform
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from PIL import Image, ImageSequence

from faststyle.errors import ImageError, describe
from faststyle.imaging.images import MAX_MEGAPIXELS, check_megapixels
from faststyle.video import ANIMATIONS

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

    RGB = NDArray[np.uint8]

CAMERAS = {"Linux": "v4l2", "Darwin": "avfoundation", "Windows": "dshow"}  # FFmpeg's, by system
# FFmpeg's number of a matrix from and to RGB: PyAV's name for it
MATRICES = {1: "ITU709", 5: "ITU601", 6: "ITU601", 9: "BT2020"}
HD_HEIGHT = 720  # from which players take that of ITU 709 if a clip says nothing
LIMITED_RANGE, FULL_RANGE, UNKNOWN = 1, 2, 2  # FFmpeg's numbers, of colours
ATTACHED_PICTURE = 0x400  # FFmpeg's bit: the cover of an album
SLACK = Fraction(1, 4)  # seconds that a whole clip may end before its length
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Frame:
    """rgb: uint8 (H, W, 3), upright. start, duration: seconds."""

    rgb: RGB
    start: Fraction
    duration: Fraction


@dataclass(frozen=True)
class Look:
    """How a clip's pixels are to be shown, as FFmpeg numbers it. aspect: of a pixel, width over height."""

    matrix: int = 6
    range: int = LIMITED_RANGE
    primaries: int = UNKNOWN
    transfer: int = UNKNOWN
    aspect: Fraction | None = None


class Clip(ABC):
    """A clip to read, once, and a context manager.

    frames: about how many, None if unknown. rate: frames a second, the mean. time_base: seconds, of which all times are
    multiples. damage: what kept it from being read to its end; known once it has been.
    """

    name: str
    frames: int | None = None
    rate = DEFAULT_RATE
    time_base = Fraction(1, 1000)
    look = Look()
    damage: str | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Frame by frame. Raises ``ImageError`` if there is none that can be read."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Container(Clip):
    """A file or a camera that PyAV reads.

    source: a path, or with ``camera`` FFmpeg's name of the device. sound: the packets met so far, as they are.
    """

    def __init__(
        self, source: str | Path, *, camera: str | None = None, max_megapixels: float = MAX_MEGAPIXELS
    ) -> None:
        import av

        self.name, self.max_megapixels = str(source), max_megapixels
        try:
            self.container = av.open(self.name, format=camera)
        except (av.FFmpegError, OSError) as error:
            raise ImageError(f"{self.name} is no clip that can be read ({error.strerror})") from error
        videos = [stream for stream in self.container.streams.video if not stream.disposition & ATTACHED_PICTURE]
        if not videos:
            self.close()
            raise ImageError(f"{self.name} has no pictures, only sound or less")
        self.video: av.VideoStream = videos[0]
        context = self.video.codec_context
        check_megapixels(self.name, context.height, context.width, max_megapixels)
        self.video.thread_type = "AUTO"
        self.streams = list(self.container.streams.audio)
        self.sound: deque[Any] = deque()
        self.rate = self.video.average_rate or self.video.guessed_rate or DEFAULT_RATE
        self.time_base = self.video.time_base or self.time_base
        aspect = self.video.sample_aspect_ratio
        self.look = Look(
            context.colorspace if context.colorspace in MATRICES else 1 if context.height >= HD_HEIGHT else 6,
            FULL_RANGE if context.color_range == FULL_RANGE else LIMITED_RANGE,
            context.color_primaries,
            context.color_trc,
            aspect or None,
        )
        self.length = None
        if self.video.duration:
            self.length = self.video.duration * self.time_base
        elif self.container.duration:
            self.length = Fraction(self.container.duration, av.time_base)
        self.frames = self.video.frames or (round(self.length * self.rate) if self.length else None)

    def __iter__(self) -> Iterator[Frame]:
        import av

        number, end, lost = 0, Fraction(0), 0
        packets = self.container.demux(self.video, *self.streams)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                self.damage = f"{self.name} is damaged after {float(end):.2f} s ({error.strerror})"
                break
            if packet is None:
                break
            if packet.stream is not self.video:
                if packet.size:
                    self.sound.append(packet)
                continue
            try:
                frames = self.video.decode(packet)
            except av.FFmpegError:
                lost += 1
                continue
            for frame in frames:
                if not number and self.look.aspect and frame.rotation % 180:
                    self.look = replace(self.look, aspect=1 / self.look.aspect)
                start = Fraction(number) / self.rate if frame.pts is None else frame.pts * self.time_base
                duration = frame.duration * self.time_base if frame.duration else 1 / self.rate
                number, end = number + 1, start + duration
                yield Frame(self._rgb(frame), start, duration)
        if not number:
            raise ImageError(f"{self.name} has no frame that can be read")
        if lost:
            self.damage = self.damage or f"{self.name} is damaged: {lost} packets cannot be decoded"
        begin = (self.video.start_time or 0) * self.time_base
        if self.length and end - begin < self.length - max(SLACK, 2 / self.rate):
            self.damage = self.damage or f"{self.name} ends after {float(end):.2f} of {float(self.length):.2f} s"

    def _rgb(self, frame: av.VideoFrame) -> RGB:
        check_megapixels(self.name, frame.height, frame.width, self.max_megapixels)  # it may change on the way
        converted = frame.reformat(
            format="rgb24",
            src_colorspace=MATRICES[self.look.matrix],
            src_color_range=self.look.range,
            dst_color_range=FULL_RANGE,
        )
        return np.ascontiguousarray(np.rot90(converted.to_ndarray(), frame.rotation // 90))

    def close(self) -> None:
        """Closes the file."""
        self.container.close()


class Animation(Clip):
    """A GIF or WebP file with several pictures. Transparent parts become white."""

    def __init__(self, path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self.name = str(path)
        self.file = path.open("rb")
        try:
            self.image = Image.open(self.file, formats=list(ANIMATIONS.values()))
            check_megapixels(self.name, self.image.height, self.image.width, max_megapixels)
        except ImageError:
            self.close()
            raise
        except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, ...
            self.close()
            raise ImageError(f"{path} is no animation that can be read ({describe(error)})") from error
        with suppress(Exception):  # of one that is damaged
            self.frames = getattr(self.image, "n_frames", 1)

    def __iter__(self) -> Iterator[Frame]:
        start = Fraction(0)
        try:
            for image in ImageSequence.Iterator(self.image):
                whole = image.convert("RGBA")
                paper = Image.new("RGBA", whole.size, "white")
                duration = Fraction(round(image.info.get("duration") or 100), 1000)  # 0 is shown like that
                yield Frame(np.asarray(Image.alpha_composite(paper, whole).convert("RGB")), start, duration)
                start += duration
        except Exception as error:  # see above
            self.damage = f"{self.name} is damaged after {float(start):.2f} s ({describe(error)})"
            if not start:
                raise ImageError(self.damage) from error

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


def is_animation(path: Path) -> bool:
    """Whether a file is a GIF or WebP of more than one picture."""
    suffix = path.suffix.lower()
    if suffix not in ANIMATIONS or not path.is_file():
        return False
    with suppress(Exception), Image.open(path, formats=[ANIMATIONS[suffix]]) as image:
        image.seek(1)
        return True
    return False


def open_clip(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Clip:
    """A file to read. Raises ``ImageError`` if it cannot be."""
    if not path.is_file():
        raise ImageError(f"no clip {path}")
    if path.suffix.lower() in ANIMATIONS:
        return Animation(path, max_megapixels=max_megapixels)
    return Container(path, max_megapixels=max_megapixels)


def open_camera(device: str, *, max_megapixels: float = MAX_MEGAPIXELS) -> Container:
    """A webcam, by FFmpeg's name: ``/dev/video0``, on a Mac ``0``, on Windows ``video=NAME``. Raises ``ImageError``."""
    return Container(device, camera=CAMERAS.get(platform.system(), "v4l2"), max_megapixels=max_megapixels)
