"""What runs a style."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import noise
from faststyle.backends import RUNTIMES, find_device, load_onnx
from faststyle.checkpoint import Checkpoint
from faststyle.errors import CheckpointError, ConfigError
from faststyle.export import export_onnx
from faststyle.inference import Stylizer
from faststyle.network import TransformerNet


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


def test_refusals(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="run time must be one of auto, openvino, onnxruntime, found 'tvm'"):
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
    with pytest.raises(ConfigError, match="needs one of these packages: openvino, onnxruntime"):
        Stylizer.load(exported)


def test_devices() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="device must be one of auto, cpu, cuda, mps"):
        find_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no cuda device"):
            find_device("cuda")
