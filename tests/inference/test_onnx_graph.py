"""ONNX files."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import make_config, noise
from faststyle.inference.backends import RUNTIMES
from faststyle.checkpoint import Checkpoint, load_checkpoint, save_weights
from faststyle.errors import CheckpointError, ConfigError
from faststyle.inference.onnx_graph import export_onnx
from faststyle.inference.stylizer import Stylizer
from faststyle.modeling.transformer_net import NORMS, PADDINGS, UPSAMPLERS, TransformerNet

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
SIZES = [(16, 16), (40, 56), (33, 47), (15, 70), (1, 3)]


def save_both(network: TransformerNet, folder: Path) -> tuple[Path, Path]:
    save_weights(folder / "a.safetensors", network.eval(), {"style": {"name": "x"}})
    export_onnx(load_checkpoint(folder / "a.safetensors"), folder / "a.onnx")
    return folder / "a.safetensors", folder / "a.onnx"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    "change",
    [{}]
    + [{"upsample": name} for name in UPSAMPLERS]
    + [{"norm": name} for name in NORMS]
    + [{"padding": name} for name in PADDINGS]
    + [{"patch": 2}, {"patch": 2, "upsample": "pixelshuffle"}],
    ids=str,
)
def test_every_network_agrees_with_torch(change: dict[str, object], runtime: str, tmp_path: Path) -> None:
    pytest.importorskip(runtime)
    weights, exported = save_both(TransformerNet(make_config(**change)), tmp_path)
    ours, theirs = Stylizer.load(weights, device="cpu"), Stylizer.load(exported, runtime=runtime)
    for size in SIZES:
        photograph = noise(*size)
        difference = np.abs(ours.stylize(photograph).astype(int) - theirs.stylize(photograph))
        assert difference.max() <= 1, size


def test_the_file(tmp_path: Path) -> None:
    weights, exported = save_both(TransformerNet(make_config(width=16, residual_blocks=5)), tmp_path)
    assert exported.stat().st_size < 1.2 * weights.stat().st_size
    model = onnx.load(exported)
    info = json.loads({entry.key: entry.value for entry in model.metadata_props}["faststyle"])
    assert info["style"] == {"name": "x"}
    assert info["network"]["width"] == 16


def test_refusals(network: TransformerNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="ends in .onnx"):
        export_onnx(Checkpoint(network, {}), tmp_path / "a.pb")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ConfigError, match="pip install"):
        export_onnx(Checkpoint(network, {}), tmp_path / "a.onnx")
