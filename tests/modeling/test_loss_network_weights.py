"""Weights files of loss networks, what ``auto`` stands for, and the trained weights themselves."""

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from faststyle.errors import LossNetworkError
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import PHOTOGRAPHS, sample_photograph
from faststyle.losses.layer_losses import GramLoss
from faststyle.modeling.loss_network import LossNetwork, build_loss_network
from faststyle.modeling.loss_network_weights import choose_architecture, load_loss_network
from faststyle.modeling.pixels import to_image
from helpers import SHARED, compress_checkpoint

IMAGES = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))


def _without(name: str, good: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in good.items() if key != name}


def make_bad_weights(case: str, good: dict[str, torch.Tensor], folder: Path) -> Path:
    path = folder / ("w.pth" if case.startswith("pth") else "w.safetensors")
    if case == "truncated":
        path.write_bytes(safetensors.torch.save(good)[:-1000])
    elif case == "header_only":
        path.write_bytes(safetensors.torch.save(good)[:40])
    elif case == "text":
        path.write_text("Not found")
    elif case == "empty":
        path.touch()
    elif case == "lacks":
        safetensors.torch.save_file(_without("features.2.weight", good), path)
    elif case == "shapes":
        safetensors.torch.save_file(good | {"features.2.weight": torch.zeros(64, 3, 3, 3)}, path)
    elif case == "nan":
        safetensors.torch.save_file(good | {"features.0.bias": torch.full((64,), torch.nan)}, path)
    elif case == "pth_truncated":
        torch.save(good, path)
        path.write_bytes(path.read_bytes()[:-1000])
    elif case == "pth_code":
        torch.save({"model": torch.nn.ReLU()}, path)
    elif case == "pth_list":
        torch.save([1, 2], path)
    elif case == "pth_empty":
        path.touch()
    elif case == "pth_packed":
        compress_checkpoint(path)
    elif case.startswith("pth_"):
        odd = {
            "pth_sparse": torch.zeros(64).to_sparse(),
            "pth_view": torch.zeros(1).expand(64),
            "pth_huge": torch.zeros(1).expand(10**12),
            "pth_complex": torch.zeros(64, dtype=torch.complex64),
            "pth_meta": torch.zeros(64, device="meta"),
        }[case]
        torch.save(good | {"features.0.bias": odd}, path)
    return path


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "missing": "no file",
        "truncated": "no whole safetensors file",
        "header_only": "no whole safetensors file",
        "text": "no whole safetensors file",
        "empty": "loss_network.weights: .*w.safetensors is empty",
        "lacks": "it lacks features.2.weight",
        "shapes": r"features.2.weight is \(64, 3, 3, 3\), expected \(64, 64, 3, 3\)",
        "nan": "NaN values in features.0.bias",
        "pth_truncated": "no whole PyTorch weights file",
        "pth_code": "no whole PyTorch weights file",
        "pth_list": "no dictionary of tensors",
        "pth_empty": "loss_network.weights: .*w.pth is empty",
        "pth_packed": "is refused: it is damaged",
        "pth_huge": r"features.0.bias is \(1000000000000,\), expected \(64,\)",
        **dict.fromkeys(("pth_sparse", "pth_view", "pth_complex", "pth_meta"), "no plain numbers in features.0.bias"),
    }.items(),
)
def test_bad_weights_are_one_line(case: str, words: str, vgg_weights: Path, tmp_path: Path) -> None:
    path = make_bad_weights(case, safetensors.torch.load_file(vgg_weights), tmp_path)
    with pytest.raises(LossNetworkError, match=words) as caught:
        load_loss_network("vgg19", ["relu2_1"], weights=path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_that_may_not_be_read(
    suffix: str, vgg_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (tmp_path / "w").with_suffix(suffix)
    path.write_bytes(vgg_weights.read_bytes())
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(LossNetworkError, match=f"^loss_network.weights: cannot read {path}: no permission$"):
        load_loss_network("vgg19", ["relu2_1"], weights=path)


def test_pth_weights(vgg_weights: Path, tmp_path: Path) -> None:
    torch.save(safetensors.torch.load_file(vgg_weights), tmp_path / "w.pth")
    a = load_loss_network("vgg19", ["relu2_1"], weights=vgg_weights)
    b = load_loss_network("vgg19", ["relu2_1"], weights=tmp_path / "w.pth")
    assert torch.equal(a(IMAGES)["relu2_1"], b(IMAGES)["relu2_1"])


def test_downloaded_weights_are_checked_and_loaded(vgg_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def download(weights: object, **options: object) -> dict[str, Tensor]:
        asked.append(options)
        return safetensors.torch.load_file(vgg_weights)

    monkeypatch.setattr("torchvision.models.VGG19_Weights.get_state_dict", download)
    features = load_loss_network("vgg19", ["relu2_1"])(IMAGES)
    assert asked == [{"progress": True, "check_hash": True, "weights_only": True}]
    from_file = load_loss_network("vgg19", ["relu2_1"], weights=vgg_weights)(IMAGES)
    assert torch.equal(features["relu2_1"], from_file["relu2_1"])


def test_no_network_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(LossNetworkError, match=r"fetch https://\S+vgg19-\S+\.pth and give it as loss_network.weights"):
        load_loss_network("vgg19", ["relu1_1"])


TRAINED = {
    "embedded": ("compact", "default"),
    "whole": ("vgg19", str(SHARED / "weights" / "vgg19_caffe_conv_fp16.safetensors")),
    "to_relu4_3": ("vgg19", str(SHARED / "weights" / "vgg19_caffe_to_relu4_3_fp16.safetensors")),
}


def tells_photographs_apart(network: LossNetwork) -> bool:
    """By the Gram matrix of relu4_1: each is like its own mirror image, and unlike every other photograph."""
    photographs = [to_image(resize_shorter_side(read_picture(sample_photograph(name)), 96).rgb) for name in PHOTOGRAPHS]
    features, mirrored = ([network(x) for x in some] for some in (photographs, [x.flip(3) for x in photographs]))
    for i, own in enumerate(features):
        loss = GramLoss({"relu4_1": 1.0}, own, "relative")
        nearest = min(loss(other) for k, other in enumerate(features) if k != i)
        if loss(mirrored[i]) > 0.1 or nearest < 0.2:
            return False
    return True


@pytest.mark.parametrize("weights", [pytest.param(n, marks=[pytest.mark.weights] * (n != "embedded")) for n in TRAINED])
def test_trained_weights_tell_photographs_apart(weights: str) -> None:
    architecture, file = TRAINED[weights]
    assert tells_photographs_apart(load_loss_network(architecture, ["relu4_1"], weights=file))


def test_random_weights_do_not() -> None:
    assert not tells_photographs_apart(build_loss_network("compact", ["relu4_1"]))


class TestAuto:
    @pytest.fixture(autouse=True)
    def _empty_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))

    def test_is_the_compact_network_and_says_so(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("INFO"):
            assert choose_architecture("auto", ["relu1_2", "relu4_1"]) == "compact"
        assert "loss_network=vgg19 downloads the full one" in caplog.text

    def test_is_vgg19_where_its_weights_are(self, tmp_path: Path) -> None:
        assert choose_architecture("auto", ["relu1_2"], weights="vgg19.safetensors") == "vgg19"
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth").touch()
        assert choose_architecture("auto", ["relu1_2"]) == "vgg19"

    def test_is_vgg19_where_a_layer_needs_it(self) -> None:
        assert choose_architecture("auto", ["relu1_2", "conv4_2"]) == "vgg19"

    def test_other_names_stay(self) -> None:
        assert choose_architecture("resnet50", ["layer1"]) == "resnet50"
