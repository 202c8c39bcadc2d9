"""Which picture goes where, and stylising one after the other."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from faststyle.composition import Composition
from faststyle.errors import FaststyleError, ImageError
from faststyle.images import (
    WRITERS,
    Picture,
    check_output,
    find_pictures,
    read_picture,
    resize_shorter_side,
    write_picture,
)
from faststyle.inference import Stylizer


@dataclass(frozen=True)
class Job:
    """One picture to stylise, and where the result goes."""

    source: Path
    target: Path


def plan(inputs: list[Path], output: Path, *, overwrite: bool = False) -> list[Job]:
    """One file to a file; several files, or folders (with their subfolders), into the folder ``output``.

    Raises ``ImageError``, before any work, if there is nothing to do, if two results would share a name or a result
    would replace its own source, or an existing file without ``overwrite``.
    """
    if len(inputs) == 1 and not inputs[0].is_dir() and (output.suffix.lower() in WRITERS or not output.is_dir()):
        jobs = [Job(inputs[0], check_output(output))]
    else:
        if output.is_file() or output.suffix.lower() in WRITERS:
            raise ImageError(f"several pictures need a folder as --output, found {output}")
        jobs = [job for path in inputs for job in _into_folder(path, output)]
    if not jobs:
        raise ImageError(f"no pictures in {', '.join(map(str, inputs))}")
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.target in seen:
            raise ImageError(f"{seen[job.target]} and {job.source} would both become {job.target}")
        seen[job.target] = job.source
        if job.target.exists() and job.source.exists() and job.target.samefile(job.source):
            raise ImageError(f"{job.target} would replace its own source: choose another --output")
    existing = [job.target for job in jobs if job.target.exists()]
    if existing and not overwrite:
        raise ImageError(f"{len(existing)} of {len(jobs)} outputs exist, for one {existing[0]}: --overwrite replaces")
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


def stylize_file(stylizer: Composition | Stylizer, job: Job, *, size: int | None, max_megapixels: float) -> Picture:
    """Reads, resizes (shorter side to ``size``), stylises, writes. Alpha and capture date are the source's."""
    picture = read_picture(job.source, max_megapixels=max_megapixels)
    if size is not None:
        picture = resize_shorter_side(picture, size)
    result = Picture(stylizer.stylize(picture.rgb), picture.alpha, picture.captured)
    write_picture(job.target, result)
    return result


def stylize_files(
    stylizer: Composition | Stylizer, jobs: list[Job], *, size: int | None, max_megapixels: float
) -> dict[Path, FaststyleError]:
    """All jobs under a progress bar; goes on past a bad file. Returns the errors by source."""
    errors: dict[Path, FaststyleError] = {}
    for job in tqdm(jobs, desc="stylising", unit="picture"):
        try:
            stylize_file(stylizer, job, size=size, max_megapixels=max_megapixels)
        except FaststyleError as error:
            errors[job.source] = error
    return errors
