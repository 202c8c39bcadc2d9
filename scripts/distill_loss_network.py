"""Distils VGG-19 into the compact loss network. Every setting stands in conf/distill.yaml."""

import hydra
from omegaconf import DictConfig

from faststyle.commands.terminal import exit_code_two, one_line_errors
from faststyle.training import config  # noqa: F401 - what the YAML files compute


@hydra.main(version_base="1.3", config_path="../conf", config_name="distill")
def main(cfg: DictConfig) -> None:
    from faststyle.experiments.distill import distill  # seconds to import, which --help need not pay

    with one_line_errors(debug=bool(cfg.debug)):
        distill(cfg)


if __name__ == "__main__":
    with exit_code_two():
        main()
