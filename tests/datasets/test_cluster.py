"""Workers and their tasks, without a cluster (with one: ``test_stylizing``): what they check and what they tell."""

import logging
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from faststyle.datasets.choice import Choice
from faststyle.datasets.layout import Part
from faststyle.datasets.layouts import open_layout
from faststyle.datasets.painting import Work, digest
from faststyle.datasets.records import Records
from faststyle.errors import ConfigError
from helpers import noise

cluster = pytest.importorskip("faststyle.datasets.cluster", reason="needs the extra ray")
stylizing = pytest.importorskip("faststyle.datasets.stylizing", reason="needs the extra ray")


@pytest.fixture
def work(tiny_style: Path, tmp_path: Path) -> Work:
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(noise(20, 30, seed=i)).save(tmp_path / "in" / f"{i}.png")
    layout, _ = open_layout(tmp_path / "in", Choice(("style",), 1, 0))
    return Work(
        checkpoint=str(tiny_style),
        layout=layout,
        output=tmp_path / "out",
        size=None,
        max_megapixels=1,
        device="cpu",
        memory=None,
    )


@pytest.fixture
def worker(work: Work) -> Any:
    records = Records(work.output)
    records.check_settings({"checkpoint": digest(work.checkpoint)})
    return cluster.Worker(work, 1, records.settings())


def test_a_worker_paints_parts(worker: Any, work: Work) -> None:
    assert worker.start() == cluster.Done()
    (part,) = work.layout.parts("")
    assert worker.do(part, False) == cluster.Done()
    assert Records(work.output).part_done(work.layout, part)


def test_a_machine_that_sees_other_files_is_told_of(worker: Any, work: Work, tmp_path: Path) -> None:
    """Each in turn: another checkpoint, another disk for the source, another for the copy."""
    worker.settings["checkpoint"] = "0"
    Records(work.output).folder.joinpath("settings.json").write_text('{"format": 1, "checkpoint": "0"}')
    assert "has another checkpoint" in worker.start().stop
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    assert f"does not see {tmp_path / 'in'}: it must be on a disk that all machines share" in worker.start().stop
    work.output.rename(tmp_path / "other")
    assert f"does not see {tmp_path / 'out'}: it must be on a disk that all machines share" in worker.start().stop


def test_what_goes_wrong_comes_back(worker: Any, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends all; a file whose labels cannot be read only itself."""
    worker.start()
    (part,) = work.layout.parts("")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert worker.do(part, False) == cluster.Done(stop="cannot write: No space left on device")
    monkeypatch.setattr(worker.painter, "join", lambda *_: (_ for _ in ()).throw(ConfigError("labels")))
    assert worker.do(cluster.Join("a.zip", 1), False) == cluster.Done(error="labels")


@pytest.mark.parametrize(
    ("there", "workers", "device", "team"),
    [
        ({"CPU": 4.0}, None, "auto", (4, 1.0, 0.0)),
        ({"CPU": 4.0}, 2, "auto", (2, 2.0, 0.0)),
        ({"CPU": 4.0}, 3, "auto", (3, 1.0, 0.0)),
        ({"CPU": 2.0}, 4, "auto", (4, 0.5, 0.0)),
        ({"CPU": 16.0, "GPU": 2.0}, None, "auto", (2, 8.0, 1.0)),
        ({"CPU": 16.0, "GPU": 2.0}, 4, "cuda", (4, 4.0, 0.5)),
        ({"CPU": 16.0, "GPU": 2.0}, None, "cpu", (16, 1.0, 0.0)),
        ({}, None, "auto", (1, 0.0, 0.0)),
    ],
)
def test_shares_of_the_cluster(
    there: dict[str, float], workers: int | None, device: str, team: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: there)
    assert cluster.build_team(workers, device) == cluster.Team(*team)


def test_tasks_of_lost_workers_go_back_until_it_is_no_accident(caplog: pytest.LogCaptureFixture) -> None:
    """Twice for each picture, since each may be the cause, and some more."""
    crew = object.__new__(cluster._Crew)
    crew.losses, added = Counter(), []
    crew.add = lambda: added.append(1)
    part = Part("a.tar", 3, 2, (0, 9))
    for task, most in ((part, 2 * 2 + cluster.MOST_LOSSES), (cluster.Join("b.tar", 1), cluster.MOST_LOSSES)):
        tasks: deque[Any] = deque([None])
        with caplog.at_level(logging.WARNING):
            for _ in range(most - 1):
                assert not list(crew.replace(task, tasks, cluster.RayError("lost")))
                assert tasks.popleft() is task
        ((given_up, done),) = crew.replace(task, tasks, cluster.RayError("lost"))
        assert (given_up, list(tasks)) == (task, [None])
        assert done.error == f"{most} workers were lost over {task} (memory?)"
    assert str(part) == "part 3 of a.tar"
    assert len(added) == 4 + 2 * cluster.MOST_LOSSES


def test_workers_that_never_start_end_it() -> None:
    crew = object.__new__(cluster._Crew)
    crew.losses, crew.add = Counter({None: cluster.MOST_LOSSES - 1}), lambda: None
    ((task, done),) = crew.replace(None, deque(), cluster.RayError("no memory\nat 0x0"))
    assert (task, done.stop) == (None, "workers do not start: no memory")


def test_nothing_to_do_needs_no_cluster(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(work.output)
    records.check_settings(stylizing.settings_of(work))
    (part,) = work.layout.parts("")
    from faststyle.datasets.painting import Painter

    Painter(work, 1).paint(part)
    monkeypatch.setattr(stylizing, "connected", None)
    summary = stylizing.stylize_dataset(work, [""], address=None, workers=None)
    assert (summary.worked, summary.done, summary.failed) == (False, 3, 0)
