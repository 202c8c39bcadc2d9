"""Random crops from the pack."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from faststyle.config import DataConfig
from faststyle.devices import free_memory
from faststyle.training.pack import Pack, load_pack
from faststyle.training.ranks import share
from faststyle.training.sources import Photographs

DEVICE_SHARE = 0.5  # of the free device memory that the pack may take


class RandomCrops(IterableDataset[Tensor]):
    """Endless batches of random crops, half of them mirrored: uint8 (B, size, size, 3), of each the share of one of
    ``world`` processes.

    The whole batch of a step is a function of (seed, step) alone: there is no state to save, and a resumed run, of
    however many processes, sees the very crops that an uninterrupted one would. Each epoch visits every picture once,
    in a new order.
    """

    def __init__(
        self, pixels: Tensor, *, size: int, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__()
        self.pixels, self.size, self.batch_size, self.seed = pixels, size, batch_size, seed
        self.start, self.own = start, share(batch_size, rank, world)
        self._order: tuple[int, list[int]] = (-1, [])

    def __iter__(self) -> Iterator[Tensor]:
        step = self.start
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Tensor:
        """This process's crops of one step."""
        first = step * self.batch_size
        free = self.pixels.shape[1] - self.size
        random = np.random.default_rng((self.seed, step))
        places = [(random.integers(0, free, 2, endpoint=True), random.random()) for _ in range(self.batch_size)]
        crops = []
        for i, ((top, left), side) in list(enumerate(places))[self.own]:
            crop = self.pixels[self._picture(first + i), top : top + self.size, left : left + self.size]
            crops.append(crop.flip(1) if side < 0.5 else crop)
        return torch.stack(crops)

    def _picture(self, position: int) -> int:
        epoch, offset = divmod(position, len(self.pixels))
        if self._order[0] != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.pixels))
            self._order = (epoch, order.tolist())
        return self._order[1][offset]


class PackDataModule(LightningDataModule):
    """Packs photographs and serves crops of ``image_size``; the last ``holdout`` pictures are never trained on.

    cache_dir: where the pack is built. Lightning calls ``prepare_data`` once a machine and ``setup`` in each process;
    both may be called before. held_out: uint8 (holdout, S, S, 3), for sample grids and evaluation, after ``setup``.
    """

    pixels: Tensor
    held_out: Tensor

    def __init__(self, photographs: Photographs, config: DataConfig, *, cache_dir: str | Path, seed: int) -> None:
        super().__init__()
        self.photographs, self.config, self.cache_dir, self.seed = photographs, config, cache_dir, seed

    def prepare_data(self) -> None:
        """Builds the pack unless it is there. Raises ``DataError`` as ``load_pack`` does."""
        self.load()

    def setup(self, stage: str = "fit") -> None:
        """Maps the pack."""
        pack = self.load()
        holdout = min(self.config.holdout, len(pack.names) - 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # it is only read
            pixels = torch.from_numpy(pack.pixels)
        self.pixels, self.held_out = pixels[: len(pixels) - holdout], pixels[len(pixels) - holdout :]

    def load(self) -> Pack:
        return load_pack(self.photographs, self.config.pack_size, self.cache_dir)

    def train_dataloader(self) -> DataLoader[Tensor]:
        """Crops from the trainer's current step on."""
        assert self.trainer is not None
        crops = RandomCrops(
            self._on_device(self.trainer.strategy.root_device),
            size=self.config.image_size,
            batch_size=self.config.batch_size,
            seed=self.seed,
            start=self.trainer.global_step,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
        )
        return DataLoader(crops, batch_size=None)  # slices of an array: worker processes would cost more

    def _on_device(self, device: torch.device) -> Tensor:
        """The pixels in the GPU's memory where they fit; else where they are."""
        free = free_memory(device) or 0
        return self.pixels.to(device) if self.pixels.nbytes < DEVICE_SHARE * free else self.pixels
