"""ONNX files: the network's own picture, whatever it is built of, and what is known of it."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy

from faststyle import network_config
from faststyle.checkpoint import Checkpoint, Header
from faststyle.errors import CheckpointError, OutputError
from faststyle.inference import onnx_graph
from faststyle.inference.onnx_graph import build_model, export_onnx, read_model_header
from faststyle.modeling.transformer_net import TransformerNet
from helpers import Picture, make_config, noise

ByPytorch = Callable[[TransformerNet, Picture], Picture]
MakeStyle = Callable[..., Checkpoint]

TABLES: list[tuple[dict[str, Any], Any]] = [
    (onnx_graph.UPSAMPLERS, network_config.UPSAMPLERS),
    (onnx_graph.NORMS, network_config.NORMS),
    (onnx_graph.PAD_MODES, network_config.PADDINGS),
]


def run(path: Path, photograph: Picture) -> Picture:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    stylized: Picture = session.run(["stylized"], {"photograph": photograph[None]})[0]
    return stylized[0]


def draws_as_pytorch_does(style: Checkpoint, folder: Path, by_pytorch: ByPytorch) -> None:
    """A valid file, on a multiple of 4 px and on another size."""
    export_onnx(style, folder / "style.onnx")
    onnx.checker.check_model(folder / "style.onnx", full_check=True)
    for photograph in (noise(40, 56), noise(33, 47)):
        stylized = run(folder / "style.onnx", photograph).astype(int)
        assert np.abs(stylized - by_pytorch(style.build_network(), photograph)).max() <= 1


@pytest.mark.parametrize(("graphs", "known"), TABLES, ids=["upsamplers", "norms", "paddings"])
def test_every_option_of_a_network_has_its_nodes(graphs: dict[str, Any], known: Any) -> None:
    assert set(graphs) == set(known)


@pytest.mark.parametrize("patch", [1, 2])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        (option, value)
        for option, (_, known) in zip(("upsample", "norm", "padding"), TABLES, strict=True)
        for value in known
    ],
)
def test_every_option_draws_as_pytorch_does(
    option: str, value: str, patch: int, make_style: MakeStyle, tmp_path: Path, by_pytorch: ByPytorch
) -> None:
    """One at a time; together with each other: test_backends.py."""
    draws_as_pytorch_does(make_style(**{option: value, "patch": patch}), tmp_path, by_pytorch)


@pytest.mark.parametrize("change", [{"residual_blocks": 3, "dilation": 3}, {"noise": 3}, {"noise": 3, "patch": 2}])
def test_dilation_and_noise_draw_as_pytorch_does(
    change: dict[str, int], make_style: MakeStyle, tmp_path: Path, by_pytorch: ByPytorch
) -> None:
    draws_as_pytorch_does(make_style(**change), tmp_path, by_pytorch)


def shifted_by_half_a_pixel(graph: Any, name: str, x: str) -> str:
    return onnx_graph._resized(mode="linear", coordinate_transformation_mode="asymmetric")(graph, name, x)


def shuffled_by_depth_first(graph: Any, name: str, x: str) -> str:
    return str(graph.node("DepthToSpace", graph.convolution(name, x), blocksize=2, mode="DCR"))


@pytest.mark.parametrize(
    ("table", "option", "value", "wrong"),
    [
        (onnx_graph.UPSAMPLERS, "upsample", "bilinear", shifted_by_half_a_pixel),
        (onnx_graph.UPSAMPLERS, "upsample", "nearest", onnx_graph.UPSAMPLERS["bilinear"]),
        (onnx_graph.UPSAMPLERS, "upsample", "pixelshuffle", shuffled_by_depth_first),
        (onnx_graph.NORMS, "norm", "batch", onnx_graph.NORMS["instance"]),
        (onnx_graph.PAD_MODES, "padding", "reflect", "edge"),
        (onnx_graph.PAD_MODES, "padding", "zero", "edge"),
    ],
)
def test_wrong_nodes_are_found_out(
    table: dict[str, Any],
    option: str,
    value: str,
    wrong: Any,
    make_style: MakeStyle,
    tmp_path: Path,
    by_pytorch: ByPytorch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(table, value, wrong)
    with pytest.raises(AssertionError):
        draws_as_pytorch_does(make_style(**{option: value}), tmp_path, by_pytorch)


def test_the_file_says_what_is_known_in_little_more_room_than_weights(make_style: MakeStyle, tmp_path: Path) -> None:
    style = make_style(width=16, residual_blocks=5)
    export_onnx(style, tmp_path / "new" / "a.onnx")
    assert (tmp_path / "new" / "a.onnx").stat().st_size < 1.2 * len(safetensors.numpy.save(style.tensors))
    model = onnx.load(tmp_path / "new" / "a.onnx")
    known = json.loads({entry.key: entry.value for entry in model.metadata_props}["faststyle"])
    assert known == json.loads(style.header.to_json())
    assert known["recipe"]["styles"][0]["name"] == "starry_night"
    assert known["network"]["width"] == 16


def test_the_graph_takes_and_gives_uint8_pictures_of_any_size(make_style: MakeStyle) -> None:
    graph = build_model(make_style()).graph
    for (end,), name in ((graph.input, "photograph"), (graph.output, "stylized")):
        assert end.name == name
        assert end.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        sides = [side.dim_param or side.dim_value for side in end.type.tensor_type.shape.dim]
        assert sides == [1, "height", "width", 3]


def test_another_suffix_is_refused(make_style: MakeStyle, tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    for name in ("a.pb", "folder.onnx"):
        with pytest.raises(OutputError, match=f"cannot write .*{name}: it"):
            export_onnx(make_style(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_what_was_exported_can_be_read(make_style: MakeStyle, tmp_path: Path) -> None:
    for upsample, norm, patch in itertools.product(network_config.UPSAMPLERS, network_config.NORMS, (1, 2)):
        style = make_style(upsample=upsample, norm=norm, patch=patch, noise=3)
        export_onnx(style, tmp_path / "a.onnx")
        assert read_model_header((tmp_path / "a.onnx").read_bytes(), tmp_path) == style.header


def test_a_graph_smaller_than_the_network_it_claims_is_refused_at_once(make_style: MakeStyle, tmp_path: Path) -> None:
    model = build_model(make_style())
    largest = make_config(width=256, residual_blocks=32)
    model.metadata_props[0].value = Header(largest).to_json()
    with pytest.raises(CheckpointError, match="its graph is another"):
        read_model_header(model.SerializeToString(), tmp_path)
