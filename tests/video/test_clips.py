"""Reading clips: times, rotation, colours, damage."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ImageError
from faststyle.video.clips import Frame, is_animation, open_camera, open_clip
from helpers import noise
from video.conftest import plain

Make = Callable[..., Path]


def frames_of(path: Path) -> list[Frame]:
    with open_clip(path) as clip:
        frames = list(clip)
        assert clip.damage is None
        assert clip.frames == len(frames)
    return frames


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_frames_have_their_times_and_colours(name: str, make_clip: Make) -> None:
    frames = frames_of(make_clip(name))
    assert [round(float(frame.start), 3) for frame in frames] == [i / 10 for i in range(8)]
    assert all(abs(frame.duration - Fraction(1, 10)) < Fraction(1, 500) for frame in frames)
    for number, frame in enumerate(frames):
        assert np.abs(frame.rgb.astype(int) - plain(number)).mean() < 4


def test_frames_at_uneven_times(make_clip: Make) -> None:
    frames = frames_of(make_clip(times=[0, 1, 4, 5, 9]))
    assert [frame.start for frame in frames] == [Fraction(i, 10) for i in (0, 1, 4, 5, 9)]


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
@pytest.mark.parametrize("full_range", [False, True])
def test_frames_are_upright_and_of_full_range(rotation: int, full_range: bool, make_clip: Make) -> None:
    frames = frames_of(make_clip(rotation=rotation, full_range=full_range))
    assert np.abs(frames[0].rgb.astype(int) - plain(0)).mean() < 4


def test_a_clip_that_is_cut_off_gives_what_it_has(make_clip: Make) -> None:
    path = make_clip(times=list(range(60)), options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with open_clip(path) as clip:
        found = list(clip)
    assert 0 < len(found) < 60
    assert clip.damage is not None
    assert clip.damage.startswith(f"{path} ")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.mp4", b"", "a.mp4 is no clip that can be read"),
        ("a.mkv", b"text", "a.mkv is no clip that can be read"),
        ("a.gif", b"GIF89a", "a.gif is no animation that can be read"),
        ("a.webp", noise(9, 9).tobytes(), "a.webp is no animation that can be read"),
    ],
)
def test_what_is_no_clip(name: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ImageError, match=words):
        open_clip(tmp_path / name)


def test_a_missing_clip_a_missing_camera_and_a_large_one(tmp_path: Path, make_clip: Make) -> None:
    with pytest.raises(ImageError, match="^no clip "):
        open_clip(tmp_path / "a.mp4")
    with pytest.raises(ImageError, match="^/dev/nowhere is no clip that can be read"):
        open_camera("/dev/nowhere")
    with pytest.raises(ImageError, match="megapixels, the limit is 0.001"):
        open_clip(make_clip(), max_megapixels=0.001)


def test_sound_alone_is_no_clip(make_clip: Make, tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "sound.mkv"), "w") as file:
        stream, silence = (
            file.add_stream("pcm_s16le", rate=8000),
            av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono"),
        )
        silence.sample_rate = 8000
        file.mux(stream.encode(silence))
    with pytest.raises(ImageError, match="sound.mkv has no pictures"):
        open_clip(tmp_path / "sound.mkv")


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    images = [Image.fromarray(plain(i)) for i in range(3)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=[50, 200, 100], lossless=True)
    assert is_animation(path)
    frames = frames_of(path)
    assert [(frame.start, frame.duration) for frame in frames] == [
        (Fraction(0), Fraction(1, 20)),
        (Fraction(1, 20), Fraction(1, 5)),
        (Fraction(1, 4), Fraction(1, 10)),
    ]
    assert np.abs(frames[2].rgb.astype(int) - plain(2)).mean() < 3


def test_an_animation_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    images = [Image.fromarray(noise(20, 30, seed=i)) for i in range(3)]
    images[0].save(path, save_all=True, append_images=images[1:])
    path.write_bytes(path.read_bytes()[:-200])
    with open_clip(path) as clip:
        assert len(list(clip)) == 2
    assert clip.damage is not None
    assert clip.damage.startswith(f"{path} is damaged after 0.20 s")


def test_a_still_picture_is_no_animation(tmp_path: Path) -> None:
    Image.fromarray(plain(0)).save(tmp_path / "a.gif")
    Image.fromarray(plain(0)).save(tmp_path / "a.png")
    for name in ("a.gif", "a.png", "b.gif"):
        assert not is_animation(tmp_path / name)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    images = [Image.new("RGBA", (8, 8), (255, 0, 0, alpha)) for alpha in (0, 255)]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:], duration=100, lossless=True)
    first, second = frames_of(tmp_path / "a.webp")
    assert first.rgb.min() == 255
    assert tuple(second.rgb[0, 0]) == (255, 0, 0)
