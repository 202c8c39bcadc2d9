"""From settings to the decoder of the compact loss network. Nothing heavy is imported before they have been checked."""

from pathlib import Path

from faststyle.checkpoint import WEIGHTS
from faststyle.experiments.inputs import DecoderInputs, check_run_folder, check_starts, choose_output, hold
from faststyle.experiments.schema import DecoderConfig
from faststyle.training.sources import open_source

REPLACED = ("checkpoints/step-*.ckpt",)  # in the run folder


def train_decoder(settings: DecoderConfig) -> Path:
    """Trains the decoder and returns the path of its weights. Raises as ``faststyle.experiments.train.train``."""
    inputs = check_inputs(settings)
    from faststyle.experiments.run_decoder import run_decoder  # seconds: torch, Lightning

    with hold(settings.run_dir):
        return run_decoder(settings, inputs)


def check_inputs(settings: DecoderConfig) -> DecoderInputs:
    """Opens what is named in ``settings``. Raises a ``FaststyleError`` that names the setting."""
    check_starts(settings)
    photographs = open_source(settings.data.root)
    sources = [*filter(None, (settings.data.root, settings.init))]
    check_run_folder(settings.run_dir, REPLACED, sources)
    default = Path(settings.run_dir) / "decoder.safetensors"
    overwrite = settings.overwrite or settings.resume is not None
    weights_path = choose_output(settings.output, default, WEIGHTS, overwrite=overwrite, sources=sources)
    return DecoderInputs(photographs, weights_path)
