"""Which picture goes where; going on past a bad file."""

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ImageError, OutputError
from faststyle.imaging.reading import read_picture
from faststyle.inference import batch
from faststyle.inference.batch import plan, read_manifest, repair_manifest, stylize_file, stylize_files
from faststyle.inference.stylizer import Stylizer
from helpers import noise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for name, size in {"a.jpg": (30, 40), "b.gif": (24, 24), "sub/a.png": (50, 20)}.items():
        Image.fromarray(noise(*size)).save(tmp_path / "in" / name)
    return tmp_path / "in"


def targets(inputs: list[Path], output: Path, **options: bool) -> list[str]:
    return [str(job.target.relative_to(output.parent)) for job in plan(inputs, output, **options)]


def test_file_to_file(folder: Path, tmp_path: Path) -> None:
    assert targets([folder / "a.jpg"], tmp_path / "x.png") == ["x.png"]


def test_file_into_an_existing_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert targets([folder / "a.jpg"], tmp_path / "out") == ["out/a.jpg"]


def test_files_into_a_folder(folder: Path, tmp_path: Path) -> None:
    assert targets([folder / "a.jpg", folder / "b.gif"], tmp_path / "out") == ["out/a.jpg", "out/b.png"]


def test_folder_keeps_relative_paths(folder: Path, tmp_path: Path) -> None:
    assert targets([folder], tmp_path / "out") == ["out/a.jpg", "out/b.png", "out/sub/a.png"]


def test_results_inside_the_source_are_not_stylised_again(folder: Path) -> None:
    output = folder / "out"
    for job in plan([folder], output):
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.write_bytes(b"x")
    assert targets([folder], output, overwrite=True) == ["out/a.jpg", "out/b.png", "out/sub/a.png"]


