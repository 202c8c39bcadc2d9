"""Weights files: one ``.safetensors`` = weights + network configuration + how they were made.

Lightning checkpoints (``.ckpt``) are read, too, without running code from them. Tensors are NumPy arrays; torch is
loaded for a ``.ckpt`` file, and where a network is asked for.
"""

from __future__ import annotations  # the types name torch, which is loaded only when a network is asked for

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from faststyle.config import METADATA_KEY, PHOTOGRAPH, Outcome, Recipe, StyleConfig
from faststyle.errors import CheckpointError, ConfigError
from faststyle.files import check_output, replacing
from faststyle.formats import FORMAT, upgrade_header, upgrade_tensor_names
from faststyle.modeling.stored import check_readable, is_whole, load
from faststyle.network_config import NetworkConfig
from faststyle.resources import PAINTINGS, find_weights

if TYPE_CHECKING:
    import torch

    from faststyle.modeling.transformer_net import TransformerNet

WEIGHTS = (".safetensors",)  # suffixes of what is written
MOST_METADATA = 2**20  # bytes; ours has a few thousand
READABLE_TYPES = {"F16", "F32", "F64", "I64"}  # in safetensors' words; NumPy has no bfloat16 of its own

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Header:
    """What a file says of itself; ``recipe`` and ``outcome`` may be unknown.

    styles: the names of the rows, where there are several; the photograph's, if there is one, is the last.
    """

    network: NetworkConfig
    recipe: Recipe | None = None
    outcome: Outcome | None = None
    styles: tuple[str, ...] = ()

    def style(self, name: str = "") -> StyleConfig | None:
        """The painting of a name, or the first, if the recipe has it."""
        styles = self.recipe.styles if self.recipe else ()
        return next((style for style in styles if name in ("", style.name)), None)

    def style_weight(self, name: str = "") -> float | None:
        """That of the last step for a style, or the first, to which its content error led."""
        if self.recipe is None or (style := self.style(name)) is None:
            return None
        losses = self.outcome.losses if self.outcome else {}
        return self.recipe.loss.style_weight * losses.get(factor_name(style.name, len(self.recipe.styles)), 1.0)

    def to_json(self) -> str:
        known = {key: value for key, value in asdict(self).items() if value}
        return json.dumps({"format": FORMAT} | known)

    @classmethod
    def from_values(cls, values: Any) -> Header:
        """Reads decoded JSON. Raises ``ConfigError`` if there is no usable network; a recipe or an outcome that cannot
        be read is None."""
        values = upgrade_header(values)
        network = from_dict(NetworkConfig, values["network"])
        unknown = values["network"].keys() - asdict(network).keys()
        if unknown:  # it may compute something else with the same tensors
            raise ConfigError(f"network.{min(unknown)} is unknown")
        recipe, outcome = _read_or_none(Recipe, values.get("recipe")), _read_or_none(Outcome, values.get("outcome"))
        return cls(network, recipe, outcome, _read_styles(values.get("styles", []), network))


def _read_styles(names: Any, network: NetworkConfig) -> tuple[str, ...]:
    """Raises ``ConfigError`` unless there is a name of its own for each of several rows."""
    wanted = network.rows if network.rows > 1 else 0
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError("its styles are no list of names")
    if not len(names) == len(set(names)) == wanted or (wanted and network.keeps != (PHOTOGRAPH in names[-1:])):
        raise ConfigError(f"its network has {network.rows} rows, for {len(names)} styles")
    return tuple(names)


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights by name, and what the file says of them."""

    header: Header
    tensors: Tensors

    @property
    def row_names(self) -> list[str]:
        """The name of each row; of one row that of its style, as far as it is known."""
        style = self.header.style()
        return list(self.header.styles) or [style.name if style else ""]

    def fold(self, shares: NDArray[np.float32]) -> Checkpoint:
        """The checkpoint of one row that a mixture is. shares: (rows,)."""
        mixed = {name: shares @ self.tensors[name].astype(np.float32) for name in self.header.network.row_tensors}
        header = replace(self.header, network=replace(self.header.network, rows=1), styles=())
        return Checkpoint(header, self.tensors | mixed)

    def build_network(self) -> TransformerNet:
        """Builds the network in float32 on the CPU, in evaluation mode."""
        import torch

        from faststyle.modeling.transformer_net import TransformerNet

        network = TransformerNet(self.header.network)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in self.tensors.items()})
        return network.eval()


def _read_or_none(kind: Any, values: Any) -> Any:
    try:
        return from_dict(kind, values)
    except ConfigError:
        return None


Config = TypeVar("Config")


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The inverse of ``dataclasses.asdict``. Raises ``ConfigError`` if a value is missing or of no use."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{kind.__name__}: expected settings by name, found {type(values).__name__}")
    made: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            value = values[field.name]
            made[field.name] = _from_plain(field.type, value)
    try:
        return kind(**made)
    except TypeError as error:  # a missing field, or a value that cannot be compared
        raise ConfigError(f"{kind.__name__}: {error}") from error


def _from_plain(kind: Any, value: Any) -> Any:
    if is_dataclass(kind):
        return from_dict(kind, value)  # type: ignore[arg-type]
    if get_origin(kind) is tuple:  # of any number of one kind
        if not isinstance(value, list | tuple):
            raise ConfigError(f"expected a list, found {type(value).__name__}")
        return tuple(_from_plain(get_args(kind)[0], each) for each in value)
    return value


def factor_name(style: str, styles: int) -> str:
    """By which the losses of a step have the factor of a style's weight, of so many styles."""
    return "style_factor" if styles == 1 else f"style_factor_{style}"


