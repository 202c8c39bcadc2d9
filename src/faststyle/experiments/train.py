"""From settings to the weights of a style. Nothing heavy is imported before the settings have been checked."""

import logging
from dataclasses import replace
from pathlib import Path

from faststyle.checkpoint import WEIGHTS, find_style
from faststyle.errors import CheckpointError
from faststyle.experiments.inputs import (
    TrainingInputs,
    check_run_folder,
    choose_init,
    choose_output,
    hold,
    load_style,
    naming,
)
from faststyle.experiments.launch import is_first
from faststyle.experiments.schema import TrainConfig
from faststyle.imaging.reading import read_picture
from faststyle.training.sources import open_source

REPLACED = ("preview.png", "samples/step-*.png", "checkpoints/step-*.ckpt")  # in the run folder


def train(settings: TrainConfig) -> Path:
    """Trains one style, or several in one network, and returns the path of its weights.

    Every setting and its meaning stands in ``conf/``. Raises a ``FaststyleError`` on anything that a user can mend,
    ``SystemExit`` with 128 + the signal's number after a signal, when checkpoint and weights have been written.
    """
    if not is_first():
        logging.getLogger("faststyle").setLevel(logging.WARNING)
    settings = replace(settings, init=choose_init(settings.init, settings.network))
    inputs = check_inputs(settings)
    from faststyle.experiments.run_training import run_training  # seconds: torch, Lightning

    with hold(settings.run_dir):
        return run_training(settings, inputs)


def check_inputs(settings: TrainConfig) -> TrainingInputs:
    """Opens what is named in ``settings``. Raises a ``FaststyleError`` that names the setting."""
    with naming("init"):
        init = find_style(settings.init)[0] if settings.init else None
        if init and not init.is_file():
            raise CheckpointError(f"no checkpoint {settings.init}")
    if settings.resume not in (None, "auto") and not Path(settings.resume).is_file():
        raise CheckpointError(f"resume: no checkpoint {settings.resume}")
    styles = {style.name: load_style(style.image, style.size) for style in settings.styles}
    photographs = open_source(settings.data.root)
    with naming("preview"):
        preview = read_picture(settings.preview).rgb if settings.preview else None
    default = Path(settings.run_dir) / f"{settings.name}.safetensors"
    overwrite = settings.overwrite or settings.resume is not None
    images = (style.image for style in settings.styles)
    given = (init, settings.preview, settings.data.root, settings.loss_network.weights, *images)
    sources = [str(path) for path in given if path]
    check_run_folder(settings.run_dir, REPLACED, sources)
    weights_path = choose_output(settings.output, default, WEIGHTS, overwrite=overwrite, sources=sources)
    return TrainingInputs(styles, photographs, preview, weights_path)
