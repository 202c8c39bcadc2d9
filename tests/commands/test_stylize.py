"""``faststyle stylize``: files, folders, masks and colours; what cannot work is one line and leaves the outputs."""

import importlib.util
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.commands.stylize import parse, parse_memory
from faststyle.errors import ConfigError, ImageError
from faststyle.imaging.color import MODES, luminance
from faststyle.imaging.images import MAX_MEGAPIXELS, WRITERS, Picture
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import PHOTOGRAPHS
from faststyle.inference import batch, tiling
from faststyle.inference.backends import BACKENDS, OPTIONS
from faststyle.inference.stylizer import Stylizer
from faststyle.video import SUFFIXES
from helpers import call, noise, readme_line, run
from imaging.test_reading import BAD as BAD_PICTURES
from test_checkpoint import BAD as BAD_CHECKPOINTS
from test_checkpoint import make_bad_checkpoint

needs_video = pytest.mark.skipif(not importlib.util.find_spec("av"), reason="needs the extra video")


def test_a_file(tiny_style: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out" / "a.png"
    assert call("stylize", photo, "--checkpoint", tiny_style, "--output", target) == 0
    out, error = capsys.readouterr()
    assert out.startswith(f"{target}: 30x40 pixels, forward pass ")
    assert error == ""
    assert read_picture(target).size == (40, 30)


def test_a_folder_with_a_bad_file(
    tiny_style: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    shutil.copy(photo, tmp_path / "in" / "sub" / "a.jpg")
    (tmp_path / "in" / "b.jpg").write_bytes(b"x")
    arguments = (tmp_path / "in", "--checkpoint", tiny_style, "--output", tmp_path / "out", "--size", 20)
    assert call("stylize", *arguments) == 1
    out, error = capsys.readouterr()
    assert out == f"1 of 2 pictures stylised into {tmp_path / 'out'}\n"
    assert "failed: " in error
    assert "b.jpg is no picture" in error
    assert read_picture(tmp_path / "out" / "sub" / "a.jpg").size == (27, 20)


def test_readmes_sample_photograph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = readme_line("--sample astronaut")
    assert call(*line) == 0
    assert read_picture(line[-1]).size == (512, 512)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Truncated")
@pytest.mark.parametrize("case", BAD_PICTURES)
def test_a_bad_picture_leaves_the_output(
    case: str, tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, make, _ = BAD_PICTURES[case]
    (tmp_path / "in").mkdir()
    if make:
        make(tmp_path / "in" / name)
    if (tmp_path / "in" / name).is_dir():
        (tmp_path / "in" / name / "x.jpg").touch()
    (tmp_path / "out.png").write_bytes(b"old")
    source = tmp_path / "in" / name
    assert call("stylize", source, "--checkpoint", tiny_style, "--output", tmp_path / "out.png", "--overwrite") == 2
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
    assert call("stylize", photo, "--checkpoint", path, "--output", tmp_path / "out.png", "--overwrite") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert (tmp_path / "out.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to do"),
        (["photo.jpg", "--size", "0"], "--size: must be from 1 to 20,000"),
        (["photo.jpg", "--mask", "black.png"], "black.png is empty"),
        (["photo.jpg", "--mask", "nowhere.png"], "no picture nowhere.png"),
        (["photo.jpg", "--mask", "sky.png", "--mask", "sky.png"], "1 checkpoints need as many masks or one less"),
        (["photo.jpg", "--mask", "sky.png", "--feather", "-1"], "--feather: must be from 0 to 20,000"),
        (["photo.jpg", "--memory", "much"], "--memory must be like 4G or 500M, found 'much'"),
        (["photo.jpg", "--output", "a.gif"], "suffix must be one of"),
        (["photo.jpg", "--checkpoint", "mona_lisa"], "no checkpoint mona_lisa; shipped styles: "),
        (["photo.jpg", "--max-megapixels", "0.0001"], "--max-megapixels raises it"),
        (["photo.jpg", "--output", "photo.jpg", "--overwrite"], "would replace its own source"),
        (["photo.jpg", "--output", "sky.png"], "--overwrite replaces, --resume skips"),
        (["photo.jpg", "sky.png", "--output", "new.png"], "several pictures need a folder"),
        (["photo.jpg", "--sample", "mona_lisa"], "unknown sample 'mona_lisa'"),
        (["photo.jpg", "--backend", "onnxruntime", "--precision", "bfloat16"], "precision is an option of openvino"),
        (["photo.jpg", "--backend", "openvino", "--statistics", "sampled"], "statistics is an option of torch"),
        (["photo.jpg", "--backend", "onnxruntime", "--memory", "1M"], "pixels need --memory 0.2G in one piece"),
        (["photo.jpg", "sky.png", "--output", "out", "--manifest", "."], "cannot write .: it is a folder"),
        (["photo.jpg", "--mask", "sky.png", "--output", "sky.png", "--overwrite"], "would replace its own source"),
        (["photo.jpg", "--size", "20000"], "photo.jpg at 20000 pixels has 533.3 megapixels, the limit is 200"),
        (["a" * 256 + ".jpg"], "File name too long"),
        (["photo.jpg", "--overwrite", "--resume"], "not allowed with argument"),
        (["photo.jpg", "--backend", "abacus"], "invalid choice: 'abacus'"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str],
    words: str,
    tiny_style: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    half_mask(Path("sky.png"))
    Image.new("L", (30, 40)).save("black.png")
    before = {path: path.read_bytes() for path in photo.parent.iterdir()}
    assert call("stylize", "--checkpoint", tiny_style, "--output", "new.png", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert {path: path.read_bytes() for path in photo.parent.iterdir()} == before


def test_exit_code_and_one_line_of_the_process(tmp_path: Path) -> None:
    done = run("stylize", "a.jpg", "--checkpoint", "starry_night", "--output", "b.jpg", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "error: no picture a.jpg\n")


def test_debug_shows_where_it_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"no picture .*a\.jpg"):
        call("stylize", tmp_path / "a.jpg", "--checkpoint", "starry_night", "--output", tmp_path / "b.jpg", "--debug")


@pytest.mark.parametrize(
    ("text", "expected"), [("4G", 4 * 2**30), ("500M", 500 * 2**20), ("1.5gb", 1.5 * 2**30), (" 2Mb ", 2 * 2**20)]
)
def test_memory_is_read_in_powers_of_two(text: str, expected: float) -> None:
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["", "4", "G", "4T", "-1G", "4 G", "1e3M"])
def test_other_memory_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--memory must be like 4G or 500M"):
        parse_memory(text)


def test_help_says_what_the_package_knows(capsys: pytest.CaptureFixture[str]) -> None:
    """Some of it is written out there: importing the lists would take --help three times as long."""
    assert call("stylize", "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"refuse larger inputs; default: {MAX_MEGAPIXELS:g}" in text
    names = list(PHOTOGRAPHS)
    assert f"in place of INPUT: {', '.join(names[:-1])} or {names[-1]}" in text
    named = [WRITERS[suffix]["format"] for suffix in text.split("a file (")[1].split(")")[0].split()]
    assert sorted(named) == sorted({options["format"] for options in WRITERS.values()})
    assert f"a clip ({' '.join(SUFFIXES)})" in text
    for name, engine in BACKENDS.items():
        assert f"{name}: {' '.join(engine.suffixes)}" in text
    for option in OPTIONS:
        honouring = ", ".join(name for name, engine in BACKENDS.items() if option in engine.options)
        assert f"({honouring})" in text.split(f"--{option} ")[-1]


def test_every_way_of_keeping_colours_can_be_chosen() -> None:
    needed = ["a.jpg", "--checkpoint", "x", "--output", "b.jpg"]
    chosen = [parse([*needed, *(["--preserve-color", mode] if mode != "style" else [])]) for mode in MODES]
    assert [args.preserve_color for args in chosen] == list(MODES)
    assert parse([*needed, "--preserve-color"]).preserve_color == "luminance"


def half_mask(path: Path, height: int = 40, width: int = 30) -> Path:
    """White above, black below."""
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    Image.fromarray(mask).save(path)
    return path


@pytest.mark.parametrize("size", [(40, 30), (80, 60)])
def test_a_mask_leaves_the_rest_untouched(size: tuple[int, int], tiny_style: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.png")
    mask = half_mask(tmp_path / "sky.png", *size)
    options = ("--checkpoint", tiny_style, "--mask", mask, "--feather", 4, "--output", tmp_path / "out.png")
    assert call("stylize", tmp_path / "photo.png", *options) == 0
    rgb = read_picture(tmp_path / "out.png").rgb
    assert (rgb[25:] == noise(40, 30)[25:]).all()
    assert (rgb[:15] != noise(40, 30)[:15]).any()


def test_two_styles_and_a_mask(photo: Path, tmp_path: Path) -> None:
    mask = half_mask(tmp_path / "sky.png")
    results = []
    for name, styles in (("a", ["great_wave"]), ("b", ["the_scream"]), ("ab", ["great_wave", "the_scream"])):
        options = [word for style in styles for word in ("--checkpoint", style)]
        masks = ["--mask", mask] if len(styles) > 1 else []
        assert call("stylize", photo, *options, *masks, "--output", tmp_path / f"{name}.png") == 0
        results.append(read_picture(tmp_path / f"{name}.png").rgb)
    a, b, both = results
    assert (a != b).any()
    assert (both[:20] == a[:20]).all()
    assert (both[20:] == b[20:]).all()


def test_preserve_color(tiny_style: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.png")
    options = ("--checkpoint", tiny_style, "--output", tmp_path / "out.png", "--preserve-color")
    assert call("stylize", tmp_path / "photo.png", *options) == 0
    kept, photograph = read_picture(tmp_path / "out.png").rgb, noise(40, 30)
    difference = (kept - luminance(kept)[..., None]) - (photograph - luminance(photograph)[..., None])
    assert np.abs(difference).mean() < 2
    assert np.abs(luminance(kept) - luminance(photograph)).mean() > 5


def test_a_manifest_and_resuming(tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second call does what is left, a third one nothing; each picture that was worked on has a line."""
    sources = [tmp_path / name for name in ("a.png", "b.png")]
    for seed, source in enumerate(sources):
        Image.fromarray(noise(20, 30, seed=seed)).save(source)
    out, manifest = tmp_path / "out", tmp_path / "notes" / "manifest.jsonl"
    options = ("--checkpoint", tiny_style, "--manifest", manifest, "--resume", "--output", out)
    out.mkdir()
    assert call("stylize", sources[0], *options) == 0
    first = (out / "a.png").stat().st_mtime_ns
    assert call("stylize", *sources, *options) == 0
    assert (out / "a.png").stat().st_mtime_ns == first
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [line["input"] for line in lines] == list(map(str, sources))
    assert [line["output"] for line in lines] == [str(out / "a.png"), str(out / "b.png")]
    assert all(line["ms"] > 0 and line["error"] is None for line in lines)
    capsys.readouterr()
    assert call("stylize", *sources, *options) == 0
    assert capsys.readouterr().out == f"nothing left to do: all outputs are in {out}\n"
    assert len(manifest.read_text().splitlines()) == 2


def test_resuming_adds_the_line_that_a_kill_left_out(
    tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    options = ("--checkpoint", tiny_style, "--output", tmp_path / "out.png")
    assert call("stylize", tmp_path / "a.png", *options) == 0
    assert call("stylize", tmp_path / "a.png", *options, "--resume", "--manifest", tmp_path / "manifest") == 0
    assert "nothing left to do" in capsys.readouterr().out
    line = json.loads((tmp_path / "manifest").read_text())
    assert (line["output"], line["ms"], line["error"]) == (str(tmp_path / "out.png"), None, None)


def test_ctrl_c_tells_how_many_are_done(
    tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the picture at which it came."""
    for name in ("a", "b", "c"):
        Image.fromarray(noise(20, 30)).save(tmp_path / f"{name}.png")
    write, before = batch.write_picture, signal.getsignal(signal.SIGINT)

    def interrupted(path: Path, picture: Picture) -> None:
        write(path, picture)
        os.kill(os.getpid(), signal.SIGINT)
        while signal.getsignal(signal.SIGINT) != before:  # until the main thread has taken note
            time.sleep(0.001)

    monkeypatch.setattr(batch, "write_picture", interrupted)
    monkeypatch.setattr(Stylizer, "max_workers", lambda self, height, width: 1)
    assert call("stylize", tmp_path, "--checkpoint", tiny_style, "--output", tmp_path / "out") == 130
    out, error = capsys.readouterr()
    assert out == f"1 of 3 pictures stylised into {tmp_path / 'out'}\n"
    assert error.splitlines()[-1] == "interrupted: --resume goes on"
    assert signal.getsignal(signal.SIGINT) == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_every_back_end_makes_nearly_the_same_picture(tiny_style: Path, tmp_path: Path) -> None:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.png")
    results = []
    for name in BACKENDS:
        target = tmp_path / f"{name}.png"
        options = ("--backend", name, "--device", "cpu", "--checkpoint", tiny_style, "--output", target)
        assert call("stylize", tmp_path / "photo.png", *options) == 0
        results.append(read_picture(target).rgb.astype(int))
    assert all(np.abs(result - results[0]).max() <= 1 for result in results)


def test_small_memory_makes_strips_of_the_same_picture(
    tiny_style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 740 MB PyTorch itself takes most."""
    Image.fromarray(noise(700, 500)).save(tmp_path / "photo.png")
    results, in_strips = [], []
    layout_within = tiling.layout_within
    monkeypatch.setattr(
        tiling, "layout_within", lambda *args, **how: in_strips.append(1) or layout_within(*args, **how)
    )
    for memory, count in (("4G", 0), ("740M", 1)):
        target = tmp_path / f"{memory}.png"
        options = ("--memory", memory, "--device", "cpu", "--checkpoint", tiny_style, "--output", target)
        assert call("stylize", tmp_path / "photo.png", "--backend", "torch", *options) == 0
        results.append(read_picture(target).rgb.astype(int))
        assert len(in_strips) == count
    assert np.abs(results[0] - results[1]).max() <= 1


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.gif"
    images = [Image.fromarray(noise(32, 48, seed=i)) for i in range(4)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=100)
    return path


def clip_frames(path: Path) -> int:
    from faststyle.video.clips import open_clip

    with open_clip(path) as clip:
        return len(list(clip))


@needs_video
@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out.webp"])
def test_a_clip(name: str, tiny_style: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / name
    line = ("stylize", clip, "--checkpoint", tiny_style, "--output", target)
    assert call(*line, "--stroke-size", 1.5, "--preserve-color") == 0
    assert capsys.readouterr().out.startswith(f"{target}: 4 frames, ")
    assert clip_frames(target) == 4
    assert call(*line) == 2
    assert call(*line, "--resume") == 0
    assert capsys.readouterr().out == f"nothing left to do: {target} exists\n"


@needs_video
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--output", "out.png"], "cannot write out.png: its suffix must be one of .mp4"),
        (["--output", "."], "cannot write .: its suffix must be one of .mp4"),
        (["--sample", "cat"], "a clip is stylised on its own"),
        (["--camera", "/dev/nowhere"], "a clip is stylised on its own"),
        (["--manifest", "a.json"], "a clip is stylised on its own"),
        (["--steady", "both", "--backend", "onnxruntime"], "--steady both needs the back end torch"),
        (["--max-megapixels", "0.001"], "megapixels, the limit is 0.001"),
    ],
)
def test_clips_that_cannot_be(
    extra: list[str],
    words: str,
    tiny_style: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "clip.mp4")  # its content decides
    line = ["stylize", "clip.mp4", "--checkpoint", tiny_style, "--output", "out.mp4", *extra]
    assert call(*line) == 2
    assert words in capsys.readouterr().err
    assert sorted(os.listdir()) == ["clip.gif", "clip.mp4"]


@needs_video
def test_a_clip_without_torchs_place(tiny_style: Path, clip: Path, tmp_path: Path) -> None:
    onnx = tiny_style.with_suffix(".onnx")
    assert call("stylize", clip, "--checkpoint", onnx, "--output", tmp_path / "a.mp4", "--steady", "still") == 0
    assert call("stylize", clip, "--checkpoint", onnx, "--output", tmp_path / "b.mp4") == 0
    assert clip_frames(tmp_path / "b.mp4") == 4


@needs_video
def test_a_clip_whose_end_is_missing(
    tiny_style: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip.write_bytes(clip.read_bytes()[:-500])
    assert call("stylize", clip, "--checkpoint", tiny_style, "--output", tmp_path / "a.mp4") == 1
    assert "clip.gif is damaged after 0.30 s" in capsys.readouterr().err
    assert clip_frames(tmp_path / "a.mp4") == 3


@needs_video
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".gif"])
def test_ctrl_c_leaves_a_clip_that_plays(
    suffix: str, tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from faststyle.video.steady import Steady

    source, target = tmp_path / "long.gif", tmp_path / f"out{suffix}"
    images = [Image.fromarray(noise(32, 48, seed=i % 5)) for i in range(100)]
    images[0].save(source, save_all=True, append_images=images[1:], duration=40)
    paint, seen = Steady.stylize, []

    def interrupted(self: Steady, photograph: np.ndarray) -> np.ndarray:
        seen.append(0)
        if len(seen) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return paint(self, photograph)

    monkeypatch.setattr(Steady, "stylize", interrupted)
    assert call("stylize", source, "--checkpoint", tiny_style, "--output", target) == 130
    count = int(capsys.readouterr().out.split(": ")[1].split()[0])
    assert 1 <= count < 20
    assert clip_frames(target) == count


@needs_video
def test_a_camera_until_it_is_interrupted(
    tiny_style: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """FFmpeg's test picture in its place."""
    from faststyle.video import clips

    monkeypatch.setattr(clips, "CAMERAS", dict.fromkeys(clips.CAMERAS, "lavfi"))
    timer = threading.Timer(1.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    line = ("--camera", "testsrc=size=64x48:rate=20", "--checkpoint", tiny_style, "--output", tmp_path / "a.mp4")
    assert call("stylize", *line) == 0
    timer.join()
    assert "frames, " in capsys.readouterr().out
    assert clip_frames(tmp_path / "a.mp4") >= 1
