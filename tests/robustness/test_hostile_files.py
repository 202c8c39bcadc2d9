"""Small files that ask for much: refused at once, in little memory, with one line.

The table, with what it costs to read the largest pictures that are taken:

FASTSTYLE_MEGAPIXELS=199 uv run pytest tests/robustness/test_hostile_files.py -n 0 -o log_cli=true -o log_cli_level=INFO
"""

import io
import json
import logging
import os
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from PIL import Image

from faststyle.checkpoint import Header
from faststyle.config import METADATA_KEY
from faststyle.inference.onnx_graph import build_model
from faststyle.modeling.transformer_net import TransformerNet
from helpers import checkpoint_of, make_config, noise

log = logging.getLogger(__name__)
Make = Callable[[Path], object]

MOST_SECONDS, MOST_MEGABYTES = 2.0, 1000.0  # of a process that refuses; PyTorch's import, where it has to read, aside
MEGAPIXELS = int(os.environ.get("FASTSTYLE_MEGAPIXELS", "40"))  # of pictures that are taken


# weights


def safetensors_of(header: object) -> Make:
    tensors = {"to_rgb.bias": torch.zeros(3)}
    text = header if isinstance(header, str) else json.dumps(header)
    return lambda path: safetensors.torch.save_file(tensors, path, metadata={METADATA_KEY: text})


def network(**changes: object) -> dict[str, object]:
    return {"network": vars(make_config()) | changes}


