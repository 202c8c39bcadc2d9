"""Loss networks: their contract, layers, pooling, normalisation."""

import re
from collections.abc import Callable, Collection, Iterable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from faststyle import config
from faststyle.errors import LossNetworkError
from faststyle.losses.layer_losses import GramLoss
from faststyle.modeling.loss_network import (
    ARCHITECTURES,
    COMPACT_LAYERS,
    POOLINGS,
    VGG,
    LossNetwork,
    build_loss_network,
    continue_borders,
    nearest_layer,
    resnet_layers,
    vgg_layers,
)

IMAGES = torch.rand(2, 3, 32, 40, generator=torch.Generator().manual_seed(0))
normalize = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def reference_with(ours: LossNetwork, build: Callable[..., nn.Module]) -> nn.Module:
    """torchvision's network with our weights, its classifier left empty."""
    with torch.device("meta"):  # takes no time for weights that are replaced
        reference = build(weights=None)
    reference.load_state_dict(ours.state_dict(), strict=False, assign=True)
    return reference.eval()


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_vgg_equals_torchvisions(architecture: str) -> None:
    ours = build_loss_network(architecture, [f"conv5_{3 if architecture == 'vgg16' else 4}", "relu3_3", "conv2_2"])
    reference = reference_with(ours, getattr(torchvision.models, architecture))
    x, expected = normalize(IMAGES), {}
    with torch.no_grad():
        for name, layer in zip(ours.names, reference.features, strict=False):
            x = layer(x.clone())
            expected[name] = x
    for name, value in ours(IMAGES).items():
        torch.testing.assert_close(value, expected[name])


def test_resnet_equals_torchvisions() -> None:
    ours = build_loss_network("resnet50", ["conv1", "relu1", "layer1", "layer2.1.relu", "layer4"])
    reference = reference_with(ours, torchvision.models.resnet50)
    with torch.no_grad():
        conv1 = reference.conv1(normalize(IMAGES))
        relu1 = reference.relu(reference.bn1(conv1.clone()))
        layer1 = reference.layer1(reference.maxpool(relu1))
        inside = reference.layer2[1](reference.layer2[0](layer1))
        layer4 = reference.layer4(reference.layer3(reference.layer2(layer1)))
    features = ours(IMAGES)
    found = {"conv1": conv1, "relu1": relu1, "layer1": layer1, "layer2.1.relu": inside, "layer4": layer4}
    for name, value in found.items():
        torch.testing.assert_close(features[name], value)


def test_resnet_layer_by_layer_down_to_a_gradient() -> None:
    """Every block of every stage has its name, is cut where it ends, and gives a style loss a gradient."""
    names = list(resnet_layers())
    blocks = [name for name in names if name.endswith(".relu")]
    assert len(blocks) == 3 + 4 + 6 + 3
    assert [blocks[0], blocks[-1], names[-1]] == ["layer1.0.relu", "layer4.2.relu", "layer4"]
    whole = build_loss_network("resnet50", names)
    features = whole(IMAGES)
    assert list(features) == names
    for stage, last in (("layer1", 2), ("layer2", 3), ("layer3", 5), ("layer4", 2)):
        torch.testing.assert_close(features[stage], features[f"{stage}.{last}.relu"])
    for name in blocks:
        image = IMAGES[:1].clone().requires_grad_()
        loss = GramLoss({name: 1.0}, {name: features[name][1:]}, "relative")
        (gradient,) = torch.autograd.grad(loss(whole(image, layers=[name])).sum(), image)
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0
    cut = build_loss_network("resnet50", ["layer2.1.relu"])
    assert list(cut.stages())[-1][0] == "layer2.1.relu"
    assert {name.split(".")[0] for name in cut.state_dict()} == {"conv1", "bn1", "layer1", "layer2"}
    assert not any(name.startswith("layer2.2") for name in cut.state_dict())


# The contract of a loss network: each check takes its name in ``ARCHITECTURES``.
Check = Callable[[str], None]


def own_layers(architecture: str) -> list[str]:
    """Its layers as deep as three of VGG-19's, one in each of the first blocks."""
    return [nearest_layer(architecture, name) for name in ("relu1_1", "relu2_1", "relu3_1")]


