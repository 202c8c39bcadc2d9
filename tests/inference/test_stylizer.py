"""Applying weights to arrays."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faststyle import inference
from faststyle.checkpoint import Checkpoint, read_checkpoint, save_weights
from faststyle.errors import CheckpointError, ConfigError, FaststyleError
from faststyle.inference import tiling
from faststyle.inference.backends import BACKENDS
from faststyle.inference.engines import Engine, EngineOptions, Place
from faststyle.inference.graph_engines import OnnxRuntimeEngine
from faststyle.inference.mixture import row_shares
from faststyle.inference.onnx_graph import export_onnx
from faststyle.inference.stylizer import Stylizer
from faststyle.inference.torch_engine import TorchEngine
from faststyle.modeling.pixels import to_image, to_pixels
from faststyle.modeling.transformer_net import TransformerNet
from helpers import noise

LARGE = (1200, 300)
INSTALLED = [name for name, engine in BACKENDS.items() if engine.installed()]


def test_the_package_gives_it_and_nothing_else_that_is_not_there() -> None:
    assert inference.Stylizer is Stylizer
    with pytest.raises(AttributeError, match="module 'faststyle.inference' has no attribute 'Styliser'"):
        inference.Styliser  # noqa: B018 - the attribute is the subject


@pytest.mark.parametrize("backend", INSTALLED)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (30, 20), (33, 47), (64, 64)])
def test_same_size_and_the_networks_values(size: tuple[int, int], backend: str, tiny_style: Path) -> None:
    stylizer = Stylizer.load(tiny_style, device="cpu", backend=backend)
    photograph = noise(*size)
    stylized = stylizer.stylize(photograph)
    assert stylized.shape == photograph.shape
    assert stylized.dtype == np.uint8
    image = torch.tensor(photograph).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = read_checkpoint(tiny_style).build_network()(image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(stylized - expected).max() < 0.51


def test_the_same_picture_twice_gives_the_same(tiny_style: Path) -> None:
    stylizer = Stylizer.load(tiny_style)
    assert np.array_equal(stylizer.stylize(noise(40, 30)), stylizer.stylize(noise(40, 30)))


@pytest.mark.parametrize("name", ["starry_night", "great_wave"])
def test_a_shipped_style_by_its_name_tells_its_recipe(name: str) -> None:
    header = Stylizer.load(name, device="cpu").header
    assert header.recipe is not None
    assert header.recipe.styles[0].name == name
    assert header.network == header.recipe.network


@pytest.mark.parametrize("backend", INSTALLED)
def test_read_only_and_strided_arrays(backend: str, tiny_style: Path) -> None:
    stylizer = Stylizer.load(tiny_style, device="cpu", backend=backend)
    photograph = noise(40, 30)
    photograph = photograph[::-1, ::2]
    photograph.flags.writeable = False
    assert np.array_equal(stylizer.stylize(photograph), stylizer.stylize(photograph.copy()))


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_wrong_arrays(bad: np.ndarray, tiny_style: Path) -> None:
    with pytest.raises(FaststyleError, match=r"expected a uint8 \(H, W, 3\) picture, found"):
        Stylizer.load(tiny_style).stylize(bad)


class Failing(Engine):
    """Raises whatever it is told to."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(Path(), EngineOptions())
        self.failure = failure

    def fits_whole(self, height: int, width: int) -> bool:
        return True

    def stylize(self, photograph: np.ndarray, place: Place) -> np.ndarray:
        raise self.failure


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        torch.OutOfMemoryError("x"),
        RuntimeError("can't allocate memory: you tried to allocate 1 byte"),
        RuntimeError("std::bad_alloc"),
    ],
    ids=repr,
)
def test_too_little_memory_is_one_line(failure: Exception) -> None:
    with pytest.raises(
        FaststyleError, match="^not enough memory for 30x40 pixels: a smaller --memory or --size helps$"
    ):
        Stylizer(Failing(failure)).stylize(noise(40, 30))


