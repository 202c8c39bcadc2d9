"""A style as an ONNX graph, from its arrays: uint8 picture in and out, any size, padding inside. No torch."""

from __future__ import annotations  # the types name onnx, of which only the messages are loaded

import importlib.util
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from faststyle.checkpoint import Checkpoint, Header
from faststyle.config import METADATA_KEY
from faststyle.errors import CheckpointError, ConfigError
from faststyle.files import check_output, replacing
from faststyle.modeling.noise import PERIOD, SIZES, SMOOTH_GAIN, lattice_span, noise_tables
from faststyle.network_config import KEPT_RANGE, STRIDE

if TYPE_CHECKING:
    import onnx


def _load_messages() -> ModuleType:
    """onnx's protobuf messages without the rest of the package, whose import takes four times as long."""
    package = importlib.util.find_spec("onnx")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location("onnx_messages", Path(package.origin).parent / "onnx_ml_pb2.py")
    assert spec is not None
    assert spec.loader is not None
    messages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(messages)
    return messages


messages = _load_messages()
FLOAT, UINT8, INT64, FLOAT16 = (messages.TensorProto.DataType.Value(n) for n in ("FLOAT", "UINT8", "INT64", "FLOAT16"))
ELEMENT_TYPES = {"float32": FLOAT, "int64": INT64, "float16": FLOAT16}

ONNX = (".onnx",)  # suffixes of what is written
OPSET, IR_VERSION = 18, 9  # read by ONNX Runtime 1.16 and OpenVINO 2023 onwards
PAD_MODES = {"reflect": "reflect", "replicate": "edge", "zero": "constant"}
EPSILON = 1e-5  # of the normalisations
SHARES = "shares"


