"""The table of back ends, which the command line, its help, the benchmark and the tests read, and how one is chosen.

A new back end is an ``Engine`` and a row in ``BACKENDS``.
"""

from collections.abc import Collection
from pathlib import Path

from faststyle.devices import available_gpus, gpu_may_be_there
from faststyle.errors import CheckpointError, ConfigError, one_of
from faststyle.inference.engines import PRECISIONS, STATISTICS, Engine
from faststyle.inference.graph_engines import OnnxRuntimeEngine, OpenVinoEngine
from faststyle.inference.torch_engine import TorchEngine

AUTO = "auto"
INSTALL_TORCH = "pip install 'faststyle[train]'"

# on a CPU the first that is installed takes what fits into the memory
BACKENDS: dict[str, type[Engine]] = {
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
    "torch": TorchEngine,
}
DEVICES = (AUTO, *dict.fromkeys(device for engine in BACKENDS.values() for device in engine.devices))
OPTIONS = {"statistics": STATISTICS, "precision": PRECISIONS}  # and their values, the default first


def choose_engines(path: Path, backend: str, device: str, options: Collection[str]) -> tuple[list[str], str]:
    """The back ends for a file, by name, and the device. The first takes what fits into the memory, the last, where it
    has strips, what does not.

    options: names of those in ``OPTIONS`` that are given. Raises ``ConfigError`` on an unknown name, on an option that
    no such back end honours, or if none is installed; ``CheckpointError`` if none reads such files.
    """
    one_of("the back end", backend, (AUTO, *BACKENDS))
    reading = {name: engine for name, engine in BACKENDS.items() if path.suffix in engine.suffixes}
    if not reading:
        known = dict.fromkeys(suffix for engine in BACKENDS.values() for suffix in engine.suffixes)
        raise CheckpointError(f"{path}: a checkpoint's suffix must be one of {', '.join(known)}")
    if backend != AUTO and backend not in reading:
        raise ConfigError(f"{path}: {backend} reads {', '.join(BACKENDS[backend].suffixes)}")
    wanted = reading if backend == AUTO else {backend: reading[backend]}
    device = find_device(device, wanted.values())
    wanted = {name: engine for name, engine in wanted.items() if device in engine.devices}
    if not wanted:
        raise ConfigError(f"{path} runs on the CPU only, found the device {device}")
    installed = [name for name, engine in wanted.items() if engine.installed()]
    if not installed:
        packages = ", ".join(engine.package for engine in wanted.values())
        raise ConfigError(f"{path} on {device} needs one of these packages: {packages}")
    for option in options:
        if not any(option in wanted[name].options for name in installed):
            honouring = ", ".join(name for name, engine in BACKENDS.items() if option in engine.options)
            raise ConfigError(f"{path}: {option} is an option of {honouring}, not of {', '.join(installed)}")
    first = next(name for name in installed if "precision" not in options or "precision" in wanted[name].options)
    return [first, *(name for name in installed if wanted[name].strips and name != first)], device


def find_device(name: str, engines: Collection[type[Engine]]) -> str:
    """One of ``DEVICES`` without ``auto``, which is a GPU if one of the engines can use one that is there.

    Raises ``ConfigError`` if the device is unknown or not there.
    """
    one_of("device", name, DEVICES)
    usable = {device for engine in engines for device in engine.devices} - {"cpu"}
    if name == "cpu" or (name == AUTO and not (usable and gpu_may_be_there())):
        return "cpu"
    available = available_gpus()
    if name == AUTO:
        return next((device for device in available if device in usable), "cpu")
    if name not in available:
        raise ConfigError(f"no {name} device on this machine, or no torch that could use it")
    return name
