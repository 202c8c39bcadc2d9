"""Trains a style. Every setting stands in ``conf/train.yaml``; ``--help`` lists the groups."""

from faststyle.commands.terminal import one_line_errors


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    from faststyle.experiments.application import run_application
    from faststyle.experiments.schema import TrainConfig
    from faststyle.experiments.train import train

    run_application("train", TrainConfig, train, argv, one_line_errors)
    return 0
