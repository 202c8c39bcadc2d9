"""What a training checks before it imports anything heavy: every input, every refusal in one line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faststyle.errors import CheckpointError, DataError, FaststyleError, ImageError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.train import check_inputs, train
from faststyle.resources import CHECKPOINTS
from helpers import noise


@pytest.fixture(scope="module")
def settings(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    folder = tmp_path_factory.mktemp("train")
    Image.fromarray(noise(48, 64)).save(folder / "painting.png")
    overrides = [f"style.image={folder / 'painting.png'}", "style.size=32", f"data.root={photos}", "init=null"]
    return compose_settings("train", TrainConfig, [*overrides, f"run_dir={folder / 'run'}"])


def test_inputs_are_opened(settings: TrainConfig, photos: Path) -> None:
    inputs = check_inputs(settings)
    assert {name: style.size for name, style in inputs.styles.items()} == {"painting": (32, 43)}
    assert len(inputs.photographs.names) == 6
    assert inputs.preview is None
    assert inputs.weights_path == Path(settings.run_dir) / "painting.safetensors"
    assert not Path(settings.run_dir).exists()
    named = check_inputs(replace(settings, preview=str(photos / "nested" / "4.png"), output="other/w.safetensors"))
    assert np.array_equal(named.preview, noise(44, 60, seed=4))
    assert named.weights_path == Path("other/w.safetensors")


@pytest.mark.parametrize("init", ["starry_night", "paintings", "pointillism"])
def test_resume_auto_and_a_shipped_style_to_start_from_need_no_file(init: str, settings: TrainConfig) -> None:
    check_inputs(replace(settings, resume="auto", init=init))


def change(settings: TrainConfig, key: str, value: str | None) -> TrainConfig:
    group, _, name = key.rpartition(".")
    if group == "style":
        return replace(settings, styles=[replace(settings.styles[0], **{name: value})])
    if group:
        return replace(settings, **{group: replace(getattr(settings, group), **{name: value})})
    return replace(settings, **{name: value})


@pytest.mark.parametrize(
    ("key", "value", "error", "words"),
    [
        ("style.image", "nowhere.jpg", ImageError, "style.image: no picture nowhere.jpg; set style.image=PATH"),
        ("style.image", None, ImageError, "style.image: set style.image=PATH to a painting, or style=NAME"),
        ("data.root", "nowhere", DataError, "data.root: nowhere is none of: "),
        ("data.root", None, DataError, "data.root: set data.root=PATH"),
        ("preview", "nowhere.jpg", ImageError, "preview: no picture nowhere.jpg"),
        (
            "output",
            "weights.pth",
            OutputError,
            "output: cannot write weights.pth: its suffix must be one",
        ),
        ("output", str(CHECKPOINTS / "great_wave.safetensors"), OutputError, "output: .* exists: set overwrite to"),
        ("init", "nowhere.safetensors", CheckpointError, "init: no checkpoint nowhere.safetensors"),
        ("init", "nowhere", CheckpointError, "init: no checkpoint nowhere; shipped styles: .*starry_night"),
        ("resume", "nowhere.ckpt", CheckpointError, "resume: no checkpoint nowhere.ckpt"),
        ("resume", "nowhere", CheckpointError, "resume: no checkpoint nowhere"),
    ],
)
def test_a_bad_input_is_one_line_that_names_the_setting(
    key: str, value: str | None, error: type[FaststyleError], words: str, settings: TrainConfig
) -> None:
    with pytest.raises(error, match=f"^{words}") as caught:
        train(change(settings, key, value))
    assert "\n" not in str(caught.value)
    assert not Path(settings.run_dir).exists()


def test_the_weights_it_starts_from_are_not_replaced(settings: TrainConfig) -> None:
    again = replace(settings, init="great_wave", output=str(CHECKPOINTS / "great_wave.safetensors"), overwrite=True)
    with pytest.raises(OutputError, match="would replace its own source"):
        train(again)


def test_no_source_is_replaced(settings: TrainConfig, tmp_path: Path) -> None:
    weights = tmp_path / "vgg.safetensors"
    weights.touch()
    loss_network = replace(settings.loss_network, weights=str(weights))
    with pytest.raises(OutputError, match="vgg.safetensors would replace its own source"):
        check_inputs(replace(settings, loss_network=loss_network, output=str(weights), overwrite=True))
    Image.fromarray(noise(20, 20)).save(tmp_path / "preview.png")
    with pytest.raises(OutputError, match="run_dir: .*preview.png would replace its own source"):
        check_inputs(replace(settings, preview=str(tmp_path / "preview.png"), run_dir=str(tmp_path)))


def test_a_name_too_long_is_told_before_the_work(settings: TrainConfig) -> None:
    with pytest.raises(OutputError, match="output: cannot write .*: File name too long"):
        check_inputs(replace(settings, name="a" * 250))
