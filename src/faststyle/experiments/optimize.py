"""From settings to a picture by image optimisation. Nothing heavy is imported before the settings have been checked."""

from pathlib import Path

import numpy as np

from faststyle.errors import ImageError
from faststyle.experiments.inputs import (
    PICTURE,
    OptimizationInputs,
    StyledRegion,
    check_run_folder,
    choose_output,
    hold,
    load_style,
    naming,
)
from faststyle.experiments.schema import OptimizeConfig, RegionConfig
from faststyle.imaging.images import WRITERS, resize_shorter_side
from faststyle.imaging.masks import fit_mask, read_mask
from faststyle.imaging.reading import read_picture

REPLACED = (PICTURE, "step-*.png")  # in the run folder


def optimize_photograph(settings: OptimizeConfig) -> Path:
    """Paints ``settings.content`` and returns the path of the picture; the run folder has its history. With
    ``settings.reconstructions`` the picture is the sheet of ``faststyle.experiments.reconstructions``.

    Every setting and its meaning stands in ``conf/``. A signal, or a loss that is not finite, ends it with the picture
    so far. Raises a ``FaststyleError`` on anything that a user can mend, ``SystemExit`` after a signal.
    """
    inputs = check_inputs(settings)
    from faststyle.experiments.reconstructions import run_reconstructions  # seconds: torch
    from faststyle.experiments.run_optimization import run_optimization

    with hold(settings.run_dir):
        return (run_reconstructions if settings.reconstructions else run_optimization)(settings, inputs)


def check_inputs(settings: OptimizeConfig) -> OptimizationInputs:
    """Reads the pictures and masks that are named in ``settings``. Raises ``ImageError``."""
    if not settings.content:
        raise ImageError("content: set content=PATH to a photograph")
    pictures = [picture for each in settings.regions for picture in (each.mask, each.style, each.style_mask)]
    sources = [*filter(None, (settings.content, settings.style.image, *pictures))]
    check_run_folder(settings.run_dir, REPLACED, sources)
    default = Path(settings.run_dir) / PICTURE
    output = choose_output(settings.output, default, WRITERS, overwrite=settings.overwrite, sources=sources)
    with naming("content"):
        photograph = resize_shorter_side(read_picture(settings.content), settings.image_size, name=settings.content)
    style = settings.style

    def load(region: RegionConfig) -> StyledRegion:
        return StyledRegion(
            load_style(region.style or style.image, style.size),
            read_mask(region.style_mask) if region.style_mask else None,
            fit_mask(read_mask(region.mask), photograph.size, name=region.mask),
        )

    with naming("regions"):
        regions = [load(region) for region in settings.regions]
    masks = [region.mask for region in regions if region.mask is not None]
    union = np.minimum(np.sum(masks, axis=0), 255).astype(np.uint8) if masks else None
    return OptimizationInputs(photograph, regions or [StyledRegion(load_style(style.image, style.size))], union, output)
