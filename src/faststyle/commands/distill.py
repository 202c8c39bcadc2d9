"""Distils VGG-19 into the compact loss network. Settings stand in ``conf/distill.yaml``."""

from faststyle.commands.terminal import one_line_errors


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    from faststyle.experiments.application import run_application
    from faststyle.experiments.distill import distill
    from faststyle.experiments.schema import DistillConfig

    run_application("distill", DistillConfig, distill, argv, one_line_errors)
    return 0
