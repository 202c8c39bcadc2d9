"""Paints one photograph by image optimisation (Gatys et al.). Settings stand in ``conf/optimize.yaml``."""

from faststyle.commands.terminal import one_line_errors


def run(argv: list[str]) -> int:
    """Runs the command and returns its exit code."""
    from faststyle.experiments.application import run_application
    from faststyle.experiments.optimize import optimize_photograph
    from faststyle.experiments.schema import OptimizeConfig

    run_application("optimize", OptimizeConfig, optimize_photograph, argv, one_line_errors)
    return 0
