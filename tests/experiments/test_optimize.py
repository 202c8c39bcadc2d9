"""What an image optimisation checks before it imports anything heavy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import ImageError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.optimize import check_inputs, optimize_photograph
from faststyle.experiments.schema import OptimizeConfig, RegionConfig
from helpers import noise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph, a painting, and masks of its left and its upper half."""
    folder = tmp_path_factory.mktemp("optimize")
    Image.fromarray(noise(48, 64, seed=3)).save(folder / "photo.png")
    Image.fromarray(noise(64, 48, seed=4)).save(folder / "painting.png")
    left, top = np.zeros((48, 64), np.uint8), np.zeros((96, 128), np.uint8)
    left[:, :32], top[:48] = 255, 255
    Image.fromarray(left).save(folder / "left.png")
    Image.fromarray(top).save(folder / "top.png")
    return folder


@pytest.fixture(scope="module")
def settings(folder: Path) -> OptimizeConfig:
    pictures = [f"content={folder / 'photo.png'}", f"style.image={folder / 'painting.png'}"]
    sizes = ["image_size=48", "style.size=36"]
    return compose_settings("optimize", OptimizeConfig, [*pictures, *sizes, f"run_dir={folder / 'run'}"])


def test_one_style_goes_everywhere(settings: OptimizeConfig) -> None:
    inputs = check_inputs(settings)
    assert np.array_equal(inputs.photograph.rgb, noise(48, 64, seed=3))
    (region,) = inputs.regions
    assert region.style.size == (48, 36)
    assert region.mask is region.style_mask is inputs.mask is None
    assert inputs.output == Path(settings.run_dir) / "stylized.png"
    assert check_inputs(replace(settings, output="other/a.jpg")).output == Path("other/a.jpg")


def test_regions_have_their_masks_at_the_photographs_size(settings: OptimizeConfig, folder: Path) -> None:
    left, top, photo = (str(folder / name) for name in ("left.png", "top.png", "photo.png"))
    regions = [RegionConfig(mask=left), RegionConfig(mask=top, style=photo, style_mask=left)]
    inputs = check_inputs(replace(settings, regions=regions))
    first, second = inputs.regions
    assert (first.style.size, second.style.size) == ((48, 36), (36, 48))
    assert first.mask is not None
    assert second.mask is not None
    assert first.mask.shape == second.mask.shape == (48, 64)
    assert first.style_mask is None
    assert np.array_equal(second.style_mask, first.mask)
    assert inputs.mask is not None
    assert np.array_equal(inputs.mask, np.maximum(first.mask, second.mask))  # where they overlap it is no more than all


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": "nowhere.jpg"}, "content: no picture nowhere.jpg"),
        ({"content": None}, "content: set content=PATH to a photograph"),
        ({"style": "nowhere.jpg"}, "style.image: no picture nowhere.jpg; set style.image=PATH to a painting"),
        ({"output": "a.gif"}, "output: cannot write a.gif: its suffix must be one of"),
        ({"regions": [RegionConfig(mask="nowhere.png")]}, "regions: no picture nowhere.png"),
        ({"regions": [RegionConfig(mask="{folder}/left.png", style="no.png")]}, "regions: .*no picture no.png"),
        ({"regions": [RegionConfig(mask="{folder}/left.png", style_mask="no.png")]}, "regions: no picture no.png"),
    ],
)
def test_a_bad_input_is_one_line_that_names_the_setting(
    changes: dict[str, object], words: str, settings: OptimizeConfig, folder: Path
) -> None:
    if isinstance(image := changes.get("style"), str):
        changes = {"style": replace(settings.style, image=image)}
    if isinstance(regions := changes.get("regions"), list):
        changes = {"regions": [replace(region, mask=region.mask.format(folder=folder)) for region in regions]}
    with pytest.raises((ImageError, OutputError), match=f"^{words}") as caught:
        optimize_photograph(replace(settings, **changes))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not Path(settings.run_dir).exists()


@pytest.mark.parametrize("name", ["stylized.png", "step-000050.png"])
@pytest.mark.parametrize("output", [None, "other.png"])
def test_a_source_in_the_run_folder_is_not_replaced(
    name: str, output: str | None, settings: OptimizeConfig, tmp_path: Path
) -> None:
    """Neither by the result nor by what is drawn on the way."""
    Image.fromarray(noise(48, 64)).save(tmp_path / name)
    with pytest.raises(OutputError, match=f"{name} would replace its own source"):
        check_inputs(replace(settings, content=str(tmp_path / name), run_dir=str(tmp_path), output=output))
