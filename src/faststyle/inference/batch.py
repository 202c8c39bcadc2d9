"""Which picture goes where, and stylising many."""

import ctypes
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from threading import Lock

from faststyle.errors import DAMAGED, FaststyleError, ImageError, OutputError, describe
from faststyle.files import check_output, check_outputs
from faststyle.imaging.images import WRITERS, Picture, find_pictures, resize_shorter_side, write_picture
from faststyle.imaging.reading import read_picture
from faststyle.inference.masking import Composition
from faststyle.inference.stylizer import Stylizer


@dataclass(frozen=True, order=True)
class Job:
    """One picture to stylise, and where the result goes."""

    source: Path
    target: Path


def plan(inputs: list[Path], output: Path, *, overwrite: bool = False, sources: Iterable[str | Path] = ()) -> list[Job]:
    """One file to a file; several files, or folders (with their subfolders), into the folder ``output``.

    Raises ``ImageError``, before any work, if there is nothing to do, ``OutputError`` if two results would share a
    name, or if one cannot be written or would replace an input, one of the further ``sources``, or an existing file
    without ``overwrite``.
    """
    if len(inputs) == 1 and not inputs[0].is_dir() and (output.suffix.lower() in WRITERS or not output.is_dir()):
        jobs = [Job(inputs[0], output)]
    else:
        if output.is_file() or output.suffix.lower() in WRITERS:
            raise OutputError(f"several pictures need a folder as --output, found {output}")
        jobs = [job for path in inputs for job in _into_folder(path, output)]
    if not jobs:
        raise ImageError(f"no pictures in {', '.join(map(str, inputs))}")
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.target in seen:
            raise OutputError(f"{seen[job.target]} and {job.source} would both become {job.target}")
        seen[job.target] = job.source
    check_outputs(seen, WRITERS, overwrite=True, sources=[*seen.values(), *sources])
    existing = [job.target for job in jobs if job.target.exists()]
    if existing and not overwrite:
        raise OutputError(
            f"{len(existing)} of {len(jobs)} outputs exist, for one {existing[0]}: --overwrite replaces, --resume skips"
        )
    return jobs


def _into_folder(path: Path, output: Path) -> Iterable[Job]:
    if not path.is_dir():
        yield Job(path, output / _writable_name(path.name))
        return
    for source in find_pictures(path):
        if output.resolve() not in source.resolve().parents:  # results of an earlier run
            yield Job(source, output / _writable_name(str(source.relative_to(path))))


def _writable_name(name: str) -> str:
    """The same name; .png where the format is only read (GIF) or unknown."""
    path = Path(name)
    return name if path.suffix.lower() in WRITERS else str(path.with_suffix(".png"))


def stylize_file(
    stylizer: Composition | Stylizer, job: Job, *, size: int | None, max_megapixels: float
) -> tuple[Picture, float]:
    """Reads, resizes (shorter side to ``size``), stylises, writes. Alpha and capture date are the source's.

    Returns the stylised picture, and the milliseconds that the style took.
    """
    return _apply(stylizer, job, _read(job, size, max_megapixels))


def _read(job: Job, size: int | None, max_megapixels: float) -> Picture:
    picture = read_picture(job.source, max_megapixels=max_megapixels)
    if size is None:
        return picture
    return resize_shorter_side(picture, size, name=str(job.source), max_megapixels=max_megapixels)


def _apply(stylizer: Composition | Stylizer, job: Job, picture: Picture) -> tuple[Picture, float]:
    start = time.perf_counter()
    result = replace(picture, rgb=stylizer.stylize(picture.rgb))
    ms = (time.perf_counter() - start) * 1e3
    write_picture(job.target, result)
    return result, ms


