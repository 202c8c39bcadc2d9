"""``faststyle train-decoder``."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from faststyle.modeling.decoder import Decoder
from helpers import call


@pytest.fixture
def overrides(decoder_overrides: list[str], tmp_path: Path) -> list[str]:
    return [*decoder_overrides, f"hydra.run.dir={tmp_path / 'run'}"]


def test_the_weights_are_a_decoder(overrides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("train-decoder", *overrides, f"output={tmp_path / 'd.safetensors'}") == 0
    Decoder().load_state_dict(load_file(tmp_path / "d.safetensors"))
    assert "pixel errors on held-out photographs, decoded from: relu1_1 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("trainer.max_steps=abc", "error: trainer.max_steps: Value 'abc'"),
        ("foo=1", "error: unknown setting foo; --help lists all"),
        ("data.root=null", "error: data.root: set data.root=PATH"),
    ],
)
def test_a_wrong_setting_is_one_line(
    change: str,
    words: str,
    overrides: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("train-decoder", *overrides, change) == 2
    out, error = capsys.readouterr()
    assert error.startswith(words)
    assert (out, error.count("\n")) == ("", 1)
    assert not list(tmp_path.rglob("*.safetensors"))
