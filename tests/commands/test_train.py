"""``faststyle train``: README's first command, wrong settings, and the path through everything on real input."""

import importlib.util
import logging
from pathlib import Path
from zipfile import ZipFile

import pytest

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import ConfigError
from faststyle.imaging.reading import read_picture
from helpers import SHARED, VGG, call, readme_line


def test_a_sweep_of_jobs_names_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "submitit" else find_spec(name))
    assert call("train", "-m", "hydra/launcher=submitit_slurm", "seed=1,2") == 2
    assert capsys.readouterr().err == "error: a sweep of jobs needs submitit: pip install 'faststyle[cluster]'\n"


def test_readmes_first_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("trainer.max_steps=2", "data.image_size=32", f"cache_dir={tmp_path / 'packs'}")
    assert call(*readme_line("experiment=quickstart"), *small) == 0
    (preview,) = tmp_path.rglob("preview.png")
    assert read_picture(preview).size[0] == 400
    (weights,) = tmp_path.rglob("*.safetensors")
    out = capsys.readouterr().out
    assert f"before and after: {preview.relative_to(tmp_path)}" in out.replace(f"{tmp_path}/", "")
    assert f"--checkpoint {weights.relative_to(tmp_path)} " in out.replace(f"{tmp_path}/", "")  # how to apply it
    outcome = read_checkpoint(weights).header.outcome
    assert outcome is not None
    assert outcome.step == 2


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.max_steps=abc"], "error: trainer.max_steps: Value 'abc'"),
        (["network.norm=foo"], "error: network.norm must be one of instance, batch, found 'foo'"),
        (["foo=1"], "error: unknown setting foo; --help lists all"),
        (["--nope"], "unrecognized arguments: --nope; --help lists the options"),
        (["style=nope"], "Could not find 'style/nope'"),
        (["network.width=["], "no viable alternative at input"),
        (["style.image=nowhere.jpg", "data.root=nowhere"], "error: style.image: no picture nowhere.jpg"),
        (["style.image={painting}"], "error: data.root: set data.root=PATH"),
        (["style.image={painting}", "data.root=nowhere"], "error: data.root: nowhere is none of: 'samples', a folder"),
        (["style.image={painting}", "data.root={folder}", "output=weights.pth"], "suffix must be one of .safetensors"),
    ],
)
def test_a_wrong_setting_is_one_line(
    overrides: list[str],
    words: str,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    filled = [override.format(painting=photo, folder=photo.parent) for override in overrides]
    assert call("train", *filled, "hydra.run.dir=run") == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("error: ")
    assert (out, error.count("\n")) == ("", 1)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_the_work_shows_is_the_last_line(train_overrides: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """After the progress of the photographs."""
    assert call("train", *train_overrides, "loss.style_layers=[relu9_9]") == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith("error: unknown layer relu9_9; known: ")


def test_log_lines_have_no_control_characters(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the run's own log."""
    monkeypatch.setattr("faststyle.experiments.train.train", lambda settings: logging.warning(settings.preview))
    name = "a\nb\x1b[31m.jpg"
    assert call("train", "style.image=a", f"preview='{name}'", f"hydra.run.dir={tmp_path / 'run'}") == 0
    assert capsys.readouterr().out == "a\\nb\\x1b[31m.jpg\n"
    assert (tmp_path / "run" / "train.log").read_text() == "a\\nb\\x1b[31m.jpg\n"


def test_debug_shows_where_it_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network.norm must be one of"):
        call("train", "network.norm=foo", "debug=true", f"hydra.run.dir={tmp_path}")
    with pytest.raises(ConfigError, match=r"unknown setting foo"):
        call("train", "foo=1", "debug=true", f"hydra.run.dir={tmp_path}")


@pytest.mark.weights
def test_real_photographs_painting_and_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The thin path through everything, on real input, a few steps long."""
    with ZipFile(SHARED / "data" / "photos_256.zip") as every, ZipFile(tmp_path / "some.zip", "w") as some:
        for info in [info for info in every.infolist() if not info.is_dir()][:40]:
            some.writestr(info, every.read(info))
    overrides = [
        f"style.image={SHARED / 'data' / 'styles' / 'the_scream.jpg'}",
        f"data.root={tmp_path / 'some.zip'}",
        f"cache_dir={tmp_path / 'packs'}",
        "data.image_size=64",
        "style.size=128",
        "loss_network=vgg19",
        f"loss_network.weights={VGG}",
        "trainer=cpu",
        "trainer.max_steps=4",
        f"hydra.run.dir={tmp_path / 'run'}",
        f"output={tmp_path / 'scream.safetensors'}",
    ]
    assert call("train", *overrides) == 0
    assert "images/s" in capsys.readouterr().err
    assert (tmp_path / "run" / "samples" / "step-000004.png").exists()
    photo = SHARED / "data" / "eval" / "figures.jpg"
    options = ("--checkpoint", tmp_path / "scream.safetensors", "--output", tmp_path / "a.jpg", "--size", 64)
    assert call("stylize", photo, *options) == 0
    assert min(read_picture(tmp_path / "a.jpg").size) == 64
