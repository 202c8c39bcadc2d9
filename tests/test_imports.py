"""Applying a style must not pay for training; only the named places import the heavy packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from faststyle.checkpoint import Checkpoint
from faststyle.inference.onnx_graph import export_onnx
from faststyle.modeling.transformer_net import TransformerNet

TRAINING_ONLY = ("pytorch_lightning", "hydra", "omegaconf", "wandb")
HEAVY = (*TRAINING_ONLY, "torchvision")


def loaded_by(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in out.split()}


def test_importing_inference_is_light() -> None:
    assert not loaded_by("import faststyle.inference.stylizer") & {*HEAVY, "torch"}


@pytest.mark.parametrize("checkpoint", sorted((ROOT / "checkpoints").glob("*.safetensors")), ids=lambda p: p.stem)
def test_applying_a_shipped_style_loads_no_training(checkpoint: Path) -> None:
    code = (
        "import numpy as np; from faststyle.inference.stylizer import Stylizer; "
        f"s = Stylizer.load({str(checkpoint)!r}, device='cpu'); s.stylize(np.zeros((16, 16, 3), np.uint8))"
    )
    assert not loaded_by(code) & set(HEAVY)


def test_naming_the_backends_loads_none() -> None:
    assert not loaded_by("import faststyle.inference.backends") & {*HEAVY, "torch", "numpy", "openvino", "onnxruntime"}


def test_applying_an_exported_style_loads_no_torch(network: TransformerNet, tmp_path: Path) -> None:
    export_onnx(Checkpoint(network, {}), tmp_path / "a.onnx")
    code = (
        "import numpy as np; from faststyle.inference.stylizer import Stylizer; "
        f"s = Stylizer.load({str(tmp_path / 'a.onnx')!r}); s.stylize(np.zeros((16, 16, 3), np.uint8))"
    )
    assert not loaded_by(code) & {*HEAVY, "torch", "onnx"}


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda p: p.stem)
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    if path.parent.name != "training":
        assert not imported & set(TRAINING_ONLY)
    if path.name != "loss_network.py":
        assert "torchvision" not in imported


def test_every_source_file_has_its_test_file() -> None:
    package = ROOT / "src" / "faststyle"
    modules = [path.relative_to(package) for path in package.rglob("*.py") if path.stem not in ("__init__", "errors")]
    modules = [path for path in modules if path.parent.name != "paintings"]  # one test file for all of them
    missing = [str(m) for m in modules if not (ROOT / "tests" / m.parent / f"test_{m.name}").exists()]
    assert not missing
