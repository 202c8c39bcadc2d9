"""The engine of the GPUs and of pictures in strips: PyTorch."""

from __future__ import annotations  # the types name packages that are loaded later, or not at all

import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from faststyle.devices import free_memory
from faststyle.inference.engines import ORIGIN, Engine, EngineOptions, Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from faststyle.checkpoint import Checkpoint
    from faststyle.inference.engines import RGB
    from faststyle.modeling.transformer_net import TransformerNet


class TorchEngine(Engine):
    """PyTorch: the GPUs, and pictures in strips. A GPU stylises together what waits at the same size, in whichever of a
    file's styles."""

    package = "torch"
    suffixes = (".safetensors", ".ckpt")
    devices = ("cpu", "cuda", "mps")
    options = ("statistics",)
    strips = places = True
    process_bytes = 750e6
    pixel_bytes: ClassVar = {1: 30.0, 2: 16.5}

    def __init__(self, source: Path | Checkpoint, options: EngineOptions) -> None:
        import torch

        super().__init__(source, options)
        assert not isinstance(source, Path)  # its suffixes are those of weights
        self.header, self.statistics, self.device = source.header, options.statistics, torch.device(options.device)
        if options.memory is None:
            self.memory = free_memory(self.device) or self.memory
        self.source = source
        if self.header.network.rows == 1:
            self.network = self.build(source)
        self.whole: TransformerNet | None = None  # with all rows
        if self.header.network.rows > 1 and self.device.type != "cpu":
            self.whole = self.build(source)
        self.cores = options.cores or torch.get_num_threads()
        self.waiting: deque[tuple[RGB, Place, TorchEngine, Future[RGB]]] = deque()
        self.turn = threading.Lock()

    def build(self, checkpoint: Checkpoint) -> TransformerNet:
        import torch

        return checkpoint.build_network().to(self.device).to(memory_format=torch.channels_last)

    def with_shares(self, shares: NDArray[np.float32] | None) -> Self:
        other = super().with_shares(shares)
        if shares is not None:
            other.network = self.build(self.source.fold(shares))
        return other

    def stylize(self, photograph: RGB, place: Place = ORIGIN) -> RGB:
        import torch

        if self.device.type != "cpu":
            return self.stylize_together(photograph, place)
        threads = max(1, self.cores // self.workers)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # of the thread that calls
        return self.run([photograph], place)[0]

    def stylize_together(self, photograph: RGB, place: Place) -> RGB:
        """Whoever has the turn takes along all that wait with a picture of the same size and place."""
        mine: Future[RGB] = Future()
        self.waiting.append((photograph, place, self, mine))
        with self.turn:
            if not mine.done():
                waiting = [self.waiting.popleft() for _ in range(len(self.waiting))]
                batch = [item for item in waiting if (item[0].shape, item[1]) == (photograph.shape, place)]
                self.waiting.extend(item for item in waiting if (item[0].shape, item[1]) != (photograph.shape, place))
                try:
                    made = self.run_styles([engine for *_, engine, _ in batch], [rgb for rgb, *_ in batch], place)
                    for (*_, future), stylized in zip(batch, made, strict=True):
                        future.set_result(stylized)
                except Exception as error:
                    for *_, future in batch:
                        future.set_exception(error)
        return mine.result()

    def run_styles(self, engines: list[TorchEngine], photographs: list[RGB], place: Place) -> list[RGB]:
        """Stylises pictures of one size together, each in the style of an engine of the same file."""
        import numpy as np

        if all(engine is self for engine in engines):
            return self.run(photographs, place)
        if self.whole is None or not self.fits_whole(*photographs[0].shape[:2]):
            return [engine.run([each], place)[0] for engine, each in zip(engines, photographs, strict=True)]
        return self.apply(self.whole, photographs, place, np.stack([engine.shares for engine in engines]))  # type: ignore[misc]

    def run(self, photographs: list[RGB], place: Place) -> list[RGB]:
        """Stylises pictures of one size together."""
        height, width = photographs[0].shape[:2]
        if not self.fits_whole(height, width):
            from faststyle.inference import tiling

            layout = tiling.layout_within(
                self.header.network,
                height,
                width,
                memory=self.memory,
                process_bytes=self.process_bytes,
                bytes_per_pixel=self.bytes_per_pixel,
                statistics=self.statistics,
            )
            stylize = tiling.STATISTICS[self.statistics]
            return [stylize(self.network, photograph, layout, place) for photograph in photographs]
        return self.apply(self.network, photographs, place)

    def apply(
        self, network: TransformerNet, photographs: list[RGB], place: Place, shares: NDArray[np.float32] | None = None
    ) -> list[RGB]:
        """In one piece. shares: (B, rows), for a network with several."""
        import numpy as np
        import torch

        from faststyle.modeling.pixels import to_images, to_pixels

        with torch.inference_mode():
            pixels = torch.from_numpy(np.stack(photographs)).to(self.device)
            rows = None if shares is None else torch.from_numpy(shares).to(self.device)
            return list(to_pixels(network(to_images(pixels), *place, rows)).cpu().numpy())
