"""Engines: every one in the table keeps the contract, and one that breaks it is found out."""

import itertools
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch

from faststyle.checkpoint import Checkpoint, Header
from faststyle.config import METADATA_KEY
from faststyle.errors import CheckpointError, ConfigError, FaststyleError
from faststyle.inference import tiling
from faststyle.inference.backends import BACKENDS, OPTIONS
from faststyle.inference.engines import (
    MEMORY,
    STATISTICS,
    EngineOptions,
    GraphEngine,
    OnnxRuntimeEngine,
    Place,
    TorchEngine,
)
from faststyle.inference.onnx_graph import build_model
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import TransformerNet
from faststyle.network_config import NORMS, PADDINGS, UPSAMPLERS
from helpers import checkpoint_of, make_config, noise

Picture = np.ndarray
ByPytorch = Callable[[TransformerNet, Picture], Picture]
MakeStyle = Callable[..., Checkpoint]

GRAPH_ENGINES = [name for name, engine in BACKENDS.items() if issubclass(engine, GraphEngine)]
SIZES = [(1, 1), (1, 50), (15, 70), (16, 16), (33, 47)]
LARGE = (300, 400)  # beyond the memory, where a test makes it small
NETWORKS = [
    {"upsample": upsample, "norm": norm, "padding": padding, "patch": patch}
    for upsample, norm, padding, patch in itertools.product(UPSAMPLERS, NORMS, PADDINGS, (1, 2))
]


@dataclass(frozen=True)
class Saved:
    """A style, its files by suffix, and PyTorch's picture of a photograph."""

    style: Checkpoint
    files: dict[str, Path]
    by_pytorch: Callable[[Picture], Picture]


