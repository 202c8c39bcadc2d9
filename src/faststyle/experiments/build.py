"""Objects from a composed configuration."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from faststyle.checkpoint import load_checkpoint
from faststyle.errors import ConfigError, ImageError
from faststyle.imaging.images import Picture, read_picture, resize_shorter_side
from faststyle.modeling.loss_network import VGG, Compact, LossNetwork, choose_architecture, load_loss_network, nearest_layer
from faststyle.losses.perceptual_loss import MEASURED, TERMS
from faststyle.modeling.transformer_net import NetworkConfig, TransformerNet


def load_style(image: str | None, size: int) -> Picture:
    """The style picture, its shorter side at ``size``. Raises ``ImageError`` that says what to set."""
    if not image:
        raise ImageError("style.image: set style.image=PATH to a painting, or style=NAME")
    try:
        picture = read_picture(image)
    except ImageError as error:
        raise ImageError(f"style.image: {error}; set style.image=PATH to a painting") from error
    return resize_shorter_side(picture, size)


def build_network(cfg: DictConfig) -> TransformerNet:
    """A new network, or that of ``init=FILE`` (another style's weights to start from)."""
    config = NetworkConfig(**plain(cfg.network))
    network = TransformerNet(config)
    if cfg.init:
        start = load_checkpoint(cfg.init).network
        if start.config != config:
            found, wanted = asdict(start.config), asdict(config)
            other = " ".join(f"network.{key}={value}" for key, value in found.items() if value != wanted[key])
            raise ConfigError(f"init: {cfg.init} has another network: give {other}")
        network.load_state_dict(start.state_dict())
    return network


def choose_loss_network(cfg: DictConfig) -> None:
    """Puts a real architecture in the place of ``auto``."""
    net = cfg.loss_network
    net.architecture = choose_architecture(net.architecture, loss_layers(cfg), weights=net.weights)


def build_loss_network(cfg: DictConfig, pictures: Tensor) -> LossNetwork:
    """The loss network with its weights; ``pictures``, (B, 3, H, W) in [0, 1], set the normalised VGG's scales."""
    net = cfg.loss_network
    loss_network = load_loss_network(net.architecture, loss_layers(cfg), weights=net.weights, pooling=net.pooling)
    if net.normalized:
        if not isinstance(loss_network, VGG) or isinstance(loss_network, Compact):  # its maps expect its own scales
            raise ConfigError(f"loss_network.normalized needs a VGG, found {net.architecture}")
        loss_network.normalize_activations(pictures)
    return loss_network


def loss_settings(cfg: DictConfig) -> dict[str, Any]:
    """``cfg.loss`` as ``PerceptualLoss`` takes it: of used terms, the loss network's layers as deep as those named."""
    settings: dict[str, Any] = plain(cfg.loss)
    for term in TERMS:
        layers: dict[str, float] = {}
        if term in MEASURED or settings[f"{term}_weight"]:
            for name, weight in layer_weights(settings[f"{term}_layers"]).items():
                own = nearest_layer(cfg.loss_network.architecture, name)
                layers[own] = layers.get(own, 0.0) + weight
        settings[f"{term}_layers"] = layers
    return settings


def loss_layers(cfg: DictConfig) -> list[str]:
    """Every layer that the loss asks for."""
    settings = loss_settings(cfg)
    return [layer for term in TERMS for layer in settings[f"{term}_layers"]]


def layer_weights(layers: Any) -> dict[str, float]:
    """Weight by layer name, from ``{relu1_2: 0.5}`` or from a list, which weighs all layers alike."""
    if OmegaConf.is_dict(layers) or isinstance(layers, dict):
        return {str(name): float(weight) for name, weight in layers.items()}
    if OmegaConf.is_list(layers) or isinstance(layers, list):
        return dict.fromkeys(map(str, layers), 1.0)
    raise ConfigError(f"loss: layers are a list or weights by name, found {layers!r}")


def file_name(path: str | None) -> str | None:
    """Without its folder, which may move."""
    return Path(path).name if path else None


def plain(value: Any) -> Any:
    """A configuration's node as plain dicts and values."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
