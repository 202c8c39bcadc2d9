"""Engines: every one in the table keeps the contract, and one that breaks it is found out."""

import itertools
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

from faststyle.checkpoint import Checkpoint, Header
from faststyle.errors import ConfigError, FaststyleError
from faststyle.inference import tiling
from faststyle.inference.backends import BACKENDS, OPTIONS
from faststyle.inference.engines import MEMORY, STATISTICS, EngineOptions, Place
from faststyle.inference.graph_engines import OnnxRuntimeEngine
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NORMS, PADDINGS, UPSAMPLERS
from helpers import Picture, Saved, difference, noise, one_line

ByPytorch = Callable[[TransformerNet, Picture], Picture]
MakeStyle = Callable[..., Checkpoint]

SIZES = [(1, 1), (1, 50), (15, 70), (16, 16), (33, 47)]
LARGE = (300, 400)  # beyond the memory, where a test makes it small
NETWORKS = [
    {"upsample": upsample, "norm": norm, "padding": padding, "patch": patch}
    for upsample, norm, padding, patch in itertools.product(UPSAMPLERS, NORMS, PADDINGS, (1, 2))
]


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: "-".join(map(str, network.values())))
def any_style(request: pytest.FixtureRequest, make_style: MakeStyle, by_pytorch: ByPytorch) -> Saved:
    style = make_style(**request.param)
    return Saved(style, {}, partial(by_pytorch, style.build_network()))


# the contract, one function for each clause: name of a back end, what it is tried on


def equals_pytorch(name: str, saved: Saved) -> None:
    """Any size comes back with PyTorch's values, up to rounding."""
    engine = BACKENDS[name](saved.style, EngineOptions())
    for seed, size in enumerate(SIZES):
        photograph = noise(*size, seed=seed)
        stylized = engine.stylize(photograph)
        assert stylized.dtype == np.uint8
        assert stylized.shape == photograph.shape
        assert difference(stylized, saved.by_pytorch(photograph)) <= 1, size


def reads_its_files(name: str, saved: Saved) -> None:
    """The same picture from each kind of file that it reads, and what the file says of itself; others are refused."""
    photograph = noise(20, 30)
    for suffix, path in saved.files.items():
        if suffix in BACKENDS[name].suffixes:
            stylizer = Stylizer.load(path, backend=name, device="cpu")
            assert difference(stylizer.stylize(photograph), saved.by_pytorch(photograph)) <= 1
            assert stylizer.header.network == saved.style.header.network
            assert stylizer.header.recipe == saved.style.header.recipe
            assert suffix == ".ckpt" or stylizer.header == saved.style.header  # training has no outcome yet
        else:
            with pytest.raises(ConfigError, match=f"{name} reads ") as refusal:
                Stylizer.load(path, backend=name)
            assert path.name in one_line(refusal)


def honours_its_options(name: str, saved: Saved) -> None:
    """An option of its own changes the picture, or is refused for what the computer lacks; any other is refused."""

    def stylize(**options: Any) -> Picture:
        engine = BACKENDS[name](saved.style, EngineOptions())
        memory = engine.bytes_needed(*LARGE) - 1 if engine.strips else None
        return saved.load(name, memory=memory, **options).stylize(noise(*LARGE))

    for option, (_, *others) in OPTIONS.items():
        for value in others:
            if option not in BACKENDS[name].options:
                with pytest.raises(ConfigError, match=f"{option} is an option of .*, not of {name}$") as refusal:
                    saved.load(name, **{option: value})
                one_line(refusal)
                continue
            try:
                changed = stylize(**{option: value})
            except ConfigError as error:
                refused = str(error)
            else:
                assert difference(changed, stylize()) > 0
                continue
            assert re.fullmatch(f".*{option}.*", refused)  # one line


