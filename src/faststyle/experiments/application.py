"""A command line of Hydra: composes ``conf/NAME.yaml`` with the overrides, and calls a task with the settings."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any, NoReturn
from unittest.mock import patch

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, read_write
from omegaconf.errors import OmegaConfBaseException

from faststyle.errors import ConfigError, FaststyleError
from faststyle.experiments.composition import Settings, one_line, own_overrides, resolve
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
        with report_errors(debug=cfg.get("debug") is True), further_processes(name, command_line):
            task(resolve(cfg, kind))  # Hydra would tell of errors in its own way

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
        except RuntimeError as error:
            if not type(error).__module__.startswith("submitit."):
                raise
            raise FaststyleError(f"a job of the sweep failed: {_last_error(str(error))}") from error


@contextmanager
def further_processes(name: str, command_line: list[str]) -> Iterator[None]:
    """Lets Lightning start further processes of this run, by ``sys.argv`` and the name of the main module. One of
    several of a multirun, which another program may have started, has its own overrides, and the folder of its own."""
    import __main__

    run: Any = HydraConfig.get()
    main, sys.argv = __main__.__spec__, command_line
    with read_write(run):
        run.run.dir = run.runtime.output_dir
    if run.mode == RunMode.MULTIRUN:
        sys.argv = [command_line[0], name, *run.overrides.task]
        __main__.__spec__ = find_spec("faststyle.__main__")
    try:
        with patch.dict(os.environ):  # what Lightning sets for them would be taken for another training's by the next
            yield
    finally:
        __main__.__spec__ = main


def _last_error(report: str) -> str:
    """Of what a job has written, the line that tells why it ended."""
    lines = [line for line in report.splitlines() if line.strip()]
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (told or lines)[-1]


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