@pytest.fixture(scope="module")
def saved(make_style: MakeStyle, by_pytorch: ByPytorch, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    style = make_style()
    header = replace(style.header, recipe=replace(style.header.recipe, network=style.header.network))
    style = replace(style, header=header)
    folder = tmp_path_factory.mktemp("saved")
    files = {suffix: folder / f"style{suffix}" for suffix in (".safetensors", ".ckpt", ".onnx")}
    safetensors.numpy.save_file(style.tensors, files[".safetensors"], metadata={METADATA_KEY: header.to_json()})
    state = {f"network.{name}": torch.from_numpy(array) for name, array in style.tensors.items()}
    known = {"format": 2, "recipe": asdict(header.recipe)}
    torch.save({"state_dict": state, "hyper_parameters": known}, files[".ckpt"])
    files[".onnx"].write_bytes(build_model(style).SerializeToString())
    return Saved(style, files, partial(by_pytorch, style.build_network()))


@pytest.fixture(scope="module", params=NETWORKS, ids=lambda network: "-".join(map(str, network.values())))
def any_style(request: pytest.FixtureRequest, make_style: MakeStyle, by_pytorch: ByPytorch) -> Saved:
    style = make_style(**request.param)
    return Saved(style, {}, partial(by_pytorch, style.build_network()))


def load(name: str, saved: Saved, **options: Any) -> Stylizer:
    return Stylizer.load(saved.files[BACKENDS[name].suffixes[0]], backend=name, device="cpu", **options)


def difference(a: Picture, b: Picture) -> int:
    return int(np.abs(a.astype(int) - b).max())


def one_line(caught: pytest.ExceptionInfo[FaststyleError]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        return load(name, saved, memory=memory, **options).stylize(noise(*LARGE))

    for option, (_, *others) in OPTIONS.items():
        for value in others:
            if option not in BACKENDS[name].options:
                with pytest.raises(ConfigError, match=f"{option} is an option of .*, not of {name}$") as refusal:
                    load(name, saved, **{option: value})
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
    roomy, tight = load(name, saved, memory=needed), load(name, saved, memory=needed - 1)
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
    stylizer = load(name, saved)
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
            load(name, saved)
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


def test_4_gib_unless_told_otherwise(name: str, saved: Saved) -> None:
    assert BACKENDS[name](saved.style, EngineOptions()).memory == MEMORY == 4 * 2**30
    assert BACKENDS[name](saved.style, EngineOptions(memory=1e9)).memory == 1e9


def test_a_gpus_memory_is_what_it_has_free(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (123, 456))
    monkeypatch.setattr(TransformerNet, "to", lambda network, *place, **layout: network)  # there is none here
    assert TorchEngine(saved.style, EngineOptions(device="cuda")).memory == 123
    assert TorchEngine(saved.style, EngineOptions(device="cuda", memory=99)).memory == 99


def test_statistics_are_those_of_strips() -> None:
    """Written out in the file of the engines, which loads no torch."""
    assert set(STATISTICS) == set(tiling.STATISTICS)


# single back ends


@pytest.mark.parametrize("name", GRAPH_ENGINES)
def test_a_damaged_or_foreign_graph_is_one_line(name: str, saved: Saved, tmp_path: Path) -> None:
    pytest.importorskip(BACKENDS[name].package)
    whole = saved.files[".onnx"].read_bytes()
    foreign, unknown, nested = (onnx.load_from_string(whole) for _ in range(3))
    del foreign.metadata_props[:]
    unknown.metadata_props[0].value = json.dumps({"network": {"width": 4}})
    nested.metadata_props[0].value = "[" * 10**5
    for content, words in (
        (whole[:-100], "is no whole ONNX file"),
        (b"", "is no ONNX file of faststyle's"),
        (foreign.SerializeToString(), "is no ONNX file of faststyle's"),
        (unknown.SerializeToString(), "is no ONNX file of faststyle's"),
        (nested.SerializeToString(), "is no ONNX file of faststyle's"),
    ):
        (tmp_path / "broken.onnx").write_bytes(content)
        with pytest.raises(CheckpointError, match=f"broken.onnx {words}") as refusal:
            Stylizer.load(tmp_path / "broken.onnx", backend=name)
        one_line(refusal)


def _loop(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", [], ["never"], body=body))


def _branch(model: onnx.ModelProto) -> None:
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))


def _beside(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _table(model: onnx.ModelProto) -> onnx.TensorProto:
    """Whole numbers that are no weights."""
    return next(tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT64)


def _without_slice(model: onnx.ModelProto) -> None:
    (cut,) = (node for node in model.graph.node if node.op_type == "Slice" and node.input[2].startswith("shape"))
    del model.graph.node[list(model.graph.node).index(cut)]
    for node in model.graph.node:
        node.input[:] = [cut.input[0] if value == cut.output[0] else value for value in node.input]


HOSTILE: dict[str, Callable[[onnx.ModelProto], object]] = {
    "loop": _loop,
    "a graph in a node": _branch,
    "a file beside it": _beside,
    "another operator set's node": lambda model: setattr(model.graph.node[0], "domain", "mine"),
    "a function": lambda model: model.functions.add(name="Relu"),
    "another name": lambda model: setattr(model.graph.input[0], "name", "x"),
    "two inputs": lambda model: model.graph.input.add(name="more"),
    "another type": lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 1),
    "another rank": lambda model: model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=1),
    "an endless range": lambda model: setattr(_table(model), "raw_data", b"\xff" * len(_table(model).raw_data)),
    "a weight of another shape": lambda model: model.graph.initializer[-1].dims.insert(0, 1),
    "a node more": lambda model: model.graph.node.append(model.graph.node[0]),
    "a result of another size": _without_slice,
    "a fixed size": lambda model: setattr(model.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 10**9),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_graph_never_reaches_a_run_time(
    case: str, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load_from_string(saved.files[".onnx"].read_bytes())
    HOSTILE[case](model)
    (tmp_path / "hostile.onnx").write_bytes(model.SerializeToString())
    for engine in (BACKENDS[name] for name in GRAPH_ENGINES):
        monkeypatch.setattr(engine, "open", lambda *_: pytest.fail("it was opened"))
        with pytest.raises(CheckpointError, match=r"hostile.onnx is no ONNX file of .*faststyle's") as refusal:
            engine(tmp_path / "hostile.onnx", EngineOptions())
        one_line(refusal)


def test_a_graph_too_large(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faststyle.inference.engines.MOST_BYTES", 1000)
    with pytest.raises(CheckpointError, match="it is too large"):
        Stylizer.load(saved.files[".onnx"])


@pytest.mark.parametrize("name", GRAPH_ENGINES)
def test_a_result_of_another_size_is_refused(name: str, saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a run time does with the graph."""
    pytest.importorskip(BACKENDS[name].package)
    engine = BACKENDS[name](saved.files[".onnx"], EngineOptions())
    run = engine.run
    monkeypatch.setattr(engine, "run", lambda *given: run(*given)[:, 1:])
    with pytest.raises(CheckpointError, match=r"gives a picture of \(20, 26, 3\) for one of \(21, 26, 3\)"):
        engine.stylize(noise(21, 26))


@pytest.mark.parametrize("name", GRAPH_ENGINES)
def test_a_graph_that_fails_is_one_line(name: str, saved: Saved, tmp_path: Path) -> None:
    pytest.importorskip(BACKENDS[name].package)
    engine = BACKENDS[name](saved.files[".onnx"], EngineOptions())
    with pytest.raises(CheckpointError, match="the style cannot run") as refusal:
        engine.stylize(np.zeros((20, 20, 4), np.uint8))
    one_line(refusal)


def test_bfloat16_is_refused_where_the_cpu_lacks_it(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    monkeypatch.setattr(openvino.Core, "get_property", lambda core, *what: ["FP32"])
    for suffix in (".safetensors", ".onnx"):
        with pytest.raises(ConfigError, match="this CPU has no bfloat16: leave out the precision"):
            Stylizer.load(saved.files[suffix], precision="bfloat16", device="cpu")


def test_openvino_takes_one_picture_at_a_time(saved: Saved) -> None:
    """Its Python interface deadlocks when several threads call it."""
    pytest.importorskip("openvino")
    stylizer = load("openvino", saved)
    stylizer.engine.cores = 6
    assert stylizer.max_workers(1, 1) == 1


def test_signals_arrive_after_openvino_models_have_come_and_gone(saved: Saved) -> None:
    """In a process of its own, which would crash."""
    pytest.importorskip("openvino")
    code = f"""
import os, signal
from faststyle.inference.stylizer import Stylizer
for _ in range(3):
    last = Stylizer.load({str(saved.files[".onnx"])!r}, backend="openvino")  # before the one before is forgotten
del last
signal.signal(signal.SIGINT, lambda *what: print("arrived"))
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "arrived\n"), done.stderr


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_several_small_pictures_at_once_share_the_cores(name: str, saved: Saved) -> None:
    stylizer = load(name, saved)
    stylizer.engine.cores = 6
    assert stylizer.max_workers(64, 64) == 6
    assert stylizer.max_workers(20_000, 20_000) == 1
    stylizer.engine.cores = 64
    assert stylizer.max_workers(64, 64) == 8


def test_onnx_runtime_gives_each_thread_its_share_of_the_cores(saved: Saved) -> None:
    """And keeps no memory for each of the many sizes that several threads meet."""
    engine = OnnxRuntimeEngine(saved.style, EngineOptions())
    engine.cores = 6
    for engine.workers, share in ((3, 2), (12, 1)):
        engine.stylize(noise(16, 16))
        opened = engine.sessions[engine.workers].get_session_options()
        assert opened.intra_op_num_threads == share
        assert not opened.enable_mem_pattern
    assert engine.sessions[1].get_session_options().enable_mem_pattern


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


def test_cores_are_a_limit(saved: Saved) -> None:
    for name, engine in BACKENDS.items():
        if engine.installed():
            stylizer = Stylizer.load(saved.files[".safetensors"], backend=name, device="cpu", cores=1)
            assert stylizer.engine.cores == stylizer.max_workers(1, 1) == 1


def test_threads_of_onnx_runtime_sleep_where_openmp_is_told_to(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    for policy, spinning in (("PASSIVE", "0"), ("ACTIVE", "1")):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        session = OnnxRuntimeEngine(saved.style, EngineOptions()).sessions[1]
        key = "session.intra_op.allow_spinning"
        assert session.get_session_options().get_session_config_entry(key) == spinning


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
