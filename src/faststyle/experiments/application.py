"""A command line of Hydra: composes ``conf/NAME.yaml`` with the overrides, and calls a task with the settings."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn
from unittest.mock import patch

import hydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from faststyle.errors import ConfigError
from faststyle.experiments.schema import Settings, one_line, own_overrides, resolve
from faststyle.resources import CONF

REFUSALS = (HydraException, OmegaConfBaseException, ValueError, TypeError)  # Hydra's: the last two of a group that is 1


def run_application(
    name: str,
    kind: type[Settings],
    task: Callable[[Settings], object],
    overrides: list[str],
    report_errors: Callable[..., AbstractContextManager[None]],
) -> None:
    """Calls ``task`` with the settings, or with each of several under ``-m``. Hydra's own options work, as ``--help``.

    report_errors: ``report_errors(debug=...)`` is a context that tells the user of a ``FaststyleError`` inside.
    """

    command_line, composed = sys.argv, False

    def call(cfg: DictConfig) -> None:
        nonlocal composed
        composed = True
        sys.argv = command_line  # with which Lightning starts further processes
        with report_errors(debug=cfg.get("debug") is True):  # Hydra would tell of it in its own way
            task(resolve(cfg, kind))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raises what it would print on several lines
    sys.argv = [sys.argv[0], *own_overrides(overrides)]
    application: Callable[[], Any] = hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(call)
    with report_errors(debug="debug=true" in overrides):
        try:
            with patch.object(ArgumentParser, "error", _refuse):
                application()
        except REFUSALS as error:
            if composed and isinstance(error, ValueError | TypeError):
                raise  # the task's own
            raise ConfigError(_describe(error)) from error


def _refuse(parser: ArgumentParser, message: str) -> NoReturn:
    """In place of argparse's, which prints the whole usage."""
    raise ConfigError(f"{message}; --help lists the options")


def _describe(error: Exception) -> str:
    """Says in one line what is wrong."""
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if isinstance(cause, OmegaConfBaseException):
        return one_line(cause)
    if isinstance(error, OverrideParseException):
        return f"{error.override}: {error.message.splitlines()[0]}"
    return " ".join(str(error).split("Config search path")[0].split())


def compose_settings(name: str, kind: type[Settings], overrides: list[str]) -> Settings:
    """The settings of ``conf/NAME.yaml`` with overrides, outside a command line of Hydra's. Raises ``ConfigError``.

    The run folder is Hydra's to choose: it has to be among the overrides, as ``run_dir=...``.
    """
    try:
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = hydra.compose(name, own_overrides(overrides))
    except REFUSALS as error:
        raise ConfigError(_describe(error)) from error
    return resolve(cfg, kind)
