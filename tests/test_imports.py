"""The architecture: what each package may import, and what applying a style loads."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from helpers import ROOT

PACKAGE = ROOT / "src" / "faststyle"
FLAT = {"errors", "files", "signals", "resources", "threads"}
TRAINING_ONLY = {"pytorch_lightning", "lightning_fabric", "hydra", "omegaconf", "wandb"}


@dataclass(frozen=True)
class Rule:
    """ours: rooms of the package that a room may import. never: foreign packages, at the top of a file or inside."""

    ours: set[str]
    never: set[str]


SMALL = FLAT | {"config", "network_config"}
INFERENCE = SMALL | {"devices", "imaging", "modeling", "formats", "checkpoint"}
RULES = {
    **{name: Rule(FLAT, TRAINING_ONLY | {"torch", "numpy"}) for name in FLAT},
    "devices": Rule(set(), TRAINING_ONLY | {"numpy"}),
    "network_config": Rule({"errors"}, TRAINING_ONLY | {"torch", "numpy"}),
    "config": Rule({"errors", "network_config"}, TRAINING_ONLY | {"torch", "numpy"}),
    "formats": Rule({"errors"}, TRAINING_ONLY | {"torch", "numpy"}),
    "imaging": Rule(SMALL, TRAINING_ONLY | {"torch"}),
    "modeling": Rule(SMALL, TRAINING_ONLY | {"PIL"}),
    "losses": Rule(SMALL | {"modeling"}, TRAINING_ONLY | {"PIL"}),
    "checkpoint": Rule(SMALL | {"modeling", "formats"}, TRAINING_ONLY),
    "inference": Rule(INFERENCE, TRAINING_ONLY),
    "video": Rule(SMALL | {"imaging", "inference"}, TRAINING_ONLY | {"torch"}),
    "universal_transfer": Rule(SMALL | {"modeling", "losses"}, TRAINING_ONLY),
    "optimization": Rule(SMALL | {"modeling", "losses", "universal_transfer"}, TRAINING_ONLY),
    "evaluation": Rule(INFERENCE | {"inference", "losses", "optimization", "video"}, TRAINING_ONLY),
    "training": Rule(INFERENCE | {"losses", "evaluation"}, {"hydra", "omegaconf"}),
    "datasets": Rule(INFERENCE | {"inference", "training"}, TRAINING_ONLY | {"torch"}),
    "experiments": Rule(INFERENCE | {"inference", "losses", "optimization", "evaluation", "training"}, set()),
    "app": Rule(INFERENCE | {"inference"}, TRAINING_ONLY | {"torch"}),
    "commands": Rule(
        INFERENCE
        | {"inference", "losses", "optimization", "evaluation", "training", "experiments", "video", "datasets"},
        TRAINING_ONLY,
    ),
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem.strip("_") == path.stem)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "faststyle")


def imported_at_run_time(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return set(imports(tree))


def broken(name: str, imported: set[str]) -> set[str]:
    """What a file in a room imports against its rule."""
    rule = RULES[name]
    ours = {module.split(".")[1] for module in imported if module.startswith("faststyle.")} - {name, "__version__"}
    return (ours - rule.ours) | ({module.split(".")[0] for module in imported} & rule.never)


def test_every_room_has_its_rule() -> None:
    assert {room(path) for path in FILES} == set(RULES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_keep_to_their_rule(path: Path) -> None:
    imported = imported_at_run_time(path)
    assert not broken(room(path), imported)
    if path.name not in ("loss_network.py", "loss_network_weights.py"):
        assert "torchvision" not in {module.split(".")[0] for module in imported}


def test_a_wrong_import_is_seen() -> None:
    assert broken("imaging", {"torch"}) == {"torch"}
    assert broken("losses", {"faststyle.training.module"}) == {"training"}
    assert broken("training", {"faststyle.experiments.schema", "hydra.core"}) == {"experiments", "hydra"}


def circle(imported: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a loop, also inside functions; none: an empty list."""
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    names = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    imported = {name: imported_at_run_time(path) & names.keys() for name, path in names.items()}
    assert sum(map(len, imported.values())) > 300
    assert not circle(imported)
    assert circle(imported | {"faststyle.errors": {"faststyle.checkpoint"}})


def loaded_by(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in out.split()}


def test_help_and_bad_options_load_nothing_heavy() -> None:
    code = "import sys; sys.argv = ['faststyle', 'stylize', '--size', 'x']\n"
    code += "from faststyle.commands.main import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded_by(code) & {*TRAINING_ONLY, "torch", "torchvision", "numpy", "PIL", "onnx", "onnxruntime"}


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_applying_a_style_on_a_cpu_loads_no_torch(tiny_style: Path, suffix: str) -> None:
    code = (
        "import numpy as np; from faststyle.inference.stylizer import Stylizer; "
        f"s = Stylizer.load({str(tiny_style.with_suffix(suffix))!r}, device='cpu')\n"
        "s.stylize(np.zeros((16, 16, 3), np.uint8))"
    )
    loaded = loaded_by(code)
    assert "onnxruntime" in loaded
    assert not loaded & {*TRAINING_ONLY, "torch", "torchvision"}
    assert suffix == ".safetensors" or "onnx" not in loaded


def test_a_wrong_setting_answers_before_torch_is_loaded(tmp_path: Path) -> None:
    arguments = ["faststyle", "train", "style.image=missing.jpg", "data.root=x", f"hydra.run.dir={tmp_path}"]
    code = f"import sys; sys.argv = {arguments}\n"
    code += "from faststyle.commands.main import main\ntry: main()\nexcept SystemExit as stop: assert stop.code == 2"
    assert not loaded_by(code) & {"torch", "pytorch_lightning", "wandb"}


def test_only_the_command_for_data_sets_loads_ray() -> None:
    """And only where there is something to do; it does not load torch, nor what trainings need."""
    assert {path.name for path in FILES if "ray" in imported_at_run_time(path)} == {"cluster.py"}
    assert not loaded_by("import faststyle.commands.stylize_dataset, faststyle.datasets.layouts") & {"ray", "pyarrow"}
    loaded = loaded_by("import faststyle.datasets.stylizing")
    assert not loaded & {*TRAINING_ONLY, "torch", "torchvision", "pandas"}


def test_what_needs_no_training_is_measured_on_a_gpu_without_its_packages() -> None:
    loaded = loaded_by(
        "import faststyle.commands.benchmark, faststyle.experiments.gpu_measurements, faststyle.training.sources"
    )
    assert "torch" in loaded
    assert not loaded & {*TRAINING_ONLY, "torchvision", "cv2", "av"}


def test_every_source_file_has_its_test_file() -> None:
    modules = [path.relative_to(PACKAGE) for path in FILES if path.stem not in ("__init__", "errors")]
    missing = [str(m) for m in modules if not (ROOT / "tests" / m.parent / f"test_{m.name}").exists()]
    assert not missing
