"""Weights files: one ``.safetensors`` = weights + network configuration + how they were made.

Lightning checkpoints (``.ckpt``) are read, too, without running code from them.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from faststyle.errors import CheckpointError, ConfigError
from faststyle.files import replacing
from faststyle.modeling.transformer_net import NetworkConfig, TransformerNet

SHIPPED = Path(__file__).resolve().parents[2] / "checkpoints"
KEY = "faststyle"  # of the JSON in the file's metadata
FORMAT = 1
OLDER: dict[str, Any] = {"patch": 1}  # what files of before this setting mean
GONE = {"separable"}  # settings of an earlier version


@dataclass(frozen=True)
class Checkpoint:
    """A network and what is known of it: ``style``, ``recipe``, ``losses``, ``evaluation`` (plain values)."""

    network: TransformerNet
    info: dict[str, Any]


def save_weights(path: str | Path, network: TransformerNet, info: dict[str, Any]) -> None:
    """Writes half-precision weights, whole or not at all.

    Raises ``CheckpointError`` if a weight is not finite in half precision or the suffix is not ``.safetensors``.
    """
    write_half(path, network, {"format": FORMAT, "network": asdict(network.config), **info})


def write_half(path: str | Path, network: nn.Module, header: dict[str, Any]) -> None:
    """The tensors of any network with a header. Raises as ``save_weights``."""
    path = check_weights_path(path)
    tensors = {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}
    _check_finite(tensors, str(path))
    with replacing(path) as temporary:
        # not save_file, which makes a file that only its owner may read
        temporary.write_bytes(safetensors.torch.save(tensors, metadata={KEY: json.dumps(header)}))


def check_weights_path(path: str | Path) -> Path:
    """The path, if weights can be written there. Raises ``CheckpointError``."""
    path = Path(path)
    if path.suffix != ".safetensors" or path.is_dir():
        raise CheckpointError(f"cannot write weights to {path}: expected a file name that ends in .safetensors")
    return path


def find_weights(name: str | Path) -> Path:
    """A file, or the shipped style of that name. Raises ``CheckpointError`` that lists the shipped ones."""
    path, shipped = Path(name), SHIPPED / f"{name}.safetensors"
    if path.is_file() or path.suffix:
        return path
    if not shipped.is_file():
        known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))
        raise CheckpointError(f"no checkpoint {name}; shipped styles: {known}")
    return shipped


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads ``.safetensors`` or a Lightning ``.ckpt`` into a float32 network on the CPU, in evaluation mode.

    path: a file, or the name of a shipped style.

    Raises ``CheckpointError`` if the file is missing, damaged, not faststyle's, wants to run code, or does not fit
    its own configuration.
    """
    path = find_weights(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty")
    readers = {".safetensors": _read_safetensors, ".ckpt": _read_lightning}
    if path.suffix not in readers:
        raise CheckpointError(f"{path}: a checkpoint's suffix must be one of {', '.join(readers)}")
    tensors, info = readers[path.suffix](path)
    try:
        info["network"] = OLDER | {key: value for key, value in info["network"].items() if key not in GONE}
        network = TransformerNet(NetworkConfig(**info["network"]))
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path} has no usable network configuration ({error})") from error
    _check_fit(tensors, network, path)
    _check_finite(tensors, str(path))
    network.load_state_dict(tensors)
    return Checkpoint(network.eval(), info)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            info = json.loads((file.metadata() or {})[KEY])
            if not isinstance(info, dict):
                raise CheckpointError(f"{path} is no faststyle weights file: its metadata is no JSON object")
            return {name: file.get_tensor(name) for name in file.keys()}, info  # noqa: SIM118 - no mapping
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error})") from error
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} is no faststyle weights file: it has no {KEY!r} metadata") from error


def _read_lightning(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen kinds; an unsafe pickle is among them
        reason = "it wants to run code" if "Unsupported" in str(error) or "GLOBAL" in str(error) else "it is damaged"
        raise CheckpointError(f"{path} is refused: {reason}, or it is no Lightning checkpoint") from error
    try:
        state = {name.removeprefix("network."): tensor for name, tensor in loaded["state_dict"].items()}
        recipe = loaded["hyper_parameters"]["recipe"]
        return state, {"network": recipe["network"], "style": recipe["style"], "recipe": recipe}
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of faststyle's training (it lacks {error})") from error


def _check_fit(tensors: dict[str, Tensor], network: TransformerNet, path: Path) -> None:
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for what, names in (("lacks", wanted.keys() - found.keys()), ("has unknown", found.keys() - wanted.keys())):
        if names:
            raise CheckpointError(f"{path} {what} {len(names)} tensors, for one {min(names)}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise CheckpointError(f"{path}: {name} is {found[name]}, its configuration expects {shape}")


def _check_finite(tensors: dict[str, Tensor], name: str) -> None:
    bad = [key for key, tensor in tensors.items() if not tensor.isfinite().all()]
    if bad:
        raise CheckpointError(f"{name}: infinite or NaN values in {len(bad)} tensors, for one {bad[0]}")
