"""What the measurements on a GPU are given, and how much of each is done."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much of each measurement is done.

    crop: pixels at a side. batches: crops a training step. rounds, repeats: of what is timed, as ``speed.paces`` takes
    them. product: side of the matrices that tell the card's rate. steps: of two trainings, a short one and a longer
    one; settings: of both. frames: (height, width). together: frames at once. sides: of squares, from the first to the
    last that may be tried whole. sizes, iterations: of image optimisation. clip: its number of frames, at the second
    size of ``frames``.
    """

    crop: int = 256
    batches: tuple[int, ...] = (4, 16, 1)
    rounds: int = 5
    repeats: int = 10
    product: int = 8192
    steps: tuple[int, int] = (2500, 7500)
    settings: tuple[str, ...] = ("init=null",)
    frames: tuple[tuple[int, int], ...] = ((720, 1280), (1080, 1920), (2160, 3840))
    together: tuple[int, ...] = (1, 8)
    sides: tuple[int, int] = (4096, 40_000)
    sizes: tuple[int, ...] = (256, 512, 1024)
    iterations: int = 40
    clip: int = 50


TINY = Amount(
    crop=32,
    batches=(1,),
    rounds=1,
    repeats=1,
    product=64,
    steps=(1, 2),
    settings=("init=null", "style.size=32", "data.image_size=32", "network.width=4", "network.residual_blocks=1"),
    frames=((32, 48), (48, 64)),
    together=(1, 2),
    sides=(32, 36),
    sizes=(32,),
    iterations=1,
    clip=3,
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """device: one of torch's. checkpoint: a shipped style's name, or a file; painting: what it was made of.
    photographs: to train on, as ``data.root`` takes them. images: to measure on, a folder or a photograph; picture: one
    of them. weights: of VGG-19, a file, or None for the compact loss network where the other is not cached."""

    device: str
    checkpoint: str
    painting: Path
    photographs: str
    images: Path
    picture: Path
    weights: Path | None
    amount: Amount
