"""What several test files use: folders, small pictures and networks, the command line in this process."""

import multiprocessing
import os
import shlex
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from faststyle.checkpoint import Checkpoint, Header, Tensors
from faststyle.commands.main import main
from faststyle.config import LossConfig
from faststyle.errors import FaststyleError
from faststyle.experiments.schema import DistillConfig, OptimizeConfig, TrainConfig
from faststyle.inference.backends import BACKENDS
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NetworkConfig

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
RUNS = ("run_training", "run_optimization", "run_distillation")
VGG = SHARED / "weights" / "vgg19_caffe_conv_fp16.safetensors"
Picture = np.ndarray  # uint8 (H, W, 3)
KINDS = {"train": TrainConfig, "optimize": OptimizeConfig, "distill": DistillConfig}  # of configurations


def changed(cfg: DictConfig, key: str, value: Any) -> DictConfig:
    """A copy with one setting changed."""
    copy = cfg.copy()
    OmegaConf.update(copy, key, value, merge=False, force_add=True)
    return copy


def make_config(**changes: Any) -> NetworkConfig:
    settings = {"width": 4, "residual_blocks": 1, "upsample": "nearest", "norm": "instance", "padding": "reflect"}
    return NetworkConfig(**(settings | {"patch": 1, "dilation": 1, "noise": 0} | changes))


def make_loss(**changes: Any) -> LossConfig:
    """Content and style at one early layer each, 1 : 1."""
    settings: dict[str, Any] = {
        "content_layers": {"relu2_1": 1.0},
        "style_layers": {"relu1_1": 1.0},
        "histogram_layers": {"relu1_1": 1.0},
        "patch_layers": {"relu1_1": 1.0},
        "content_weight": 1.0,
        "style_weight": 1.0,
        "histogram_weight": 0.0,
        "patch_weight": 0.0,
        "tv_weight": 0.0,
        "checkerboard_weight": 0.0,
        "tone_weight": 0.0,
        "stability_weight": 0.0,
        "patch_stride": 2,
        "statistic": "gram",
        "style_scales": 1,
        "normalize": "relative",
    }
    return LossConfig(**(settings | changes))


@dataclass(frozen=True)
class Saved:
    """A style, its files by suffix, and PyTorch's picture of a photograph."""

    style: Checkpoint
    files: dict[str, Path]
    by_pytorch: Callable[[Picture], Picture]

    def load(self, backend: str, **options: Any) -> Stylizer:
        """The first of its files that a back end reads."""
        return Stylizer.load(self.files[BACKENDS[backend].suffixes[0]], backend=backend, device="cpu", **options)


def difference(a: Picture, b: Picture) -> int:
    """The largest, of 255."""
    return int(np.abs(a.astype(int) - b).max())


def one_line(caught: pytest.ExceptionInfo[FaststyleError]) -> str:
    """The text of an error, which is one line."""
    assert "\n" not in str(caught.value)
    return str(caught.value)


def checkpoint_of(network: TransformerNet) -> Checkpoint:
    """In half precision, as a weights file has it."""
    tensors: Tensors = {name: tensor.half().numpy() for name, tensor in network.state_dict().items()}
    return Checkpoint(Header(network.config), tensors)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth random picture, uint8 (height, width, 3)."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def compress_checkpoint(path: Path) -> None:
    """A zip as PyTorch writes, but compressed, which it never is: small, and large once it is unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**7))


def run(command: str, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """``faststyle COMMAND ...`` as a process of its own."""
    line = [sys.executable, "-m", "faststyle", command, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def call(command: str, *arguments: object) -> int:
    """The exit code of ``faststyle COMMAND ...``, in this process. (What it prints: ``capsys``.)"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["faststyle", command, *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
    return int(stop.value.code or 0)


def free_port() -> int:
    """One that no server of this machine has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


FORKS = multiprocessing.get_context("forkserver")  # processes that have imported all that takes seconds
FORKS.set_forkserver_preload(["helpers", "hydra.main", *(f"faststyle.experiments.{name}" for name in RUNS)])


def fork(arguments: Sequence[str], folder: Path, printed: Path) -> BaseProcess:
    """``faststyle ...`` as a process of its own, a group's first, in a folder; what it prints goes to a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        process = FORKS.Process(target=_end_as, args=(arguments, folder, printed))
        process.start()
    return process


def _end_as(arguments: Sequence[str], folder: Path, printed: Path) -> None:
    os.setsid()
    os.chdir(folder)
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["faststyle", *arguments]
    main()


def start(*line: str, folder: Path) -> "subprocess.Popen[str]":
    """``python -m LINE`` as a process, in a folder; what it says on stderr can be read."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", *line]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def children(process: int) -> list[int]:
    """The processes that a process has started. Linux only."""
    return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for(path: Path, pattern: str, process: "subprocess.Popen[str]") -> None:
    """Until a file matches, or the process has ended."""
    while process.poll() is None and not list(path.glob(pattern)):
        time.sleep(0.01)


def same_tensors(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether they are equal in the half precision of ``b``, a weights file."""
    return all(np.array_equal(array.astype(np.float16), b.tensors[name]) for name, array in a.tensors.items())


def readme_line(words: str) -> list[str]:
    """The arguments of the one line in README that holds ``words``, after ``faststyle``."""
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if words in line]
    return shlex.split(line.split("faststyle ", 1)[1])
