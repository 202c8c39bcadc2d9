"""What a stylised copy of a folder takes here: each stage by itself, and the whole."""

import multiprocessing
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, cycle, islice
from pathlib import Path

from faststyle.datasets.cluster import Task, build_team, connected, do_all
from faststyle.datasets.files import FolderLayout
from faststyle.datasets.layout import BROKEN, SOME, Painted, Part, written_suffix
from faststyle.datasets.painting import Painter, Work
from faststyle.datasets.records import Records, note
from faststyle.datasets.stylizing import make_plan, settings_of, stylize_dataset
from faststyle.imaging.images import encode_picture, find_pictures
from faststyle.threads import available_cores

STAGES = ("read", "decode", "network", "encode", "write")
FEW = SOME  # pictures of the copy that tells what the start takes


@dataclass(frozen=True)
class Copied:
    """few, seconds: of a copy of ``FEW`` pictures, and of all. size: bytes that a picture reads and writes."""

    few: float
    seconds: float
    size: float


def stages_side_by_side(work: Work, count: int, workers: int) -> list[dict[str, float]]:
    """``stage_seconds`` of so many processes at once, one core each."""
    with _cores(workers), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(chain.from_iterable(pool.map(partial(stage_seconds, work), [count] * workers)))


def stage_seconds(work: Work, count: int) -> list[dict[str, float]]:
    """Seconds of each of ``STAGES`` of so many pictures, by a worker with one core. Raises as ``Painter`` does."""
    with tempfile.TemporaryDirectory() as folder:
        painter = Painter(replace(work, output=Path(folder)), cores=1)
        return list(islice(_stages(painter), 1, 1 + count))  # the first pays for set-up


def _stages(painter: Painter) -> Iterator[dict[str, float]]:
    work = painter.work
    for part in cycle(work.layout.parts("")):
        samples, marks = work.layout.samples(part), [time.perf_counter()]
        for sample in samples:
            marks.append(time.perf_counter())
            (style, *_) = work.choice.of(sample.name)
            picture = painter.decode(sample)
            marks.append(time.perf_counter())
            rgb = painter.stylizers[style].stylize(picture.rgb)
            marks.append(time.perf_counter())
            data = encode_picture(replace(picture, rgb=rgb), written_suffix(sample.suffix))
            painted = Painted(sample, work.choice.mark(style), data)
            marks.append(time.perf_counter())
            work.layout.write(part, [painted], work.output, painter.records.piece(part.file, part.number))
            marks.append(time.perf_counter())
            yield {name: marks[i + 1] - marks[i] for i, name in enumerate(STAGES)}
            marks = [time.perf_counter()]


def bookkeeping_seconds(work: Work, count: int) -> tuple[float, float]:
    """Seconds, a picture, that the first process takes to list a folder of so many, and to write the manifest."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "source", Path(folder) / "copy"
        source.mkdir()
        for i in range(count):
            (source / f"{i:07}.jpg").touch()
        many = replace(work, layout=FolderLayout(source, work.choice), output=output)
        records = Records(output)
        listing = _seconds(lambda: make_plan(many, [""], records))
        parts = list(many.layout.parts(""))
        for part in parts:
            records.write(records.of_part("", part.number), [note(name, "style", name, None) for name in part.span])
        return listing / count, _seconds(lambda: deque(records.write_manifest({"": len(parts)}), maxlen=0)) / count


def handing_seconds(work: Work, count: int) -> float:
    """Seconds of CPU, a part, that the first process takes to hand out parts, and to hear what became of them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = replace(work, output=Path(folder))
        records = Records(copy.output)
        records.check_settings(settings_of(copy))
        parts: deque[Task] = deque(Part("", number, 1, (BROKEN, "no picture")) for number in range(1, count + 1))
        with connected(None, 1):
            begun = time.process_time()
            deque(do_all(parts, copy, build_team(1, "cpu"), records.settings(), lambda: False), maxlen=0)
            return (time.process_time() - begun) / count


def measure_copy(work: Work, workers: int) -> Copied:
    """Makes the whole copy, and one of ``FEW`` pictures, by workers with one core each."""
    with tempfile.TemporaryDirectory() as folder, _cores(workers):
        few = Path(folder) / "few"
        few.mkdir()
        names = list(chain.from_iterable(part.span for part in work.layout.parts("")))
        for number, name in enumerate(names[:FEW]):
            (few / f"{number}{Path(name).suffix}").symlink_to(work.layout.root / name)
        taken, output = [], Path(folder) / "copy"
        for layout in (FolderLayout(few, work.choice), work.layout):
            shutil.rmtree(output, ignore_errors=True)
            copy = replace(work, layout=layout, output=output)
            taken.append(_seconds(partial(stylize_dataset, copy, [""], address=None, workers=workers)))
        size = (_size(work.layout.root) + _size(output)) / len(names)
        return Copied(few=taken[0], seconds=taken[1], size=size)


def _size(folder: Path) -> int:
    """Bytes of its pictures."""
    return sum(path.stat().st_size for path in find_pictures(folder))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@contextmanager
def _cores(count: int) -> Iterator[None]:
    """This process, and those that it starts, on the first so many of its cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(own)[:count]))
    assert available_cores() == count
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)
