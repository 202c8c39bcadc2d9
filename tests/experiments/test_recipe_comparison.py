"""One training of a comparison, as a process; the rest is tested with its command."""

from pathlib import Path

import pytest

from faststyle.errors import FaststyleError
from faststyle.experiments import recipe_comparison
from faststyle.experiments.recipe_comparison import Training, train_for


def test_a_training_takes_its_overrides_and_tells_its_time(photos: Path, tmp_path: Path) -> None:
    overrides = [f"style.image={photos / '0.jpg'}", "style.size=64", f"data.root={photos}", "data.image_size=32"]
    overrides += ["loss_network=compact", "network.width=4", "network.residual_blocks=1", "trainer=cpu"]
    for _ in range(2):  # again, where the record of the first was not written any more
        training = recipe_comparison._train([*overrides, f"cache_dir={tmp_path}"], 2, tmp_path / "run")
    assert Path(training.weights).is_file()
    assert training.steps == 2
    assert 0.5 < training.cpu_seconds < 200
    with pytest.raises(FaststyleError, match=r"^nothing=1: error: unknown setting nothing"):
        recipe_comparison._train(["nothing=1"], 2, tmp_path / "wrong")


@pytest.mark.parametrize("content", ["", "[]", '{"steps": 1}', '{"weights": "a", "steps": 1e400, "cpu_seconds": 1}'])
def test_a_damaged_record_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(FaststyleError, match="training.json is damaged ") as caught:
        train_for(1, [], tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_of_other_settings_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(overrides: list[str], steps: int, folder: Path) -> Training:
        trained.append(steps)
        return Training("weights", steps, steps)

    monkeypatch.setattr(recipe_comparison, "_train", train)
    (tmp_path / "training.json").write_text('{"weights": "a", "steps": 90, "cpu_seconds": 90}')  # of an earlier version
    for cpu_seconds, seed in ((90, 1), (90, 1), (90, 2), (80, 2)):
        assert train_for(cpu_seconds, [f"seed={seed}"], tmp_path).steps == cpu_seconds
    assert trained == [1, 5, 45, 90, 1, 5, 45, 90, 1, 5, 45, 80]