def export_onnx(checkpoint: Checkpoint, path: str | Path) -> None:
    """Writes the graph with what is known of the checkpoint, weights in half precision, arithmetic in float32.

    Raises ``OutputError`` if it cannot go there.
    """
    path = check_output(path, ONNX, overwrite=True)
    import onnx  # the whole of it, for its checker

    model = build_model(checkpoint)
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def read_model_header(data: bytes, path: Path) -> Header:
    """What a graph says of itself.

    Raises ``CheckpointError`` unless, its weights' values aside, it is the very graph that ``build_model`` makes of
    such a network: nothing else gets to a run time.
    """
    model = messages.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's packages name it differently
        raise CheckpointError(f"{path} is no whole ONNX file") from error
    known = {entry.key: entry.value for entry in model.metadata_props}
    try:
        header = Header.from_values(json.loads(known.get(METADATA_KEY) or "null"))
    except (ConfigError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no ONNX file of faststyle's ({error})") from error
    shapes = header.network.tensor_shapes()
    if sum(map(math.prod, shapes.values())) > len(data) or _outline(model) != _outline(_blank_model(header, shapes)):
        raise CheckpointError(f"{path} is no ONNX file of this version of faststyle's: its graph is another")
    return header


def _blank_model(header: Header, shapes: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
    return build_model(Checkpoint(header, {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}))


def _outline(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without the values of its weights, which are those in half precision, and without what it says."""
    del model.metadata_props[:]
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT16:
            tensor.ClearField("raw_data")
    return model


def build_model(checkpoint: Checkpoint) -> onnx.ModelProto:
    """The network of ``checkpoint``. Input ``photograph`` and output ``stylized`` are uint8 (1, H, W, 3) sRGB, sides of
    16 px or more. A network of several rows has the input ``shares``, float32 (rows,), too."""
    model = _Graph(checkpoint).build()
    model.metadata_props.add(key=METADATA_KEY, value=checkpoint.header.to_json())
    return model


class _Graph:
    """Nodes and constants. Names of values are passed about in place of tensors."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config, self.tensors = checkpoint.header.network, checkpoint.tensors
        self.row_tensors = set(self.config.row_tensors)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def build(self) -> onnx.ModelProto:
        patch, levels = self.config.patch, len(self.config.widths)
        size = self.node("Shape", "photograph", start=1, end=3)
        x = self.node("Mul", self.node("Cast", "photograph", to=FLOAT), self.constant(np.float32(1 / 255)))
        x = self.node("Transpose", x, perm=[0, 3, 1, 2])
        missing = self.node("Mod", self.node("Neg", size), self.constant([STRIDE, STRIDE]))
        x = self.node("Pad", x, self.node("Concat", self.constant([0] * 6), missing, axis=0), mode="reflect")
        padded, x = x, self.to_patches(x, patch)
        if self.config.noise:
            channels = [self.noise(x, forms) for forms in SIZES[: self.config.noise]]
            x = self.node("Concat", x, *channels, axis=1)
        for i in range(levels):
            x = self.block(f"down.{i}", x, stride=2 if i else 1)
        for i, dilation in enumerate(self.config.dilations):
            inner = self.block(f"residuals.{i}.first", x, dilation=dilation)
            inner = self.block(f"residuals.{i}.second", inner, relu=False)
            x = self.node("Add", x, inner)
        for i in range(levels - 1):
            x = UPSAMPLERS[self.config.upsample](self, f"up.{i}.upsample.convolution", x)
            x = self.node("Relu", self.norm(f"up.{i}.norm", x))
        x = self.from_patches(self.convolution("to_rgb", x), patch)
        if self.config.keeps:
            x = self.node("Add", x, self.kept(padded))
        x = self.node("Sigmoid", x)
        x = self.node("Slice", x, self.constant([0, 0]), size, self.constant([2, 3]))
        x = self.node("Mul", self.node("Transpose", x, perm=[0, 2, 3, 1]), self.constant(np.float32(255)))
        self.node("Cast", self.node("Round", x), output="stylized", to=UINT8)
        graph = messages.GraphProto(name="faststyle", node=self.nodes, initializer=self.constants)
        picture = (1, "height", "width", 3)
        ends: list[tuple[Any, str, int, tuple[int | str, ...]]] = [
            (graph.input, "photograph", UINT8, picture),
            (graph.output, "stylized", UINT8, picture),
        ]
        if self.config.rows > 1:
            ends.append((graph.input, SHARES, FLOAT, (self.config.rows,)))
        for values, name, kind, sides in ends:
            tensor = values.add(name=name).type.tensor_type
            tensor.elem_type = kind
            for side in sides:
                tensor.shape.dim.add(**{"dim_param" if isinstance(side, str) else "dim_value": side})
        model: onnx.ModelProto = messages.ModelProto(ir_version=IR_VERSION, graph=graph)
        model.opset_import.add(version=OPSET)
        return model

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        made = [_attribute(key, value) for key, value in attributes.items()]
        self.nodes.append(messages.NodeProto(op_type=kind, input=inputs, output=[name], attribute=made))
        return name

    def constant(self, value: ArrayLike) -> str:
        """Integers become int64; a float array stays as it is."""
        name = f"constant_{len(self.constants)}"
        array = np.asarray(value)
        kind = ELEMENT_TYPES[array.dtype.name]
        self.constants.append(
            messages.TensorProto(name=name, data_type=kind, dims=array.shape, raw_data=array.tobytes())
        )
        return name

    def half(self, array: ArrayLike) -> str:
        """A constant kept in half precision, used in float32: run times fold the cast when they load the graph."""
        return self.node("Cast", self.constant(np.asarray(array, np.float16)), to=FLOAT)

    def tensor(self, name: str) -> str:
        values = self.half(self.tensors[name])
        mixed = self.config.rows > 1 and name in self.row_tensors
        return self.node("MatMul", SHARES, values) if mixed else values

    def block(self, name: str, x: str, *, stride: int = 1, dilation: int = 1, relu: bool = True) -> str:
        """Adds a ``ConvBlock``."""
        x = self.norm(f"{name}.norm", self.convolution(f"{name}.convolution", x, stride, dilation))
        return self.node("Relu", x) if relu else x

    def convolution(self, name: str, x: str, stride: int = 1, dilation: int = 1) -> str:
        border = self.tensors[f"{name}.weight"].shape[-1] // 2 * dilation
        x = self.node("Pad", x, self.constant([0, 0, border, border] * 2), mode=PAD_MODES[self.config.padding])
        return self.node("Conv", x, *self.weights(name), strides=[stride, stride], dilations=[dilation, dilation])

    def weights(self, name: str) -> tuple[str, str]:
        return self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")

    def norm(self, name: str, x: str) -> str:
        return NORMS[self.config.norm](self, name, x)

    def to_patches(self, x: str, patch: int) -> str:
        """PyTorch's order of channels, which is not SpaceToDepth's: a convolution that picks one pixel each."""
        if patch == 1:
            return x
        pick = np.zeros((3, patch, patch, 3, patch, patch))
        for channel, row, column in np.ndindex(3, patch, patch):
            pick[channel, row, column, channel, row, column] = 1
        kernel = self.half(pick.reshape(3 * patch**2, 3, patch, patch))
        return self.node("Conv", x, kernel, strides=[patch, patch])

    def noise(self, x: str, forms: int) -> str:
        """A channel of it, of the size of x."""
        rows, values = (self.constant(table) for table in noise_tables())
        period = self.constant(np.int64(PERIOD))
        first, more, start = lattice_span(0, 0, forms)
        indices = []
        for axis in (2, 3):
            side = self.node("Squeeze", self.node("Shape", x, start=axis, end=axis + 1))
            last = self.node("Div", side, self.constant(np.int64(forms)))
            last = self.node("Add", last, self.constant(np.int64(more)))
            indices.append(self.node("Range", self.constant(np.int64(first)), last, self.constant(np.int64(1))))
        starts = self.node(
            "Unsqueeze", self.node("Gather", rows, self.node("Mod", indices[0], period)), self.constant([1])
        )
        lattice = self.node("Gather", values, self.node("Mod", self.node("Add", starts, indices[1]), period))
        noise = self.node("Unsqueeze", lattice, self.constant([0, 1]))
        if forms > 1:
            scales = self.constant(np.array([1, 1, forms, forms], np.float32))
            noise = self.node("Resize", noise, "", scales, mode="cubic", coordinate_transformation_mode="half_pixel")
            noise = self.node("Mul", noise, self.constant(np.float32(SMOOTH_GAIN)))
        begin = self.constant([start, start])
        end = self.node("Add", self.node("Shape", x, start=2, end=4), begin)
        return self.node("Slice", noise, begin, end, self.constant([2, 3]))

    def kept(self, photograph: str) -> str:
        """What a photograph's own colours add before the sigmoid."""
        ends = self.constant(np.float32(KEPT_RANGE)), self.constant(np.float32(1 - KEPT_RANGE))
        x = self.node("Clip", photograph, *ends)
        x = self.node("Log", self.node("Div", x, self.node("Sub", self.constant(np.float32(1)), x)))
        return self.node("Mul", x, self.tensor("keep"))

    def from_patches(self, x: str, patch: int) -> str:
        """Pixels, each the mean of 2x2."""
        if patch == 1:
            return x
        x = self.node("DepthToSpace", x, blocksize=patch, mode="CRD")
        return self.node("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], pads=[1, 1, 0, 0])


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    """An attribute of a node: a whole number, a fraction, a word or whole numbers."""
    field, kind = {int: ("i", "INT"), float: ("f", "FLOAT"), str: ("s", "STRING"), list: ("ints", "INTS")}[type(value)]
    content = value.encode() if isinstance(value, str) else value
    kind = messages.AttributeProto.AttributeType.Value(kind)
    made: onnx.AttributeProto = messages.AttributeProto(name=name, type=kind, **{field: content})
    return made


def _instance_norm(graph: _Graph, name: str, x: str) -> str:
    return graph.node("InstanceNormalization", x, *graph.weights(name), epsilon=EPSILON)


def _batch_norm(graph: _Graph, name: str, x: str) -> str:
    statistics = [graph.tensor(f"{name}.{kind}") for kind in ("running_mean", "running_var")]
    return graph.node("BatchNormalization", x, *graph.weights(name), *statistics, epsilon=EPSILON)


def _resized(**attributes: str) -> Callable[[_Graph, str, str], str]:
    def upsample(graph: _Graph, name: str, x: str) -> str:
        scales = graph.constant(np.array([1, 1, 2, 2], np.float32))
        return graph.convolution(name, graph.node("Resize", x, "", scales, **attributes))

    return upsample


def _transposed(graph: _Graph, name: str, x: str) -> str:
    return graph.node(
        "ConvTranspose", x, *graph.weights(name), strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]
    )


def _pixelshuffle(graph: _Graph, name: str, x: str) -> str:
    return graph.node("DepthToSpace", graph.convolution(name, x), blocksize=2, mode="CRD")


NORMS: dict[str, Callable[[_Graph, str, str], str]] = {"instance": _instance_norm, "batch": _batch_norm}
UPSAMPLERS: dict[str, Callable[[_Graph, str, str], str]] = {
    "nearest": _resized(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "bilinear": _resized(mode="linear", coordinate_transformation_mode="half_pixel"),
    "transposed": _transposed,
    "pixelshuffle": _pixelshuffle,
}
