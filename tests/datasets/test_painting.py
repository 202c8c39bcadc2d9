"""One worker's part: painted as by hand, recorded, few pictures at a time, and never stopped by one of them."""

import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from faststyle.checkpoint import save_weights
from faststyle.datasets.choice import Choice
from faststyle.datasets.layouts import open_layout
from faststyle.datasets.painting import MOST_LOSSES, Painter, Work, digest, in_order, known_styles
from faststyle.errors import CheckpointError
from faststyle.imaging.images import Picture, encode_picture
from faststyle.imaging.reading import read_picture
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet
from helpers import make_config, noise

STYLES = ("a", "b")


@pytest.fixture(scope="module")
def two_styles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("styles") / "two.safetensors"
    network = TransformerNet(make_config(rows=2))
    for name in network.config.row_tensors:
        torch.nn.init.normal_(network.get_parameter(name))
    save_weights(path, network, rows=STYLES)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        Image.fromarray(noise(20 + i, 30, seed=i)).save(folder / f"{i}.png")
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


def make_work(source: Path, checkpoint: Path, per_picture: int = 1, **changes: object) -> Work:
    layout, _ = open_layout(source, Choice(STYLES, per_picture, 0))
    options = {"size": None, "max_megapixels": 1.0, "device": "cpu", "memory": None}
    return Work(checkpoint=str(checkpoint), layout=layout, output=source.parent / "out", **(options | changes))  # type: ignore[arg-type]


def lines_of(painter: Painter) -> list[dict[str, str | None]]:
    return list(painter.records.read("", 1))


@pytest.mark.parametrize("cores", [1, 3])
def test_pictures_are_those_of_the_stylizer(cores: int, source: Path, two_styles: Path) -> None:
    work = make_work(source, two_styles)
    painter = Painter(work, cores)
    assert painter.threads == cores
    (part,) = work.layout.parts("")
    painter.paint(part)
    lines = lines_of(painter)
    assert [line["name"] for line in lines] == [*(f"{i}.png" for i in range(6)), "bad.jpg"]
    assert {line["style"] for line in lines} == set(STYLES)
    assert lines[-1]["error"] == "bad.jpg is no picture of a known format (JPEG, PNG, WEBP, TIFF, BMP, GIF)"
    for line in lines[:-1]:
        assert line["error"] is None
        expected = Stylizer.load(two_styles, style=line["style"], device="cpu").stylize(
            read_picture(source / str(line["name"])).rgb
        )
        assert np.array_equal(read_picture(work.output / str(line["output"])).rgb, expected)
    assert sorted(path.name for path in work.output.glob("*.*g")) == [f"{i}.png" for i in range(6)]


def test_copies_in_several_styles_and_another_size(source: Path, two_styles: Path) -> None:
    work = make_work(source, two_styles, per_picture=2, size=10)
    (part,) = work.layout.parts("")
    painter = Painter(work, 1)
    painter.paint(part)
    assert sorted(path.name for path in work.output.glob("0*")) == ["0-a.png", "0-b.png"]
    a, b = (read_picture(work.output / f"0-{style}.png") for style in STYLES)
    assert a.size == b.size == (10, 15)
    assert not np.array_equal(a.rgb, b.rgb)
    assert len(lines_of(painter)) == 14


def test_the_same_bytes_each_time(source: Path, two_styles: Path) -> None:
    first = make_work(source, two_styles)
    second = replace(first, output=source.parent / "again")
    (part,) = first.layout.parts("")
    for work, again in ((first, False), (second, True)):
        Painter(work, 1).paint(part, again=again)
    for path in filter(Path.is_file, first.output.rglob("*")):
        assert path.read_bytes() == (second.output / path.relative_to(first.output)).read_bytes()
    assert len(list(second.output.rglob("*"))) == len(list(first.output.rglob("*")))


class Lost(BaseException):
    """What ends a worker here, since a real end would end the test."""


