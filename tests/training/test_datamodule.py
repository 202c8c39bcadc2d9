"""Random crops: a function of seed, step and rank; every picture once an epoch."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faststyle.errors import ConfigError, DataError
from faststyle.training.datamodule import PackDataModule, RandomCrops

# each pixel tells its picture, row and column
GRID = torch.stack(torch.meshgrid(*(torch.arange(n, dtype=torch.uint8) for n in (7, 12, 12)), indexing="ij"), -1)


def crops(**changes: int) -> RandomCrops:
    return RandomCrops(GRID, **({"size": 8, "batch_size": 3, "seed": 0} | changes))


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 40), seed=st.integers(0, 9), rank=st.integers(0, 2))
def test_starting_later_gives_the_same_batches(start: int, seed: int, rank: int) -> None:
    whole = islice(crops(seed=seed, rank=rank, world=3), start, start + 4)
    late = islice(crops(seed=seed, rank=rank, world=3, start=start), 4)
    assert all(torch.equal(a, b) for a, b in zip(whole, late, strict=True))


def test_every_picture_once_an_epoch_in_a_new_order() -> None:
    pictures = torch.cat(list(islice(crops(), 14)))[:, 0, 0, 0].tolist()  # 42 crops: 6 epochs of 7
    epochs = [pictures[i : i + 7] for i in range(0, 42, 7)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 4


def test_ranks_share_the_epoch() -> None:
    seen = [crops(rank=rank, world=7, batch_size=1).batch(0)[0, 0, 0, 0].item() for rank in range(7)]
    assert sorted(seen) == list(range(7))


def test_crops_are_in_place_and_half_are_mirrored() -> None:
    batch = torch.cat(list(islice(crops(), 100)))
    assert batch.shape == (300, 8, 8, 3)
    assert batch.dtype == torch.uint8
    rows, columns = batch[..., 1].int(), batch[..., 2].int()
    assert (rows.diff(dim=1) == 1).all()
    steps = columns.diff(dim=2)[:, 0, 0]
    assert set(steps.tolist()) == {-1, 1}
    assert 100 < (steps == -1).sum() < 200
    assert set(rows[:, 0, 0].tolist()) == set(range(5))


def test_seeds_differ() -> None:
    assert not torch.equal(crops(seed=0).batch(0), crops(seed=1).batch(0))


def make_data(photos: Path, cache: Path, **changes: object) -> PackDataModule:
    settings = {"root": photos, "image_size": 32, "pack_size": 36, "batch_size": 2, "holdout": 2, "seed": 0}
    return PackDataModule(cache_dir=cache, **(settings | changes))


def test_held_out_pictures_are_never_trained_on(photos: Path, tmp_path: Path) -> None:
    data = make_data(photos, tmp_path)
    assert len(data.pixels) == 4
    assert len(data.held_out) == 2
    assert not any(torch.equal(a, b) for a in data.pixels for b in data.held_out)


def test_one_picture_is_left_to_train_on(photos: Path, tmp_path: Path) -> None:
    assert len(make_data(photos, tmp_path, holdout=99).pixels) == 1


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"root": None}, DataError, "set data.root=PATH"),
        ({"pack_size": 31}, ConfigError, r"data.pack_size \(31\) must be at least data.image_size \(32\)"),
    ],
)
def test_bad_settings(
    change: dict[str, object], error: type[Exception], words: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        make_data(photos, tmp_path, **change)
