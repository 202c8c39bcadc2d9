"""Builds networks from settings. No Lightning, which image optimisation does without."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from faststyle.checkpoint import Checkpoint, read_checkpoint
from faststyle.config import PHOTOGRAPH, LossConfig, LossNetworkConfig
from faststyle.errors import ConfigError
from faststyle.experiments.inputs import naming
from faststyle.losses.perceptual_loss import needed_layers
from faststyle.modeling.loss_network import VGG, Compact, LossNetwork
from faststyle.modeling.loss_network_weights import choose_architecture, load_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NetworkConfig

log = logging.getLogger(__name__)

FIRST_WEIGHT, KEEP = "down.0.convolution.weight", "keep"


def read_start(init: str | None) -> Checkpoint | None:
    """The weights that ``init=FILE`` names. Raises ``CheckpointError``."""
    if not init:
        return None
    log.info("starts from %s", init)
    with naming("init"):
        return read_checkpoint(init)


def row_names(styles: Sequence[str], strength: float, tune: str, start: Checkpoint | None) -> list[str]:
    """The rows of the network to train: one for each style, and, last, the photograph's if there are to be mixtures
    with it. With ``tune=rows`` they are those of ``start`` and of the styles that it lacks.

    Raises ``ConfigError`` if such a network cannot be trained so.
    """
    if tune == "all":
        return [*styles, *([PHOTOGRAPH] if strength else [])]
    if start is None:
        raise ConfigError("tune=rows needs the network to which the rows are added: set init")
    known = start.row_names
    rows = [name for name in known if name != PHOTOGRAPH] + [name for name in styles if name not in known]
    if strength and PHOTOGRAPH not in known:
        raise ConfigError(f"tune=rows with strength needs an init with the row {PHOTOGRAPH}, found {', '.join(known)}")
    return [*rows, *([PHOTOGRAPH] if PHOTOGRAPH in known else [])]


def build_network(config: NetworkConfig, rows: Sequence[str], start: Checkpoint | None) -> TransformerNet:
    """A new network, or one that goes on from the weights ``start``. A row that these lack starts at the mean of their
    styles; to channels of noise that they lack, the network is blind at first."""
    network = TransformerNet(config)
    if start is None:
        return network
    theirs = start.header.network
    found, wanted = asdict(theirs), asdict(config)
    free: dict[str, Any] = {key: wanted[key] for key in ("noise", "rows", "keeps")}
    missing = config.noise - theirs.noise
    if missing < 0 or replace(theirs, **free).tensor_shapes() != config.tensor_shapes():
        other = [key for key in found if found[key] != wanted[key]]
        has, needs = (" ".join(f"{key}={values[key]}" for key in other) for values in (found, wanted))
        raise ConfigError(f"init: another network ({has}; here {needs}): start from one of its kind, or from none")
    state = network.state_dict()  # with the rows' own shares of the photograph
    tensors = {name: torch.from_numpy(start.tensors[name]).float() for name in state if name != KEEP}
    shares = start_shares(rows, start.row_names)
    for name in set(config.row_tensors) - {KEEP}:
        tensors[name] = (shares @ tensors[name].reshape(theirs.rows, -1)).reshape(state[name].shape)
    tensors[FIRST_WEIGHT] = F.pad(tensors[FIRST_WEIGHT], (0, 0, 0, 0, 0, missing))
    network.load_state_dict(state | tensors)  # nearest and bilinear have the same
    return network


def start_shares(rows: Sequence[str], known: Sequence[str]) -> Tensor:
    """(rows, known rows): of which of the known each row starts."""
    shares = torch.zeros(len(rows), len(known))
    styles = [i for i, name in enumerate(known) if name != PHOTOGRAPH]
    for row, name in enumerate(rows):
        own = [known.index(name)] if name in known else styles
        shares[row, own] = 1 / len(own)
    return shares


def train_rows_only(network: TransformerNet, rows: Sequence[str], styles: Sequence[str]) -> None:
    """Leaves everything but the rows of ``styles`` without a gradient, or with one of zeros."""
    trained = torch.tensor([float(row in styles) for row in rows])[:, None]

    def mask(gradient: Tensor) -> Tensor:
        return gradient * trained.to(gradient.device)

    for name, parameter in network.named_parameters():
        if name in network.config.row_tensors:
            parameter.register_hook(mask)  # type: ignore[no-untyped-call]
        else:
            parameter.requires_grad_(False)


def choose_loss_network(config: LossNetworkConfig, loss: LossConfig) -> LossNetworkConfig:
    """Puts a real architecture in the place of ``auto``."""
    layers = needed_layers(loss, config.architecture)
    return replace(config, architecture=choose_architecture(config.architecture, layers, weights=config.weights))


def load_configured_loss_network(
    config: LossNetworkConfig, loss: LossConfig, pictures: Callable[[], Tensor]
) -> LossNetwork:
    """The loss network with its weights; ``pictures``, (B, 3, H, W) in [0, 1], set the normalised VGG's scales."""
    layers = needed_layers(loss, config.architecture)
    loss_network = load_loss_network(config.architecture, layers, weights=config.weights, pooling=config.pooling)
    if config.normalized:
        if not isinstance(loss_network, VGG) or isinstance(loss_network, Compact):  # its maps expect its own scales
            raise ConfigError(f"loss_network.normalized needs a VGG, found {config.architecture}")
        loss_network.normalize_activations(pictures())
    return loss_network


def file_name(path: str | None) -> str | None:
    """Returns the name without its folder, which may move."""
    return Path(path).name if path else None
