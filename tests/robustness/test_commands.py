"""Every option of every command with random values: a result or one line. Some of them, or as many as one asks for:

FASTSTYLE_VALUES=300 uv run pytest tests/robustness/test_commands.py -o log_cli=true -o log_cli_level=INFO
"""

import argparse
import collections
import importlib
import logging
import os
import random
import signal
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from faststyle.commands.main import COMMANDS
from faststyle.commands.terminal import Parser
from faststyle.experiments.composition import own_overrides
from faststyle.resources import CONF
from helpers import fork

VALUES = int(os.environ.get("FASTSTYLE_VALUES", "2"))  # for each command
SECONDS = 20  # then it is at work, which is well, too

log = logging.getLogger(__name__)
HYDRA = ("train", "optimize", "distill", "train-decoder")
KNOWN = [
    *("-1", "0", "1", "2", "3", "16", "33", "0.5", "-0.5", "1e-3", "1e30", "1e400", "nan", "-inf", "9" * 40, "0x10"),
    *("", "a", "é", "a" * 300, "\x1b[31m", "a\nb", "*", "'", '"', "\\", "\udcff", "--", "-x", "=", ",", "a=b"),
    *("nowhere", "nowhere.png", "nowhere.safetensors", "a.json", ".", "/dev/null", "/proc/nowhere/a.png", "photo.jpg"),
    *("true", "false", "null", "auto", "cpu", "cuda", "32-true", "bf16-mixed", "relu1_1", "gram", "moments", "compact"),
    *("[]", "[1]", "[1,2]", "[relu1_1]", "[relu9_9]", "{}", "{a:1}", "[{}]", "[[]]", "${seed}", "${oops}", "${env:A}"),
]

Line = list[str]
Draw = Callable[[random.Random], Line]


