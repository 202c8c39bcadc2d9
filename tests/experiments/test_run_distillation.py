"""Whole distillations: the weights serve as a loss network, and starting, resuming and refusing as in training."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from faststyle.checkpoint import save_weights
from faststyle.config import METADATA_KEY
from faststyle.errors import CheckpointError, ConfigError, FaststyleError, LossNetworkError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.distill import distill
from faststyle.experiments.run_distillation import build_transformers
from faststyle.experiments.schema import DistillConfig
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.resources import CHECKPOINTS
from faststyle.training import loggers
from faststyle.training.distillation import Distillation
from helpers import make_config


@pytest.fixture
def overrides(distill_overrides: list[str], tmp_path: Path) -> list[str]:
    return [
        *distill_overrides,
        "start=null",
        "trainer.precision=32-true",
        "trainer.max_steps=3",
        "trainer.log_every_n_steps=1",
        f"run_dir={tmp_path / 'run'}",
    ]


def compose(*overrides: str) -> DistillConfig:
    return compose_settings("distill", DistillConfig, list(overrides))


def run(*overrides: str) -> Path:
    return distill(compose(*overrides))


def test_the_weights_are_a_loss_network_that_says_what_it_is(overrides: list[str], vgg_weights: Path) -> None:
    path = run(*overrides)
    network = load_loss_network("compact", ["relu1_2", "relu2_1"], weights=path)
    features = network(torch.rand(1, 3, 32, 32))
    assert all(value.isfinite().all() and value.std() > 0 for value in features.values())
    with safe_open(path, "np") as file:
        info = json.loads(file.metadata()[METADATA_KEY])
    assert (info["teacher"], info["step"]) == (vgg_weights.name, 3)
    assert info["data"] == {"photographs": "photos0", "paintings": ["0", "1", "2", "3", "4", "5"]}
    assert info["agreement"].keys() == {"photographs", "stylized"}
    assert all(layers.keys() == {"relu1_2", "relu2_1"} for layers in info["agreement"].values())
    assert "CC BY 4.0" in info["attribution"]


def test_resume_goes_on_after_a_crash_bit_for_bit(
    overrides: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Student, transformer and both optimisers: with one painting each step takes the transformer of the last."""
    (tmp_path / "paintings").mkdir()
    shutil.copy(photos / "0.jpg", tmp_path / "paintings")
    one = f"paintings=[{tmp_path / 'paintings'}]"
    overrides = [*overrides, one, "trainer.max_steps=5", "trainer.checkpoint_every=2"]
    straight = run(*overrides).read_bytes()
    again = [*overrides, f"run_dir={tmp_path / 'other' / 'again'}", "resume=auto"]
    step = Distillation.training_step

    def crash(self: Distillation, crops: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == 3:
            raise OSError("crash")
        return step(self, crops, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Distillation, "training_step", crash)
        with pytest.raises(OSError, match="crash"):
            run(*again)
    assert run(*again).read_bytes() == straight


def test_init_goes_on_from_an_earlier_distillation(overrides: list[str], tmp_path: Path) -> None:
    overrides = [*overrides, "optimizer.learning_rate=1e-2"]
    earlier = load_file(run(*overrides))
    (checkpoint,) = (tmp_path / "run").rglob("*.ckpt")
    short = ["trainer.max_steps=1", "optimizer.learning_rate=1e-9", f"run_dir={tmp_path / 'b'}"]
    afresh = load_file(run(*overrides, *short))
    later = load_file(run(*overrides, *short, f"init={checkpoint}"))
    for name, tensor in earlier.items():
        torch.testing.assert_close(later[name], tensor, atol=1e-3, rtol=1e-2)
    assert any(not torch.allclose(afresh[name], tensor, atol=1e-3, rtol=1e-2) for name, tensor in earlier.items())


def test_transformers_start_from_their_own_weights_else_from_each_in_turn(overrides: list[str], tmp_path: Path) -> None:
    settings = compose(
        *overrides,
        f"start={tmp_path / 'start'}",
        "network.patch=1",
        "network.padding=reflect",
        "network.upsample=nearest",
        "network.dilation=1",
        "network.noise=0",
    )
    assert settings.network == make_config()
    starts = {name: TransformerNet(make_config()) for name in ("a", "b")}
    for name, network in starts.items():
        save_weights(tmp_path / "start" / f"{name}.safetensors", network)
    save_weights(tmp_path / "start" / "other_kind.safetensors", TransformerNet(make_config(width=8)))
    paintings = [Path(f"{name}.png") for name in ("b", "new", "newer", "newest", "other_kind")]
    made = build_transformers(settings, paintings)

    def is_from(network: TransformerNet) -> list[str]:
        first = network.to_rgb.weight
        return [name for name, start in starts.items() if torch.allclose(first, start.to_rgb.weight, atol=1e-3)]

    assert [is_from(network) for network in made] == [["b"], ["a"], ["b"], [], ["a"]]
    afresh = build_transformers(replace(settings, start=None), paintings)
    assert all(is_from(network) == [] for network in afresh)


def test_the_log_names_every_step(overrides: list[str], tmp_path: Path) -> None:
    run(*overrides)
    (path,) = (tmp_path / "run").rglob("metrics.csv")
    rows = np.genfromtxt(path, delimiter=",", names=True)
    assert rows["step"].tolist() == [0, 1, 2]
    assert np.isfinite(rows["feature_error"]).all()
    assert np.isfinite(rows["moment_error"]).all()


@pytest.mark.parametrize(
    ("override", "error", "words"),
    [
        ("data.holdout=1", ConfigError, "data.holdout must leave two pictures to measure on, found 1"),
        ("layers=[relu1_2,relu2_1,relu5_1]", LossNetworkError, "it lacks features.7"),
        ("init={folder}/painting.png", CheckpointError, "^init: .*.png is refused: .* no checkpoint of such"),
        ("init={folder}/list.ckpt", CheckpointError, "^init: .*.ckpt is no checkpoint of such a distillation"),
        ("init={folder}/empty.ckpt", CheckpointError, "^init: .*empty.ckpt is empty"),
        ("resume={folder}/painting.png", CheckpointError, "^resume: .*.png is refused: it is damaged"),
        ("resume={folder}/other.ckpt", CheckpointError, "^resume: .* to go on from: it lacks optimizer_states, "),
        ("resume={folder}/style.ckpt", CheckpointError, "^resume: .*.ckpt is no checkpoint of such a distillation"),
        ("teacher={folder}/empty.ckpt", LossNetworkError, "^loss_network.weights: .*empty.ckpt is empty"),
        ("init={folder}/other.ckpt", CheckpointError, "^init: .*.ckpt is no checkpoint of such a distillation"),
    ],
)
def test_refusals(override: str, error: type[FaststyleError], words: str, overrides: list[str], tmp_path: Path) -> None:
    (tmp_path / "painting.png").write_bytes(b"no checkpoint")
    other = {"state_dict": {"network.to_rgb.bias": torch.zeros(3)}}
    torch.save(other, tmp_path / "other.ckpt")
    torch.save(other | {"optimizer_states": [1], "lr_schedulers": [1], "loops": {"a": 1}}, tmp_path / "style.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    (tmp_path / "empty.ckpt").touch()
    with pytest.raises(error, match=words) as caught:
        run(*overrides, override.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused(overrides: list[str]) -> None:
    with pytest.raises(ConfigError, match="^trainer: a distillation runs in one process, found 2$"):
        run(*overrides, "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def test_going_on_replaces_its_own_output_only(overrides: list[str], tmp_path: Path) -> None:
    output = tmp_path / "w.safetensors"
    settings = [*overrides, f"output={output}", "resume=auto", "trainer.max_steps=1"]
    run(*settings)
    written = output.stat().st_mtime_ns
    run(*settings)
    assert output.stat().st_mtime_ns > written
    shutil.copy(CHECKPOINTS / "great_wave.safetensors", output)
    with pytest.raises(OutputError, match=f"^output: {output} exists, and is not this run's: set overwrite to"):
        run(*settings)


def test_a_missing_package_is_told_before_anything_is_packed(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loggers.LOGGERS, "csv", replace(loggers.LOGGERS["csv"], package="no_such_package"))
    with pytest.raises(ConfigError, match="^logger.kind=csv needs a package"):
        run(*overrides)
    assert not (tmp_path / "packs").exists()
