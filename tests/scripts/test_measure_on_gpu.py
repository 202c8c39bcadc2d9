"""scripts/measure_on_gpu.sh: one command, with uv or without."""

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import ROOT


@pytest.mark.parametrize("program", ["uv", "python", "python3"])
@pytest.mark.parametrize(
    ("given", "handed_on"),
    [
        ([], ["gpu.json"]),
        (["a b.json"], ["a b.json"]),
        (["a.json", "--only", "clips"], ["a.json", "--only", "clips"]),
        (["--tiny"], ["gpu.json", "--tiny"]),
    ],
)
def test_the_arguments_are_handed_on(program: str, given: list[str], handed_on: list[str], tmp_path: Path) -> None:
    bash, dirname = (shutil.which(name) for name in ("bash", "dirname"))
    assert bash
    assert dirname
    (tmp_path / "dirname").symlink_to(dirname)
    (tmp_path / program).write_text(f'#!{bash}\necho "$PYTHONPATH"\nprintf "%s\\n" "$@"\n')
    (tmp_path / program).chmod(0o755)
    command = [bash, str(ROOT / "scripts" / "measure_on_gpu.sh"), *given]
    printed = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True).stdout
    path, *arguments = printed.splitlines()
    assert path == str(ROOT / "src")
    started = ["run", "--project", str(ROOT), "python"] if program == "uv" else []
    assert arguments == [*started, "-m", "faststyle", "benchmark", "gpu", "--output", *handed_on]
