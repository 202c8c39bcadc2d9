"""``faststyle export``."""

from pathlib import Path
from typing import Any

import pytest

from faststyle.checkpoint import Checkpoint, save_weights
from faststyle.errors import ConfigError
from faststyle.imaging.reading import read_picture
from faststyle.inference import onnx_graph
from faststyle.inference.backends import BACKENDS, PRECISIONS
from faststyle.modeling.transformer_net import TransformerNet
from helpers import call, checkpoint_of, make_config


def test_the_file_is_checked_and_applies(
    tiny_style: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "new" / "style.onnx"
    assert call("export", tiny_style, "--output", target) == 0
    lines = capsys.readouterr().out.splitlines()
    checked = [name for name, engine in BACKENDS.items() if ".onnx" in engine.suffixes and engine.installed()]
    assert len(checked) >= 1
    for name in checked:
        (line,) = [line for line in lines if line.startswith(f"{name}, float32: ")]
        assert int(line.split("at most ")[1].split("/255")[0]) <= 1
        several = "precision" in BACKENDS[name].options
        assert sum(line.startswith(f"{name}, ") for line in lines) == (len(PRECISIONS) if several else 1)
    assert lines[-1] == f"{target}: {target.stat().st_size / 1e6:.2f} MB"
    assert call("stylize", photo, "--checkpoint", target, "--output", tmp_path / "a.png") == 0
    assert read_picture(tmp_path / "a.png").size == (40, 30)


def test_a_precision_that_this_cpu_lacks_is_told(
    tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = BACKENDS["openvino"]
    if not engine.installed():
        pytest.skip("no openvino here")
    open_session = engine.open

    def without_bfloat16(self: Any, workers: int) -> Any:
        if self.precision == "bfloat16":
            raise ConfigError("this CPU has no bfloat16")
        return open_session(self, workers)

    monkeypatch.setattr(engine, "open", without_bfloat16)
    assert call("export", tiny_style, "--output", tmp_path / "style.onnx") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "openvino, bfloat16: this CPU has no bfloat16" in lines
    assert any(line.startswith("openvino, float32: at most ") for line in lines)


def test_another_networks_graph_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_weights(tmp_path / "style.safetensors", TransformerNet(make_config()))
    other, export_onnx = checkpoint_of(TransformerNet(make_config())), onnx_graph.export_onnx

    def export_other(checkpoint: Checkpoint, path: Path) -> None:
        export_onnx(other, path)

    monkeypatch.setattr(onnx_graph, "export_onnx", export_other)
    assert call("export", tmp_path / "style.safetensors", "--output", tmp_path / "style.onnx") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'style.onnx'}: onnxruntime differs from PyTorch by ")
    assert error.count("\n") == 1


def test_without_torch_nothing_is_checked(
    tiny_style: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BACKENDS["torch"], "installed", lambda: False)
    assert call("export", tiny_style, "--output", tmp_path / "style.onnx") == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert (tmp_path / "style.onnx").is_file()


@pytest.mark.parametrize(
    ("checkpoint", "output", "words"),
    [
        (None, "style.pb", "suffix must be one of .onnx"),
        ("mona_lisa", "style.onnx", "no checkpoint mona_lisa; shipped styles: "),
        ("nowhere.safetensors", "style.onnx", "no checkpoint nowhere.safetensors"),
        (None, "old.onnx", "old.onnx exists: set overwrite to replace it"),
    ],
)
def test_what_cannot_work_is_one_line(
    checkpoint: str | None,
    output: str,
    words: str,
    tiny_style: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "old.onnx").touch()
    assert call("export", checkpoint or tiny_style, "--output", tmp_path / output) == 2
    out, error = capsys.readouterr()
    assert words in error
    assert error.startswith("error: ")
    assert (out, error.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]
    assert not (tmp_path / "old.onnx").stat().st_size
