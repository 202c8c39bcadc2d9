"""Trained weights of the loss networks: which network to take, and where its weights come from."""

import logging
from collections.abc import Iterable
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from faststyle.config import AUTO
from faststyle.errors import CheckpointError, LossNetworkError
from faststyle.modeling.loss_network import COMPACT_LAYERS, LossNetwork, build_loss_network
from faststyle.modeling.stored import check_readable, is_whole, load
from faststyle.resources import LOSS_NETWORKS

log = logging.getLogger(__name__)

DEFAULT = "default"  # weights: the network's own
NUMBERS = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)  # that weights may be of


def choose_architecture(architecture: str, layers: Iterable[str], *, weights: str | Path = DEFAULT) -> str:
    """What ``"auto"`` stands for: VGG-19 where its weights are given or cached, else the compact network.

    VGG-19, too, where ``layers`` holds one that the compact network lacks. Any other name is returned as it is.
    """
    if architecture != AUTO:
        return architecture
    cached = any(Path(torch.hub.get_dir(), "checkpoints").glob("vgg19-*.pth"))
    if str(weights) != DEFAULT or cached or not COMPACT_LAYERS.issuperset(layers):
        return "vgg19"
    log.info(
        "loss network: compact, which is embedded; loss_network=vgg19 downloads the full one (550 MB, once), "
        "loss_network.weights=FILE takes it from a file"
    )
    return "compact"


def load_loss_network(
    architecture: str, layers: Iterable[str], *, weights: str | Path = DEFAULT, pooling: str = "max"
) -> LossNetwork:
    """A frozen loss network with trained weights, cut after the deepest of ``layers``.

    weights: ``"default"`` (the embedded file of the compact network, torchvision's ImageNet weights of the others,
    hash-checked and cached) or a file: ``.safetensors``, or ``.pth`` that loads without running code.
    Raises ``LossNetworkError``, also where the file is truncated, or lacks tensors, or holds wrong shapes.
    """
    network = build_loss_network(architecture, layers, pooling=pooling)
    source = str(weights)
    if source == DEFAULT and architecture == "compact":
        source = str(LOSS_NETWORKS / "compact.safetensors")
    tensors = _download(architecture) if source == DEFAULT else _read_tensors(Path(source))
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    if missing:
        raise LossNetworkError(f"{source} is no {architecture}: it lacks {_first(missing)}")
    wrong = [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if wrong:
        raise LossNetworkError(f"{source} does not fit {architecture}: {_first(wrong)}")
    odd = [name for name in wanted if name in tensors and not _is_plain(tensors[name])]
    if odd:
        raise LossNetworkError(f"{source} holds no plain numbers in {_first(odd)}")
    bad = [name for name in wanted if name in tensors and not tensors[name].isfinite().all()]
    if bad:
        raise LossNetworkError(f"{source} holds infinite or NaN values in {_first(bad)}")
    network.load_state_dict({name: tensors.get(name, tensor) for name, tensor in wanted.items()})
    return network


def _is_plain(tensor: Tensor) -> bool:
    return is_whole(tensor) and tensor.dtype in NUMBERS


def _first(items: list[str], count: int = 4) -> str:
    more = f" and {len(items) - count} more" if len(items) > count else ""
    return ", ".join(items[:count]) + more


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise LossNetworkError(f"loss_network.weights: no file {path}")
    try:
        check_readable(path)
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = load(path, "whole PyTorch weights file", older=True)
    except CheckpointError as error:
        raise LossNetworkError(f"loss_network.weights: {error}") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise LossNetworkError(f"{path} is no whole safetensors file ({error})") from error
    if not (isinstance(loaded, dict) and all(isinstance(value, Tensor) for value in loaded.values())):
        raise LossNetworkError(f"{path} holds no dictionary of tensors")
    return loaded


def _download(architecture: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(architecture).IMAGENET1K_V1
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no network; a download that fails its hash check
        raise LossNetworkError(
            f"cannot download the {architecture} weights ({error}); "
            f"fetch {weights.url} and give it as loss_network.weights=FILE"
        ) from error
    return tensors
