"""Command lines of Hydra: what reaches the task, several runs, every way to name layers, refusals in one line."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from lightning_fabric.strategies.launchers.subprocess_script import _hydra_subprocess_cmd
from submitit import AutoExecutor
from submitit.core.utils import UncompletedJobError

import __main__
from faststyle.errors import ConfigError, DataError, FaststyleError
from faststyle.experiments.application import compose_settings, run_application
from faststyle.experiments.schema import DistillConfig, OptimizeConfig, TrainConfig

Reporter = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def reported() -> list[tuple[bool, str]]:
    """Whether a traceback was wanted, and the text of each error that was told to the user."""
    return []


@pytest.fixture
def report_errors(reported: list[tuple[bool, str]]) -> Reporter:
    @contextmanager
    def report(*, debug: bool) -> Iterator[None]:
        try:
            yield
        except FaststyleError as error:
            reported.append((debug, str(error)))
            raise SystemExit(2) from error

    return report


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hydra reads and changes the command line, a variable of the environment, and what is logged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["faststyle"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    level = logging.root.level
    yield
    for handler in logging.root.handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).is_relative_to(tmp_path):
            handler.close()
    logging.root.setLevel(level)


def settings_of(report_errors: Reporter, *overrides: str) -> list[TrainConfig]:
    """Those that reach the task."""
    calls: list[TrainConfig] = []
    run_application("train", TrainConfig, calls.append, list(overrides), report_errors)
    return calls


def test_the_task_is_called_with_the_settings(report_errors: Reporter, tmp_path: Path) -> None:
    (settings,) = settings_of(report_errors, "style=the_scream", "trainer=cpu", "seed=3")
    assert (settings.style.name, settings.trainer.accelerator, settings.seed) == ("the_scream", "cpu", 3)
    folder = Path(settings.run_dir)
    assert folder.parent == tmp_path / "runs" / "the_scream"
    assert folder.is_dir()
    assert not GlobalHydra.instance().is_initialized()


def test_one_configuration_after_another_in_one_process(report_errors: Reporter) -> None:
    seeds = [settings_of(report_errors, f"seed={seed}", "hydra.run.dir=run")[0].seed for seed in (1, 2)]
    assert seeds == [1, 2]
    assert compose_settings("train", TrainConfig, ["run_dir=runs"]).seed == 0


def test_each_run_of_several_can_start_further_processes(report_errors: Reporter, tmp_path: Path) -> None:
    """By what Lightning's launcher asks, and without what it then sets."""
    calls = []

    def task(settings: TrainConfig) -> None:
        assert "LOCAL_RANK" not in os.environ
        os.environ["LOCAL_RANK"] = "0"
        calls.append(_hydra_subprocess_cmd(local_rank=1)[0])

    before = __main__.__spec__
    run_application("train", TrainConfig, task, ["-m", "hydra.sweep.dir=sweep", "seed=3,4"], report_errors)
    assert __main__.__spec__ == before
    for number, command in enumerate(calls):
        program = [sys.executable, "-m", "faststyle.__main__", "train", f"seed={number + 3}"]
        assert command[:6] == [*program, f'hydra.run.dir="{tmp_path / "sweep" / str(number)}"']