def value(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return "".join(chance.choices(string.printable.replace("\x00", ""), k=chance.randint(1, 12)))
    return chance.choice(KNOWN)


class Seen(Exception):
    """What a command's parser is."""


def parser_of(command: str) -> argparse.ArgumentParser:
    with pytest.MonkeyPatch.context() as patch:

        def show(parser: Parser, *_: object) -> None:
            raise Seen(parser)

        patch.setattr(Parser, "parse_args", show)
        with pytest.raises(Seen) as seen:
            importlib.import_module(f"faststyle.commands.{command.replace('-', '_')}").run([])
    parser: argparse.ArgumentParser = seen.value.args[0]
    return parser


def options_of(parser: argparse.ArgumentParser, before: Line) -> Iterator[Draw]:
    """Each of a parser's options, with those of its subcommands, as what draws the words of a command line."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from options_of(inner, [*before, name])
        elif "--debug" not in action.option_strings:  # which asks for tracebacks

            def draw(chance: random.Random, action: argparse.Action = action) -> Line:
                count = action.nargs if isinstance(action.nargs, int) else 1
                values = [value(chance) for _ in range(count)]
                if count == 1 and action.option_strings:
                    return [*before, f"{action.option_strings[-1]}={values[0]}"]
                return [*before, *action.option_strings[-1:], *values]

            yield draw


def keys_of(command: str, settings: Line) -> Iterator[Draw]:
    """Each setting, and each group of settings."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        composed = OmegaConf.to_container(hydra.compose(command, own_overrides(settings)), resolve=False)
    assert isinstance(composed, dict)
    for key in sorted({*_flat(composed), *(path.name for path in CONF.iterdir() if path.is_dir())} - {"debug"}):
        yield lambda chance, key=key: [f"{chance.choice(['', '', '', '', '+', '++', '~'])}{key}={value(chance)}"]


def _flat(settings: dict[str, object], before: str = "") -> Iterator[str]:
    for key, inner in settings.items():
        yield f"{before}{key}"
        if isinstance(inner, dict):
            yield from _flat(inner, f"{before}{key}.")


@pytest.fixture
def lines(
    tiny_style: Path,
    photo: Path,
    photos: Path,
    vgg_weights: Path,
    train_overrides: Line,
    distill_overrides: Line,
    decoder_overrides: Line,
) -> dict[str, Line]:
    """For each command, or subcommand, what works, quickly."""
    style, picture, folder = str(tiny_style), str(photo), str(photos)
    measured = ["--style", picture, "--images", picture, "--size=32", "--style-size=32", "--iterations=0"]
    painted = [f"content={photo}", f"style.image={photo}", "image_size=32", "style.size=32", "steps=2"]
    compared = ["--images", folder, "--cpu-seconds=1", "--size=32", "--style-size=32", "--loss-network=compact"]
    painted_on = ["--images", picture, "--size=64", "--style-size=64", "--loss-network=compact"]
    network = [f"loss_network.weights={vgg_weights}", "loss_network=vgg19", "loss.content_layers=[relu2_1]"]
    trained = " ".join(setting for setting in train_overrides if not setting.startswith("run_dir="))
    return {
        "stylize": [picture, "--checkpoint", style, "--output=out.png"],
        "stylize-dataset": [folder, "copy", "--checkpoint", style, "--workers=1"],
        "styles": [],
        "styles fetch": ["fetch", "nowhere"],
        "app": ["--check"],
        "train": train_overrides,
        "optimize": [*painted, *network, "loss.style_layers=[relu1_1]", "run_dir=run"],
        "distill": [*distill_overrides, "run_dir=run", "trainer.max_steps=2"],
        "train-decoder": [*decoder_overrides, "run_dir=run"],
        "evaluate": ["--checkpoint", style, *measured, "--loss-network=compact"],
        "export": [style, "--output=a.onnx"],
        "benchmark": [],
        "benchmark train": ["train", "--size=32", "--batch-size=1", "--rounds=1"],
        "benchmark inference": ["inference", "--checkpoint", style, "--rounds=1", "--sizes=16"],
        "benchmark process": ["process", picture, "--checkpoint", style, "--rounds=1"],
        "benchmark folder": ["folder", folder, "--checkpoint", style],
        "benchmark beside": ["beside", "folder", "--pictures", folder, "--rounds=1"],
        "benchmark gpu": ["gpu", "--device=cpu", "--tiny", "--only=inference", "--minutes=0.3"],
        "prepare-coco": ["--url=http://127.0.0.1:9/a.zip", "--cache-dir=packs"],
        "compare-recipes": ["--recipe", "a", trained, "--paintings", picture, "--data", folder, *compared],
        "compare-settings": ["--variant", "a", "seed=1", "--steps=1", "--paintings", picture, *painted_on],
        "sweep-sheet": ["."],
        "compare-loss-networks": ["--images", folder, "--style", picture, "--weights", str(vgg_weights), "--size=32"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_any_value_of_any_option(command: str, lines: dict[str, Line], tmp_path: Path) -> None:
    draws = list(keys_of(command, lines[command])) if command in HYDRA else list(options_of(parser_of(command), []))
    chance = random.Random(command)
    outcomes: collections.Counter[str] = collections.Counter()
    failures: list[str] = []
    for number in range(VALUES if draws else 0):
        drawn = draws[number % len(draws)](chance) if number < len(draws) else chance.choice(draws)(chance)
        inner = f"{command} {drawn[0]}"
        words = [*lines[inner], *drawn[1:]] if inner in lines else [*lines[command], *drawn]
        try:
            outcomes[outcome_of([command, *words], tmp_path, number)] += 1
        except AssertionError as failure:
            failures.append(str(failure))
    log.info("%s: %d options, %s", command, len(draws), dict(outcomes))
    assert not failures, "\n\n".join([*failures, f"{len(failures)} failures"])


def outcome_of(line: Line, folder: Path, number: int) -> str:
    """How a command ends. Anything but a result or one line is a failure."""
    printed = folder / f"{number}.printed"
    process = fork(line, folder, printed)
    process.join(SECONDS)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return "at work"
    text = printed.read_text(errors="replace")
    assert process.exitcode in (0, 1, 2), f"{line}: {process.exitcode}\n{text}"
    assert "Traceback" not in text, f"{line}\n{text}"
    assert "Warning" not in text, f"{line}\n{text}"
    if process.exitcode == 2:
        assert text.splitlines()[-1].startswith("error: "), f"{line}\n{text}"
    return ("done", "partly", "refused")[process.exitcode]
