"""Applying weights to arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import noise
from faststyle.checkpoint import load_checkpoint, save_weights
from faststyle.errors import CheckpointError, ConfigError, FaststyleError
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet


@pytest.fixture
def weights(network: TransformerNet, tmp_path: Path) -> Path:
    save_weights(tmp_path / "style.safetensors", network, {"style": {"name": "x"}})
    return tmp_path / "style.safetensors"


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (30, 20), (33, 47), (64, 64)])
def test_same_size_and_the_networks_values(size: tuple[int, int], weights: Path) -> None:
    stylizer = Stylizer.load(weights, device="cpu")
    photograph = noise(*size)
    stylized = stylizer.stylize(photograph)
    assert stylized.shape == photograph.shape
    assert stylized.dtype == np.uint8
    image = torch.tensor(photograph).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = load_checkpoint(weights).network(image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(stylized - expected).max() < 0.51


def test_the_same_picture_twice_gives_the_same(weights: Path) -> None:
    stylizer = Stylizer.load(weights)
    assert np.array_equal(stylizer.stylize(noise(40, 30)), stylizer.stylize(noise(40, 30)))
    assert stylizer.info["style"] == {"name": "x"}


def test_read_only_and_strided_arrays(weights: Path) -> None:
    stylizer = Stylizer.load(weights, device="cpu")
    photograph = noise(40, 30)
    photograph = photograph[::-1, ::2]
    photograph.flags.writeable = False
    assert np.array_equal(stylizer.stylize(photograph), stylizer.stylize(photograph.copy()))


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_wrong_arrays(bad: np.ndarray, weights: Path) -> None:
    with pytest.raises(FaststyleError, match=r"expected a uint8 \(H, W, 3\) picture, found"):
        Stylizer.load(weights).stylize(bad)


@pytest.mark.parametrize("failure", [MemoryError(), torch.OutOfMemoryError("x"), RuntimeError("can't allocate memory")])
def test_too_little_memory_is_one_line(failure: Exception, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, image: object) -> None:
        raise failure

    monkeypatch.setattr(TransformerNet, "forward", fail)
    with pytest.raises(FaststyleError, match="not enough memory for 30x40 pixels"):
        Stylizer.load(weights).stylize(noise(40, 30))


def test_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Stylizer.load(tmp_path / "x.safetensors")


def test_pictures_beyond_the_memory_go_in_strips(weights: Path) -> None:
    photograph = noise(1200, 300)
    needed = 650e6 + 25 * 4 * 1200 * 300
    whole = Stylizer.load(weights, device="cpu", memory=needed).stylize(photograph)
    for large, measure, most in (("exact", np.max, 1), ("sampled", np.mean, 20)):
        stylizer = Stylizer.load(weights, device="cpu", memory=needed - 1e6, large=large)
        assert measure(np.abs(stylizer.stylize(photograph).astype(int) - whole)) <= most
    with pytest.raises(ConfigError, match="large pictures go exact or sampled, found 'tiles'"):
        Stylizer.load(weights, large="tiles")
