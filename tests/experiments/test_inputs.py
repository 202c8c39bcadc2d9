"""What a user gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from faststyle.checkpoint import read_checkpoint
from faststyle.errors import CheckpointError, ImageError, OutputError
from faststyle.experiments import inputs
from faststyle.experiments.application import compose_settings
from faststyle.experiments.inputs import choose_init, hold, load_style, naming
from faststyle.experiments.schema import TrainConfig
from helpers import run


def test_the_style_has_its_size(photos: Path) -> None:
    assert load_style(str(photos / "0.jpg"), 33).size == (33, 50)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (None, "^style.image: set style.image=PATH to a painting, or style=NAME$"),
        ("", "^style.image: set style.image=PATH to a painting, or style=NAME$"),
        ("nowhere.jpg", "^style.image: no picture nowhere.jpg; set style.image=PATH to a painting$"),
    ],
)
def test_a_missing_style_says_what_to_set(path: str | None, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        load_style(path, 33)


def test_a_style_that_would_be_too_large(photos: Path) -> None:
    path = photos / "0.jpg"
    with pytest.raises(
        ImageError, match=f"^style.image: {path} at 20000 pixels has 600.0 megapixels, the limit is 200 "
    ):
        load_style(str(path), 20_000)


def test_an_error_inside_is_named_and_of_its_kind() -> None:
    with pytest.raises(CheckpointError, match="^init: no checkpoint a$"), naming("init"):
        raise CheckpointError("no checkpoint a")
    with pytest.raises(KeyError, match="^'a'$"), naming("init"):  # none of ours
        raise KeyError("a")
    with naming("init"):
        pass


def test_auto_starts_from_the_shipped_paintings_where_the_network_is_like_theirs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = replace(read_checkpoint("paintings").header.network, rows=1, keeps=False)
    assert (
        compose_settings("train", TrainConfig, ["style.image=a.jpg", "run_dir=run"]).network == network
    )  # the default
    assert choose_init("auto", network) == "paintings"
    assert choose_init("auto", replace(network, upsample="nearest")) is None
    assert choose_init("the_scream", network) == "the_scream"
    assert choose_init(None, network) is None
    monkeypatch.setattr(inputs, "PAINTINGS", tmp_path / "nowhere.safetensors")
    assert choose_init("auto", network) is None


def test_a_run_folder_is_one_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = str(tmp_path / "run")
    with hold(run_dir):
        with (
            pytest.raises(OutputError, match=f"^another run is writing in {run_dir}: .*"),
            hold(run_dir),
        ):
            pass
        monkeypatch.setenv("LOCAL_RANK", "1")
        with hold(run_dir):  # a further process of the same training
            pass
    monkeypatch.delenv("LOCAL_RANK")
    with pytest.raises(KeyError), hold(run_dir):
        raise KeyError
    with hold(run_dir):
        pass


@pytest.mark.parametrize("command", ["train", "optimize", "distill"])
def test_every_run_holds_its_folder(command: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    overrides = {
        "train": lambda: request.getfixturevalue("train_overrides"),
        "distill": lambda: request.getfixturevalue("distill_overrides"),
        "optimize": lambda: [f"content={request.getfixturevalue('photo')}", "style.image=${content}"],
    }[command]()
    with hold(str(tmp_path)):
        process = run(command, *overrides, f"run_dir={tmp_path}")
    assert process.returncode == 2
    assert process.stderr.startswith("error: another run is writing in")
