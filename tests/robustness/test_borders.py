"""Whatever stands in a file or on the command line ends in a result or in one line. 2,000 examples, or more:

FASTSTYLE_EXAMPLES=10000 uv run pytest tests/robustness
"""

import functools
import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from faststyle.checkpoint import read_checkpoint, save_weights
from faststyle.commands import evaluate, export, stylize, sweep_sheet
from faststyle.commands.terminal import one_line_errors
from faststyle.errors import CheckpointError, ConfigError, FaststyleError, ImageError
from faststyle.experiments.application import compose_settings
from faststyle.imaging.images import WRITERS
from faststyle.imaging.reading import decode_picture
from faststyle.inference.onnx_graph import build_model, read_model_header
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.training.pack import load_pack
from faststyle.training.sources import open_source
from helpers import KINDS, make_config, noise

EXAMPLES = int(os.environ.get("FASTSTYLE_EXAMPLES", "350"))
FORMATS = sorted({options["format"] for options in WRITERS.values()} | {"GIF"})


def examples(share: float = 1) -> Callable[[Callable[..., None]], Callable[..., None]]:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=max(10, round(EXAMPLES * share)), deadline=None, suppress_health_check=checks)


@st.composite
def mutations(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some changed, perhaps cut short, perhaps with some put in; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200))
    data = bytearray(whole)
    head = draw(st.booleans())  # where the structure is
    for at, value in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=6)):
        data[at % 300 if head else at] = value
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


@functools.cache
def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(9, 14)).save(file, kind)
    return file.getvalue()


def is_one_line(error: Exception, start: str = "") -> None:
    assert re.match(f"({start}).+$", str(error))
    assert "\n" not in str(error)


@examples()
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # Pillow's, of what it mends
def test_any_bytes_as_a_picture(data: st.DataObject) -> None:
    content = data.draw(mutations(picture(data.draw(st.sampled_from(FORMATS)))))
    try:
        assert decode_picture(content, name="a", max_megapixels=1).rgb.shape[2] == 3
    except ImageError as error:
        is_one_line(error, "a ")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights, a checkpoint of training and a graph, of one small network."""
    folder = tmp_path_factory.mktemp("files")
    network = TransformerNet(make_config())
    save_weights(folder / "a.safetensors", network)
    recipe = {"network": json.loads(json.dumps(network.config.__dict__))}
    torch.save({"state_dict": network.state_dict(), "hyper_parameters": {"recipe": recipe}}, folder / "a.ckpt")
    (folder / "a.onnx").write_bytes(build_model(read_checkpoint(folder / "a.safetensors")).SerializeToString())
    return folder


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt"])
@examples()
@given(data=st.data())
def test_any_bytes_as_weights(suffix: str, files: Path, data: st.DataObject) -> None:
    path = files / f"mutated{suffix}"
    path.write_bytes(data.draw(mutations((files / f"a{suffix}").read_bytes())))
    try:
        read_checkpoint(path).build_network()
    except CheckpointError as error:
        is_one_line(error, f"{path}|cannot read {path}")


@examples()
@given(data=st.data())
def test_any_bytes_as_a_graph(files: Path, data: st.DataObject) -> None:
    content = data.draw(mutations((files / "a.onnx").read_bytes()))
    try:
        read_model_header(content, Path("a.onnx"))
    except CheckpointError as error:
        is_one_line(error, "a.onnx ")


@pytest.mark.parametrize("name", ["index.json", "pixels.u8"])
@examples(0.3)
@given(data=st.data())
def test_any_bytes_as_a_pack(name: str, photos: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = load_pack(open_source(photos), 24, tmp_path)
    (file,) = tmp_path.rglob(name)
    file.write_bytes(data.draw(mutations(file.read_bytes())))
    pack = load_pack(open_source(photos), 24, tmp_path)
    assert pack.pixels.shape == (len(pack.names), 24, 24, 3)
    assert np.asarray(pack.pixels).size
    file.write_bytes(b"")
    assert load_pack(open_source(photos), 24, tmp_path).names == whole.names


@examples(0.3)
@given(data=st.data())
def test_any_bytes_as_a_zip(tmp_path: Path, data: st.DataObject) -> None:
    """A member that cannot be read is its own; a zip that cannot be listed is refused."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for index in range(3):
            file.writestr(f"{index}.png", picture("PNG"))
    (tmp_path / "a.zip").write_bytes(data.draw(mutations(archive.getvalue())))
    try:
        photographs = open_source(tmp_path / "a.zip")
    except FaststyleError as error:
        is_one_line(error)
        return
    for name in photographs.names:
        try:
            photographs.read(name)
        except FaststyleError as error:
            is_one_line(error)


OPTIONS = {
    module: re.findall(r'add\(\s*"(--[a-z-]+)"', Path(module.__file__ or "").read_text())
    for module in (stylize, evaluate, export, sweep_sheet)
}
TEXTS = st.text(max_size=12) | st.sampled_from(["-1", "0", "1e400", "nan", "inf", "9" * 40, "\x00", "\x1b[31m", "a\nb"])


@examples()
@given(data=st.data())
def test_any_text_as_an_option(data: st.DataObject, capsys: pytest.CaptureFixture[str]) -> None:
    module = data.draw(st.sampled_from(list(OPTIONS)))
    option, text = data.draw(st.sampled_from(OPTIONS[module])), data.draw(TEXTS)
    try:
        with one_line_errors():
            args = module.parse([f"{option}={text}"])
            if module is stylize and args.memory:
                stylize.parse_memory(args.memory)
    except SystemExit:
        is_one_line(ConfigError(capsys.readouterr().err.removesuffix("\n")), "error: ")


KEYS = [
    *("seed", "output", "trainer.threads", "trainer.devices", "style.size", "loss.style_weight", "network.width"),
    *("loss.style_layers", "data.image_size", "optimizer.learning_rate", "regions", "steps", "init", "debug"),
]


@examples(0.1)
@given(name=st.sampled_from(list(KINDS)), key=st.sampled_from(KEYS), text=TEXTS)
def test_any_text_as_a_setting(name: str, key: str, text: str) -> None:
    try:
        compose_settings(name, KINDS[name], [f"{key}={text}", "run_dir=run"])  # type: ignore[arg-type]
    except ConfigError as error:
        is_one_line(error)