def checkpoint_with(odd: Callable[[], object] = lambda: torch.zeros(3), **changes: object) -> Make:
    """A Lightning checkpoint of which one tensor is odd, or its network."""

    def make(path: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # what quantises is deprecated
            tensors = TransformerNet(make_config()).state_dict() | {"to_rgb.bias": odd()}
            torch.save({"state_dict": tensors, "hyper_parameters": {"recipe": network(**changes)}}, path)

    return make


def packed_zeros(path: Path) -> None:
    """1.5 MB that unpack to 1.5 GB."""
    block = bytes(2**20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, blocks in (("a/data.pkl", 1), ("a/data/0", 1500), ("a/version", 1)):
            with archive.open(name, "w") as member:
                for _ in range(blocks):
                    member.write(block)


def graph(change: Callable[[onnx.ModelProto], object]) -> Make:
    def make(path: Path) -> None:
        model = onnx.load_from_string(build_model(checkpoint_of(TransformerNet(make_config()))).SerializeToString())
        change(model)
        path.write_bytes(model.SerializeToString())

    return make


def enlarge(model: onnx.ModelProto) -> None:
    """Upsampling by 20,000 in place of 2."""
    scales = next(t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and list(t.dims) == [4])
    scales.raw_data = np.array([1, 1, 20_000, 20_000], np.float32).tobytes()


def loop(model: onnx.ModelProto) -> None:
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", [], ["never"], body=body))


WEIGHTS: dict[str, Make] = {
    "width 10**9.safetensors": safetensors_of(network(width=10**9)),
    "10**6 blocks.safetensors": safetensors_of(network(residual_blocks=10**6)),
    "metadata 10**6 deep.safetensors": safetensors_of("[" * 10**6),
    "header of 10**18 bytes.safetensors": lambda path: path.write_bytes(struct.pack("<Q", 10**18) + b"{}"),
    "width 10**9.ckpt": checkpoint_with(width=10**9),
    "10**6 blocks.ckpt": checkpoint_with(residual_blocks=10**6),
    "no tensors.ckpt": lambda path: torch.save([1], path),
    "sparse.ckpt": checkpoint_with(lambda: torch.zeros(3).to_sparse()),
    "quantised.ckpt": checkpoint_with(lambda: torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8)),
    "10**12 numbers that are one.ckpt": checkpoint_with(lambda: torch.zeros(1).expand(10**12)),
    "packed.ckpt": packed_zeros,
    "without metadata.onnx": graph(lambda model: model.ClearField("metadata_props")),
    "other names.onnx": graph(lambda model: setattr(model.graph.input[0], "name", "x")),
    "other types.onnx": graph(lambda model: setattr(model.graph.output[0].type.tensor_type, "elem_type", 1)),
    "other ranks.onnx": graph(lambda model: model.graph.input[0].type.tensor_type.shape.dim.add(dim_value=1)),
    "endless loop.onnx": graph(loop),
    "larger result.onnx": graph(enlarge),
    "largest network.onnx": graph(
        lambda model: setattr(
            model.metadata_props[0], "value", Header(make_config(width=256, residual_blocks=32)).to_json()
        )
    ),
}


# pictures


def encoded(form: str, **options: object) -> bytearray:
    file = io.BytesIO()
    Image.fromarray(noise(16, 16)).save(file, form, **options)
    return bytearray(file.getvalue())


def sized(form: str, at: int | bytes, layout: str, *sides: int) -> Make:
    """A picture whose header tells of other sides: they stand ``at`` a place, or after some bytes."""

    def make(path: Path) -> None:
        data = encoded(form, **({"lossless": True} if form == "WEBP" else {}))
        start = at if isinstance(at, int) else data.index(at) + len(at)
        struct.pack_into(layout, data, start, *sides)
        if form == "PNG":
            struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
        path.write_bytes(data)

    return make


def tiff(path: Path) -> None:
    Image.fromarray(noise(16, 16)).save(path, tiffinfo={})
    data = bytearray(path.read_bytes())
    for tag in (256, 257):
        entry = data.index(struct.pack("<HHI", tag, 4, 1) if struct.pack("<HHI", tag, 4, 1) in data else struct.pack(
            "<HHI", tag, 3, 1))  # fmt: skip
        struct.pack_into("<HHII", data, entry, tag, 4, 1, 20_000)
    path.write_bytes(data)


PICTURES: dict[str, Make] = {
    "400 megapixels.png": sized("PNG", 16, ">II", 20_000, 20_000),
    "400 megapixels.jpg": sized("JPEG", b"\xff\xc0\x00\x11\x08", ">HH", 20_000, 20_000),
    "400 megapixels.gif": sized("GIF", 6, "<HH", 20_000, 20_000),
    "400 megapixels.bmp": sized("BMP", 18, "<ii", 20_000, 20_000),
    "400 megapixels.tif": tiff,
    "268 megapixels.webp": sized("WEBP", b"\x2f", "<I", 16_382 | 16_382 << 14),
}


# pictures that are taken, with the most bytes a pixel


def blank(mode: str, **options: object) -> Make:
    return lambda path: Image.new(mode, (10_000, 100 * MEGAPIXELS)).save(path, **options)


def animated(path: Path) -> None:
    frames = [Image.new("RGB", (10_000, 100 * MEGAPIXELS), (i, i, i)) for i in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True, quality=0, method=0)


LARGE: dict[str, tuple[Make, float]] = {
    "large.png": (blank("RGB"), 8),
    "large, 16 bits.png": (blank("I;16"), 6.5),
    "large.tif": (blank("RGB", compression="tiff_lzw"), 8),
    "large.jpg": (blank("RGB"), 8),
    "large, two frames.webp": (animated, 16.5),  # libwebp holds three canvases of four bytes a pixel
}


# a process in between: the memory that one starts with counts as its child's
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen([sys.executable, *sys.argv[1:]])
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)
"""


def measure(*line: str | Path) -> tuple[int, str, float, float]:
    """A Python process's exit code, what it prints on stderr, seconds of CPU, and megabytes at most."""
    command = [sys.executable, "-c", MEASURE, *map(str, line)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    code, seconds, megabytes = process.stdout.split()[-3:]
    return int(code), process.stderr, float(seconds), float(megabytes)


@pytest.fixture(scope="module")
def importing_torch() -> float:
    return measure("-c", "import torch")[2]


@pytest.mark.parametrize("case", [*WEIGHTS, *PICTURES])
def test_a_hostile_file_is_refused_in_no_time(
    case: str, tiny_style: Path, photo: Path, importing_torch: float, tmp_path: Path
) -> None:
    path, output = tmp_path / case, tmp_path / "out.png"
    (WEIGHTS | PICTURES)[case](path)
    source, style = (path, tiny_style) if case in PICTURES else (photo, path)
    line = ("stylize", source, "--checkpoint", style, "--output", output)
    code, printed, seconds, megabytes = measure("-m", "faststyle", *line)
    log.info("| %s | %d bytes | %.2f CPU s | %.0f MB | %s |", case, path.stat().st_size, seconds, megabytes, printed)
    assert code == 2
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert case in printed
    assert case not in PICTURES or "megapixels, the limit is 200" in printed
    assert seconds - (importing_torch if path.suffix == ".ckpt" else 0) <= MOST_SECONDS
    assert megabytes <= MOST_MEGABYTES
    assert not output.exists()


READ = "import sys; from faststyle.imaging.reading import read_picture; read_picture(sys.argv[1])"


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE)
def test_a_large_picture_takes_no_more_than_pillow_needs(case: str, tmp_path: Path) -> None:
    make, most = LARGE[case]
    path = tmp_path / case
    make(path)
    code, printed, seconds, megabytes = measure("-c", READ, path)
    log.info("| %s | %d bytes | %.2f CPU s | %.0f MB | read |", case, path.stat().st_size, seconds, megabytes)
    assert code == 0, printed
    assert megabytes <= 50 + most * MEGAPIXELS
