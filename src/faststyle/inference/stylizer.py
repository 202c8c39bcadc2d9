"""Applies saved weights to pictures: NumPy in, NumPy out."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from faststyle.checkpoint import Header, find_style, read_checkpoint
from faststyle.errors import CheckpointError, FaststyleError, one_of
from faststyle.inference.backends import AUTO, BACKENDS, INSTALL_TORCH, OPTIONS, choose_engines
from faststyle.inference.engines import ORIGIN, Engine, EngineOptions, Place
from faststyle.inference.mixture import row_shares, style_names

OUT_OF_MEMORY = ("allocate memory", "outofmemory", "bad_alloc")  # in the back ends' RuntimeErrors


class Stylizer:
    """A style, ready to be applied.

    >>> stylizer = Stylizer.load("starry_night")  # doctest: +SKIP
    >>> stylized = stylizer.stylize(photograph)  # uint8 (H, W, 3)  # doctest: +SKIP

    engine: what runs it. open_strips: opens the engine for pictures that do not fit into the memory, if there is one.
    """

    def __init__(self, engine: Engine, open_strips: Callable[[], Engine] | None = None) -> None:
        self.engine, self.open_strips = engine, open_strips
        self.strips_engine: Engine | None = None
        self.style: str | Mapping[str, float] | None = None
        self.strength = 1.0
        self.opening = Lock()

    @property
    def header(self) -> Header:
        """What the file says of itself: its network, its recipe, what came of it."""
        return self.engine.header

    @property
    def styles(self) -> list[str]:
        """The names of the styles that the file has."""
        return style_names(self.header)

    def with_style(self, style: str | Mapping[str, float] | None = None, *, strength: float = 1.0) -> "Stylizer":
        """The same network with another of its styles, or a mixture of them; nothing is loaded again.

        style: a name, ``NAME:0.6,NAME:0.4``, or shares by name; they need not have the sum 1. strength: 0 gives the
        photograph, 1 the style; up to 1.5. Raises ``ConfigError`` on what the file does not have.
        """
        shares, open_strips = row_shares(self.header, style, strength), self.open_strips
        other = Stylizer(self.engine.with_shares(shares), open_strips and (lambda: open_strips().with_shares(shares)))
        other.style, other.strength = style, strength
        return other

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        style: str | Mapping[str, float] | None = None,
        strength: float = 1.0,
        backend: str = AUTO,
        device: str = AUTO,
        memory: float | None = None,
        cores: int | None = None,
        statistics: str | None = None,
        precision: str | None = None,
    ) -> "Stylizer":
        """Reads ``.safetensors``, a Lightning ``.ckpt``, a shipped style by its name, or an exported ``.onnx``.

        style, strength: as ``with_style`` takes them; of a file with several styles, one has to be given.
        backend: one of ``BACKENDS``, or ``auto``: on a CPU ONNX Runtime or OpenVINO, and PyTorch for what goes in
        strips; on a GPU PyTorch. device: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``mps``.
        memory: bytes; None is 4 GiB, or what a GPU has free. A picture that needs more goes in strips.
        cores: how many of the CPU's it may use; None is all.
        statistics: of those: ``exact`` (default), the same picture as in one piece, or ``sampled``, faster and similar.
        precision: ``float32`` (default), or ``bfloat16`` under OpenVINO, which is faster on CPUs that have it and less
        exact.

        Raises ``CheckpointError`` if the file cannot be used, ``ConfigError`` if a back end or device is not there, or
        on an option that the back end does not honour.
        """
        given = {name: value for name, value in (("statistics", statistics), ("precision", precision)) if value}
        for name, value in given.items():
            one_of(name, value, OPTIONS[name])
        path, row = find_style(path)
        names, device = choose_engines(path, backend, device, given)
        if not path.is_file():
            raise CheckpointError(f"no checkpoint {path}")
        source = path if path.suffix == ".onnx" else read_checkpoint(path)

        def open_engine(name: str) -> Engine:
            options = {key: value for key, value in given.items() if key in BACKENDS[name].options}
            return BACKENDS[name](source, EngineOptions(device=device, memory=memory, cores=cores, **options))

        loaded = cls(open_engine(names[0]), partial(open_engine, names[-1]) if len(names) > 1 else None)
        return loaded.with_style(style or row, strength=strength)

    def max_workers(self, height: int, width: int) -> int:
        """How many pictures of a size are best stylised at once, each in a thread of its own."""
        return self.engine.max_workers(height, width)

    def share_cores(self, workers: int) -> None:
        """Prepares for calls of ``stylize`` from so many threads at once."""
        self.engine.workers = workers

    def stylize(self, photograph: NDArray[np.uint8], place: Place = ORIGIN) -> NDArray[np.uint8]:
        """uint8 (H, W, 3) sRGB, any size, to the same.

        place: (top, left) pixels, multiples of 4, at which the photograph begins in a larger one, whose noise goes on
        there: PyTorch knows of it, other back ends paint as at (0, 0).

        Raises ``FaststyleError`` when memory does not suffice.
        """
        if photograph.ndim != 3 or photograph.shape[2] != 3 or photograph.dtype != np.uint8 or not photograph.size:
            raise FaststyleError(f"expected a uint8 (H, W, 3) picture, found {photograph.dtype} {photograph.shape}")
        height, width = photograph.shape[:2]
        try:
            return self.engine_for(height, width).stylize(np.ascontiguousarray(photograph), place)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or any(words in repr(error).lower() for words in OUT_OF_MEMORY):
                raise FaststyleError(
                    f"not enough memory for {width}x{height} pixels: a smaller --memory or --size helps"
                ) from error
            raise

    def engine_for(self, height: int, width: int) -> Engine:
        """What runs a picture of a size. Raises ``FaststyleError`` if it fits nowhere."""
        if self.engine.strips or self.engine.fits_whole(height, width):
            return self.engine
        if self.open_strips is None:
            needed = self.engine.bytes_needed(height, width) / 2**30
            raise FaststyleError(
                f"{width}x{height} pixels need --memory {math.ceil(needed * 10) / 10:.1f}G in one piece; strips less, "
                f"but weights and torch: {INSTALL_TORCH}"
            )
        with self.opening:
            self.strips_engine = self.strips_engine or self.open_strips()
        return self.strips_engine
