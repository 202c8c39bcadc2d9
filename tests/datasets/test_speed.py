"""What a stylised copy takes: stages of real pictures, the first process's own work, the whole."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from faststyle.datasets import speed
from faststyle.datasets.choice import Choice
from faststyle.datasets.cluster import Done, Worker
from faststyle.datasets.files import FolderLayout
from faststyle.datasets.layout import Part
from faststyle.datasets.painting import Work
from faststyle.datasets.records import Records
from faststyle.datasets.speed import (
    FEW,
    STAGES,
    bookkeeping_seconds,
    handing_seconds,
    measure_copy,
    stage_seconds,
    stages_side_by_side,
)
from faststyle.imaging.images import find_pictures
from helpers import noise


@pytest.fixture
def work(tiny_style: Path, tmp_path: Path) -> Work:
    source = tmp_path / "source"
    source.mkdir()
    for i in range(FEW + 4):
        (folder := source / "ab"[i % 2]).mkdir(exist_ok=True)  # names come twice, and one is not written as it is
        Image.fromarray(noise(20, 30, seed=i)).save(folder / f"{i // 2:02}.{'gif' if i == 3 else 'png'}")
    return Work(
        str(tiny_style), FolderLayout(source, Choice(("style",), 1, 0)), tmp_path / "none", None, 1, "cpu", None
    )


def test_each_stage_of_a_picture(work: Work) -> None:
    """More than there are: they come around again."""
    found = stage_seconds(work, 30)
    assert len(found) == 30
    assert all(tuple(each) == STAGES and min(each.values()) > 0 for each in found)
    assert not work.output.exists()


def test_processes_at_once_have_a_core_each(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    @contextmanager
    def pool(workers: int, context: object) -> Iterator[SimpleNamespace]:
        held.append((workers, len(os.sched_getaffinity(0))))
        yield SimpleNamespace(map=map)

    monkeypatch.setattr(speed, "ProcessPoolExecutor", pool)
    own = os.sched_getaffinity(0)
    assert len(stages_side_by_side(work, 3, 1)) == 3
    assert held == [(1, 1)]
    assert os.sched_getaffinity(0) == own


def test_the_first_processs_own_work(work: Work) -> None:
    listing, manifest = bookkeeping_seconds(work, 100)
    assert 0 < listing < 0.1
    assert 0 < manifest < 0.1


def test_the_first_process_hands_out_parts(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []

    def do_all(parts: deque[Part], each: Work, *_: object) -> Iterator[tuple[Part, Done]]:
        worker = Worker(each, 1, Records(each.output).settings())
        assert worker.start() == Done()
        for part in parts:
            handed.append(part)
            assert worker.do(part, again=False) == Done()
            yield part, Done()

    monkeypatch.setattr(speed, "connected", lambda address, workers: nullcontext())
    monkeypatch.setattr(speed, "build_team", lambda workers, device: None)
    monkeypatch.setattr(speed, "do_all", do_all)
    assert 0 < handing_seconds(work, 10) < 1
    assert len(set(handed)) == 10


def test_the_whole_copy_and_one_of_few(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def stylize(each: Work, files: list[str], *, address: None, workers: int) -> None:
        names = [name for part in each.layout.parts("") for name in part.span]
        made.append((len(names), workers, len(os.sched_getaffinity(0))))
        each.output.mkdir()
        for name in names:
            (each.output / name).parent.mkdir(exist_ok=True)
            (each.output / name).write_bytes(bytes(1000))

    monkeypatch.setattr(speed, "stylize_dataset", stylize)
    copied = measure_copy(work, 1)
    assert made == [(FEW, 1, 1), (FEW + 4, 1, 1)]
    assert copied.seconds > 0
    assert copied.few > 0
    own = sum(path.stat().st_size for path in find_pictures(work.layout.root)) / (FEW + 4)
    assert copied.size == pytest.approx(1000 + own)
