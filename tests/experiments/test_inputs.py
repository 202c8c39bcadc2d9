"""What a user gives."""

from pathlib import Path

import pytest

from faststyle.errors import CheckpointError, ImageError
from faststyle.experiments.inputs import load_style, naming


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


def test_an_error_inside_is_named_and_of_its_kind() -> None:
    with pytest.raises(CheckpointError, match="^init: no checkpoint a$"), naming("init"):
        raise CheckpointError("no checkpoint a")
    with pytest.raises(KeyError, match="^'a'$"), naming("init"):  # none of ours
        raise KeyError("a")
    with naming("init"):
        pass