def ends_at_the_deepest_layer(architecture: str) -> None:
    """Whatever the order of the names; what comes deeper changes nothing."""
    shallow, middle, deep = own_layers(architecture)
    whole, cut = (build_loss_network(architecture, layers) for layers in ([deep, shallow, middle], [middle, shallow]))
    assert list(whole.stages())[-1][0] == deep
    assert list(cut.stages())[-1][0] == middle
    cut.load_state_dict({name: whole.state_dict()[name] for name in cut.state_dict()})
    features = whole(IMAGES)
    for name, value in cut(IMAGES).items():
        torch.testing.assert_close(value, features[name])


def returns_layers_by_name(architecture: str) -> None:
    layers = own_layers(architecture)
    network = build_loss_network(architecture, layers)
    assert (network.architecture, network.layers) == (architecture, tuple(layers))
    features = network(IMAGES)
    assert list(features) == layers
    assert all(x.ndim == 4 and len(x) == len(IMAGES) and x.isfinite().all() for x in features.values())
    sides = [tuple(x.shape[2:]) for x in features.values()]
    assert sides == sorted(sides, reverse=True)


def computes_only_what_is_asked_for(architecture: str) -> None:
    layers = own_layers(architecture)
    network = build_loss_network(architecture, layers)
    calls = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_: calls.append(1))
    assert list(network(IMAGES, layers=layers[:1])) == layers[:1]
    few = len(calls)
    network(IMAGES)
    assert len(calls) - few > few


def is_frozen(architecture: str) -> None:
    """Also after ``train``; the picture gets a gradient through every layer."""
    network = build_loss_network(architecture, own_layers(architecture))
    network.train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    image = IMAGES.clone().requires_grad_()
    for value in network(image).values():
        assert value.requires_grad
        (gradient,) = torch.autograd.grad(value.square().mean(), image, retain_graph=True)
        assert gradient.abs().sum() > 0


def normalizes_pictures(architecture: str) -> None:
    network = build_loss_network(architecture, own_layers(architecture)[:1])
    seen = []
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(IMAGES)
    torch.testing.assert_close(seen[0], normalize(IMAGES))


def continues_borders(architecture: str) -> None:
    """Of a plain picture every layer is plain, up to its edges."""
    network = build_loss_network(architecture, own_layers(architecture))
    plain = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 40, 48)
    assert all(x.std((2, 3)).max() > 1e-3 for x in network(plain).values())
    continue_borders(network)
    assert all(x.std((2, 3)).max() < 1e-5 for x in network(plain).values())


def refuses_unknown_layers(architecture: str) -> None:
    known = own_layers(architecture)[0]
    for layers, words in ((["relu9_9"], "relu9_9"), ([known, "relu9_9"], "relu9_9"), ([], "(none)")):
        with pytest.raises(LossNetworkError, match=re.escape(f"unknown layer {words}; known: ") + f".*{known}"):
            build_loss_network(architecture, layers)


def pools_as_asked_or_refuses(architecture: str) -> None:
    layers, refusals = own_layers(architecture)[:1], {}
    for pooling in (*config.POOLINGS, "median"):
        try:
            build_loss_network(architecture, layers, pooling=pooling)
        except LossNetworkError as error:
            refusals[pooling] = str(error)
    assert "max" not in refusals
    assert "median" in refusals
    assert all("pooling" in words and pooling in words for pooling, words in refusals.items())


CONTRACT: list[Check] = [
    ends_at_the_deepest_layer,
    returns_layers_by_name,
    computes_only_what_is_asked_for,
    is_frozen,
    normalizes_pictures,
    continues_borders,
    refuses_unknown_layers,
    pools_as_asked_or_refuses,
]


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_loss_network(architecture: str, check: Check) -> None:
    check(architecture)


class NotCut(VGG):
    def __init__(self, architecture: str, layers: Iterable[str], pooling: str) -> None:
        wanted = list(layers)
        super().__init__(architecture, [*wanted, "relu3_2"], pooling)
        self.layers = tuple(wanted)


