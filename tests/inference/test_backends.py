"""The table of back ends: which one takes which file on which device, and what is refused."""

from functools import partial
from pathlib import Path

import pytest
import torch

from faststyle.errors import CheckpointError, ConfigError
from faststyle.inference import backends
from faststyle.inference.backends import AUTO, BACKENDS, DEVICES, OPTIONS, choose_engines, find_device
from faststyle.inference.engines import EngineOptions
from faststyle.inference.graph_engines import OnnxRuntimeEngine


def test_options_are_those_of_the_engines_with_their_defaults_first() -> None:
    assert {option for engine in BACKENDS.values() for option in engine.options} == set(OPTIONS)
    for option, values in OPTIONS.items():
        assert getattr(EngineOptions(), option) == values[0]


def test_devices_are_those_of_the_engines() -> None:
    assert set(DEVICES) == {AUTO} | {device for engine in BACKENDS.values() for device in engine.devices}


@pytest.mark.parametrize(
    ("suffix", "device", "installed", "options", "expected"),
    [
        (".safetensors", "auto", "onnxruntime openvino torch", [], ["onnxruntime", "torch"]),
        (".ckpt", "cpu", "onnxruntime openvino torch", [], ["onnxruntime", "torch"]),
        (".onnx", "auto", "onnxruntime openvino torch", [], ["onnxruntime"]),
        (".safetensors", "auto", "onnxruntime", [], ["onnxruntime"]),
        (".safetensors", "auto", "openvino torch", [], ["openvino", "torch"]),
        (".safetensors", "auto", "torch", [], ["torch"]),
        (".safetensors", "auto", "onnxruntime torch", ["statistics"], ["onnxruntime", "torch"]),
        (".safetensors", "auto", "onnxruntime openvino torch", ["precision"], ["openvino", "torch"]),
        (".onnx", "auto", "onnxruntime openvino", ["precision"], ["openvino"]),
        (".safetensors", "cuda", "onnxruntime openvino torch", [], ["torch"]),
    ],
)
def test_the_first_takes_what_fits_and_the_last_goes_in_strips(
    suffix: str,
    device: str,
    installed: str,
    options: list[str],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, installed=installed, gpus=["cuda"] if device == "cuda" else [])
    found = "cpu" if device == "auto" else device
    assert choose_engines(Path(f"style{suffix}"), "auto", device, options) == (expected, found)


def pretend(monkeypatch: pytest.MonkeyPatch, *, installed: str, gpus: list[str]) -> None:
    """A computer with these packages and devices."""
    packages = installed.split()
    for engine in BACKENDS.values():
        monkeypatch.setattr(engine, "installed", partial(packages.__contains__, engine.package))
    monkeypatch.setattr(backends, "gpu_may_be_there", lambda: bool(gpus))
    monkeypatch.setattr(backends, "available_gpus", lambda: gpus)


def test_a_gpu_takes_everything_that_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, installed="onnxruntime openvino torch", gpus=["cuda"])
    assert choose_engines(Path("a.safetensors"), "auto", "auto", []) == (["torch"], "cuda")
    assert choose_engines(Path("a.onnx"), "auto", "auto", []) == (["onnxruntime"], "cpu")
    assert choose_engines(Path("a.ckpt"), "openvino", "auto", []) == (["openvino"], "cpu")


@pytest.mark.parametrize(
    ("path", "backend", "device", "options", "words"),
    [
        ("a.onnx", "tvm", "auto", [], "the back end must be one of auto, onnxruntime, openvino, torch, found 'tvm'"),
        ("a.onnx", "torch", "auto", [], r"a.onnx: torch reads .safetensors, .ckpt"),
        ("a.onnx", "auto", "tpu", [], "device must be one of auto, cpu, cuda, mps, found 'tpu'"),
        ("a.onnx", "auto", "mps", [], "no mps device on this machine, or no torch"),
        ("a.onnx", "auto", "cuda", [], "a.onnx runs on the CPU only, found the device cuda"),
        ("a.safetensors", "openvino", "cuda", [], "a.safetensors runs on the CPU only"),
        ("a.safetensors", "openvino", "cpu", [], "a.safetensors on cpu needs one of these packages: openvino"),
        ("a.safetensors", "torch", "cuda", ["precision"], "precision is an option of openvino, not of torch"),
        ("a.onnx", "auto", "auto", ["statistics"], "statistics is an option of torch, not of onnxruntime"),
    ],
)
def test_what_does_not_go_together_is_refused(
    path: str, backend: str, device: str, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, installed="onnxruntime torch", gpus=["cuda"])
    with pytest.raises(ConfigError, match=words) as refusal:
        choose_engines(Path(path), backend, device, options)
    assert "\n" not in str(refusal.value)


def test_without_any_package_all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, installed="", gpus=[])
    with pytest.raises(ConfigError, match="a.ckpt on cpu needs one of these packages: onnxruntime, openvino, torch$"):
        choose_engines(Path("a.ckpt"), "auto", "auto", [])


def test_an_unknown_kind_of_file_is_refused() -> None:
    with pytest.raises(CheckpointError, match="suffix must be one of .safetensors, .ckpt, .onnx$"):
        choose_engines(Path("a.pth"), "auto", "auto", [])


def test_devices_of_this_machine() -> None:
    assert find_device("cpu", BACKENDS.values()) == "cpu"
    assert find_device("auto", [OnnxRuntimeEngine]) == "cpu"
    found = find_device("auto", BACKENDS.values())
    assert found in {*DEVICES} - {"auto"}
    assert (found == "cuda") == torch.cuda.is_available()
