"""What older files lack. (Whole files of format 1: test_checkpoint.py.)"""

from dataclasses import asdict
from typing import Any

import pytest

from faststyle.checkpoint import Header
from faststyle.errors import ConfigError
from faststyle.formats import FORMAT, upgrade_header, upgrade_tensor_names
from helpers import make_config
from test_config import make_recipe, make_style


def header_of_format_2() -> dict[str, Any]:
    recipe = asdict(make_recipe())
    (style,) = recipe.pop("styles")
    recipe["content_error"] = style.pop("content_error")
    del recipe["strength"], recipe["tune"]
    for network in (recipe["network"], known := asdict(make_config())):
        del network["rows"], network["keeps"]
    return {"format": 2, "network": known, "recipe": recipe | {"style": style}}


@pytest.mark.parametrize("content_error", [None, 0.8])
def test_a_recipe_of_one_style(content_error: float | None) -> None:
    old = header_of_format_2()
    old["recipe"]["content_error"] = content_error
    header = Header.from_values(old)
    assert header == Header(make_config(), make_recipe(styles=(make_style(content_error),)))


def test_what_is_no_header() -> None:
    with pytest.raises(ConfigError, match="^its metadata is no JSON object$"):
        upgrade_header([])
    with pytest.raises(ConfigError, match=f"^it has format {FORMAT + 1}, of a newer faststyle; known: up to {FORMAT}$"):
        upgrade_header({"format": FORMAT + 1})
    assert upgrade_header({"recipe": 3})["recipe"] == 3


def test_names_of_numbered_blocks() -> None:
    assert upgrade_tensor_names({"down.0.0.weight": 1, "to_rgb.bias": 2}) == {
        "down.0.convolution.weight": 1,
        "to_rgb.bias": 2,
    }
