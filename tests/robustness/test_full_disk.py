"""What happens where nothing can be written any more: one line, and what was there before stays."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.checkpoint import read_checkpoint
from faststyle.files import TEMPORARY
from helpers import fork

PAGE = 4096  # bytes: what a file takes at least
LARGE = 300  # pixels: a picture that takes some pages

Line = list[object]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, left: int) -> Path:
    """A file that leaves so many bytes."""
    free = shutil.disk_usage(disk).free
    path = disk / "filler"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(free - left, 1))
    return path


def large(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (LARGE, LARGE, 3), np.uint8)).save(path)
    return path


def finish(line: Line, folder: Path) -> tuple[int | None, str]:
    """The exit code of ``faststyle ...`` and what it prints."""
    printed = folder / "printed"
    printed.unlink(missing_ok=True)
    process = fork([str(word) for word in line], folder, printed)
    process.join()
    return process.exitcode, printed.read_text()


def stylize_one(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    target = large(disk / "out.png")
    source = large(disk.parent / "in.png")
    return ["stylize", source, "--checkpoint", weights, "--output", target, "--overwrite"], target


def stylize_folder(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    sources = [large(disk.parent / "in" / f"{name}.png") for name in "ab"]
    target = large(disk / "a.png")
    return ["stylize", sources[0].parent, "--checkpoint", weights, "--output", disk, "--overwrite"], target


def stylize_with_manifest(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    (disk / "list.jsonl").write_text('{"input": "x", "output": "y", "ms": 1.0, "error": null}\n' * 60)
    sources = [large(disk.parent / "in" / f"{name}.png") for name in "abcdefgh"]
    line = ["stylize", sources[0].parent, "--checkpoint", weights, "--output", disk.parent / "out"]
    return [*line, "--manifest", disk / "list.jsonl"], disk / "list.jsonl"


def export(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    line: Line = ["export", weights, "--output", disk / "a.onnx", "--overwrite"]
    finish(line, disk.parent)
    return line, disk / "a.onnx"


def evaluate(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    (disk / "a.json").write_text("{}")
    line = ["evaluate", "--checkpoint", weights, "--style", photo, "--images", photo, "--loss-network", "compact"]
    line += ["--size", 64, "--style-size", 64, "--iterations", 0, "--json", disk / "a.json", "--overwrite"]
    return line, disk / "a.json"


def optimize(disk: Path, weights: Path, photo: Path) -> tuple[Line, Path]:
    target = large(disk / "a.png")
    line = ["optimize", f"content={large(disk.parent / 'in.png')}", f"style.image={photo}", "image_size=64", "steps=1"]
    line += ["style.size=64", "loss_network=compact", f"output={target}", "overwrite=true"]
    return [*line, f"hydra.run.dir={disk.parent / 'run'}"], target


WRITING: dict[str, tuple[Callable[[Path, Path, Path], tuple[Line, Path]], int]] = {
    "stylize": (stylize_one, 2),
    "stylize a folder": (stylize_folder, 1),
    "stylize with a manifest": (stylize_with_manifest, 2),
    "export": (export, 2),
    "evaluate": (evaluate, 2),
    "optimize": (optimize, 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", WRITING)
def test_a_full_disk_is_one_line_and_the_file_before_stays(
    case: str, disk: Path, tiny_style: Path, photo: Path
) -> None:
    prepare, code = WRITING[case]
    line, target = prepare(disk, tiny_style, photo)
    before = target.read_bytes()
    written, filler = target.stat().st_mtime_ns, fill(disk, 0)
    found, text = finish(line, disk.parent)
    assert found == code, text
    assert "No space left on device" in text
    assert "Traceback" not in text
    assert text.splitlines()[-1].startswith(("error: ", "failed: "))
    assert target.read_bytes().startswith(before)
    filler.unlink()
    again, text = finish([*line, *(["--overwrite"] if "--manifest" in line else [])], disk.parent)
    assert again == 0, text
    assert target.stat().st_mtime_ns > written
    assert not list(disk.rglob(f"{TEMPORARY}*"))


@pytest.mark.slow
def test_packing_into_a_full_disk(disk: Path, train_overrides: list[str]) -> None:
    line: Line = ["train", *train_overrides, f"cache_dir={disk / 'packs'}"]
    filler = fill(disk, 3 * PAGE)
    code, text = finish(line, disk.parent)
    assert code == 2
    assert text.count("\n") == 1
    assert text.startswith(f"error: cannot write the pack {disk}/packs/")
    assert text.endswith("No space left on device\n")
    filler.unlink()
    assert finish(line, disk.parent)[0] == 0
    assert not list(disk.rglob(f"{TEMPORARY}*"))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [0.5, 1.5])
def test_a_disk_that_is_full_during_the_training(sizes: float, disk: Path, train_overrides: list[str]) -> None:
    """There is room for so many checkpoints and little else. What was written is whole, and goes on."""
    others = [setting for setting in train_overrides if not setting.startswith("run_dir=")]
    line: Line = ["train", *others, "trainer.max_steps=6", "trainer.checkpoint_every=2", "resume=auto"]
    measured = disk.parent / "measured"
    assert finish([*line, f"hydra.run.dir={measured}"], disk.parent)[0] == 0
    line.append(f"hydra.run.dir={disk / 'run'}")
    (checkpoint,) = measured.rglob("*.ckpt")
    filler = fill(disk, round(sizes * checkpoint.stat().st_size))
    code, text = finish(line, disk.parent)
    assert code == 2, text
    assert "Traceback" not in text
    assert "No space left on device" in text.splitlines()[-1]
    for path in disk.rglob("*.ckpt"):
        read_checkpoint(path)
    filler.unlink()
    code, text = finish(line, disk.parent)
    assert code == 0, text
    assert "damaged" not in text
    assert not list(disk.rglob(f"{TEMPORARY}*"))
