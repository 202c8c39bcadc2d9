"""What older weights files lack, or call otherwise: their metadata and tensors as the newest would have them."""

import re
from collections.abc import Mapping
from typing import Any

from faststyle.errors import ConfigError

FORMAT = 3

# settings that older files lack, as they amount to
NEWER: dict[str, dict[str, Any]] = {
    "network": {"dilation": 1, "noise": 0},
    "loss": {
        "style_scales": 1,
        "checkerboard_weight": 0.0,
        "tone_weight": 0.0,
        "stability_weight": 0.0,
        "patch_stride": 2,
    },
    "optimizer": {"algorithm": "adam"},
}


def upgrade_header(values: Any) -> dict[str, Any]:
    """Decoded JSON of any format as the newest would have it. Raises ``ConfigError`` if it is no object, or if its
    format is unknown."""
    if not isinstance(values, dict):
        raise ConfigError("its metadata is no JSON object")
    found = values.get("format", FORMAT)
    if found not in range(1, FORMAT + 1):
        raise ConfigError(f"it has format {found}, of a newer faststyle; known: up to {FORMAT}")
    if found == 1:
        values = _from_format_1(values)
    network, recipe = _with_newer("network", values.get("network")), values.get("recipe")
    if isinstance(recipe, dict):
        recipe = recipe | {part: _with_newer(part, recipe.get(part)) for part in NEWER}
        recipe = recipe if found == FORMAT else _from_one_style(recipe)
    return {**values, "network": network, "recipe": recipe}


def _with_newer(part: str, values: Any) -> Any:
    return NEWER[part] | values if isinstance(values, dict) else values


def _from_one_style(recipe: dict[str, Any]) -> dict[str, Any]:
    """Up to format 2, a recipe had one style, and its content error beside it."""
    style = recipe.get("style")
    if isinstance(style, dict):
        recipe = recipe | {"styles": [style | {"content_error": recipe.get("content_error")}]}
    return {"strength": 0.0, "tune": "all"} | recipe


# In format 1 blocks were numbered, not named.
_NAMES_OF_FORMAT_1 = (
    (r"^(down\.\d+)\.0\.", r"\1.convolution."),
    (r"^((?:down|up)\.\d+)\.1\.", r"\1.norm."),
    (r"^(residuals\.\d+)\.block\.0\.0\.", r"\1.first.convolution."),
    (r"^(residuals\.\d+)\.block\.0\.1\.", r"\1.first.norm."),
    (r"^(residuals\.\d+)\.block\.1\.", r"\1.second.convolution."),
    (r"^(residuals\.\d+)\.block\.2\.", r"\1.second.norm."),
    (r"^(up\.\d+)\.0\.(?:\d\.)?", r"\1.upsample.convolution."),
)


def upgrade_tensor_names(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors by the names that a ``TransformerNet`` gives them; those of format 1 are translated."""
    return {_upgrade_name(name): tensor for name, tensor in tensors.items()}


def _upgrade_name(name: str) -> str:
    for pattern, replacement in _NAMES_OF_FORMAT_1:
        name, changed = re.subn(pattern, replacement, name)
        if changed:
            return name
    return name


def _from_format_1(values: dict[str, Any]) -> dict[str, Any]:
    """In format 1 layers could be a list, and some settings did not exist."""
    network, recipe = values.get("network"), values.get("recipe")
    if isinstance(network, dict):
        network = {"patch": 1} | {key: value for key, value in network.items() if key != "separable"}
    try:
        loss = {"histogram_layers": {}, "patch_layers": {}, "histogram_weight": 0.0, "patch_weight": 0.0}
        loss |= {"statistic": "gram"} | recipe["loss"]  # type: ignore[index]
        loss |= {key: dict.fromkeys(value, 1.0) for key, value in loss.items() if isinstance(value, list)}
        recipe = recipe | {"network": network, "loss": loss, "style": {"file": None} | recipe["style"]}  # type: ignore
    except (KeyError, TypeError):
        recipe = None
    return {"network": network, "recipe": recipe, "outcome": {"seconds": None, "device": None} | values}