@pytest.mark.parametrize("failure", [RuntimeError("shapes do not match"), ZeroDivisionError()], ids=repr)
def test_other_failures_stay_what_they_are(failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught:
        Stylizer(Failing(failure)).stylize(noise(40, 30))
    assert caught.value is failure


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".onnx"])
def test_no_checkpoint(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"no checkpoint .*x{suffix}$"):
        Stylizer.load(tmp_path / f"x{suffix}")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"statistics": "tiles"}, "^statistics must be one of exact, sampled, found 'tiles'$"),
        ({"precision": "int8"}, "^precision must be one of float32, bfloat16, found 'int8'$"),
        ({"backend": "tvm"}, "^the back end must be one of auto, onnxruntime, openvino, torch, found 'tvm'$"),
        ({"device": "tpu"}, "^device must be one of auto, cpu, cuda, mps, found 'tpu'$"),
    ],
)
def test_unknown_options(options: dict[str, Any], words: str, tiny_style: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        Stylizer.load(tiny_style, **options)


@pytest.fixture
def needed(tiny_style: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """Bytes for ``LARGE``, where ONNX Runtime takes as much as torch: else strips pay only from megapixels on."""
    for cost in ("process_bytes", "pixel_bytes"):
        monkeypatch.setattr(OnnxRuntimeEngine, cost, getattr(TorchEngine, cost))
    return TorchEngine(read_checkpoint(tiny_style), EngineOptions()).bytes_needed(*LARGE)


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Sizes of the pictures that went in strips."""
    seen: list[tuple[int, int]] = []

    class Strips(tiling.Strips):
        def __init__(self, network: TransformerNet, photograph: np.ndarray, *rest: Any) -> None:
            seen.append(photograph.shape[:2])
            super().__init__(network, photograph, *rest)

    monkeypatch.setattr(tiling, "Strips", Strips)
    return seen


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize(("statistics", "measure", "most"), [("exact", np.max, 1), ("sampled", np.mean, 20)])
def test_pictures_beyond_the_memory_go_in_strips(
    backend: str,
    statistics: str,
    measure: Callable[[np.ndarray], float],
    most: int,
    tiny_style: Path,
    needed: float,
    cut: list[tuple[int, int]],
) -> None:
    photograph = noise(*LARGE)
    options: dict[str, Any] = {"device": "cpu", "backend": backend, "statistics": statistics}
    whole = Stylizer.load(tiny_style, memory=needed, **options).stylize(photograph)
    assert cut == []
    stylizer = Stylizer.load(tiny_style, memory=needed - 1, **options)
    assert measure(np.abs(stylizer.stylize(photograph).astype(int) - whole)) <= most
    assert cut == [LARGE]
    stylizer.stylize(photograph[:300])
    assert cut == [LARGE]


def test_what_goes_in_strips_is_opened_once_and_on_demand(
    tiny_style: Path, needed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[TorchEngine] = []

    class Counted(TorchEngine):
        def __init__(self, source: Path | Checkpoint, options: EngineOptions) -> None:
            super().__init__(source, options)
            opened.append(self)

    monkeypatch.setitem(BACKENDS, "torch", Counted)
    stylizer = Stylizer.load(tiny_style, device="cpu", memory=needed - 1)
    stylizer.stylize(noise(40, 30))
    assert opened == []
    for _ in range(2):
        stylizer.stylize(noise(*LARGE))
    assert len(opened) == 1
    assert opened[0].memory == needed - 1


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_without_torch_a_picture_beyond_the_memory_is_one_line(
    suffix: str, tiny_style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which says how much memory is enough, and what to install."""
    monkeypatch.setattr(TorchEngine, "installed", lambda: False)
    path, photograph = tiny_style.with_suffix(suffix), noise(*LARGE)
    with pytest.raises(FaststyleError, match=r"pip install 'faststyle\[train\]'$") as refusal:
        Stylizer.load(path, device="cpu", memory=1e6).stylize(photograph)
    assert "\n" not in str(refusal.value)
    (gibibytes,) = re.findall(r"300x1200 pixels need --memory ([\d.]+)G in one piece", str(refusal.value))
    enough = float(gibibytes) * 2**30
    assert Stylizer.load(path, device="cpu", memory=enough).stylize(photograph).shape == photograph.shape


def test_a_picture_that_fits_nowhere_is_one_line(tiny_style: Path) -> None:
    with pytest.raises(FaststyleError, match=r"^300x1200 pixels need --memory 0.8G at least$"):
        Stylizer.load(tiny_style, device="cpu", memory=1e6).stylize(noise(*LARGE))


# a network of several styles


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_styles_and_strengths_under_every_back_end(
    backend: str, suffix: str, several: Checkpoint, tmp_path: Path
) -> None:
    if suffix not in BACKENDS[backend].suffixes or not BACKENDS[backend].installed():
        pytest.skip(f"no {backend} for {suffix} here")
    path = tmp_path / f"several{suffix}"
    if suffix == ".onnx":
        export_onnx(several, path)
    else:
        save_weights(path, several.build_network(), rows=several.header.styles)
    stylizer = Stylizer.load(path, style="a", backend=backend, device="cpu")
    assert stylizer.styles == ["a", "b"]
    photograph = noise(37, 52)
    for style, strength in (("a", 1.0), ("a:1,b:3", 0.6), ("b", 1.25)):
        shares = torch.tensor(row_shares(several.header, style, strength))[None]
        with torch.inference_mode():
            expected = to_pixels(several.build_network()(to_image(photograph), shares=shares))[0].numpy()
        found = stylizer.with_style(style, strength=strength).stylize(photograph)
        assert np.abs(found.astype(int) - expected).max() <= 1
    folded = several.fold(np.array([1, 0, 0], np.float32)).build_network()
    with torch.inference_mode():
        expected = to_pixels(folded(to_image(photograph)))[0].numpy()
    assert np.abs(stylizer.stylize(photograph).astype(int) - expected).max() <= 1  # it is what it was


def test_a_mixture_in_strips(several: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "several.safetensors"
    save_weights(path, several.build_network(), rows=several.header.styles)
    whole = Stylizer.load(path, style="a:1,b:1", strength=0.5, backend="torch", device="cpu")
    strips = whole.with_style("a:1,b:1", strength=0.5)
    photograph = noise(*LARGE)
    strips.engine.memory = strips.engine.bytes_needed(*LARGE) - 1
    assert np.abs(whole.stylize(photograph).astype(int) - strips.stylize(photograph)).max() <= 1


def test_a_row_of_the_paintings_by_its_name() -> None:
    stylizer = Stylizer.load("monet_water_lilies", device="cpu")
    assert len(stylizer.styles) >= 16
    expected = Stylizer.load("paintings", style="monet_water_lilies", device="cpu").stylize(noise(40, 50))
    assert np.array_equal(stylizer.stylize(noise(40, 50)), expected)
    assert read_checkpoint("monet_water_lilies").header.network.rows == 1
    with pytest.raises(ConfigError, match="^choose a style, or several by their shares: starry_night, "):
        Stylizer.load("paintings", device="cpu")
