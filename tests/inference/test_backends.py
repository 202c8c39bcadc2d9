"""What runs a style."""

import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import noise
from faststyle.inference.backends import RUNTIMES, Torch, find_device, load_onnx
from faststyle.checkpoint import Checkpoint
from faststyle.errors import CheckpointError, ConfigError
from faststyle.inference.onnx_graph import export_onnx
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet


@pytest.fixture
def exported(network: TransformerNet, tmp_path: Path) -> Path:
    pytest.importorskip("onnx", reason="needs the extra onnx")
    export_onnx(Checkpoint(network.eval(), {}), tmp_path / "style.onnx")
    return tmp_path / "style.onnx"


@pytest.mark.parametrize("runtime", ["auto", *RUNTIMES])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (10, 21), (33, 47)])
def test_the_size_comes_back(runtime: str, size: tuple[int, int], exported: Path) -> None:
    if runtime != "auto":
        pytest.importorskip(runtime)
    stylizer = Stylizer.load(exported, runtime=runtime)
    stylized = stylizer.stylize(noise(*size))
    assert stylized.shape == (*size, 3)
    assert stylized.dtype == np.uint8


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_several_threads_at_once(runtime: str, exported: Path) -> None:
    pytest.importorskip(runtime)
    stylizer = Stylizer.load(exported, runtime=runtime)
    assert stylizer.lanes(64, 64) >= 1
    assert stylizer.lanes(2000, 2000) == 1
    in_threads(stylizer, [noise(20 + i % 2, 30, seed=i) for i in range(12)])


def in_threads(stylizer: Stylizer, photographs: list[np.ndarray]) -> None:
    """Pictures stylised three at a time are those stylised one by one."""
    with ThreadPoolExecutor(3) as threads:
        at_once = list(threads.map(lambda photograph: stylizer.stylize(photograph, 3), photographs))
    for photograph, stylized in zip(photographs, at_once, strict=True):
        assert np.abs(stylizer.stylize(photograph).astype(int) - stylized).max() <= 1


def test_torch_shares_cores_and_memory_among_threads(network: TransformerNet) -> None:
    backend = Torch(network, torch.device("cpu"), 1e9, "exact")
    backend.cores = 6
    assert backend.lanes(100, 100) == 6
    assert backend.lanes(4000, 4000) == 1
    in_threads(Stylizer(backend, {}), [noise(20 + i, 30, seed=i) for i in range(12)])


def test_a_gpu_takes_equal_sizes_together(network: TransformerNet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: by the method that is called for one."""
    backend = Torch(network, torch.device("cpu"), None, "exact")
    run, batches = backend.run, []

    def slow(photographs: list[np.ndarray]) -> list[np.ndarray]:
        time.sleep(0.05)
        batches.append([photograph.shape for photograph in photographs])
        return run(photographs)

    monkeypatch.setattr(backend, "run", slow)
    photographs = [noise(20 + 4 * (i % 2), 30, seed=i) for i in range(16)]
    with ThreadPoolExecutor(8) as threads:
        at_once = list(threads.map(backend.together, photographs))
    assert max(map(len, batches)) > 1
    assert all(len(set(batch)) == 1 for batch in batches)
    for photograph, stylized in zip(photographs, at_once, strict=True):
        assert np.abs(run([photograph])[0].astype(int) - stylized).max() <= 1

    monkeypatch.setattr(backend, "run", lambda photographs: 1 / 0)
    with ThreadPoolExecutor(2) as threads:
        failures = [threads.submit(backend.together, photograph) for photograph in photographs[:2]]
        assert all(isinstance(failure.exception(), ZeroDivisionError) for failure in failures)


def test_refusals(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="run time must be one of auto, onnxruntime, openvino, found 'tvm'"):
        load_onnx(exported, "tvm", "float32")
    with pytest.raises(ConfigError, match="precision must be one of float32, bfloat16, found 'int8'"):
        load_onnx(exported, "auto", "int8")
    with pytest.raises(ConfigError, match="precision bfloat16 needs OpenVINO"):
        load_onnx(exported, "onnxruntime", "bfloat16")
    with pytest.raises(CheckpointError, match="no checkpoint nowhere.onnx"):
        Stylizer.load("nowhere.onnx")
    (tmp_path / "broken.onnx").write_bytes(exported.read_bytes()[:-100])
    for runtime in RUNTIMES:
        with pytest.raises(CheckpointError, match="is no whole ONNX file"):
            load_onnx(tmp_path / "broken.onnx", runtime, "float32")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs one of these packages: onnxruntime, openvino"):
        Stylizer.load(exported)


def test_devices() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="device must be one of auto, cpu, cuda, mps"):
        find_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no cuda device"):
            find_device("cuda")
