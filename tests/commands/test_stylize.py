"""scripts/stylize.py."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import run, stylize
from conftest import noise
from faststyle.imaging.color import luminance
from faststyle.imaging.images import read_picture
from test_checkpoint import BAD as BAD_CHECKPOINTS
from test_checkpoint import make_bad_checkpoint
from test_images import BAD as BAD_PICTURES


def test_a_file(weights: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stylize(photo, "--checkpoint", weights, "--output", tmp_path / "out" / "a.png") == 0
    assert "30x40 pixels, forward pass" in capsys.readouterr().out
    assert read_picture(tmp_path / "out" / "a.png").size == (40, 30)


def test_a_folder_with_a_bad_file(
    weights: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    shutil.copy(photo, tmp_path / "in" / "sub" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_bytes(b"x")
    arguments = (tmp_path / "in", "--checkpoint", weights, "--output", tmp_path / "out", "--size", 20)
    assert stylize(*arguments) == 1
    out, err = capsys.readouterr()
    assert "1 of 2 pictures stylised" in out
    assert "failed: " in err
    assert "b.jpg is no picture" in err
    assert read_picture(tmp_path / "out" / "sub" / "a.jpg").size == (27, 20)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Truncated")
@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_bad_picture_leaves_the_output(
    case: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, _ = BAD_PICTURES[case]
    (tmp_path / "in").mkdir()
    if make:
        make(tmp_path / "in" / name)
    if (tmp_path / "in" / name).is_dir():
        (tmp_path / "in" / name / "x.jpg").touch()
    (tmp_path / "out.png").write_bytes(b"old")
    source = tmp_path / "in" / name
    assert stylize(source, "--checkpoint", weights, "--output", tmp_path / "out.png", "--overwrite") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert (tmp_path / "out.png").read_bytes() == b"old"


@pytest.mark.parametrize("case", BAD_CHECKPOINTS)
def test_a_bad_checkpoint_leaves_the_output(
    case: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_bad_checkpoint(case, tmp_path)
    (tmp_path / "out.png").write_bytes(b"old")
    assert stylize(photo, "--checkpoint", path, "--output", tmp_path / "out.png", "--overwrite") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert (tmp_path / "out.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to do"),
        (["photo.jpg", "--size", "0"], "--size must be at least 1"),
        (["photo.jpg", "--mask", "black.png"], "black.png is empty"),
        (["photo.jpg", "--mask", "nowhere.png"], "no picture nowhere.png"),
        (["photo.jpg", "--mask", "sky.png", "--mask", "sky.png"], "1 checkpoints need as many masks or one less"),
        (["photo.jpg", "--mask", "sky.png", "--feather", "-1"], "at least 0 pixels"),
        (["photo.jpg", "--memory", "much"], "--memory must be like 4G or 500M, found 'much'"),
        (["photo.jpg", "--output", "a.gif"], "suffix must be one of"),
        (["photo.jpg", "--checkpoint", "mona_lisa"], "no checkpoint mona_lisa; shipped styles: "),
        (["photo.jpg", "--max-megapixels", "0.0001"], "--max-megapixels raises it"),
        (["photo.jpg", "--output", "photo.jpg", "--overwrite"], "would replace its own source"),
    ],
)
def test_bad_arguments(
    arguments: list[str],
    words: str,
    weights: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    half_mask(Path("sky.png"))
    Image.new("L", (30, 40)).save("black.png")
    assert stylize("--checkpoint", weights, "--output", "new.png", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not Path("new.png").exists()


def test_exit_code_and_one_line_of_the_process(tmp_path: Path) -> None:
    done = run("stylize", "a.jpg", "--checkpoint", "starry_night", "--output", "b.jpg", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: no picture a.jpg\n"
    assert "Traceback" in run("stylize", "a.jpg", "--checkpoint", "x", "--output", "b.jpg", "--debug").stderr


def half_mask(path: Path, height: int = 40, width: int = 30) -> Path:
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    Image.fromarray(mask).save(path)
    return path


@pytest.mark.parametrize("size", [(40, 30), (80, 60)])
def test_a_mask_leaves_the_rest_untouched(size: tuple[int, int], weights: Path, photo: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.png")
    mask = half_mask(tmp_path / "sky.png", *size)
    options = ("--checkpoint", weights, "--mask", mask, "--feather", 4, "--output", tmp_path / "out.png")
    assert stylize(tmp_path / "photo.png", *options) == 0
    rgb = read_picture(tmp_path / "out.png").rgb
    assert (rgb[25:] == noise(40, 30)[25:]).all()
    assert (rgb[:15] != noise(40, 30)[:15]).any()


def test_two_styles_and_a_mask(photo: Path, tmp_path: Path) -> None:
    mask = half_mask(tmp_path / "sky.png")
    results = []
    for name, styles in (("a", ["great_wave"]), ("b", ["the_scream"]), ("ab", ["great_wave", "the_scream"])):
        options = [word for style in styles for word in ("--checkpoint", style)]
        masks = ["--mask", mask] if len(styles) > 1 else []
        assert stylize(photo, *options, *masks, "--output", tmp_path / f"{name}.png") == 0
        results.append(read_picture(tmp_path / f"{name}.png").rgb)
    a, b, both = results
    assert (both[:20] == a[:20]).all()
    assert (both[20:] == b[20:]).all()


def test_preserve_color(weights: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.png")
    options = ("--checkpoint", weights, "--output", tmp_path / "out.png", "--preserve-color")
    assert stylize(tmp_path / "photo.png", *options) == 0
    kept, photograph = read_picture(tmp_path / "out.png").rgb, noise(40, 30)
    difference = (kept - luminance(kept)[..., None]) - (photograph - luminance(photograph)[..., None])
    assert np.abs(difference).mean() < 2
    assert np.abs(luminance(kept) - luminance(photograph)).mean() > 5
