"""From settings to the compact loss network. Nothing heavy is imported before the settings have been checked."""

from pathlib import Path

from faststyle.checkpoint import WEIGHTS
from faststyle.errors import ConfigError, DataError
from faststyle.experiments.inputs import DistillationInputs, check_run_folder, check_starts, choose_output, hold
from faststyle.experiments.schema import DistillConfig
from faststyle.imaging.images import find_pictures
from faststyle.training.sources import open_source

REPLACED = ("checkpoints/step-*.ckpt",)  # in the run folder


def distill(settings: DistillConfig) -> Path:
    """Distils VGG-19 and returns the path of the student's weights. Raises as ``faststyle.experiments.train.train``."""
    inputs = check_inputs(settings)
    from faststyle.experiments.run_distillation import run_distillation  # seconds: torch, Lightning

    with hold(settings.run_dir):
        return run_distillation(settings, inputs)


def check_inputs(settings: DistillConfig) -> DistillationInputs:
    """Opens what is named in ``settings``. Raises a ``FaststyleError`` that names the setting."""
    paintings = [path for folder in settings.paintings if Path(folder).is_dir() for path in find_pictures(Path(folder))]
    if not paintings:
        raise DataError(f"paintings: no pictures in {', '.join(settings.paintings)}")
    size, sizes = settings.data.image_size, settings.painting_sizes
    if not sizes or min(sizes) < size:
        raise ConfigError(f"painting_sizes must be at least data.image_size={size}, found {sizes}")
    used = {*settings.policy.content_layers, *settings.policy.style_layers}
    if missing := sorted(used.difference(settings.layers)):
        raise ConfigError(f"layers must hold those of policy, too: {', '.join(missing)}")
    check_starts(settings)
    photographs = open_source(settings.data.root)
    default = Path(settings.run_dir) / "compact.safetensors"
    overwrite = settings.overwrite or settings.resume is not None
    starts = Path(settings.start).glob("*.safetensors") if settings.start else ()
    sources = [*filter(None, (settings.init, settings.teacher, settings.data.root, *map(str, (*starts, *paintings))))]
    check_run_folder(settings.run_dir, REPLACED, sources)
    weights_path = choose_output(settings.output, default, WEIGHTS, overwrite=overwrite, sources=sources)
    return DistillationInputs(photographs, weights_path, paintings)