def test_a_job_that_fails_is_one_line(
    report_errors: Reporter, reported: list[tuple[bool, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(*_: object) -> None:
        raise UncompletedJobError("Job 7 has no output\n---\nstarts from paintings\nerror: no photographs\n\nend\n")

    monkeypatch.setattr(AutoExecutor, "map_array", submit)
    with pytest.raises(SystemExit):
        settings_of(report_errors, "-m", "hydra/launcher=submitit_local", "hydra.sweep.dir=sweep", "seed=1,2")
    assert reported == [(False, "a job of the sweep failed: no photographs")]


LAYERS = {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_1": 1.0}  # of loss=balanced
LAYER_SYNTAX: list[tuple[list[str], dict[str, float]]] = [
    ([], LAYERS),
    (["loss.style_layers=[relu1_1,relu2_1]"], {"relu1_1": 1.0, "relu2_1": 1.0}),  # replaces all
    (["loss.style_layers=[relu1_2]"], {"relu1_2": 1.0}),
    (["loss.style_layers=[relu1_1, relu2_1]"], {"relu1_1": 1.0, "relu2_1": 1.0}),
    (["loss.style_layers.relu1_2=0.5"], LAYERS | {"relu1_2": 0.5}),  # changes one
    (["loss.style_layers.relu1_1=2"], LAYERS | {"relu1_1": 2.0}),  # adds one
    (["loss.style_layers.relu1_1=2", "loss.style_layers.relu2_2=0"], LAYERS | {"relu1_1": 2.0, "relu2_2": 0.0}),
    (["loss=gatys"], dict.fromkeys([f"conv{block}_1" for block in range(1, 6)], 1.0)),  # a preset replaces
    (["loss=johnson", "loss.style_layers.relu4_3=0"], {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_3": 0.0}),
    (["loss.style_layers=[relu1_1]", "loss=gatys"], {"relu1_1": 1.0}),  # in whichever order they stand
    (["loss/layers@loss=gatys_relu"], dict.fromkeys([f"relu{block}_1" for block in range(1, 6)], 1.0)),
    (["experiment=johnson2016", "loss.style_layers=[relu1_1]"], {"relu1_1": 1.0}),
]


@pytest.mark.parametrize(("overrides", "expected"), LAYER_SYNTAX, ids=lambda value: " ".join(value) or "nothing")
def test_every_way_to_name_layers_outside_a_command_line(overrides: list[str], expected: dict[str, float]) -> None:
    settings = compose_settings("train", TrainConfig, [*overrides, "run_dir=runs"])
    assert settings.loss.style_layers == expected
    assert settings.loss.used_layers["style"] == {name: weight for name, weight in expected.items() if weight}


def test_layers_on_a_command_line(report_errors: Reporter) -> None:
    layers = ["loss.style_layers=[relu1_1,relu2_1]", "loss.content_layers.relu2_2=2", "loss.patch_layers.relu3_1=0"]
    (settings,) = settings_of(report_errors, *layers, "hydra.run.dir=run")
    assert settings.loss.style_layers == {"relu1_1": 1.0, "relu2_1": 1.0}
    assert settings.loss.content_layers == {"relu3_2": 1.0, "relu2_2": 2.0}
    assert settings.loss.patch_layers == {"relu3_1": 0.0, "relu4_1": 1.0}


def test_sweeps_over_layers_and_over_their_weights(report_errors: Reporter, tmp_path: Path) -> None:
    sweep = ["-m", "hydra.sweep.dir=sweep"]
    lists = settings_of(report_errors, *sweep, "loss.style_layers=[relu1_1,relu2_1],[relu3_1]")
    assert [s.loss.style_layers for s in lists] == [{"relu1_1": 1.0, "relu2_1": 1.0}, {"relu3_1": 1.0}]
    weights = settings_of(report_errors, *sweep, "loss.style_layers.relu1_1=0,2", "seed=3")
    assert [s.loss.style_layers for s in weights] == [LAYERS | {"relu1_1": weight} for weight in (0.0, 2.0)]
    assert [(s.seed, s.run_dir) for s in weights] == [(3, str(tmp_path / "sweep" / str(number))) for number in (0, 1)]


def test_layers_of_other_configurations() -> None:
    optimize = compose_settings("optimize", OptimizeConfig, ["loss.style_layers=[relu1_1]", "run_dir=runs"])
    assert optimize.loss.style_layers == {"relu1_1": 1.0}
    overrides = ["policy.style_layers=[relu1_1]", "policy.content_layers.relu2_2=2", "layers=[relu1_1,relu2_2]"]
    distill = compose_settings("distill", DistillConfig, [*overrides, "run_dir=runs"])
    assert distill.policy.style_layers == {"relu1_1": 1.0}
    assert distill.policy.content_layers == {"relu3_2": 1.0, "relu2_2": 2.0}
    assert distill.layers == ["relu1_1", "relu2_2"]
    gatys = compose_settings("distill", DistillConfig, ["loss/layers@policy=gatys_relu", "run_dir=runs"])
    assert gatys.policy.content_layers == {"relu4_2": 1.0}


REFUSALS = [
    ("data.roof=x", "data.roof"),
    ("colour=red", "colour"),
    ("loss=1", "Config group override must be a string or a list"),
    ("loss=strange", "Could not find 'loss/strange'"),
    ("style=mona_lisa", "Could not find 'style/mona_lisa'"),
    ("trainer=tpu", "Could not find 'trainer/tpu'"),
    ("network.width=[", "network.width=[: no viable alternative at input '['"),
    ("x", "x: "),
    ("trainer.max_steps=many", "trainer.max_steps: Value 'many'"),
    ("network.norm=layer", "network.norm must be one of"),
    ("loss.style_layers=[]", "loss.style_layers needs a layer"),
]


@pytest.mark.parametrize(("override", "words"), REFUSALS)
def test_a_wrong_override_is_one_line_that_names_it(override: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose_settings("train", TrainConfig, [override, "run_dir=runs"])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("override", "words"), [REFUSALS[i] for i in (0, 2, 3, 6, 8, 9)])
def test_a_wrong_override_of_a_command_line_is_told_once(
    override: str, words: str, report_errors: Reporter, reported: list[tuple[bool, str]]
) -> None:
    with pytest.raises(SystemExit):
        settings_of(report_errors, override, "hydra.run.dir=run")
    ((debug, text),) = reported
    assert not debug
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize("override", ["data.roof=x", "trainer.max_steps=0"])
def test_debug_is_for_any_error(override: str, report_errors: Reporter, reported: list[tuple[bool, str]]) -> None:
    with pytest.raises(SystemExit):
        settings_of(report_errors, override, "debug=true", "hydra.run.dir=run")
    assert [debug for debug, _ in reported] == [True]


def test_what_the_task_raises_is_told_once(report_errors: Reporter, reported: list[tuple[bool, str]]) -> None:
    def task(settings: TrainConfig) -> None:
        raise DataError("data.root: no pictures")

    with pytest.raises(SystemExit) as stop:
        run_application("train", TrainConfig, task, ["hydra.run.dir=run"], report_errors)
    assert stop.value.code == 2
    assert reported == [(False, "data.root: no pictures")]


def test_what_is_no_users_mistake_comes_through(report_errors: Reporter, reported: list[tuple[bool, str]]) -> None:
    def task(settings: TrainConfig) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_application("train", TrainConfig, task, ["hydra.run.dir=run"], report_errors)
    assert not reported


@pytest.mark.parametrize(
    ("name", "kind"), [("train", TrainConfig), ("optimize", OptimizeConfig), ("distill", DistillConfig)]
)
def test_help_lists_every_setting(
    name: str, kind: type, report_errors: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(settings: object) -> None:
        raise AssertionError("called for --help")

    with pytest.raises(SystemExit) as stop:
        run_application(name, kind, task, ["--help"], report_errors)
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert f"faststyle {name}" in printed
    assert all(f"{key}:" in printed for key in kind.__annotations__)
