"""Objects from settings."""

from pathlib import Path

import pytest
import torch

from faststyle.checkpoint import Checkpoint, Header, save_weights
from faststyle.config import LossNetworkConfig
from faststyle.errors import CheckpointError, ConfigError
from faststyle.experiments.build import (
    build_network,
    choose_loss_network,
    file_name,
    load_configured_loss_network,
    read_start,
    row_names,
    start_shares,
    train_rows_only,
)
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NetworkConfig
from helpers import make_config, make_loss


def start_from(config: NetworkConfig, file: Path) -> TransformerNet:
    return build_network(config, ["a"], read_start(str(file)))


def test_init_takes_weights_and_names_settings_that_differ(tmp_path: Path) -> None:
    file = tmp_path / "start.safetensors"
    start = TransformerNet(make_config(upsample="bilinear"))
    save_weights(file, start)
    network = start_from(make_config(upsample="bilinear"), file)
    assert network.training
    assert network.to_rgb.weight.allclose(start.to_rgb.weight, atol=1e-3)
    assert not build_network(make_config(upsample="bilinear"), ["a"], None).to_rgb.weight.allclose(start.to_rgb.weight)
    nearest = start_from(make_config(upsample="nearest"), file)  # which has the same tensors
    assert nearest.to_rgb.weight.allclose(start.to_rgb.weight, atol=1e-3)
    noisy = start_from(make_config(noise=2), file)
    assert torch.equal(noisy.down[0].convolution.weight[:, 3:], torch.zeros(4, 2, 9, 9))
    photograph = torch.rand(1, 3, 20, 24)
    torch.testing.assert_close(noisy.eval()(photograph), nearest.eval()(photograph))
    save_weights(file, noisy)
    with pytest.raises(ConfigError, match="noise=2; here noise=1"):
        start_from(make_config(noise=1), file)
    save_weights(file, start)
    words = r"^init: another network \(width=4 upsample=bilinear; here width=8 upsample=nearest\): start from one"
    with pytest.raises(ConfigError, match=words):
        start_from(make_config(width=8), file)
    file.write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="^init: .*start.safetensors is no whole safetensors file"):
        start_from(make_config(), file)


def of_loss_network(**changes: object) -> LossNetworkConfig:
    settings = {"architecture": "vgg19", "weights": "default", "pooling": "max", "normalized": False}
    return LossNetworkConfig(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "layer", "cached", "expected"),
    [
        ("default", "relu2_1", False, "compact"),
        ("default", "relu2_1", True, "vgg19"),
        ("vgg.pth", "relu2_1", False, "vgg19"),
        ("default", "conv2_1", False, "vgg19"),  # which the compact network lacks
    ],
)
def test_auto_is_vgg19_where_it_can_or_must_be(
    weights: str, layer: str, cached: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    if cached:
        (tmp_path / "checkpoints" / "vgg19-dcbb9e9d.pth").touch()
    loss = make_loss(style_layers={layer: 1.0})
    assert choose_loss_network(of_loss_network(architecture="auto", weights=weights), loss).architecture == expected
    assert choose_loss_network(of_loss_network(architecture="resnet50"), loss) == of_loss_network(
        architecture="resnet50"
    )


def test_a_normalized_loss_network_answers_alike_in_all_filters(vgg_weights: Path) -> None:
    pictures = torch.rand(2, 3, 32, 32)
    loss = make_loss(style_layers={"relu1_1": 1.0})
    plain = load_configured_loss_network(of_loss_network(weights=str(vgg_weights)), loss, lambda: pictures)
    assert set(plain.layers) == {"relu1_1", "relu2_1"}
    assert not any(weight.requires_grad for weight in plain.parameters())
    assert plain(pictures)["relu1_1"].mean((0, 2, 3)).std() > 0.01
    config = of_loss_network(weights=str(vgg_weights), normalized=True)
    means = load_configured_loss_network(config, loss, lambda: pictures)(pictures)["relu1_1"].mean((0, 2, 3))
    torch.testing.assert_close(means[means > 0], torch.ones_like(means[means > 0]))


def test_only_a_vgg_can_be_normalized() -> None:
    config = of_loss_network(architecture="compact", normalized=True)
    with pytest.raises(ConfigError, match="^loss_network.normalized needs a VGG, found compact$"):
        load_configured_loss_network(config, make_loss(), torch.rand(1, 3, 32, 32))


def test_file_name() -> None:
    assert file_name("some/where/a.jpg") == "a.jpg"
    assert file_name(None) is None


# several styles


def checkpoint_with(*styles: str) -> Checkpoint:
    config = make_config(rows=len(styles), keeps="photograph" in styles)
    return Checkpoint(Header(config, styles=styles), {})


def test_rows_are_the_styles_and_the_photograph_or_those_of_init_and_what_it_lacks() -> None:
    start = checkpoint_with("a", "b", "photograph")
    assert row_names(["c"], 0, "all", start) == ["c"]
    assert row_names(["c", "d"], 0.2, "all", None) == ["c", "d", "photograph"]
    assert row_names(["c", "b"], 0.2, "rows", start) == ["a", "b", "c", "photograph"]
    with pytest.raises(ConfigError, match="^tune=rows needs the network .*: set init$"):
        row_names(["c"], 0, "rows", None)
    with pytest.raises(ConfigError, match="an init with the row photograph, found a, b$"):
        row_names(["c"], 0.2, "rows", checkpoint_with("a", "b"))


def test_a_new_row_starts_at_the_mean_of_the_styles() -> None:
    shares = start_shares(["b", "new", "photograph"], ["a", "b", "photograph"])
    torch.testing.assert_close(shares, torch.tensor([[0, 1, 0], [0.5, 0.5, 0], [0, 0, 1.0]]))


def test_rows_of_a_start_are_taken_by_their_names(tmp_path: Path) -> None:
    two = TransformerNet(make_config(rows=2))
    two.to_rgb.weight.data.uniform_()
    for name in two.config.row_tensors:
        two.get_parameter(name).data.uniform_()
    save_weights(tmp_path / "two.safetensors", two, rows=["a", "b"])
    start = read_start(str(tmp_path / "two.safetensors"))
    names = ["b", "new", "photograph"]
    network = build_network(make_config(rows=3, keeps=True), names, start)
    photograph = torch.rand(1, 3, 20, 24)
    expected = two(photograph, shares=torch.tensor([[0.0, 1.0]]))
    found = network(photograph, shares=torch.tensor([[1.0, 0.0, 0.0]]))
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)
    alone = build_network(make_config(), ["b"], start)
    torch.testing.assert_close(alone(photograph), expected, atol=2e-3, rtol=0)


def test_rows_alone_are_trained() -> None:
    network = TransformerNet(make_config(rows=3))
    train_rows_only(network, ["a", "b", "c"], ["b"])
    network(torch.rand(1, 3, 20, 24), shares=torch.full((1, 3), 1 / 3)).sum().backward()
    for name, parameter in network.named_parameters():
        if name in network.config.row_tensors:
            assert parameter.grad is not None
            assert [row.any().item() for row in parameter.grad][::2] == [False, False]
        else:
            assert parameter.grad is None
    assert network.up[0].norm.weight.grad[1].any()
