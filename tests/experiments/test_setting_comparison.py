"""What a comparison says of its results, its sample, and the sections; the rest is tested with its command."""

from pathlib import Path

import numpy as np
import pytest

from faststyle.errors import FaststyleError
from faststyle.evaluation.judges import load_eyes
from faststyle.experiments.setting_comparison import Comparison, Sample, compose_variant


@pytest.mark.parametrize(("photographs", "paintings"), [(7, 4), (6, 4), (1, 1), (2, 2), (3, 5)])
def test_every_pair_comes_once_and_neighbours_differ(photographs: int, paintings: int) -> None:
    folders = [{str(i): Path(str(i)) for i in range(count)} for count in (photographs, paintings)]
    pairs = Sample(*folders, seeds=2).pairs
    assert len(pairs) == len(set(pairs)) == photographs * paintings
    first = pairs[: min(photographs, paintings)]
    assert len({one for one, _ in first}) == len({other for _, other in first}) == len(first)


def test_a_seed_counts_where_the_start_is_noise(photo: Path, tmp_path: Path) -> None:
    overrides = ["loss_network=compact", "steps=2", "image_size=64", "style.size=64"]
    variants = [compose_variant(init, [*overrides, f"init={init}"]) for init in ("content", "noise")]
    eyes = load_eyes("compact", weights="default", resnet_weights=None)
    sample = Sample({"photo": photo}, {"painting": photo}, seeds=2)
    made = Comparison(variants, sample, eyes, tmp_path, None)
    assert [(variant.name, list(seeds)) for variant, _, seeds in made.tasks()] == [("content", [0]), ("noise", [0, 1])]
    pictures = {
        (variant.name, seed): made.paint(variant, "photo", "painting", seed).figures
        for variant in variants
        for seed in (0, 1)
    }
    assert pictures["content", 0] == pictures["content", 1]
    assert pictures["noise", 0] != pictures["noise", 1]


@pytest.mark.parametrize("content", ["", "[]", '{"settings": 1}'])
def test_a_damaged_record_is_one_line(content: str, photo: Path, tmp_path: Path) -> None:
    variant = compose_variant("a", ["loss_network=compact", "steps=1", "image_size=64", "style.size=64"])
    eyes = load_eyes("compact", weights="default", resnet_weights=None)
    made = Comparison([variant], Sample({"p": photo}, {"q": photo}, seeds=1), eyes, tmp_path, None)
    painted = made.paint(variant, "p", "q", 0)
    assert np.isfinite(list(painted.figures.values())).all()
    painted.picture.with_suffix(".json").write_text(content)
    if content.startswith("{"):
        assert made.paint(variant, "p", "q", 0).figures == painted.figures  # of other settings: painted again
        return
    with pytest.raises(FaststyleError, match=r"p-0.json is damaged "):
        made.paint(variant, "p", "q", 0)