def honours_the_memory(name: str, saved: Saved) -> None:
    """A picture that just fits is stylised whole, one that does not in strips or not at all; nor do several at once
    take more than the memory."""
    photograph = noise(*LARGE)
    whole = saved.by_pytorch(photograph)
    needed = BACKENDS[name](saved.style, EngineOptions()).bytes_needed(*LARGE)
    roomy, tight = saved.load(name, memory=needed), saved.load(name, memory=needed - 1)
    assert roomy.engine.fits_whole(*LARGE)
    assert not tight.engine.fits_whole(*LARGE)
    assert difference(roomy.stylize(photograph), whole) <= 1
    if tight.engine.strips:
        assert difference(tight.stylize(photograph), whole) <= 1
    else:
        with pytest.raises(FaststyleError, match=r"400x300 pixels need --memory [\d.]+G") as refusal:
            tight.stylize(photograph)
        one_line(refusal)
    roomy.engine.cores = 6
    for height, width in ((1, 1), (64, 64), (150, 200), (151, 400), LARGE, (20_000, 20_000)):
        workers = roomy.max_workers(height, width)
        assert 1 <= workers <= 6
        assert workers == 1 or roomy.engine.fits_whole(workers * height, width)
    assert tight.max_workers(*LARGE) == 1


def takes_calls_of_several_threads(name: str, saved: Saved) -> None:
    """Pictures that three threads stylise at the same time are those stylised one by one."""
    stylizer = saved.load(name)
    stylizer.share_cores(3)
    photographs = [noise(20 + i % 2, 30, seed=i) for i in range(12)]
    with ThreadPoolExecutor(3) as threads:
        at_once = list(threads.map(stylizer.stylize, photographs))
    for photograph, stylized in zip(photographs, at_once, strict=True):
        assert stylized.shape == photograph.shape
        assert difference(stylized, saved.by_pytorch(photograph)) <= 1


def leaves_pictures_alone(name: str, saved: Saved) -> None:
    """Neither a photograph changes nor, when the next one is stylised, an earlier result."""
    engine = BACKENDS[name](saved.style, EngineOptions())
    photographs = [noise(20, 30, seed=seed) for seed in range(3)]
    copies = [photograph.copy() for photograph in photographs]
    results = [engine.stylize(photograph) for photograph in photographs]
    assert all(np.array_equal(photograph, copy) for photograph, copy in zip(photographs, copies, strict=True))
    assert all(difference(a, saved.by_pytorch(b)) <= 1 for a, b in zip(results, copies, strict=True))


def says_what_to_install(name: str, saved: Saved) -> None:
    """Without its package it is refused before anything else fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, BACKENDS[name].package, None)
        with pytest.raises(ConfigError, match=f"needs one of these packages: {BACKENDS[name].package}$") as refusal:
            saved.load(name)
    one_line(refusal)


CONTRACT = [
    reads_its_files,
    honours_its_options,
    honours_the_memory,
    takes_calls_of_several_threads,
    leaves_pictures_alone,
    says_what_to_install,
]


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    if not BACKENDS[request.param].installed():
        pytest.skip(f"needs {BACKENDS[request.param].package}")
    return str(request.param)


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.__name__)
def test_every_back_end_keeps_the_contract(clause: Callable[..., None], name: str, saved: Saved) -> None:
    clause(name, saved)


def test_every_network_looks_the_same_under_every_back_end(any_style: Saved, name: str) -> None:
    equals_pytorch(name, any_style)


class Brighter(OnnxRuntimeEngine):
    def stylize(self, photograph: Picture) -> Picture:
        return np.clip(super().stylize(photograph), 0, 253) + np.uint8(2)


class OfMultiplesOfFour(OnnxRuntimeEngine):
    def stylize(self, photograph: Picture) -> Picture:
        height, width = (side // 4 * 4 for side in photograph.shape[:2])
        return super().stylize(photograph)[:height, :width]


class WithoutARecipe(OnnxRuntimeEngine):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.header = Header(self.header.network)


class PromisingOptions(OnnxRuntimeEngine):
    options = tuple(OPTIONS)


class Unlimited(OnnxRuntimeEngine):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.memory = float("inf")


class Crowded(OnnxRuntimeEngine):
    def max_workers(self, height: int, width: int) -> int:
        return 6


class WithOneDesk(OnnxRuntimeEngine):
    """Three calls at a time put their photographs where each takes the last one's."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.all_three = threading.Barrier(3, timeout=60)

    def stylize(self, photograph: Picture, place: Place = (0, 0)) -> Picture:
        self.desk = photograph
        self.all_three.wait()
        return super().stylize(self.desk, place)


class WithOneFrame(OnnxRuntimeEngine):
    """Every result is the same memory."""

    def stylize(self, photograph: Picture) -> Picture:
        self.frame = getattr(self, "frame", np.empty_like(photograph))
        self.frame[:] = super().stylize(photograph)
        return self.frame


