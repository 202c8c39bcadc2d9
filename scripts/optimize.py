"""Paints one photograph by image optimisation (Gatys et al.). Settings stand in conf/optimize.yaml."""

import hydra
from omegaconf import DictConfig

from faststyle.commands.terminal import exit_code_two, one_line_errors
from faststyle.training import config  # noqa: F401 - what the YAML files compute


@hydra.main(version_base="1.3", config_path="../conf", config_name="optimize")
def main(cfg: DictConfig) -> None:
    from faststyle.experiments.optimize import optimize_photograph  # seconds to import, which --help need not pay

    with one_line_errors(debug=bool(cfg.debug)):
        optimize_photograph(cfg)


if __name__ == "__main__":
    with exit_code_two():
        main()
