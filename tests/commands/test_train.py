"""scripts/train.py, and the commands of the README."""

from pathlib import Path

import pytest

from commands import VGG, readme_line, run
from conftest import SHARED
from faststyle.imaging.images import read_picture


def test_readmes_first_command(tmp_path: Path) -> None:
    small = ["trainer.max_steps=2", "data.image_size=32"]
    done = run("train", *readme_line("pip install uv &&"), *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (preview,) = tmp_path.rglob("preview.png")
    assert "before and after: " in done.stdout
    assert read_picture(preview).size[0] == 400


def test_readmes_sample_photograph(tmp_path: Path) -> None:
    command = readme_line("--sample astronaut")
    done = run("stylize", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / command[-1]).size == (512, 512)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.roof=x"], "Key 'roof' is not in struct"),
        (["style=mona_lisa"], "Could not find 'style/mona_lisa'"),
        (["network.width=["], "no viable alternative at input"),
        (["data.root=nowhere"], "error: style.image: "),
        (["style.image={painting}"], "error: data.root: set data.root=PATH"),
        (["style.image={painting}", "data.root=nowhere"], "error: data.root: no folder or zip file"),
        (["trainer.max_steps=many"], "error: trainer.max_steps: "),
        (["network.norm=layer", "style.image={painting}", "data.root={folder}"], "error: network.norm must be"),
    ],
)
def test_bad_configuration(overrides: list[str], words: str, photo: Path) -> None:
    folder = photo.parent
    filled = [override.format(painting=photo, folder=folder) for override in overrides]
    done = run("train", *filled, f"hydra.run.dir={folder / 'run'}", cwd=folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.rglob("*.safetensors"))
    if words.startswith("error"):
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.weights
def test_real_photographs_painting_and_weights(tmp_path: Path) -> None:
    """The thin path through everything, on real input, a few steps long."""
    overrides = [
        f"style.image={SHARED / 'data' / 'styles' / 'the_scream.jpg'}",
        f"data.root={SHARED / 'data' / 'photos_256.zip'}",
        f"data.cache_dir={tmp_path / 'packs'}",
        "data.image_size=64",
        "loss_network=vgg19",
        f"loss_network.weights={VGG}",
        "trainer=cpu",
        "trainer.max_steps=4",
        f"hydra.run.dir={tmp_path / 'run'}",
        f"output={tmp_path / 'scream.safetensors'}",
    ]
    done = run("train", *overrides, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "images/s" in done.stderr
    assert (tmp_path / "run" / "samples" / "step-000004.png").exists()
    photo = SHARED / "data" / "eval" / "figures.jpg"
    options = ("--checkpoint", tmp_path / "scream.safetensors", "--output", tmp_path / "a.jpg", "--size", 64)
    assert run("stylize", photo, *options).returncode == 0
    assert min(read_picture(tmp_path / "a.jpg").size) == 64
