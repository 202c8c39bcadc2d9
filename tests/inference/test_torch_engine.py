"""The engine of PyTorch: memory, cores, and what a GPU stylises together."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from faststyle.checkpoint import Checkpoint, Header
from faststyle.inference.engines import EngineOptions
from faststyle.inference.torch_engine import TorchEngine
from faststyle.modeling.transformer_net import TransformerNet
from helpers import Picture, Saved, checkpoint_of, difference, make_config, noise


def test_memory_grows_with_pixels_and_width_and_starts_with_the_process() -> None:
    def engine_of(width: int) -> TorchEngine:
        config = make_config(width=width)
        return TorchEngine(Checkpoint(Header(config), tensors_of(config)), EngineOptions(memory=4e9))

    small, large = engine_of(16), engine_of(32)
    assert small.bytes_needed(100, 200) - small.process_bytes == 2 * (
        small.bytes_needed(100, 100) - small.process_bytes
    )
    assert large.bytes_needed(100, 200) > small.bytes_needed(100, 200) > small.process_bytes
    assert small.fits_whole(2000, 3000)
    assert not large.fits_whole(2000, 3000)
    assert not small.fits_whole(4000, 6000)
    assert small.fits_whole(8, 10**9)  # too narrow for strips


def tensors_of(config: Any) -> dict[str, Any]:
    return {name: value.numpy() for name, value in TransformerNet(config).state_dict().items()}


def test_a_gpus_memory_is_what_it_has_free(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (123, 456))
    monkeypatch.setattr(TransformerNet, "to", lambda network, *place, **layout: network)  # there is none here
    assert TorchEngine(saved.style, EngineOptions(device="cuda")).memory == 123
    assert TorchEngine(saved.style, EngineOptions(device="cuda", memory=99)).memory == 99


def test_torch_gives_each_thread_its_share_of_the_cores(saved: Saved) -> None:
    engine = TorchEngine(saved.style, EngineOptions())
    engine.cores = 6
    shares = []
    for engine.workers in (3, 1, 12):
        with ThreadPoolExecutor(1) as thread:
            thread.submit(engine.stylize, noise(16, 16)).result()
            shares.append(thread.submit(torch.get_num_threads).result())
    assert shares == [2, 6, 1]


def test_a_gpu_takes_equal_sizes_together(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: by an engine that believes that it has one."""
    engine, on_cpu = TorchEngine(saved.style, EngineOptions()), TorchEngine(saved.style, EngineOptions())
    engine.device = torch.device("cuda")
    batches: list[list[tuple[int, ...]]] = []

    def run_late(photographs: list[Picture], place: tuple[int, int]) -> list[Picture]:
        """The first waits until the other seven threads have brought their pictures."""
        while not batches and len(engine.waiting) + len(photographs) < 8:
            time.sleep(0.001)
        batches.append([photograph.shape for photograph in photographs])
        return on_cpu.run(photographs, place)

    monkeypatch.setattr(engine, "run", run_late)
    photographs = [noise(20 + 4 * (i % 2), 30, seed=i) for i in range(16)]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(engine.stylize, photographs))
    assert max(map(len, batches)) > 1
    assert all(len(set(batch)) == 1 for batch in batches)
    for photograph, stylized in zip(photographs, at_once, strict=True):
        assert stylized.shape == photograph.shape
        assert difference(stylized, saved.by_pytorch(photograph)) <= 1

    monkeypatch.setattr(engine, "run", lambda photographs, place: 1 / 0)
    with ThreadPoolExecutor(2) as threads:
        failures = [threads.submit(engine.stylize, photograph) for photograph in photographs[:2]]
        assert all(isinstance(failure.exception(), ZeroDivisionError) for failure in failures)


def test_a_gpu_takes_several_styles_together() -> None:
    """Each picture in its own, as alone. Without a GPU: what waits while another has the turn."""
    network = TransformerNet(make_config(rows=2))
    for name in network.config.row_tensors:
        torch.nn.init.normal_(network.get_parameter(name))
    engine = TorchEngine(checkpoint_of(network), EngineOptions())
    engine.whole = engine.build(engine.source)
    styles = [engine.with_shares(np.array(shares, np.float32)) for shares in ([1, 0], [0, 1], [0.4, 0.6])]
    photographs = [noise(20 + 4 * (i % 2), 30, seed=i) for i in range(6)]
    batches: list[int] = []
    apply = TorchEngine.apply

    def count(self: TorchEngine, network: TransformerNet, photographs: list[Picture], *rest: object) -> list[Picture]:
        batches.append(len(photographs))
        return apply(self, network, photographs, *rest)  # type: ignore[arg-type]

    alone = [styles[i % 3].run([photograph], (0, 0))[0] for i, photograph in enumerate(photographs)]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(6) as threads:
        patch.setattr(TorchEngine, "apply", count)
        with engine.turn:
            began = [threads.submit(styles[i % 3].stylize_together, x, (0, 0)) for i, x in enumerate(photographs)]
            while len(engine.waiting) < 6:
                time.sleep(0.001)
        together = [future.result() for future in began]
    assert batches == [3, 3]
    for a, b in zip(alone, together, strict=True):
        assert difference(a, b) <= 1
    assert difference(styles[0].run(photographs[:1], (0, 0))[0], styles[1].run(photographs[:1], (0, 0))[0]) > 8
