"""Engines of ONNX graphs: what is no graph of faststyle's never reaches a run time; threads and cores."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from faststyle.errors import CheckpointError, ConfigError
from faststyle.inference.backends import BACKENDS
from faststyle.inference.engines import EngineOptions
from faststyle.inference.graph_engines import GraphEngine, OnnxRuntimeEngine
from faststyle.inference.stylizer import Stylizer
from helpers import Saved, noise, one_line

GRAPH_ENGINES = [name for name, engine in BACKENDS.items() if issubclass(engine, GraphEngine)]


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
    monkeypatch.setattr("faststyle.inference.graph_engines.MOST_BYTES", 1000)
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
    stylizer = saved.load("openvino")
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


def test_threads_of_onnx_runtime_sleep_where_openmp_is_told_to(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    for policy, spinning in (("PASSIVE", "0"), ("ACTIVE", "1")):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        session = OnnxRuntimeEngine(saved.style, EngineOptions()).sessions[1]
        key = "session.intra_op.allow_spinning"
        assert session.get_session_options().get_session_config_entry(key) == spinning
