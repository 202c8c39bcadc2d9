"""Painting a part of a data set: the work of one worker, which knows nothing of the others."""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from faststyle.checkpoint import find_style, read_checkpoint
from faststyle.datasets.choice import Choice
from faststyle.datasets.layout import Layout, Painted, Part, Sample, written_suffix
from faststyle.datasets.records import Line, Records, note, only_errors
from faststyle.errors import FaststyleError, ImageError, describe
from faststyle.files import look_again, replacing
from faststyle.imaging.images import Picture, encode_picture, resize_shorter_side
from faststyle.imaging.reading import decode_picture
from faststyle.inference.batch import give_back_memory
from faststyle.inference.mixture import style_names
from faststyle.inference.stylizer import Stylizer

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST_LOSSES = 2  # of workers over one picture
Outcome = bytes | str  # a picture's file, or why there is none


@dataclass(frozen=True)
class Work:
    """What all workers are to do. size: of the shorter side, or None. memory: bytes, for each worker."""

    checkpoint: str
    layout: Layout
    output: Path
    size: int | None
    max_megapixels: float
    device: str
    memory: float | None

    @property
    def choice(self) -> Choice:
        return self.layout.choice


def known_styles(checkpoint: str) -> list[str]:
    """The styles of a file; of one that names none, its own name. Raises ``CheckpointError``."""
    path, row = find_style(checkpoint)
    if path.suffix == ".onnx":
        from faststyle.inference.graph_engines import read_graph
        from faststyle.inference.onnx_graph import read_model_header

        header = read_model_header(read_graph(path), path)
    else:
        header = read_checkpoint(path).header
    return [row] if row else style_names(header) or [path.stem]


def digest(checkpoint: str) -> str:
    """Of a checkpoint's file, so that all machines use the same."""
    return hashlib.sha256(find_style(checkpoint)[0].read_bytes()).hexdigest()[:16]


class Painter:
    """Paints parts with so many cores; with several, so many pictures at once, and on a GPU those of a size together.

    Raises a ``FaststyleError`` as ``Stylizer.load`` does.
    """

    def __init__(self, work: Work, cores: int) -> None:
        self.work = work
        self.records = Records(work.output)
        styles, several = work.choice.styles, len(known_styles(work.checkpoint)) > 1
        path, row = find_style(work.checkpoint)
        options = {"device": work.device, "memory": work.memory, "cores": cores}
        first = Stylizer.load(path, style=row or (styles[0] if several else None), **options)  # type: ignore[arg-type]
        self.threads = first.max_workers(1, 1)
        first.share_cores(self.threads)
        self.stylizers = {style: first.with_style(style) if several else first for style in styles}
        self.one_at_a_time = Lock()

    def paint(self, part: Part, *, again: bool = False) -> None:
        """Paints a part and records it, also a picture that cannot be read or painted, with its error.

        again: whether a worker was lost over the part; then it goes picture by picture, and one over which two more are
        lost is recorded as failed. Raises ``OSError`` where nothing can be written.
        """
        if again:
            look_again()
        lines: list[Line] = []
        samples, piece = self.work.layout.samples(part), self.records.piece(part.file, part.number)
        suspects = self.records.suspects(part.file, part.number)
        with ThreadPoolExecutor(self.threads) as pool:
            outcomes: Iterator[tuple[Sample, dict[str, Outcome]]]
            if again:
                outcomes = map(partial(self.apply_warily, suspects=suspects), samples)
            else:
                outcomes = in_order(pool, self.apply, samples, self.threads)
            self.work.layout.write(part, self.noted(part, outcomes, lines), self.work.output, piece)
        self.records.write(self.records.of_part(part.file, part.number), lines)
        suspects.unlink(missing_ok=True)
        give_back_memory()

    def noted(
        self, part: Part, outcomes: Iterable[tuple[Sample, dict[str, Outcome]]], lines: list[Line]
    ) -> Iterator[Painted]:
        """What is to be written, while ``lines`` grows."""
        for sample, results in outcomes:
            if not results:
                yield Painted(sample)
            for style, result in results.items():
                if isinstance(result, str):
                    lines.append(note(sample.name, style, None, result))
                else:
                    painted = Painted(sample, self.work.choice.mark(style), result)
                    lines.append(note(sample.name, style, self.work.layout.target(part.file, painted), None))
                    yield painted

    def apply_warily(self, sample: Sample, suspects: Path) -> tuple[Sample, dict[str, Outcome]]:
        """As ``apply``, unless workers were lost over the sample. suspects: a file with the losses by name."""
        losses = Counter(json.loads(suspects.read_bytes()) if suspects.exists() else {})
        if losses[sample.name] >= MOST_LOSSES:
            sample = replace(sample, data=None, error=f"{sample.name}: {MOST_LOSSES} workers were lost over it")
        losses[sample.name] += 1
        with replacing(suspects) as temporary:
            temporary.write_text(json.dumps(losses))
        result = self.apply(sample)
        losses[sample.name] -= 1
        with replacing(suspects) as temporary:
            temporary.write_text(json.dumps(losses))
        return result

    def apply(self, sample: Sample) -> tuple[Sample, dict[str, Outcome]]:
        """The sample in its styles, by their names; nothing if it has no picture."""
        if sample.data is None and sample.error is None:
            return sample, {}
        styles = self.work.choice.of(sample.name)
        try:
            picture = self.decode(sample)
        except Exception as error:  # whatever it is, the others go on
            return sample, dict.fromkeys(styles, explain(sample, error))
        return sample, {style: self.stylize(picture, style, sample) for style in styles}

    def decode(self, sample: Sample) -> Picture:
        if sample.data is None:
            raise FaststyleError(str(sample.error))
        most = self.work.max_megapixels
        picture = decode_picture(sample.data, name=sample.name, max_megapixels=most)
        if self.work.size is None:
            return picture
        return resize_shorter_side(picture, self.work.size, name=sample.name, max_megapixels=most)

    def stylize(self, picture: Picture, style: str, sample: Sample) -> Outcome:
        stylizer = self.stylizers[style]
        try:
            if stylizer.max_workers(*picture.size) < self.threads:
                with self.one_at_a_time:
                    rgb = stylizer.stylize(picture.rgb)
            else:
                rgb = stylizer.stylize(picture.rgb)
            return encode_picture(replace(picture, rgb=rgb), written_suffix(sample.suffix))
        except Exception as error:
            return explain(sample, error)

    def join(self, file: str, parts: int) -> None:
        """Makes a file of its parts, unless nothing came of its pictures. Raises ``DataError``, ``OSError``."""
        if not only_errors(self.records.read(file, parts)):
            pieces = [self.records.piece(file, number) for number in range(1, parts + 1)]
            self.work.layout.join(file, pieces, self.work.output / file)
        self.records.finish_file(file, parts)


def explain(sample: Sample, error: Exception) -> str:
    """One line that names the picture."""
    text = describe(error)
    return str(ImageError(text if sample.name in text else f"{sample.name}: {text}"))


def in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """As ``pool.map``, but with no more than ``ahead`` items begun before their result is taken."""
    begun: deque[Future[Result]] = deque()
    for item in items:
        begun.append(pool.submit(work, item))
        if len(begun) > ahead:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
