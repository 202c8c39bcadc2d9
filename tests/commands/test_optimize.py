"""``faststyle optimize``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from faststyle.imaging.reading import read_picture
from helpers import ROOT, call, noise


def test_a_photograph_is_painted_and_measured(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(noise(40, 40, seed=2)).save(tmp_path / "painting.png")
    small = ("image_size=32", "style.size=32", "loss_network=compact", "steps=2", f"hydra.run.dir={tmp_path / 'run'}")
    assert call("optimize", f"content={photo}", f"style.image={tmp_path / 'painting.png'}", *small) == 0
    out = capsys.readouterr().out
    assert "objective " in out
    figures = json.loads((tmp_path / "run" / "result.json").read_text())["evaluation"]
    measured = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
    assert f"measured: {measured}" in out
    assert figures.keys() == {"content_error", "style_error", "style_distance"}
    assert read_picture(tmp_path / "run" / "stylized.png").size == (43, 32)


def test_a_first_picture_without_training(photo: Path, tmp_path: Path) -> None:
    """Nearer to the painting than the photograph is, and it loads nothing that only iterations need."""
    painting = ROOT / "paintings" / "woodcut_waves.jpg"
    small = ("image_size=64", "style.size=128", "loss_network=compact", "steps=0", f"hydra.run.dir={tmp_path / 'run'}")
    distances = []
    for init in ("content", "wct"):
        code = (
            f"import sys; sys.argv = {['faststyle', 'optimize', f'content={photo}', f'style.image={painting}', *small]}"
        )
        code += f"\nsys.argv.append('init={init}')\nfrom faststyle.commands.main import main\ntry: main()\n"
        code += "except SystemExit as stop: assert not stop.code\nassert 'sympy' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        record = json.loads((tmp_path / "run" / "result.json").read_text())
        assert len(record["losses"]) == 1
        distances.append(record["evaluation"]["style_distance"])
    assert distances[1] < 0.7 * distances[0]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ([], "error: content: set content=PATH to a photograph"),
        (["content=nowhere.jpg"], "no picture nowhere.jpg"),
        (["content={photo}", "style.image=nowhere.jpg"], "error: style.image: no picture nowhere.jpg"),
        (["content={photo}", "style.image={photo}", "steps=abc"], "error: steps: Value 'abc'"),
        (
            ["content={photo}", "style.image={photo}", "output={photo}", "overwrite=true"],
            "would replace its own source",
        ),
        (["content=nowhere.jpg", "output={photo}"], "exists: set overwrite to replace it"),
        (["style=nope"], "Could not find 'style/nope'"),
        (["foo=1"], "error: unknown setting foo; --help lists all"),
    ],
)
def test_what_cannot_work_is_one_line(
    overrides: list[str],
    words: str,
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("loss_network=compact", "style.size=32", "image_size=32", "hydra.run.dir=run")
    assert call("optimize", *small, *[override.format(photo=photo) for override in overrides]) == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("error: ")
    assert (out, error.count("\n")) == ("", 1)
    assert not list(tmp_path.rglob("stylized.png"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer=sgd", "error: optimizer must be one of lbfgs, adam, found 'sgd'"),
        ("init=paper", "error: init must be one of content, style, noise, wct, found 'paper'"),
        ("loss.style_layers=[relu9_9]", "error: unknown layer relu9_9"),
    ],
)
def test_what_the_work_shows_is_the_last_line(
    override: str, words: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the start of its progress."""
    small = ("loss_network=compact", "style.size=32", "image_size=32", f"hydra.run.dir={tmp_path / 'run'}")
    assert call("optimize", f"content={photo}", f"style.image={photo}", *small, override) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert error.splitlines()[-1].startswith(words)
