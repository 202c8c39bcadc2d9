"""Random crops: a function of seed and step, shared by ranks; every picture once an epoch."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faststyle.config import DataConfig
from faststyle.training import pack
from faststyle.training.datamodule import PackDataModule, RandomCrops
from faststyle.training.sources import open_source

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


@pytest.mark.parametrize("world", [2, 3, 6])
def test_ranks_share_the_batch_of_one_process(world: int) -> None:
    for step in (0, 5):
        parts = [crops(rank=rank, world=world, batch_size=6).batch(step) for rank in range(world)]
        assert torch.equal(torch.cat(parts), crops(batch_size=6).batch(step))


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


def make_data(photos: Path, cache: Path, holdout: int = 2) -> PackDataModule:
    config = DataConfig(root=str(photos), image_size=32, pack_size=36, batch_size=2, holdout=holdout)
    return PackDataModule(open_source(photos), config, cache_dir=cache, seed=0)


def test_held_out_pictures_are_never_trained_on(photos: Path, tmp_path: Path) -> None:
    data = make_data(photos, tmp_path)
    data.setup()
    assert data.pixels.shape == (4, 36, 36, 3)
    assert len(data.held_out) == 2
    assert not any(torch.equal(a, b) for a in data.pixels for b in data.held_out)


def test_one_picture_is_left_to_train_on(photos: Path, tmp_path: Path) -> None:
    data = make_data(photos, tmp_path, holdout=99)
    data.setup()
    assert len(data.pixels) == 1


def test_what_one_process_prepares_the_others_map(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_data(photos, tmp_path).prepare_data()
    other = make_data(photos, tmp_path)
    monkeypatch.setattr(pack, "_build", None)  # which would be called
    other.setup()
    assert len(other.pixels) == 4


def test_loaders_go_on_from_the_trainers_step(photos: Path, tmp_path: Path) -> None:
    """Every rank its share of the crops, whichever step it starts at."""

    def loader(step: int, rank: int) -> Iterator[torch.Tensor]:
        data = make_data(photos, tmp_path)
        data.setup()
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(strategy=strategy, global_step=step, global_rank=rank, world_size=2)  # type: ignore[assignment]
        return iter(data.train_dataloader())

    first = list(islice(loader(0, 1), 4))
    assert first[0].shape == (1, 32, 32, 3)
    assert torch.equal(next(loader(3, 1)), first[3])
    assert not torch.equal(next(loader(3, 0)), first[3])


def test_a_pack_that_a_gpu_has_no_room_for_stays_where_it_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data(photos, tmp_path)
    data.setup()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (data.pixels.nbytes, 1 << 40))
    assert data._on_device(torch.device("cuda")) is data.pixels


@pytest.mark.gpu
def test_a_pack_that_fits_is_on_the_gpu(photos: Path, tmp_path: Path) -> None:
    data = make_data(photos, tmp_path)
    data.setup()
    pixels = data._on_device(torch.device("cuda"))
    assert pixels.is_cuda
    assert torch.equal(pixels.cpu(), data.pixels)