class AlwaysInstalled(OnnxRuntimeEngine):
    @classmethod
    def installed(cls) -> bool:
        return True


@pytest.mark.parametrize(
    ("engine", "clause"),
    [
        (Brighter, equals_pytorch),
        (OfMultiplesOfFour, equals_pytorch),
        (WithoutARecipe, reads_its_files),
        (PromisingOptions, honours_its_options),
        (Unlimited, honours_the_memory),
        (Crowded, honours_the_memory),
        (WithOneDesk, takes_calls_of_several_threads),
        (WithOneFrame, leaves_pictures_alone),
        (AlwaysInstalled, says_what_to_install),
    ],
)
def test_a_back_end_that_breaks_the_contract_is_found_out(
    engine: type[OnnxRuntimeEngine], clause: Callable[..., None], saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BACKENDS, "wrong", engine)
    with pytest.raises((AssertionError, pytest.fail.Exception, ImportError)):
        clause("wrong", saved)


def test_a_subclass_that_changes_nothing_keeps_the_contract(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks it above is what those back ends change."""
    monkeypatch.setitem(BACKENDS, "right", type("Right", (OnnxRuntimeEngine,), {}))
    for clause in (equals_pytorch, *CONTRACT):
        clause("right", saved)


# memory


def test_4_gib_unless_told_otherwise(name: str, saved: Saved) -> None:
    assert BACKENDS[name](saved.style, EngineOptions()).memory == MEMORY == 4 * 2**30
    assert BACKENDS[name](saved.style, EngineOptions(memory=1e9)).memory == 1e9


def test_statistics_are_those_of_strips() -> None:
    """Written out in the file of the engines, which loads no torch."""
    assert set(STATISTICS) == set(tiling.STATISTICS)


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_several_small_pictures_at_once_share_the_cores(name: str, saved: Saved) -> None:
    stylizer = saved.load(name)
    stylizer.engine.cores = 6
    assert stylizer.max_workers(64, 64) == 6
    assert stylizer.max_workers(20_000, 20_000) == 1
    stylizer.engine.cores = 64
    assert stylizer.max_workers(64, 64) == 8


def test_cores_are_a_limit(saved: Saved) -> None:
    for name, engine in BACKENDS.items():
        if engine.installed():
            stylizer = Stylizer.load(saved.files[".safetensors"], backend=name, device="cpu", cores=1)
            assert stylizer.engine.cores == stylizer.max_workers(1, 1) == 1


MEASURE = """
import ctypes, gc, json, sys
import numpy as np
from faststyle.checkpoint import Checkpoint, Header
from faststyle.network_config import UPSAMPLERS, NetworkConfig
from faststyle.inference.backends import BACKENDS
from faststyle.inference.engines import EngineOptions

def kilobytes(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

def peak(upsample, side):
    config = NetworkConfig(
        width=16, residual_blocks=3, upsample=upsample, norm="instance", padding="reflect", patch=2, dilation=3, noise=3
    )
    tensors = {name: np.full(shape, 0.01, np.float16) for name, shape in config.tensor_shapes().items()}
    engine = BACKENDS[sys.argv[1]](Checkpoint(Header(config), tensors), EngineOptions(memory=1e12))
    engine.stylize(np.zeros((16, 16, 3), np.uint8))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = kilobytes("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
    engine.stylize(np.zeros((side, side, 3), np.uint8))
    most = 1024 * kilobytes("VmHWM")
    return most / engine.bytes_needed(side, side), (most - 1024 * before) / (engine.bytes_per_pixel * side**2)

peak("nearest", 400)  # what the process takes once
print(json.dumps({upsample: peak(upsample, 900) for upsample in reversed(UPSAMPLERS)}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
@pytest.mark.parametrize("name", BACKENDS)
def test_a_picture_takes_about_the_memory_that_is_counted(name: str) -> None:
    """With every upsampler: not more, so that strips begin in time, nor much less, so that they do not begin early."""
    done = subprocess.run([sys.executable, "-c", MEASURE, name], capture_output=True, text=True, check=True)
    shares = json.loads(done.stdout)
    assert set(shares) == set(UPSAMPLERS)
    assert all(of_all < 1.1 and of_the_picture > 0.5 for of_all, of_the_picture in shares.values()), shares
