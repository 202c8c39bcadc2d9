"""Clips made on the spot."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

RATE, SAMPLES = 10, 8000


def plain(number: int, height: int = 32, width: int = 48) -> Any:
    """A frame of one colour, but for its upper left quarter, which is red."""
    rgb = np.full((height, width, 3), (40, 60 + 10 * number, 120), np.uint8)
    rgb[: height // 2, : width // 2] = (200, 30, 30)
    return rgb


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes a clip. times: of the frames, in tenths of a second. rotation: degrees, by which players turn it."""

    def make(
        name: str = "clip.mp4",
        times: list[int] | None = None,
        *,
        rotation: int = 0,
        sound: str | None = None,
        full_range: bool = False,
        options: dict[str, str] | None = None,
    ) -> Path:
        times = list(range(8)) if times is None else times
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as file:
            video = file.add_stream("libvpx-vp9" if name.endswith("webm") else "libx264", rate=RATE)
            frames = [np.ascontiguousarray(np.rot90(plain(i), -rotation // 90)) for i in range(len(times))]
            video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "yuv420p"
            video.codec_context.time_base = Fraction(1, RATE)
            video.codec_context.color_range = 2 if full_range else 1
            if rotation:
                video.set_display_rotation(rotation)
            audio = file.add_stream(sound, rate=SAMPLES) if sound else None
            for time, rgb in zip(times, frames, strict=True):
                frame = av.VideoFrame.from_ndarray(rgb).reformat(
                    format="yuv420p", dst_color_range=2 if full_range else 1, src_color_range=2
                )
                frame.pts, frame.time_base = time, Fraction(1, RATE)
                file.mux(video.encode(frame))
            file.mux(video.encode(None))
            if audio:
                length = SAMPLES * (times[-1] + 1) // RATE
                wave = (0.3 * np.sin(np.arange(length) / 5)).astype(np.float32)
                for start in range(0, length, 1000):
                    piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1000].copy(), "fltp", "mono")
                    piece.sample_rate, piece.pts, piece.time_base = SAMPLES, start, Fraction(1, SAMPLES)
                    file.mux(audio.encode(piece))
                file.mux(audio.encode(None))
        return path

    return make


def sound_of(path: Path) -> Any:
    """The samples, decoded."""
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
