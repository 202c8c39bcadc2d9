"""What the training of a decoder checks before it imports anything heavy."""

from dataclasses import replace
from pathlib import Path

import pytest

from faststyle.errors import CheckpointError, DataError, FaststyleError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import DecoderConfig
from faststyle.experiments.train_decoder import check_inputs, train_decoder
from faststyle.resources import LOSS_NETWORKS


@pytest.fixture
def settings(decoder_overrides: list[str], tmp_path: Path) -> DecoderConfig:
    return compose_settings("train-decoder", DecoderConfig, [*decoder_overrides, f"run_dir={tmp_path / 'run'}"])


def test_weights_go_to_the_run_folder_or_to_output(settings: DecoderConfig) -> None:
    inputs = check_inputs(settings)
    assert len(inputs.photographs.names) == 6
    assert inputs.weights_path == Path(settings.run_dir) / "decoder.safetensors"
    assert check_inputs(replace(settings, output="d.safetensors")).weights_path == Path("d.safetensors")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"root": "nowhere"}, DataError, "data.root: nowhere is none of: "),
        ({"init": "nowhere.safetensors"}, CheckpointError, "init: no checkpoint nowhere.safetensors$"),
        ({"resume": "nowhere.ckpt"}, CheckpointError, "resume: no checkpoint nowhere.ckpt$"),
        ({"output": str(LOSS_NETWORKS / "decoder.safetensors")}, OutputError, "output: .* exists: set overwrite to"),
        ({"output": "d.pth"}, OutputError, r"output: cannot write .* its suffix must be one of \.safetensors"),
    ],
)
def test_a_bad_input_is_one_line_that_names_the_setting(
    changes: dict[str, object], error: type[FaststyleError], words: str, settings: DecoderConfig
) -> None:
    if isinstance(root := changes.get("root"), str):
        changes = {"data": replace(settings.data, root=root)}
    with pytest.raises(error, match=f"^{words}") as caught:
        train_decoder(replace(settings, **changes))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not Path(settings.run_dir).exists()
