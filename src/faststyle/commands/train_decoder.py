"""Trains the decoder of the compact loss network. Settings stand in ``conf/train-decoder.yaml``."""

from faststyle.commands.terminal import one_line_errors


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    from faststyle.experiments.application import run_application
    from faststyle.experiments.schema import DecoderConfig
    from faststyle.experiments.train_decoder import train_decoder

    run_application("train-decoder", DecoderConfig, train_decoder, argv, one_line_errors)
    return 0