def save_weights(
    path: str | Path,
    network: TransformerNet,
    recipe: Recipe | None = None,
    outcome: Outcome | None = None,
    rows: Sequence[str] = (),
) -> None:
    """Writes half-precision weights, whole or not at all. rows: the names of the network's, if it has several.

    Raises ``CheckpointError`` if a weight is not finite in half precision, ``OutputError`` if it cannot go there.
    """
    styles = tuple(rows) if network.config.rows > 1 else ()
    write_tensors(path, network, Header(network.config, recipe, outcome, styles).to_json())


def write_tensors(path: str | Path, network: torch.nn.Module, header: str) -> None:
    """The tensors of any network in half precision, with a JSON header. Raises as ``save_weights``."""
    path = check_output(path, WEIGHTS, overwrite=True)
    values = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    # counts stay whole numbers: half precision ends at 65,504
    tensors = {name: (value.half() if value.is_floating_point() else value).numpy() for name, value in values.items()}
    _check_finite(tensors, str(path))
    with replacing(path) as temporary:
        # not save_file, which makes a file that only its owner may read
        temporary.write_bytes(safetensors.numpy.save(tensors, metadata={METADATA_KEY: header}))


def find_style(name: str | Path) -> tuple[Path, str | None]:
    """A file, or that of a shipped style; and of which of its rows, if it is the one that holds many.

    Raises ``CheckpointError`` that lists the shipped styles.
    """
    try:
        return find_weights(name), None
    except CheckpointError:
        if PAINTINGS.is_file() and name in read_checkpoint(PAINTINGS).header.styles:
            return PAINTINGS, str(name)
        raise


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads ``.safetensors`` or a Lightning ``.ckpt``.

    path: a file, or the name of a shipped style; that of a row of ``PAINTINGS`` gives the network of this row.

    Raises ``CheckpointError`` if the file is missing, damaged, not faststyle's, wants to run code, or does not fit
    its own configuration.
    """
    path, row = find_style(path)
    if row:
        paintings = read_checkpoint(path)
        return paintings.fold(np.array(paintings.header.styles) == row)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    check_readable(path)
    readers = {".safetensors": _read_safetensors, ".ckpt": _read_lightning}
    if path.suffix not in readers:
        raise CheckpointError(f"{path}: a checkpoint's suffix must be one of {', '.join(readers)}")
    return readers[path.suffix](path)


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with path.open("rb") as opened:
            if int.from_bytes(opened.read(8), "little") > MOST_METADATA:
                raise CheckpointError(f"{path} is no whole safetensors file, or none of faststyle's")
        with safetensors.safe_open(path, "np") as file:
            header = _read_header(json.loads((file.metadata() or {})[METADATA_KEY]), path)
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            if foreign := {each.get_dtype() for each in slices.values()} - READABLE_TYPES:
                known = ", ".join(sorted(READABLE_TYPES))
                raise CheckpointError(f"{path} holds numbers of type {min(foreign)}, expected {known}")
            _check_fit({name: tuple(each.get_shape()) for name, each in slices.items()}, header.network, path)
            return _checked(header, {name: file.get_tensor(name) for name in slices}, path)
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is no whole safetensors file ({error})") from error
    except (KeyError, ValueError, RecursionError) as error:  # of the JSON
        raise CheckpointError(f"{path} is no faststyle weights file: it has no {METADATA_KEY!r} metadata") from error


def _read_header(values: Any, path: Path) -> Header:
    try:
        return Header.from_values(values)
    except ConfigError as error:
        raise CheckpointError(f"{path} has no usable network configuration ({error})") from error


def _checked(header: Header, tensors: Tensors, path: Path) -> Checkpoint:
    _check_finite(tensors, str(path))
    return Checkpoint(header, upgrade_tensor_names(tensors))


def _read_lightning(path: Path) -> Checkpoint:
    loaded = load(path, "Lightning checkpoint")
    import torch

    try:
        found = {name.removeprefix("network."): tensor for name, tensor in loaded["state_dict"].items()}
        known = loaded["hyper_parameters"]
        recipe = known["recipe"]
        values = {"format": known.get("format", 1), "network": recipe["network"], "recipe": recipe}
        values["styles"] = list(known.get("styles", ()))
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of faststyle's training (it lacks {error})") from error
    header = _read_header(values, path)
    _check_fit(shapes, header.network, path)
    plain = {torch.float16, torch.float32, torch.float64, torch.int64}
    for name, tensor in found.items():
        if not is_whole(tensor) or tensor.dtype not in plain:
            raise CheckpointError(f"{path}: {name} holds no plain numbers")
    return _checked(header, {name: tensor.numpy(force=True) for name, tensor in found.items()}, path)


def _check_fit(found: Mapping[str, tuple[int, ...]], config: NetworkConfig, path: Path) -> None:
    """found: shapes by name."""
    shapes, wanted = upgrade_tensor_names(found), config.tensor_shapes()
    for what, names in (("lacks", wanted.keys() - shapes.keys()), ("has unknown", shapes.keys() - wanted.keys())):
        if names:
            raise CheckpointError(f"{path} {what} {len(names)} tensors, for one {min(names)}")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise CheckpointError(f"{path}: {name} is {shapes[name]}, its configuration expects {shape}")


def _check_finite(tensors: Tensors, name: str) -> None:
    bad = [key for key, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if bad:
        raise CheckpointError(f"{name}: infinite or NaN values in {len(bad)} tensors, for one {bad[0]}")