def stylize_files(
    stylizer: Composition | Stylizer,
    jobs: list[Job],
    *,
    size: int | None,
    max_megapixels: float,
    manifest: Path | None = None,
    stopping: Callable[[], object] = lambda: False,
) -> dict[Path, FaststyleError | None]:
    """All jobs under a progress bar; goes on past a bad file. Returns what became of each source: its error, or None.

    Several pictures are on their way at once, each in a thread that reads, stylises and writes it; those too large for
    that come last, one by one. manifest: a file to which a JSON line is added for each picture, as soon as it is done:
    input, output, ms (of the style), error (or null). stopping: once it is true, no further picture is begun.
    """
    from tqdm import tqdm  # 60 ms, which a single picture does not need

    outcomes: dict[Path, FaststyleError | None] = {}
    large: list[Job] = []
    one_at_a_time = Lock()
    with _open_manifest(manifest) as record, tqdm(total=len(jobs), desc="stylising", unit="picture") as bar:

        def stylize(job: Job, workers: int) -> None:
            ms = error = None
            try:
                picture = _read(job, size, max_megapixels)
                if stylizer.max_workers(*picture.size) < workers:
                    large.append(job)
                    return
                _, ms = _apply(stylizer, job, picture)
            except FaststyleError as failure:
                error = failure
            except Exception as failure:  # whatever it is, the others go on
                error = ImageError(f"{job.source}: {describe(failure)}")
            with one_at_a_time:
                outcomes[job.source] = error
                record(job, ms, error)
                bar.update()
                if bar.n % 8 == 0:
                    give_back_memory()

        for some, workers in ((jobs, stylizer.max_workers(1, 1)), (large, 1)):
            stylizer.share_cores(workers)
            _in_threads(takewhile(lambda job: not stopping(), some), partial(stylize, workers=workers), workers)
    return outcomes


def give_back_memory() -> None:
    """Else glibc keeps ever more of it for threads that take pieces of many sizes."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _in_threads(jobs: Iterable[Job], work: Callable[[Job], None], workers: int) -> None:
    """Does the jobs in so many threads, in order; when one raises, the others end with the job that they are at."""
    left = iter(jobs)

    def run() -> None:
        try:
            for job in left:
                work(job)
        finally:
            deque(left, maxlen=0)  # leaves nothing to the others

    with ThreadPoolExecutor(workers) as threads:
        try:
            for future in [threads.submit(run) for _ in range(workers)]:
                future.result()
        finally:
            deque(left, maxlen=0)


def repair_manifest(path: Path, done: Iterable[Job]) -> None:
    """Adds the lines, without ms, of jobs that are done: a run may be killed between a picture and its line. Raises as
    ``read_manifest``."""
    noted = read_manifest(path)
    missing = [job for job in done if str(job.target) not in noted]
    if missing:
        with _open_manifest(path) as note:
            for job in missing:
                note(job, None, None)


def read_manifest(path: Path) -> set[str]:
    """The outputs of which a manifest tells. Raises ``OutputError`` if it cannot be written, or is no manifest."""
    check_output(path, [path.suffix.lower()], overwrite=True)
    if not path.exists():
        return set()
    try:
        whole, half = _split_lines(path)
        if half and not half.startswith(b'{"input": '):
            raise ValueError
        lines = [json.loads(line) for line in whole.splitlines()]
        return {line["output"] for line in lines if line["error"] is None}
    except OSError as error:
        raise OutputError(f"cannot read the manifest {path}: {error.strerror}") from error
    except DAMAGED as error:
        raise OutputError(f"{path} is no manifest of faststyle's: nothing is added to it") from error


def _split_lines(path: Path) -> tuple[bytes, bytes]:
    """Whole lines, and what follows: half a line, where a run was killed."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    return content[:end], content[end:]


@contextmanager
def _open_manifest(path: Path | None) -> Iterator[Callable[[Job, float | None, BaseException | None], None]]:
    """What notes a finished job. Raises ``OutputError`` if the file cannot be written."""
    if path is None:
        yield lambda job, ms, error: None
        return
    read_manifest(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
        os.truncate(path, len(_split_lines(path)[0]))
    except OSError as error:
        raise OutputError(f"cannot write the manifest {path}: {error.strerror}") from error
    with file:

        def note(job: Job, ms: float | None, error: BaseException | None) -> None:
            line = {
                "input": str(job.source),
                "output": str(job.target),
                "ms": None if ms is None else round(ms, 1),
                "error": None if error is None else str(error),
            }
            print(json.dumps(line), file=file, flush=True)

        yield note