def test_a_picture_that_ends_its_worker_is_listed_at_last(source: Path, two_styles: Path) -> None:
    """And neither holds up the others, nor takes them along."""
    work = make_work(source, two_styles)
    (part,) = work.layout.parts("")
    losses = 0
    for again in [False, *[True] * (MOST_LOSSES + 1)]:
        painter = Painter(work, 1)
        stylize = painter.stylize

        def end_at_3(picture: Picture, style: str, sample: object, stylize: object = stylize) -> object:
            if picture.size == (23, 30):
                raise Lost
            return stylize(picture, style, sample)  # type: ignore[operator]

        painter.stylize = end_at_3  # type: ignore[method-assign, assignment]
        try:
            painter.paint(part, again=again)
        except Lost:
            losses += 1
    assert losses == MOST_LOSSES + 1
    errors = {line["name"]: line["error"] for line in lines_of(painter) if line["error"]}
    assert errors.keys() == {"3.png", "bad.jpg"}
    assert errors["3.png"] == "3.png: 2 workers were lost over it"
    assert not painter.records.suspects("", 1).exists()


FAILURES = {
    "0.png: not enough memory": MemoryError(),
    r"0.png: a\nb": RuntimeError("a\nb"),
    "0.png: ZeroDivisionError": ZeroDivisionError(),
}


@pytest.mark.parametrize(("words", "failure"), FAILURES.items())
def test_any_failure_of_a_picture_is_its_own(
    words: str, failure: Exception, source: Path, two_styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = make_work(source, two_styles)
    (part,) = work.layout.parts("")
    painter = Painter(work, 1)

    def fail(picture: Picture, suffix: str) -> bytes:
        if picture.size == (20, 30):
            raise failure
        return encode_picture(picture, suffix)

    monkeypatch.setattr("faststyle.datasets.painting.encode_picture", fail)
    painter.paint(part)
    errors = [str(line["error"]) for line in lines_of(painter) if line["error"]]
    assert len(errors) == 2
    assert errors[0].startswith(words)


def test_a_disk_that_takes_nothing_is_no_pictures_failure(
    source: Path, two_styles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = make_work(source, two_styles)
    (part,) = work.layout.parts("")
    painter = Painter(work, 1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space left"):
            painter.paint(part)
    assert not lines_of(painter)
    assert not list(work.output.glob("*.png"))
    painter.paint(part)
    assert len(list(work.output.glob("*.png"))) == 6


def test_few_are_begun_before_their_results_are_taken() -> None:
    begun: list[int] = []
    taken: list[int] = []
    most = 0

    def items() -> Iterator[int]:
        nonlocal most
        for i in range(40):
            begun.append(i)
            most = max(most, len(begun) - len(taken))
            yield i

    def work(item: int) -> int:
        time.sleep(0.01 if item % 7 == 0 else 0)
        return threading.get_ident() and item

    with ThreadPoolExecutor(3) as pool:
        for result in in_order(pool, work, items(), 3):
            taken.append(result)
    assert taken == list(range(40))
    assert most <= 5


def test_what_a_checkpoint_offers(two_styles: Path, tiny_style: Path) -> None:
    assert known_styles(str(two_styles)) == ["a", "b"]
    assert known_styles(str(tiny_style)) == known_styles(str(tiny_style.with_suffix(".onnx"))) == ["style"]
    assert known_styles("woodcut_waves") == ["woodcut_waves"]
    assert len(known_styles("paintings")) > 10
    assert digest("woodcut_waves") == digest("paintings") != digest("great_wave")
    with pytest.raises(CheckpointError, match="no checkpoint nowhere"):
        known_styles("nowhere")


@pytest.mark.parametrize("name", ["woodcut_waves", "great_wave"])
def test_shipped_styles(name: str, source: Path) -> None:
    layout, _ = open_layout(source, Choice((name,), 1, 0))
    work = replace(make_work(source, Path(name)), layout=layout)
    painter = Painter(work, 1)
    (part,) = layout.parts("")
    painter.paint(part)
    picture = Stylizer.load(name, device="cpu").stylize(read_picture(source / "0.png").rgb)
    assert Image.open(io.BytesIO((work.output / "0.png").read_bytes())).size == (30, 20)
    assert np.array_equal(read_picture(work.output / "0.png").rgb, picture)
    assert json.loads(json.dumps(lines_of(painter)[0]))["style"] == name
