"""What a distillation checks before it imports anything heavy."""

from dataclasses import replace
from pathlib import Path

import pytest

from faststyle.errors import CheckpointError, ConfigError, DataError, FaststyleError, OutputError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.distill import check_inputs, distill
from faststyle.experiments.schema import DistillConfig
from faststyle.resources import CHECKPOINTS, LOSS_NETWORKS


@pytest.fixture(scope="module")
def settings(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> DistillConfig:
    folder = tmp_path_factory.mktemp("distill")
    overrides = [f"paintings=[{photos},nowhere]", "painting_sizes=[32]", "data.image_size=32", f"data.root={photos}"]
    return compose_settings("distill", DistillConfig, [*overrides, f"run_dir={folder / 'run'}"])


def test_paintings_are_those_of_the_folders_that_are_there(settings: DistillConfig, photos: Path) -> None:
    inputs = check_inputs(settings)
    assert inputs.paintings == sorted(path for path in photos.rglob("*") if path.is_file())
    assert len(inputs.photographs.names) == 6
    assert inputs.weights_path == Path(settings.run_dir) / "compact.safetensors"
    assert check_inputs(replace(settings, output="w.safetensors")).weights_path == Path("w.safetensors")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"paintings": ["nowhere", "no"]}, DataError, "paintings: no pictures in nowhere, no$"),
        ({"painting_sizes": []}, ConfigError, "painting_sizes must be at least data.image_size=32, found "),
        ({"painting_sizes": [64, 16]}, ConfigError, "painting_sizes must be at least data.image_size=32, found "),
        ({"root": "nowhere"}, DataError, "data.root: nowhere is none of: "),
        ({"layers": ["relu3_2", "relu4_1"]}, ConfigError, "layers must hold those of policy, too: relu1_2, relu2_2, "),
        ({"init": "nowhere.ckpt"}, CheckpointError, "init: no checkpoint nowhere.ckpt$"),
        ({"resume": "nowhere.ckpt"}, CheckpointError, "resume: no checkpoint nowhere.ckpt$"),
        ({"output": str(LOSS_NETWORKS / "compact.safetensors")}, OutputError, "output: .* exists: set overwrite to"),
        ({"output": "weights.pth"}, OutputError, r"output: cannot write .* its suffix must be one of \.safetensors"),
    ],
)
def test_a_bad_input_is_one_line_that_names_the_setting(
    changes: dict[str, object], error: type[FaststyleError], words: str, settings: DistillConfig
) -> None:
    if isinstance(root := changes.get("root"), str):
        changes = {"data": replace(settings.data, root=root)}
    with pytest.raises(error, match=f"^{words}") as caught:
        distill(replace(settings, **changes))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not Path(settings.run_dir).exists()


def test_the_weights_it_starts_from_are_not_replaced(settings: DistillConfig) -> None:
    start = str(CHECKPOINTS / "great_wave.safetensors")
    with pytest.raises(OutputError, match="would replace its own source"):
        distill(replace(settings, init=start, output=start, overwrite=True))


def test_no_source_is_replaced(settings: DistillConfig, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(OutputError, match="a.safetensors would replace its own source"):
        check_inputs(replace(settings, start=str(tmp_path), output=str(tmp_path / "a.safetensors"), overwrite=True))
    (tmp_path / "checkpoints").mkdir()
    init = tmp_path / "checkpoints" / "step-000100.ckpt"  # older ones are removed
    init.touch()
    with pytest.raises(OutputError, match="run_dir: .*step-000100.ckpt would replace its own source"):
        check_inputs(replace(settings, init=str(init), run_dir=str(tmp_path)))
