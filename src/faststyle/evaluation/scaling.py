"""What many workers would do, from what single stages take: a model in a few sums, and a simulation that checks it.

The model takes means and the slowest of what runs side by side. The simulation draws each picture's or step's seconds
from those measured, lets workers wait for what they share, and so has what the model leaves out: queues, stragglers,
the last parts, for which not all workers are needed.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import simpy


@dataclass(frozen=True)
class CopyCosts:
    """Seconds of a stylised copy of a data set, as measured.

    start: until the workers are there. listing, manifest: a picture, by the first process, before and after. handing:
    a part, by the first process. pictures: of single pictures, all of a worker's stages. part: pictures of a part.
    size: bytes that a picture reads and writes.
    """

    start: float
    listing: float
    manifest: float
    handing: float
    pictures: Sequence[float]
    part: int
    size: float

    def serial(self, pictures: int) -> float:
        """What no worker shortens."""
        return self.start + pictures * (self.listing + self.manifest)


@dataclass(frozen=True)
class Prediction:
    """seconds: of the whole. bottleneck: what more of would make it faster."""

    seconds: float
    bottleneck: str


def predict_copy(costs: CopyCosts, pictures: int, workers: int, bandwidth: float = math.inf) -> Prediction:
    """bandwidth: bytes/s of the disk that all workers share."""
    together = {
        "workers": pictures * float(np.mean(costs.pictures)) / workers,
        "disk": pictures * costs.size / bandwidth,
        "the first process": pictures / costs.part * costs.handing,
    }
    slowest = max(together, key=together.__getitem__)
    serial = costs.serial(pictures)
    return Prediction(serial + together[slowest], slowest if together[slowest] > serial else "start, list, manifest")


def simulate_copy(
    costs: CopyCosts, pictures: int, workers: int, bandwidth: float = math.inf, *, seed: int = 0
) -> float:
    """Seconds of the whole: the workers take parts from one queue, and wait for the first process and the disk."""
    import simpy

    environment = simpy.Environment()
    first, disk = simpy.Resource(environment), simpy.Resource(environment)
    counts = iter([costs.part] * (pictures // costs.part) + [pictures % costs.part] * (pictures % costs.part > 0))
    random, measured = np.random.default_rng(seed), np.asarray(costs.pictures)

    def hold(resource: simpy.Resource, seconds: float) -> Generator["simpy.Event", object, None]:
        with resource.request() as turn:
            yield turn
            yield environment.timeout(seconds)

    def worker() -> Generator["simpy.Event", object, None]:
        for count in counts:
            yield from hold(first, costs.handing)
            yield environment.timeout(random.choice(measured, count).sum())
            yield from hold(disk, count * costs.size / bandwidth)

    for _ in range(workers):
        environment.process(worker())
    environment.run()
    return costs.serial(pictures) + float(environment.now)


def predict_step(steps: Sequence[float], exchange: float) -> float:
    """Seconds of a training step of several processes. steps: of each alone, with its share of the batch, as measured
    side by side. exchange: of the gradients."""
    return float(np.mean(steps)) + exchange


def simulate_step(
    steps: Sequence[float], exchange: float, processes: int, *, count: int = 1000, seed: int = 0
) -> float:
    """Mean seconds of ``count`` steps, each as long as the slowest process's, and the exchange."""
    drawn = np.random.default_rng(seed).choice(np.asarray(steps), (count, processes))
    return float(drawn.max(axis=1).mean()) + exchange


def exchange_seconds(size: float, processes: int, bandwidth: float, latency: float) -> float:
    """Of a ring's all-reduce (Patarasuk & Yuan 2009) of ``size`` bytes. bandwidth: bytes/s of a link. latency: seconds
    of a message."""
    turns = 2 * (processes - 1)
    return turns * (latency + size / processes / bandwidth)
