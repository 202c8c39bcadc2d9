"""``faststyle stylize-dataset``: a whole copy on this machine; what cannot work is one line, and leaves all."""

import json
import re
import shutil
from pathlib import Path

import pytest

from faststyle.commands.stylize_dataset import parse
from faststyle.datasets.records import MANIFEST
from faststyle.imaging.images import MAX_MEGAPIXELS
from faststyle.imaging.reading import read_picture
from helpers import call, noise, run

pytest.importorskip("ray", reason="needs the extra ray")


@pytest.mark.slow
def test_a_folder_on_this_machine(tiny_style: Path, photos: Path, tmp_path: Path) -> None:
    """The terminal has the progress, the failures and the result, nothing of Ray's."""
    shutil.copytree(photos, tmp_path / "in")
    (tmp_path / "in" / "nested" / "bad.jpg").write_bytes(b"x")
    arguments = (tmp_path / "in", tmp_path / "out", "--checkpoint", tiny_style, "--workers", 1, "--size", 20)
    done = run("stylize-dataset", *arguments)
    assert (done.returncode, done.stdout) == (1, f"6 of 7 pictures stylised into {tmp_path / 'out'}\n"), done.stderr
    *progress, failed = done.stderr.splitlines()
    assert failed == "failed: nested/bad.jpg is no picture of a known format (JPEG, PNG, WEBP, TIFF, BMP, GIF)"
    assert all(not line or line.startswith("stylising: ") for line in progress)
    assert re.search(r"7/7 .*(picture/s|s/picture)", progress[-1])
    lines = [json.loads(line) for line in (tmp_path / "out" / MANIFEST).read_text().splitlines()]
    assert len(lines) == 7
    for line in lines:
        assert line["style"] == tiny_style.stem
        assert line["error"] or min(read_picture(tmp_path / "out" / line["output"]).size) == 20
    again = run("stylize-dataset", *arguments)
    assert (again.returncode, again.stdout) == (1, f"nothing left to do\n{done.stdout}")
    assert again.stderr == f"{failed}\n"


REFUSALS = {
    "a style must be one of": ["photos", "out", "--styles", "mona_lisa"],
    "--per-picture 2 needs as many styles, found 1": ["photos", "out", "--per-picture", "2"],
    "--memory must be like 4G or 500M": ["photos", "out", "--memory", "much"],
    "no data set": ["nowhere", "out"],
    "nothing in": ["empty", "out"],
    "no pictures in": ["wordless.tar", "out"],
    "is not empty, and was not written by this command": ["photos", "others"],
    "photos is in the data set: choose another": ["photos", "photos"],
    "out is in the data set: choose another": ["photos", "photos/out"],
    "is where the data set itself is: choose another": ["wordless.tar", "."],
    "is no folder": ["photos", "file/out"],
    "was begun with checkpoint None, found": ["photos", "begun"],
    "no checkpoint nowhere": ["photos", "out", "--checkpoint", "nowhere"],
    "no Ray cluster 127.0.0.1:9: Connection refused": ["photos", "out", "--address", "127.0.0.1:9"],
    "no Ray cluster 127.0.0.1:99999: ": ["photos", "out", "--address", "127.0.0.1:99999"],
    "b.gif and b.png would both become b.png": ["twins", "out"],
}


@pytest.mark.parametrize("words", REFUSALS)
def test_refusals(
    words: str,
    photos: Path,
    tiny_style: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    shutil.copytree(photos, "photos")
    for folder in ("empty", "others", "twins", "begun/.faststyle"):
        Path(folder).mkdir(parents=True)
    Path("others/mine.txt").touch()
    Path("file").touch()
    Path("wordless.tar").write_bytes(bytes(10240))
    for name in ("b.gif", "b.png"):
        Image.fromarray(noise(9, 9)).save(f"twins/{name}")
    Path("begun/.faststyle/settings.json").write_text('{"format": 1, "seed": 1}')
    before = sorted(path for path in tmp_path.rglob("*"))
    assert call("stylize-dataset", "--checkpoint", tiny_style, *REFUSALS[words]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1
    assert sorted(path for path in tmp_path.rglob("*") if "out" not in path.parts) == before


def test_defaults() -> None:
    args = parse(["in", "out", "--checkpoint", "paintings"])
    assert (args.source, args.output, args.checkpoint) == (Path("in"), Path("out"), "paintings")
    assert (args.styles, args.per_picture, args.seed, args.workers, args.address) == ("all", 1, 0, None, None)
    assert (args.size, args.device, args.retry, args.max_megapixels) == (None, "auto", False, None)
    assert MAX_MEGAPIXELS == 200
