"""Trains a style. Every setting stands in ``conf/train.yaml``; ``--help`` lists the groups."""

from faststyle.commands.terminal import check_installed, one_line_errors


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    from faststyle.experiments.application import run_application
    from faststyle.experiments.schema import TrainConfig
    from faststyle.experiments.train import train

    if any(argument.startswith("hydra/launcher=submitit") for argument in argv):
        with one_line_errors():
            check_installed("a sweep of jobs", ("submitit", "hydra_plugins"), "cluster")
    run_application("train", TrainConfig, train, argv, one_line_errors)
    return 0
