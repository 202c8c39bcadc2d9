"""Loss networks: layers, pooling, normalisation, weights files."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision

from conftest import SHARED
from faststyle.errors import LossNetworkError
from faststyle.modeling.loss_network import (
    ARCHITECTURES,
    COMPACT_LAYERS,
    LossNetwork,
    build_loss_network,
    choose_architecture,
    load_loss_network,
    nearest_layer,
    vgg_layers,
)

IMAGES = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_vgg_equals_torchvisions(architecture: str) -> None:
    reference = torchvision.models.vgg.__dict__[architecture](weights=None, init_weights=False).features.eval()
    ours = build_loss_network(architecture, [f"conv5_{3 if architecture == 'vgg16' else 4}", "relu3_3", "conv2_2"])
    ours.load_state_dict({f"features.{k}": v for k, v in reference.state_dict().items()})
    normalize = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x, expected = normalize(IMAGES), {}
    with torch.no_grad():
        for name, layer in zip(vgg_layers(architecture), reference, strict=True):
            x = layer(x.clone())
            expected[name] = x
    for name, value in ours(IMAGES).items():
        torch.testing.assert_close(value, expected[name])


def test_resnet_equals_torchvisions() -> None:
    reference = torchvision.models.resnet50(weights=None).eval()
    ours = build_loss_network("resnet50", ["conv1", "relu1", "layer1", "layer4"])
    ours.load_state_dict({k: v for k, v in reference.state_dict().items() if not k.startswith("fc")})
    with torch.no_grad():
        x = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(IMAGES)
        relu1 = reference.relu(reference.bn1(reference.conv1(x)))
        layer1 = reference.layer1(reference.maxpool(relu1))
        layer4 = reference.layer4(reference.layer3(reference.layer2(layer1)))
    features = ours(IMAGES)
    for name, value in {"relu1": relu1, "layer1": layer1, "layer4": layer4}.items():
        torch.testing.assert_close(features[name], value)


def test_cut_after_the_deepest_layer() -> None:
    network = build_loss_network("vgg19", ["relu2_1", "relu1_1"])
    assert network.names[-1] == "relu2_1"  # type: ignore[attr-defined]
    assert set(network(IMAGES)) == {"relu1_1", "relu2_1"}
    assert set(network(IMAGES, layers=["relu1_1"])) == {"relu1_1"}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_frozen_and_in_evaluation_mode(architecture: str) -> None:
    network = build_loss_network(architecture, ["relu1" if architecture == "resnet50" else "relu1_1"])
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(p.requires_grad for p in network.parameters())
    image = IMAGES.clone().requires_grad_()
    next(iter(network(image).values())).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_pooling() -> None:
    means = {}
    for pooling in ("max", "average"):
        torch.manual_seed(0)
        means[pooling] = build_loss_network("vgg16", ["pool1"], pooling=pooling)(IMAGES)["pool1"].mean()
    assert means["max"] > means["average"]


@pytest.mark.parametrize(
    ("architecture", "name", "expected"),
    [
        ("vgg19", "relu3_4", "relu3_4"),
        ("vgg16", "relu3_4", "relu3_3"),
        ("vgg16", "conv1_2", "conv1_2"),
        ("compact", "conv4_2", "relu4_1"),
        ("compact", "relu5_1", "relu4_1"),
        ("compact", "relu3_2", "relu3_2"),
        ("resnet50", "relu1_2", "relu1"),
        ("resnet50", "conv5_1", "layer4"),
        ("resnet50", "layer2", "layer2"),
        ("auto", "conv5_1", "conv5_1"),
        ("vgg16", "relu9_9", "relu9_9"),
    ],
)
def test_nearest_layer(architecture: str, name: str, expected: str) -> None:
    assert nearest_layer(architecture, name) == expected


def test_every_vgg_layer_has_one_in_every_network() -> None:
    for architecture in ARCHITECTURES:
        names = [name for name in vgg_layers("vgg19") if architecture != "compact" or not name.startswith("pool")]
        build_loss_network(architecture, [nearest_layer(architecture, name) for name in names])


def test_normalized_vgg() -> None:
    """Mean activation 1 in every live filter; each layer as before up to one factor a channel."""
    network = build_loss_network("vgg19", ["relu1_2", "relu2_2", "relu3_2"])
    for name, tensor in network.state_dict().items():
        if name.endswith("bias"):
            tensor.uniform_(-0.1, 0.1)
    before = network(IMAGES)
    network.normalize_activations(IMAGES)  # type: ignore[operator]
    for name, after in network(IMAGES).items():
        mean = before[name].mean(dim=(0, 2, 3), keepdim=True)
        live = (mean > 0).flatten()
        torch.testing.assert_close(after.mean(dim=(0, 2, 3))[live], torch.ones(int(live.sum())), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close((after * mean)[:, live], before[name][:, live], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "layers", "pooling", "words"),
    [
        ("vgg19", ["relu9_9"], "max", "unknown layer relu9_9; known: conv1_1, relu1_1"),
        ("vgg16", ["relu3_4"], "max", "unknown layer relu3_4"),
        ("resnet50", ["relu3_3"], "max", "known: conv1, relu1, layer1"),
        ("vgg19", [], "max", "unknown layer"),
        ("alexnet", ["relu1"], "max", "unknown loss network 'alexnet'; known: vgg16, vgg19, compact, resnet50"),
        ("vgg19", ["relu1_1"], "median", "pooling must be one of max, average"),
        ("resnet50", ["relu1"], "average", "only max pooling"),
    ],
)
def test_unknown_names(architecture: str, layers: list[str], pooling: str, words: str) -> None:
    with pytest.raises(LossNetworkError, match=words):
        build_loss_network(architecture, layers, pooling=pooling)


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
    return path


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "missing": "no file",
        "truncated": "no whole safetensors file",
        "header_only": "no whole safetensors file",
        "text": "no whole safetensors file",
        "empty": "no whole safetensors file",
        "lacks": "it lacks features.2.weight",
        "shapes": r"features.2.weight is \(64, 3, 3, 3\), expected \(64, 64, 3, 3\)",
        "nan": "NaN values in features.0.bias",
        "pth_truncated": "no whole PyTorch weights file",
        "pth_code": "no whole PyTorch weights file",
        "pth_list": "no dictionary of tensors",
    }.items(),
)
def test_bad_weights_are_one_line(case: str, words: str, vgg_weights: Path, tmp_path: Path) -> None:
    path = make_bad_weights(case, safetensors.torch.load_file(vgg_weights), tmp_path)
    with pytest.raises(LossNetworkError, match=words) as caught:
        load_loss_network("vgg19", ["relu2_1"], weights=path)
    assert "\n" not in str(caught.value)


def test_pth_weights(vgg_weights: Path, tmp_path: Path) -> None:
    torch.save(safetensors.torch.load_file(vgg_weights), tmp_path / "w.pth")
    a = load_loss_network("vgg19", ["relu2_1"], weights=vgg_weights)
    b = load_loss_network("vgg19", ["relu2_1"], weights=tmp_path / "w.pth")
    assert torch.equal(a(IMAGES)["relu2_1"], b(IMAGES)["relu2_1"])


def test_no_network_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", fail)
    with pytest.raises(LossNetworkError, match=r"fetch https://\S+vgg19-\S+\.pth and give it as loss_network.weights"):
        load_loss_network("vgg19", ["relu1_1"])


@pytest.mark.weights
@pytest.mark.parametrize("name", ["vgg19_caffe_conv_fp16", "vgg19_caffe_to_relu4_3_fp16"])
def test_real_weights_see_edges(name: str) -> None:
    """relu3_1 of trained weights tells two photographs apart better than a photograph from its mirror image."""
    path = SHARED / "weights" / f"{name}.safetensors"
    network: LossNetwork = load_loss_network("vgg19", ["relu4_1"], weights=path)
    features = network(IMAGES)["relu4_1"]
    assert features.shape == (2, 512, 4, 5)
    assert features.isfinite().all()
    assert features.mean() > 1


class TestCompact:
    def test_has_vggs_layers_at_half_their_width(self) -> None:
        compact, vgg = (build_loss_network(name, COMPACT_LAYERS)(IMAGES) for name in ("compact", "vgg19"))
        for layer in COMPACT_LAYERS:
            assert compact[layer].shape[1] * 2 == vgg[layer].shape[1]
            assert compact[layer].shape[2:] == vgg[layer].shape[2:]

    @pytest.mark.parametrize("layer", ["conv1_1", "pool1", "relu4_2", "relu5_1"])
    def test_lacks_the_rest(self, layer: str) -> None:
        with pytest.raises(LossNetworkError, match=f"unknown layer {layer}; known: relu1_1, "):
            build_loss_network("compact", [layer])

    def test_is_embedded(self) -> None:
        features = load_loss_network("compact", ["relu4_1", "relu1_2"])(IMAGES)
        assert all(value.isfinite().all() and value.std() > 0 for value in features.values())

    def test_has_max_pooling_only(self) -> None:
        with pytest.raises(LossNetworkError, match="compact has only max pooling"):
            build_loss_network("compact", ["relu1_1"], pooling="average")


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
