"""Whole copies of data sets on a cluster: whatever is lost or broken meanwhile, each picture is there once."""

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from datasets.conftest import Cluster, lose
from faststyle.datasets.layouts import LAYOUTS
from faststyle.datasets.records import FOLDER, MANIFEST
from faststyle.imaging.reading import read_picture
from helpers import ROOT, noise

pytestmark = pytest.mark.slow
COUNT, BROKEN = int(os.environ.get("FASTSTYLE_PICTURES", "60")), 10
STYLE = ("--checkpoint", "paintings", "--styles", "starry_night,great_wave")

Files = dict[str, bytes]


def is_broken(path: str | Path) -> bool:
    return int(Path(path).stem) % (COUNT // BROKEN) == 3


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(COUNT):
        path = folder / f"class{i % 3}" / f"{i:04}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise(192, 192 + i, seed=i)).save(path)
        if is_broken(path):
            path.write_bytes(path.read_bytes()[: 100 * (i % 3)])
    return folder


def files_of(folder: Path) -> Files:
    """All of them, also what tells of the parts, but for the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, error = process.communicate(timeout=200)
    assert "Traceback" not in error, error
    return process.returncode, out, error


def wait_for(output: Path, count: int, process: "subprocess.Popen[str]") -> None:
    """Until so many pictures, or pieces, are there."""
    while sum(1 for _ in output.rglob("*.jpg")) + sum(1 for _ in output.rglob("*.piece")) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(cluster: Cluster, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The copy as it comes of one run, in which nothing is lost."""
    output = tmp_path_factory.mktemp("whole") / "out"
    code, out, error = finish(cluster.command(pictures, output, *STYLE))
    assert (code, out) == (1, f"{COUNT - BROKEN} of {COUNT} pictures stylised into {output}\n")
    assert error.count("failed: class") == BROKEN
    check_copy(output, pictures)
    files = files_of(output)
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    code, out, error = finish(cluster.command(pictures, output, *STYLE))
    assert (code, out.splitlines()[0], error.count("failed: class")) == (1, "nothing left to do", BROKEN)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == times
    return files


def check_copy(output: Path, pictures: Path) -> None:
    """All that can be painted is there, once, and the manifest tells of all."""
    names = sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.jpg"))
    broken = set(filter(is_broken, names))
    assert len(broken) == BROKEN
    assert sorted(path.relative_to(output).as_posix() for path in output.rglob("*.jpg")) == sorted({*names} - broken)
    lines = [json.loads(line) for line in (output / MANIFEST).read_text().splitlines()]
    assert [line["name"] for line in lines] == names
    assert {line["name"] for line in lines if line["error"]} == broken
    for line in lines:
        assert line["style"] in STYLE[-1].split(",")
        if not line["error"]:
            assert read_picture(output / line["output"]).size == read_picture(pictures / line["name"]).size
    assert {line["style"] for line in lines} == set(STYLE[-1].split(","))


def kill_a_worker(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    while not (workers := cluster.workers()):
        time.sleep(0.02)
    os.kill(workers[0], signal.SIGKILL)
    return 1


def kill_both_workers(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    for worker in cluster.workers():
        os.kill(worker, signal.SIGKILL)
    return 1


def lose_a_machine(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    machine = cluster.machines[-1]
    while not cluster.workers(machine.pid):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    lose(machine)
    return 1


def interrupt(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    process.send_signal(signal.SIGINT)
    return 130


def terminate(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    process.terminate()
    return 143


def kill(cluster: Cluster, process: "subprocess.Popen[str]") -> int | None:
    process.kill()
    return -9


DISTURBANCES: list[Callable[[Cluster, "subprocess.Popen[str]"], int | None]]
DISTURBANCES = [kill_a_worker, kill_both_workers, interrupt, terminate, kill, lose_a_machine]


@pytest.mark.parametrize("disturb", DISTURBANCES, ids=lambda disturb: disturb.__name__)
def test_a_disturbed_copy_is_that_of_one_run(
    disturb: Callable[[Cluster, "subprocess.Popen[str]"], int | None],
    cluster: Cluster,
    whole: Files,
    pictures: Path,
    tmp_path: Path,
) -> None:
    output = tmp_path / "out"
    process = cluster.command(pictures, output, *STYLE)
    wait_for(output, COUNT // 5, process)
    expected = disturb(cluster, process)
    code, out, error = finish(process)
    assert code == expected, error
    if code == 1:
        assert error.count("a worker was lost, another takes its place\n") in (1, 2)
        assert "raylet" not in error + out
    else:
        assert files_of(output) != whole
        assert (error.splitlines()[-1:] == ["interrupted: the same command goes on"]) is (code > 0)
        assert finish(cluster.command(pictures, output, *STYLE))[0] == 1
    assert files_of(output) == whole
    if disturb is lose_a_machine:
        cluster.start_machine()


def make_shards(pictures: Path, folder: Path) -> Path:
    """Two tar shards with the pictures, labels and descriptions."""
    folder.mkdir()
    paths = sorted(pictures.rglob("*.jpg"))
    for number in range(2):
        with tarfile.open(folder / f"{number:05}.tar", "w") as tar:
            for path in paths[number::2]:
                described = json.dumps({"path": str(path), "of": " a  set"}).encode()
                for extension, content in (
                    ("cls", path.parent.name[-1].encode()),
                    ("jpg", path.read_bytes()),
                    ("json", described),
                ):
                    info = tarfile.TarInfo(f"{path.stem}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_tar_shards_are_read_back_by_webdataset(cluster: Cluster, pictures: Path, tmp_path: Path) -> None:
    """Labels and descriptions as they were; in each shard its own pictures, in order; interrupted in between.

    webdataset leaves shards open for the garbage collector to close.
    """
    webdataset = pytest.importorskip("webdataset")
    shards, output = make_shards(pictures, tmp_path / "in"), tmp_path / "out"
    process = cluster.command(shards, output, *STYLE)
    wait_for(output, 1, process)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] == 130
    assert finish(cluster.command(shards, output, *STYLE))[0] == 1
    assert sorted(path.name for path in output.iterdir()) == [FOLDER, "00000.tar", "00001.tar", MANIFEST]
    for name in ("00000.tar", "00001.tar"):
        before, after = (
            {each["__key__"]: each for each in webdataset.WebDataset(str(folder / name), shardshuffle=False)}
            for folder in (shards, output)
        )
        assert list(after) == [key for key in before if not is_broken(key)]
        for key, sample in after.items():
            assert (sample["cls"], sample["json"]) == (before[key]["cls"], before[key]["json"])
            assert sample["jpg"] != before[key]["jpg"]
            assert Image.open(io.BytesIO(sample["jpg"])).size == Image.open(io.BytesIO(before[key]["jpg"])).size
    lines = [json.loads(line) for line in (output / MANIFEST).read_text().splitlines()]
    assert len({line["name"] for line in lines}) == len(lines) == COUNT
    files = files_of(output)
    assert finish(cluster.command(shards, output, *STYLE))[1].startswith("nothing left to do\n")
    assert files_of(output) == files


def test_a_full_disk_stops_it_in_one_line_and_it_goes_on(
    cluster: Cluster, whole: Files, pictures: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(map(len, whole.values())) // 2
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        code, _, error = finish(cluster.command(pictures, disk / "out", *STYLE))
        assert code == 2
        assert error.splitlines()[-1].startswith("error: cannot write: ")
        assert error.splitlines()[-1].endswith("No space left on device")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert finish(cluster.command(pictures, disk / "out", *STYLE))[0] == 1
        assert files_of(disk / "out") == whole
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_failed_is_tried_again_where_asked(cluster: Cluster, whole: Files, pictures: Path, tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    shutil.copytree(pictures / "class0", source)
    good, repaired = (source / "0000.jpg").read_bytes(), next(filter(is_broken, sorted(source.iterdir())))
    assert finish(cluster.command(source, output, *STYLE))[0] == 1
    repaired.write_bytes(good)
    assert finish(cluster.command(source, output, *STYLE))[1].startswith("nothing left to do\n")
    assert not (output / repaired.name).exists()
    finish(cluster.command(source, output, *STYLE, "--retry"))
    assert (output / repaired.name).exists()


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_is_copied_by_the_command(kind: str, cluster: Cluster, tiny_style: Path, tmp_path: Path) -> None:
    from datasets.test_layouts import MAKERS, encoded

    data = {f"{i:03}": (encoded(i), f"class{i % 3}".encode()) for i in range(40)}
    source, output = MAKERS[kind].make(data, tmp_path / "in"), tmp_path / "out"
    code, out, error = finish(cluster.command(source, output, "--checkpoint", tiny_style))
    assert (code, out) == (0, f"40 of 40 pictures stylised into {output}\n"), error
    found = MAKERS[kind].read(output)
    assert {name: label for name, (_, label) in found.items()} == {name: label for name, (_, label) in data.items()}
    assert not any(found[name][0] == data[name][0] for name in data)
    assert not list(ROOT.glob(FOLDER))
