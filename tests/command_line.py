"""Running the command lines, as a user calls them."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from conftest import ROOT, SHARED
from faststyle.commands.terminal import one_line_errors

SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
VGG = SHARED / "weights" / "vgg19_caffe_conv_fp16.safetensors"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: str, *arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def stylize(*arguments: object) -> int:
    """The exit code of scripts/stylize.py, in this process."""
    module = load("stylize")
    try:
        with one_line_errors():
            return int(module.main(module.parse([str(argument) for argument in arguments])))
    except SystemExit as stop:
        return int(stop.code or 0)


def readme_line(words: str) -> list[str]:
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if words in line]
    return shlex.split(line.split(".py ")[1])