class Renamed(VGG):
    def __init__(self, architecture: str, layers: Iterable[str], pooling: str) -> None:
        super().__init__("vgg16", layers, pooling)


class Eager(VGG):
    def forward(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        features = super().forward(images)
        return features if layers is None else {name: features[name] for name in layers}


class Trainable(VGG):
    def train(self, mode: bool = True) -> LossNetwork:
        return nn.Module.train(self, mode)


class Detached(VGG):
    def output(self, name: str, x: Tensor) -> Tensor:
        return x.detach()


class Raw(VGG):
    def forward(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return super().forward(images * self.std + self.mean, layers)


class Framed(VGG):
    def forward(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        return super().forward(F.pad(images, (1, 1, 1, 1)), layers)


class Lenient(VGG):
    def __init__(self, architecture: str, layers: Iterable[str], pooling: str) -> None:
        known = [name for name in layers if name in vgg_layers(architecture)]
        super().__init__(architecture, known or ["relu1_1"], pooling)


class AnyPooling(VGG):
    def __init__(self, architecture: str, layers: Iterable[str], pooling: str) -> None:
        super().__init__(architecture, layers, "max")


@pytest.mark.parametrize(
    ("network", "check"),
    [
        (NotCut, ends_at_the_deepest_layer),
        (Renamed, returns_layers_by_name),
        (Eager, computes_only_what_is_asked_for),
        (Trainable, is_frozen),
        (Detached, is_frozen),
        (Raw, normalizes_pictures),
        (Framed, continues_borders),
        (Lenient, refuses_unknown_layers),
        (AnyPooling, pools_as_asked_or_refuses),
    ],
)
def test_a_wrong_loss_network_fails(network: type[VGG], check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "vgg19", partial(network, "vgg19"))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check("vgg19")


def test_the_tables_hold_what_the_configuration_names() -> None:
    assert tuple(ARCHITECTURES) == config.LOSS_NETWORKS
    assert tuple(POOLINGS) == config.POOLINGS


def check_pooling(name: str) -> None:
    """Half the size, in the range of what it pools."""
    x = torch.rand(2, 3, 8, 7)
    pooled = POOLINGS[name](2)(x)
    assert pooled.shape == (2, 3, 4, 3)
    blocks = x[..., :6].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert (blocks.amin(4) <= pooled).all()
    assert (pooled <= blocks.amax(4)).all()


@pytest.mark.parametrize("name", POOLINGS)
def test_every_pooling(name: str) -> None:
    check_pooling(name)


@pytest.mark.parametrize("wrong", [lambda side: nn.MaxPool2d(side, stride=1), lambda side: nn.LPPool2d(2, side)])
def test_a_wrong_pooling_fails(wrong: Callable[[int], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POOLINGS, "average", wrong)
    with pytest.raises(AssertionError):
        check_pooling("average")


def test_poolings_differ() -> None:
    means = {}
    for pooling in POOLINGS:
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


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_vgg_layer_has_one_in_every_network(architecture: str) -> None:
    names = [name for name in vgg_layers("vgg19") if architecture != "compact" or not name.startswith("pool")]
    layers = [nearest_layer(architecture, name) for name in names]
    assert set(build_loss_network(architecture, layers).layers) == set(layers)


def test_normalized_vgg() -> None:
    """Mean activation 1 in every live filter; each layer as before up to one factor a channel."""
    network = build_loss_network("vgg19", ["relu1_2", "relu2_2", "relu3_2"])
    for name, tensor in network.state_dict().items():
        if name.endswith("bias"):
            tensor.uniform_(-0.1, 0.1)
    before = network(IMAGES)
    assert isinstance(network, VGG)
    network.normalize_activations(IMAGES)
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
        ("alexnet", ["relu1"], "max", "unknown loss network 'alexnet'; known: compact, vgg16, vgg19, resnet50"),
        ("vgg19", ["relu1_1"], "median", "pooling must be one of max, average"),
        ("resnet50", ["relu1"], "average", "only max pooling"),
    ],
)
def test_unknown_names(architecture: str, layers: list[str], pooling: str, words: str) -> None:
    with pytest.raises(LossNetworkError, match=words):
        build_loss_network(architecture, layers, pooling=pooling)


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
