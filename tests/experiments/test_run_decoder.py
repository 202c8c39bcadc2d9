"""Whole trainings of a decoder: its weights, resuming, refusing."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from faststyle.config import METADATA_KEY
from faststyle.errors import CheckpointError, LossNetworkError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import DecoderConfig
from faststyle.experiments.train_decoder import train_decoder
from faststyle.modeling.decoder import LEVELS, Decoder
from faststyle.resources import LOSS_NETWORKS
from faststyle.training.decoding import Decoding


@pytest.fixture
def overrides(decoder_overrides: list[str], tmp_path: Path) -> list[str]:
    return [*decoder_overrides, f"run_dir={tmp_path / 'run'}"]


def run(overrides: list[str]) -> Path:
    return train_decoder(compose_settings("train-decoder", DecoderConfig, overrides))


def test_the_weights_are_a_decoder_that_says_how_well_it_does(overrides: list[str]) -> None:
    path = run(overrides)
    Decoder().load_state_dict(load_file(path))
    with safe_open(path, "np") as file:
        info = json.loads(file.metadata()[METADATA_KEY])
    assert (info["decodes"], info["data"], info["step"]) == ("compact", "photos0", 2)
    assert set(info["pixel_errors"]) == set(LEVELS)
    assert all(error > 0 for error in info["pixel_errors"].values())


def test_resume_goes_on_after_a_crash_bit_for_bit(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [*overrides, "trainer.max_steps=4", "trainer.checkpoint_every=2"]
    straight = run(overrides).read_bytes()
    again = [*overrides, f"run_dir={tmp_path / 'other' / 'again'}", "resume=auto"]
    step = Decoding.training_step

    def crash(self: Decoding, crops: torch.Tensor, batch_idx: int) -> torch.Tensor:
        if self.global_step == 3:
            raise OSError("crash")
        return step(self, crops, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Decoding, "training_step", crash)
        with pytest.raises(OSError, match="crash"):
            run(again)
    assert run(again).read_bytes() == straight


def test_init_goes_on_from_earlier_weights(overrides: list[str], tmp_path: Path) -> None:
    shipped = LOSS_NETWORKS / "decoder.safetensors"
    short = [*overrides, "trainer.max_steps=1", "optimizer.learning_rate=1e-9"]
    later = load_file(run([*short, f"init={shipped}"]))
    for name, tensor in load_file(shipped).items():
        torch.testing.assert_close(later[name], tensor, atol=1e-3, rtol=1e-2)
    with pytest.raises(LossNetworkError, match="^init: .*compact.safetensors is no decoder of the compact network"):
        run([*short, f"init={LOSS_NETWORKS / 'compact.safetensors'}", f"run_dir={tmp_path / 'other'}"])


def test_no_photograph_need_be_held_out(overrides: list[str]) -> None:
    with safe_open(run([*overrides, "data.holdout=0"]), "np") as file:
        assert json.loads(file.metadata()[METADATA_KEY])["pixel_errors"] == {}


def test_what_cannot_be_gone_on_from_is_refused(overrides: list[str], tmp_path: Path) -> None:
    other = {"state_dict": {"a": torch.zeros(3)}, "optimizer_states": [1], "lr_schedulers": [1], "loops": {"a": 1}}
    torch.save(other, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="^resume: .*other.ckpt is no checkpoint of a decoder") as caught:
        run([*overrides, f"resume={tmp_path / 'other.ckpt'}"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_going_on_replaces_its_own_output_only(overrides: list[str], tmp_path: Path) -> None:
    output = tmp_path / "d.safetensors"
    settings = [*overrides, f"output={output}", "resume=auto"]
    run(settings)
    written = output.stat().st_mtime_ns
    run(settings)
    assert output.stat().st_mtime_ns > written
    shutil.copy(LOSS_NETWORKS / "compact.safetensors", output)
    with pytest.raises(OutputError, match=f"^output: {output} exists, and is not this run's: set overwrite to"):
        run(settings)
