"""Shared fixtures: tiny networks, sample photographs, and the folder of real weights where there is one."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import safetensors.torch
import torch
from PIL import Image

from faststyle.checkpoint import save_weights
from faststyle.inference.onnx_graph import export_onnx
from faststyle.modeling.loss_network import build_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from helpers import SHARED, checkpoint_of, make_config, noise

torch.set_num_threads(1)  # several test processes share the cores


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = pytest.mark.skip(reason=f"needs the real loss-network weights in {SHARED.name}/, which is not here")
    no_gpu = pytest.mark.skip(reason="needs a GPU")
    for item in items:
        if item.get_closest_marker("weights") and not SHARED.is_dir():
            item.add_marker(absent)
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(no_gpu)


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """The same weights each time, one thread, and nothing that a test leaves of logging or in the environment."""
    torch.manual_seed(0)
    handlers = list(logging.root.handlers)
    with patch.dict(os.environ):
        yield
    torch.set_num_threads(1)
    logging.root.handlers[:] = handlers
    logging.getLogger("faststyle").setLevel(logging.NOTSET)


@pytest.fixture
def network() -> TransformerNet:
    return TransformerNet(make_config())


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small photographs, two of them in a subfolder."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "nested").mkdir()
    for i in range(6):
        name = f"nested/{i}.png" if i > 3 else f"{i}.jpg"
        Image.fromarray(noise(40 + i, 60, seed=i)).save(folder / name)
    return folder


@pytest.fixture(scope="session")
def vgg_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random VGG-19 weights up to conv2_1."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "vgg19.safetensors"
    safetensors.torch.save_file(build_loss_network("vgg19", ["relu2_1"]).state_dict(), path)
    return path


@pytest.fixture
def train_overrides(photos: Path, vgg_weights: Path, tmp_path: Path) -> list[str]:
    """Settings that train a tiny network in a second."""
    style = tmp_path / "painting.png"
    Image.fromarray(noise(48, 64, seed=9)).save(style)
    return [
        f"style.image={style}",
        "style.size=32",
        f"data.root={photos}",
        f"cache_dir={tmp_path / 'packs'}",
        "data.image_size=32",
        "data.batch_size=2",
        "data.holdout=2",
        "network.width=4",
        "network.residual_blocks=1",
        f"loss_network.weights={vgg_weights}",
        "loss.content_layers=[relu2_1]",
        "loss.style_layers=[relu1_1,relu2_1]",
        "trainer=cpu",
        "trainer.precision=32-true",
        "trainer.max_steps=4",
        "trainer.log_every_n_steps=1",
        f"run_dir={tmp_path / 'run'}",
    ]


@pytest.fixture
def distill_overrides(photos: Path, vgg_weights: Path, tmp_path: Path) -> list[str]:
    """Settings that distil two layers in a second."""
    return [
        f"teacher={vgg_weights}",
        f"paintings=[{photos}]",
        "painting_sizes=[32]",
        "layers=[relu1_2,relu2_1]",
        "policy.content_layers=[relu2_1]",
        "policy.style_layers=[relu1_2]",
        "network.width=4",
        "network.residual_blocks=1",
        f"data.root={photos}",
        f"cache_dir={tmp_path / 'packs'}",
        "data.image_size=32",
        "data.batch_size=2",
        "data.holdout=2",
        "trainer=cpu",
    ]


@pytest.fixture
def decoder_overrides(photos: Path, tmp_path: Path) -> list[str]:
    """Settings that train a decoder for two steps in a second."""
    return [
        f"data.root={photos}",
        f"cache_dir={tmp_path / 'packs'}",
        "data.image_size=32",
        "data.batch_size=2",
        "data.holdout=2",
        "trainer=cpu",
        "trainer.precision=32-true",
        "trainer.max_steps=2",
    ]


@pytest.fixture(scope="session")
def tiny_style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a tiny network, not to be changed; the same exported stands beside them as ``.onnx``."""
    torch.manual_seed(0)
    network = TransformerNet(make_config())
    path = tmp_path_factory.mktemp("style") / "style.safetensors"
    save_weights(path, network)
    export_onnx(checkpoint_of(network), path.with_suffix(".onnx"))
    return path


@pytest.fixture
def weights(network: TransformerNet, tmp_path: Path) -> Path:
    save_weights(tmp_path / "style.safetensors", network)
    return tmp_path / "style.safetensors"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"
