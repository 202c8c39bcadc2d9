"""A style as one ONNX file that runs without PyTorch: uint8 picture in, uint8 picture out, any size, padding inside."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from faststyle.checkpoint import FORMAT, KEY, Checkpoint
from faststyle.errors import CheckpointError, ConfigError
from faststyle.files import replacing
from faststyle.modeling.transformer_net import STRIDE, InstanceNorm, ResidualBlock, TransformerNet

OPSET, IR_VERSION = 18, 9  # read by ONNX Runtime 1.16 and OpenVINO 2023 onwards
PAD_MODES = {"reflect": "reflect", "replicate": "edge", "zeros": "constant"}


def export_onnx(checkpoint: Checkpoint, path: str | Path) -> None:
    """Writes the network with what is known of it, weights in half precision, arithmetic in float32.

    The file's input ``photograph`` and output ``stylized`` are uint8 (1, H, W, 3) sRGB, sides of 16 px or more.
    Raises ``CheckpointError`` if the suffix is not ``.onnx``, ``ConfigError`` if onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError("exporting needs the onnx package: pip install onnx") from error
    path = Path(path)
    if path.suffix != ".onnx" or path.is_dir():
        raise CheckpointError(f"cannot write {path}: expected a file name that ends in .onnx")
    model = _Graph().build(checkpoint.network)
    info = {"format": FORMAT, "network": asdict(checkpoint.network.config)} | checkpoint.info
    model.metadata_props.add(key=KEY, value=json.dumps(info))
    onnx.checker.check_model(model, full_check=True)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants, written module by module. Names of values are passed about in place of tensors."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.emitters: dict[type[nn.Module], Callable[[Any, str], str]] = {
            nn.Sequential: self.sequential,
            nn.Conv2d: self.conv,
            nn.ConvTranspose2d: self.transposed,
            nn.Upsample: self.upsample,
            nn.PixelShuffle: self.pixel_shuffle,
            nn.ReLU: lambda module, x: self.node("Relu", x),
            InstanceNorm: self.instance_norm,
            nn.BatchNorm2d: self.batch_norm,
            ResidualBlock: lambda module, x: self.node("Add", x, self.emit(module.block, x)),
        }

    def build(self, network: TransformerNet) -> Any:
        """The ONNX model."""
        from onnx import TensorProto, helper

        patch = network.config.patch
        size = self.node("Shape", "photograph", start=1, end=3)
        x = self.node("Mul", self.node("Cast", "photograph", to=TensorProto.FLOAT), self.constant(np.float32(1 / 255)))
        x = self.node("Transpose", x, perm=[0, 3, 1, 2])
        missing = self.node("Mod", self.node("Neg", size), self.constant([STRIDE, STRIDE]))
        x = self.node("Pad", x, self.node("Concat", self.constant([0] * 6), missing, axis=0), mode="reflect")
        if patch > 1:
            x = self.pixel_unshuffle(x, patch)
        for module in (network.down, network.residuals, network.up, network.to_rgb):
            x = self.emit(module, x)
        if patch > 1:
            x = self.node("DepthToSpace", x, blocksize=patch, mode="CRD")
            x = self.node("AveragePool", x, kernel_shape=[2, 2], strides=[1, 1], pads=[1, 1, 0, 0])
        x = self.node("Slice", self.node("Sigmoid", x), self.constant([0, 0]), size, self.constant([2, 3]))
        x = self.node("Mul", self.node("Transpose", x, perm=[0, 2, 3, 1]), self.constant(np.float32(255)))
        self.node("Cast", self.node("Round", x), output="stylized", to=TensorProto.UINT8)
        ends = [
            helper.make_tensor_value_info(name, TensorProto.UINT8, [1, "height", "width", 3])
            for name in ("photograph", "stylized")
        ]
        graph = helper.make_graph(self.nodes, "faststyle", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def emit(self, module: nn.Module, x: str) -> str:
        """The nodes of a module, applied to the value ``x``."""
        kind = next(kind for kind in type(module).mro() if kind in self.emitters)
        return self.emitters[kind](module, x)

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: ArrayLike) -> str:
        """Integers become int64; a float array stays as it is."""
        from onnx import numpy_helper

        array = np.asarray(value)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, tensor: torch.Tensor) -> str:
        """A constant kept in half precision, used in float32: run times fold the cast when they load the file."""
        from onnx import TensorProto

        return self.node("Cast", self.constant(tensor.detach().half().numpy()), to=TensorProto.FLOAT)

    def sequential(self, module: nn.Sequential, x: str) -> str:
        for child in module:
            x = self.emit(child, x)
        return x

    def conv(self, module: nn.Conv2d, x: str) -> str:
        border = int(module.padding[0])
        if border:
            pads = [0, 0, border, border] * 2
            x = self.node("Pad", x, self.constant(pads), mode=PAD_MODES[module.padding_mode])
        return self.node("Conv", x, *self.weights(module), strides=list(module.stride))

    def transposed(self, module: nn.ConvTranspose2d, x: str) -> str:
        pads, more = [int(p) for p in module.padding] * 2, list(module.output_padding)
        return self.node(
            "ConvTranspose", x, *self.weights(module), strides=list(module.stride), pads=pads, output_padding=more
        )

    def weights(self, module: nn.Module) -> Sequence[str]:
        """Weight and bias."""
        return self.weight(module.get_parameter("weight")), self.weight(module.get_parameter("bias"))

    def upsample(self, module: nn.Upsample, x: str) -> str:
        scales = self.constant(np.array([1, 1, 2, 2], np.float32))
        if module.mode == "nearest":
            ways = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            return self.node("Resize", x, "", scales, mode="nearest", **ways)
        return self.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def pixel_shuffle(self, module: nn.PixelShuffle, x: str) -> str:
        return self.node("DepthToSpace", x, blocksize=module.upscale_factor, mode="CRD")

    def pixel_unshuffle(self, x: str, patch: int) -> str:
        """PyTorch's order of channels, which is not SpaceToDepth's: a convolution that picks one pixel each."""
        pick = np.zeros((3, patch, patch, 3, patch, patch), np.float32)
        for channel, row, column in np.ndindex(3, patch, patch):
            pick[channel, row, column, channel, row, column] = 1
        kernel = torch.from_numpy(pick.reshape(3 * patch**2, 3, patch, patch))
        return self.node("Conv", x, self.weight(kernel), strides=[patch, patch])

    def instance_norm(self, module: InstanceNorm, x: str) -> str:
        return self.node("InstanceNormalization", x, *self.weights(module), epsilon=module.eps)

    def batch_norm(self, module: nn.BatchNorm2d, x: str) -> str:
        statistics = [self.weight(module.get_buffer(name)) for name in ("running_mean", "running_var")]
        return self.node("BatchNormalization", x, *self.weights(module), *statistics, epsilon=module.eps)
