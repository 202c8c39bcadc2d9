"""scripts/make_paintings.py."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import make_paintings
from faststyle.imaging.reading import read_picture
from helpers import ROOT
from paintings import PAINTINGS


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the script as a program."""
    monkeypatch.setattr(sys, "argv", ["make_paintings.py", *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / "scripts" / "make_paintings.py"), run_name="__main__")
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_writes_the_chosen_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the size and by the seed that are asked for, in place of what was there."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "stained_glass.jpg").write_bytes(b"old")
    assert ended(monkeypatch, "stained_glass", "--output", tmp_path / "new", "--size", 32, "--seed", 3) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["stained_glass.jpg"]
    written = read_picture(tmp_path / "new" / "stained_glass.jpg")
    assert written.size == (32, 32)
    expected, other = (PAINTINGS["stained_glass"](32, seed=seed) for seed in (3, 0))
    likeness = [np.corrcoef(written.rgb.ravel(), picture.ravel())[0, 1] for picture in (expected, other)]
    assert likeness[0] > 0.8  # JPEG loses much of so small a picture
    assert likeness[0] > likeness[1] + 0.2


def test_all_are_written_without_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {name: lambda size, seed: np.full((size, size, 3), seed, np.uint8) for name in PAINTINGS}
    monkeypatch.setattr("paintings.PAINTINGS", quick)
    assert ended(monkeypatch, "--output", tmp_path, "--size", 16) == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.jpg" for name in PAINTINGS}


def test_the_shipped_ones_are_the_defaults() -> None:
    args = make_paintings.parse([])
    assert (args.names, args.output, args.size, args.seed) == ([], ROOT / "paintings", 1024, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sunrise"], "unknown painting 'sunrise'; known: stained_glass"),
        (["--size", "3"], "--size must be at least 16"),
        (["--seed", "-1"], "--seed at least 0"),
        (
            ["stained_glass", "--size", "16", "--output", "{file}/folder"],
            "cannot write {file}/folder/stained_glass.jpg",
        ),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "file").touch()
    filled = [argument.format(file=tmp_path / "file") for argument in arguments]
    assert ended(monkeypatch, "--output", tmp_path, *filled) == 2
    line = capsys.readouterr().err.splitlines()[-1]  # after the progress bar, where the work had begun
    assert line.startswith("error: ")
    assert words.format(file=tmp_path / "file") in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
