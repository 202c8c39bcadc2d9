"""The command lines, as a user calls them."""

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from conftest import ROOT, SHARED, noise
from faststyle.checkpoint import save_weights
from faststyle.cli import one_line_errors
from faststyle.images import read_picture
from faststyle.network import TransformerNet
from test_checkpoint import BAD as BAD_CHECKPOINTS
from test_checkpoint import make_bad_checkpoint
from test_images import BAD as BAD_PICTURES

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


@pytest.fixture
def weights(network: TransformerNet, tmp_path: Path) -> Path:
    save_weights(tmp_path / "style.safetensors", network, {})
    return tmp_path / "style.safetensors"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(noise(40, 30)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0
    assert len(done.stdout) > 300


def test_stylizes_help_answers_in_half_a_second() -> None:
    times = []
    for _ in range(4):
        start = time.perf_counter()
        run("stylize", "--help")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


class TestStylize:
    def test_a_file(self, weights: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert stylize(photo, "--checkpoint", weights, "--output", tmp_path / "out" / "a.png") == 0
        assert "30x40 pixels, forward pass" in capsys.readouterr().out
        assert read_picture(tmp_path / "out" / "a.png").size == (40, 30)

    def test_a_folder_with_a_bad_file(
        self, weights: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "in" / "sub").mkdir(parents=True)
        shutil.copy(photo, tmp_path / "in" / "sub" / "a.jpg")
        (tmp_path / "in" / "b.jpg").write_bytes(b"x")
        arguments = (tmp_path / "in", "--checkpoint", weights, "--output", tmp_path / "out", "--size", 20)
        assert stylize(*arguments) == 1
        out, err = capsys.readouterr()
        assert "1 of 2 pictures stylised" in out
        assert "failed: " in err
        assert "b.jpg is no picture" in err
        assert read_picture(tmp_path / "out" / "sub" / "a.jpg").size == (27, 20)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Truncated")
    @pytest.mark.parametrize("case", BAD_PICTURES)
    def test_a_bad_picture_leaves_the_output(
        self, case: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        name, make, _ = BAD_PICTURES[case]
        (tmp_path / "in").mkdir()
        if make:
            make(tmp_path / "in" / name)
        if (tmp_path / "in" / name).is_dir():
            (tmp_path / "in" / name / "x.jpg").touch()
        (tmp_path / "out.png").write_bytes(b"old")
        source = tmp_path / "in" / name
        assert stylize(source, "--checkpoint", weights, "--output", tmp_path / "out.png", "--overwrite") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert (tmp_path / "out.png").read_bytes() == b"old"

    @pytest.mark.parametrize("case", BAD_CHECKPOINTS)
    def test_a_bad_checkpoint_leaves_the_output(
        self, case: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = make_bad_checkpoint(case, tmp_path)
        (tmp_path / "out.png").write_bytes(b"old")
        assert stylize(photo, "--checkpoint", path, "--output", tmp_path / "out.png", "--overwrite") == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert (tmp_path / "out.png").read_bytes() == b"old"

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "nothing to do"),
            (["photo.jpg", "--size", "0"], "--size must be at least 1"),
            (["photo.jpg", "--output", "a.gif"], "suffix must be one of"),
            (["photo.jpg", "--checkpoint", "mona_lisa"], "no checkpoint mona_lisa; shipped styles: "),
            (["photo.jpg", "--max-megapixels", "0.0001"], "--max-megapixels raises it"),
            (["photo.jpg", "--output", "photo.jpg", "--overwrite"], "would replace its own source"),
        ],
    )
    def test_bad_arguments(
        self,
        arguments: list[str],
        words: str,
        weights: Path,
        photo: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(photo.parent)
        assert stylize("--checkpoint", weights, "--output", "new.png", *arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
        assert not Path("new.png").exists()

    def test_exit_code_and_one_line_of_the_process(self, tmp_path: Path) -> None:
        done = run("stylize", "a.jpg", "--checkpoint", "starry_night", "--output", "b.jpg", cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr == "error: no picture a.jpg\n"
        assert "Traceback" in run("stylize", "a.jpg", "--checkpoint", "x", "--output", "b.jpg", "--debug").stderr


def readme_line(words: str) -> list[str]:
    (line,) = [line for line in (ROOT / "README.md").read_text().splitlines() if words in line]
    return shlex.split(line.split(".py ")[1])


def test_readmes_first_command(tmp_path: Path) -> None:
    small = ["trainer.max_steps=2", "data.image_size=32"]
    done = run("train", *readme_line("pip install uv &&"), *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (preview,) = tmp_path.rglob("preview.png")
    assert "before and after: " in done.stdout
    assert read_picture(preview).size[0] == 400


def test_readmes_sample_photograph(tmp_path: Path) -> None:
    command = readme_line("--sample astronaut")
    done = run("stylize", *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / command[-1]).size == (512, 512)


class TestTrain:
    @pytest.mark.parametrize(
        ("overrides", "words"),
        [
            (["data.roof=x"], "Key 'roof' is not in struct"),
            (["style=mona_lisa"], "Could not find 'style/mona_lisa'"),
            (["network.width=["], "no viable alternative at input"),
            (["data.root=nowhere"], "error: style.image: "),
            (["style.image={painting}"], "error: data.root: set data.root=PATH"),
            (["style.image={painting}", "data.root=nowhere"], "error: data.root: no folder or zip file"),
            (["trainer.max_steps=many"], "error: trainer.max_steps: "),
            (["network.norm=layer", "style.image={painting}", "data.root={folder}"], "error: network.norm must be"),
        ],
    )
    def test_bad_configuration(self, overrides: list[str], words: str, photo: Path) -> None:
        folder = photo.parent
        filled = [override.format(painting=photo, folder=folder) for override in overrides]
        done = run("train", *filled, f"hydra.run.dir={folder / 'run'}", cwd=folder)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(folder.rglob("*.safetensors"))
        if words.startswith("error"):
            assert done.stderr.count("\n") == 1

    @pytest.mark.slow
    @pytest.mark.weights
    def test_real_photographs_painting_and_weights(self, tmp_path: Path) -> None:
        """The thin path through everything, on real input, a few steps long."""
        overrides = [
            f"style.image={SHARED / 'data' / 'styles' / 'the_scream.jpg'}",
            f"data.root={SHARED / 'data' / 'photos_256.zip'}",
            f"data.cache_dir={tmp_path / 'packs'}",
            "data.image_size=64",
            "loss_network=vgg19",
            f"loss_network.weights={VGG}",
            "trainer=cpu",
            "trainer.max_steps=4",
            f"hydra.run.dir={tmp_path / 'run'}",
            f"output={tmp_path / 'scream.safetensors'}",
        ]
        done = run("train", *overrides, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "images/s" in done.stderr
        assert (tmp_path / "run" / "samples" / "step-000004.png").exists()
        photo = SHARED / "data" / "eval" / "figures.jpg"
        options = ("--checkpoint", tmp_path / "scream.safetensors", "--output", tmp_path / "a.jpg", "--size", 64)
        assert run("stylize", photo, *options).returncode == 0
        assert min(read_picture(tmp_path / "a.jpg").size) == 64


@pytest.mark.weights
def test_evaluate(weights: Path, photo: Path, tmp_path: Path) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = ("--checkpoint", weights, "--style", style, "--images", tmp_path, "--weights", VGG, "--size", 64)
    done = run("evaluate", *arguments, "--json", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    assert "photo.jpg" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())[str(weights)]
    assert report["mean"] == report["photo.jpg"]
    assert report["mean"].keys() == {"content_error", "style_error", "forward_ms"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--images": "empty"}, "no pictures in"),
        ({"--style": "nowhere.jpg"}, "no picture nowhere.jpg"),
        ({"--weights": "nowhere.pth"}, "no file nowhere.pth"),
        ({"--loss-network": "alexnet"}, "unknown loss network 'alexnet'"),
        ({"--checkpoint": "nowhere.safetensors"}, "no checkpoint nowhere.safetensors"),
    ],
)
def test_evaluate_refuses_in_one_line(
    change: dict[str, str],
    words: str,
    weights: Path,
    vgg_weights: Path,
    photo: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("empty").mkdir()
    options = {"--checkpoint": weights, "--style": photo, "--images": ".", "--weights": vgg_weights} | change
    module = load("evaluate")
    with pytest.raises(SystemExit) as stop, one_line_errors():
        module.main(module.parse([str(word) for pair in options.items() for word in pair]))
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.weights
def test_compare_loss_networks(weights: Path, photos: Path) -> None:
    style = SHARED / "data" / "styles" / "the_scream.jpg"
    arguments = ("--images", photos, "--style", style, "--checkpoint", weights, "--weights", VGG, "--size", 64)
    done = run("compare_loss_networks", *arguments, "--layers", "relu1_2", "relu2_2")
    assert done.returncode == 0, done.stderr
    tables = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert tables == ["photographs", "relu1_2", "relu2_2", weights.stem, "relu1_2", "relu2_2"]
    assert 0.9 < float(done.stdout.split("relu1_2")[1].split()[0]) <= 1  # R2


def test_prepare_coco_takes_a_local_folder(photos: Path, tmp_path: Path) -> None:
    done = run("prepare_coco", "--source", photos, "--cache-dir", tmp_path, "--pack-size", 32)
    assert done.returncode == 0, done.stderr
    assert "6 photographs packed, 0 skipped" in done.stderr
    assert list(tmp_path.rglob("pixels.u8"))


def test_prepare_coco_unreachable(tmp_path: Path) -> None:
    done = run("prepare_coco", "--url", "http://127.0.0.1:1/a.zip", "--zip", tmp_path / "a.zip")
    assert done.returncode == 2
    assert done.stderr.startswith("error: download of http://127.0.0.1:1/a.zip broke")


@pytest.mark.slow
def test_benchmark_train(tmp_path: Path) -> None:
    done = run("benchmark", "train", "--rounds", 1, "--size", 32, "--batch-size", 1)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "batch",
        "plain",
        "vgg19",
        "compact",
        "vgg19",
        "compact",
        "compact",
    ]


def test_benchmark_inference(weights: Path) -> None:
    done = run("benchmark", "inference", "--checkpoint", weights, "--sizes", 32, 64, "--rounds", 2)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["32", "64"]