def test_refusals(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.png").write_bytes(b"old")
    Image.fromarray(noise(9, 9)).save(folder / "b.png")
    for inputs, output, words in [
        ([folder / "a.jpg"], tmp_path / "x.gif", "suffix must be one of"),
        ([folder / "a.jpg"], tmp_path / "x", "suffix must be one of"),
        ([folder / "a.jpg"], tmp_path / "old.png", "1 of 1 outputs exist, for one .*old.png: --overwrite"),
        ([folder / "a.jpg"], folder / "a.jpg", "would replace its own source"),
        ([folder, folder / "a.jpg"], tmp_path / "x.png", "several pictures need a folder"),
        ([folder], tmp_path / "old.png", "several pictures need a folder"),
        ([tmp_path / "empty"], tmp_path / "out", "no pictures in"),
        ([folder], tmp_path / "out", r"b.gif and .*b.png would both become .*b.png"),
        ([folder / "a.jpg", folder / "a.jpg"], tmp_path / "out", "would both become"),
    ]:
        with pytest.raises((ImageError, OutputError), match=words):
            plan(inputs, output)
    assert (tmp_path / "old.png").read_bytes() == b"old"
    assert not (tmp_path / "out").exists()


def test_goes_on_past_bad_files(folder: Path, tmp_path: Path, tiny_style: Path) -> None:
    (folder / "aa.jpg").write_bytes(b"")
    (folder / "sub" / "b.png").write_bytes(b"no picture")
    jobs = plan([folder], tmp_path / "out")
    stylizer = Stylizer.load(tiny_style, device="cpu")
    manifest = tmp_path / "new" / "manifest.jsonl"
    outcomes = stylize_files(stylizer, jobs, size=None, max_megapixels=1, manifest=manifest)
    errors = {path for path, error in outcomes.items() if error}
    assert {path.name for path in errors} == {"aa.jpg", "b.png"}
    assert set(outcomes) == {job.source for job in jobs}
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert sorted(line["input"] for line in lines) == sorted(str(job.source) for job in jobs)  # once each
    assert {Path(line["input"]).name for line in lines if line["error"]} == {"aa.jpg", "b.png"}
    assert all((line["ms"] is None) == bool(line["error"]) for line in lines)
    assert read_manifest(manifest) == {str(job.target) for job in jobs if job.source not in errors}
    for job in jobs:
        if job.source in errors:
            assert not job.target.exists()
        else:
            assert read_picture(job.target).size == read_picture(job.source).size


class Meeting:
    """A stylizer for up to three small pictures at once, each of which waits until there are three."""

    def __init__(self) -> None:
        self.all_three = threading.Barrier(3, timeout=60)
        self.workers = 0
        self.seen: list[tuple[int, int]] = []  # pixels, workers

    def max_workers(self, height: int, width: int) -> int:
        return 3 if height * width < 1000 else 1

    def share_cores(self, workers: int) -> None:
        self.workers = workers

    def stylize(self, photograph: np.ndarray) -> np.ndarray:
        self.seen.append((photograph.size // 3, self.workers))
        if photograph.size // 3 < 1000:
            self.all_three.wait()
        return photograph


def add_small_pictures(folder: Path, count: int) -> None:
    for i in range(count):
        Image.fromarray(noise(8, 8, seed=i)).save(folder / f"more{i}.png")


def test_several_small_pictures_at_once_and_large_ones_last(folder: Path, tmp_path: Path) -> None:
    add_small_pictures(folder, 20)  # and b.gif
    jobs = plan([folder], tmp_path / "out")
    stylizer = Meeting()
    manifest = tmp_path / "manifest"
    outcomes = stylize_files(stylizer, jobs, size=None, max_megapixels=1, manifest=manifest)  # type: ignore[arg-type]
    assert set(outcomes.values()) == {None}
    assert [workers for pixels, workers in stylizer.seen] == [3] * 21 + [1] * 2
    assert [pixels for pixels, workers in stylizer.seen[-2:]] == [1200, 1000]
    assert all(job.target.exists() for job in jobs)
    assert len(manifest.read_text().splitlines()) == len(jobs)


def test_few_pictures_are_held_at_a_time(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the disk is: no thread reads a picture before it has written the one before."""
    read: list[int] = []
    written: list[int] = []
    held: list[int] = []
    real_read, real_write = batch.read_picture, batch.write_picture

    def count(*arguments: Any, **options: Any) -> Any:
        read.append(1)
        held.append(len(read) - len(written))
        return real_read(*arguments, **options)

    def write_slowly(*arguments: Any) -> None:
        time.sleep(0.02)
        real_write(*arguments)
        written.append(1)

    monkeypatch.setattr(batch, "read_picture", count)
    monkeypatch.setattr(batch, "write_picture", write_slowly)
    for file in (*folder.glob("*.*"), folder / "sub" / "a.png"):
        file.unlink()
    add_small_pictures(folder, 30)
    jobs = plan([folder], tmp_path / "out")
    stylize_files(Meeting(), jobs, size=None, max_megapixels=1)  # type: ignore[arg-type]
    assert len(written) == len(jobs) == 30
    assert max(held) == 3


def test_an_exit_stops_all(folder: Path, tmp_path: Path) -> None:
    """The others end with the picture that they are at."""

    class BrokenInOneThread(Meeting):
        def stylize(self, photograph: np.ndarray) -> np.ndarray:
            self.seen.append((photograph.size // 3, self.workers))
            if len(self.seen) <= 3:
                self.all_three.wait()
            if threading.current_thread().name.endswith("_1"):
                raise SystemExit
            time.sleep(0.2)  # in which the failure gets through
            return photograph

    add_small_pictures(folder, 20)
    stylizer = BrokenInOneThread()
    with pytest.raises(SystemExit):
        stylize_files(stylizer, plan([folder], tmp_path / "out"), size=None, max_megapixels=1)  # type: ignore[arg-type]
    assert len(stylizer.seen) == 3
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == 2


def test_a_manifest_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*: .* is no folder"):
        stylize_files(
            None,  # type: ignore[arg-type]
            plan([folder], tmp_path / "out"),
            size=None,
            max_megapixels=1,
            manifest=tmp_path / "file" / "m",
        )


def test_what_is_no_manifest_is_not_added_to(tmp_path: Path) -> None:
    Image.fromarray(noise(9, 9)).save(tmp_path / "a.png")
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "other.json").write_text('{"error": null}\n')
    (tmp_path / "link").symlink_to("/dev/null")
    for name, words in (("a.png", "no manifest"), ("notes", "no manifest"), ("other.json", "no manifest"),
                        ("link", "no regular file"), (".", "it is a folder")):  # fmt: skip
        with pytest.raises(OutputError, match=words):
            read_manifest(tmp_path / name)
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_manifest_lacks_no_line_after_a_kill(folder: Path, tmp_path: Path) -> None:
    """Between a picture and its line, or within the line."""
    jobs, manifest = plan([folder], tmp_path / "out"), tmp_path / "manifest"
    repair_manifest(manifest, jobs[:1])
    with manifest.open("a") as file:
        file.write('{"input": "half a li')
    repair_manifest(manifest, jobs[:2])
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [line["output"] for line in lines] == [str(job.target) for job in jobs[:2]]
    assert all(line["ms"] is None and line["error"] is None for line in lines)


def test_stops_where_it_is_told_to(folder: Path, tmp_path: Path, tiny_style: Path) -> None:
    jobs = plan([folder], tmp_path / "out")
    asked: list[int] = []
    outcomes = stylize_files(
        Stylizer.load(tiny_style, device="cpu"),
        jobs,
        size=None,
        max_megapixels=1,
        stopping=lambda: asked.append(1) or len(asked) > 2,
    )
    assert list(outcomes.values()) == [None, None]
    assert sum(job.target.exists() for job in jobs) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError("a kernel\nfailed"), r"a kernel\nfailed"),
        (ZeroDivisionError(), "ZeroDivisionError"),
    ],
)
def test_any_error_of_a_picture_is_its_own(error: Exception, words: str, folder: Path, tmp_path: Path) -> None:
    class Failing(Meeting):
        def stylize(self, photograph: np.ndarray) -> np.ndarray:
            if photograph.shape == (30, 40, 3):
                return photograph
            raise error

    jobs = plan([folder], tmp_path / "out")
    outcomes = stylize_files(Failing(), jobs, size=None, max_megapixels=1)  # type: ignore[arg-type]
    expected = [None, *(f"{source}: {words}" for source in (folder / "b.gif", folder / "sub" / "a.png"))]
    assert [outcomes[job.source] and str(outcomes[job.source]) for job in jobs] == expected


def test_the_limit_holds_after_resizing(tmp_path: Path, tiny_style: Path) -> None:
    Image.fromarray(noise(1, 300)).save(tmp_path / "thin.png")
    (job,) = plan([tmp_path / "thin.png"], tmp_path / "out.png")
    with pytest.raises(ImageError, match=r"thin.png at 2000 pixels has 1200.0 megapixels, the limit is 200 ") as caught:
        stylize_file(Stylizer.load(tiny_style, device="cpu"), job, size=2000, max_megapixels=200)
    assert "\n" not in str(caught.value)
    outcomes = stylize_files(Meeting(), [job], size=100, max_megapixels=1)  # type: ignore[arg-type]
    assert "thin.png at 100 pixels has 3.0 megapixels, the limit is 1 " in str(outcomes[job.source])


def test_no_source_is_replaced_by_another_pictures_result(folder: Path, tmp_path: Path) -> None:
    """A link to where a result goes; a mask there."""
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(folder / "a.jpg", out / "a.jpg")
    (tmp_path / "c.jpg").symlink_to(out / "a.jpg")
    with pytest.raises(OutputError, match="a.jpg would replace its own source"):
        plan([folder / "a.jpg", tmp_path / "c.jpg"], out, overwrite=True)
    assert plan([folder], out, overwrite=True)
    with pytest.raises(OutputError, match="a.jpg would replace its own source"):
        plan([folder], out, overwrite=True, sources=[out / "a.jpg"])


def test_alpha_date_and_size(tmp_path: Path, tiny_style: Path) -> None:
    image = Image.fromarray(noise(40, 60))
    image.putalpha(Image.fromarray(noise(40, 60)[..., 1]))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    image.save(tmp_path / "a.png", exif=exif.tobytes())
    (job,) = plan([tmp_path / "a.png"], tmp_path / "b.png")
    result, ms = stylize_file(Stylizer.load(tiny_style, device="cpu"), job, size=20, max_megapixels=1)
    assert ms > 0
    before, after = read_picture(tmp_path / "a.png"), read_picture(tmp_path / "b.png")
    assert after.size == (20, 30)
    assert np.array_equal(after.rgb, result.rgb)
    assert after.alpha is not None
    assert before.alpha is not None
    small = np.asarray(Image.fromarray(before.alpha).resize((30, 20), Image.Resampling.LANCZOS))
    assert np.array_equal(after.alpha, small)
    assert after.captured == "2020:01:02 03:04:05"
