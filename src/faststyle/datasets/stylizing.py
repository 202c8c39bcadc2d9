"""A stylised copy of a data set: what is still to be done, the workers who do it, the manifest."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from faststyle.datasets.cluster import Join, Task, build_team, connected, do_all
from faststyle.datasets.layout import Part
from faststyle.datasets.painting import Work, digest
from faststyle.datasets.records import MANIFEST, Records
from faststyle.errors import DataError, OutputError
from faststyle.files import check_output

SHOWN = 20  # errors, the others stand in the manifest


@dataclass
class Plan:
    """parts: of each file, in order, as far as it was listed. tasks: what is to be done. left: parts that each file
    waits for. pictures: in the tasks."""

    parts: dict[str, int] = field(default_factory=dict)
    tasks: deque[Task] = field(default_factory=deque)
    left: Counter[str] = field(default_factory=Counter)
    pictures: int = 0


@dataclass
class Summary:
    """What is in the copy, after this run and those before it. done, failed: pictures, once for each of their styles.
    errors: the first ``SHOWN`` of what failed. unfinished: tasks that could not be done, with the reason. worked:
    whether there was anything to do."""

    worked: bool
    done: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)


def make_plan(work: Work, files: list[str], records: Records) -> Plan:
    """What is not done yet. Raises ``DataError`` if there are no pictures at all."""
    plan, layout, pictures = Plan(), work.layout, 0
    for file in tqdm(files, desc="listing", unit="file", disable=len(files) < 2):
        if layout.joins and records.file_done(file):
            plan.parts[file], pictures = 0, pictures + 1
            records.forget(file)
            continue
        records.of_file(file).unlink(missing_ok=True)
        parts = list(layout.parts(file))
        plan.parts[file] = len(parts)
        undone = [part for part in parts if not records.part_done(layout, part)]
        plan.left[file] = len(undone)
        plan.tasks.extend(undone)
        plan.pictures += sum(part.count for part in undone)
        if layout.joins and not undone:
            plan.tasks.append(Join(file, len(parts)))
        pictures += sum(part.count for part in parts)
    if not pictures:
        raise DataError(f"no pictures in {layout.root}")
    return plan


def check_place(work: Work, files: list[str]) -> None:
    """Raises ``OutputError`` if the copy cannot be written, or would be among what it is made of."""
    output, root = work.output.resolve(), work.layout.root.resolve()
    check_output(work.output / MANIFEST, [".jsonl"], overwrite=True)
    if any((output / file).resolve() == (root / file).resolve() for file in files):
        raise OutputError(f"{work.output} is where the data set itself is: choose another")


def settings_of(work: Work) -> dict[str, Any]:
    """What all pictures of a copy have in common: those of another run would not fit to them."""
    choice = work.choice
    return {
        "checkpoint": digest(work.checkpoint),
        "styles": list(choice.styles),
        "per_picture": choice.per_picture,
        "seed": choice.seed,
        "size": work.size,
        "field": work.layout.field,
    }


def stylize_dataset(
    work: Work,
    files: list[str],
    *,
    address: str | None,
    workers: int | None,
    retry: bool = False,
    stopping: Callable[[], object] = lambda: False,
) -> Summary:
    """Makes the copy, or goes on with it. files: those of the layout.

    address: of a Ray cluster; None is this machine. workers: None is one for each core, or GPU. retry: pictures that
    failed are tried again. stopping: once it is true, the workers stop, and the next run goes on.

    Raises a ``FaststyleError`` if it cannot begin or go on; what is written is whole, and stays.
    """
    check_place(work, files)
    records = Records(work.output, retry=retry)
    records.check_settings(settings_of(work))
    with records.locked():
        plan = make_plan(work, files, records)
        summary = Summary(worked=bool(plan.tasks))
        manifest = work.output / MANIFEST
        if plan.tasks:
            manifest.unlink(missing_ok=True)  # it is there only where it tells of all
            with connected(address, workers), tqdm(total=plan.pictures, desc="stylising", unit="picture") as bar:
                team = build_team(workers, work.device)
                for task, done in do_all(plan.tasks, work, team, records.settings(), stopping):
                    if done.error:
                        summary.unfinished.append(done.error)
                    elif isinstance(task, Part):
                        bar.update(task.count)
                        plan.left[task.file] -= 1
                        if work.layout.joins and not plan.left[task.file]:
                            plan.tasks.appendleft(Join(task.file, plan.parts[task.file]))
        for line in records.read_manifest() if manifest.is_file() else records.write_manifest(plan.parts):
            summary.done += line["error"] is None
            summary.failed += line["error"] is not None
            if line["error"] and len(summary.errors) < SHOWN:
                summary.errors.append(line["error"])
        return summary
