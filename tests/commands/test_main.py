"""``faststyle``: its help, its version, what it does not know; and what every command in ``COMMANDS`` keeps to."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import OmegaConf
from PIL import Image

from faststyle import __version__
from faststyle.commands.main import COMMANDS, Command, main
from faststyle.commands.terminal import Parser
from faststyle.resources import CONF
from helpers import ROOT, call, noise, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
Capture = pytest.CaptureFixture[str]
made_by = cache(importlib.metadata.packages_distributions)  # distributions by the name of what is imported


def name_of(requirement: str) -> str:
    return re.split(r"[~=>]", requirement)[0]


def ended(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of ``faststyle WORDS``, also without any."""
    monkeypatch.setattr(sys, "argv", ["faststyle", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_without_a_command_there_is_help(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert ended(monkeypatch) == 2
    alone = capsys.readouterr()
    for word in ("-h", "--help", "help"):
        assert ended(monkeypatch, word) == 0
        assert capsys.readouterr() == alone
    assert alone.out.startswith("usage: faststyle COMMAND")
    assert alone.err == ""


def test_the_version_is_that_of_the_project(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert ended(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"faststyle {__version__}\n"
    assert __version__ == PROJECT["version"]


def test_python_m_faststyle_is_the_same_program() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"faststyle {__version__}\n", "")
    assert PROJECT["scripts"] == {"faststyle": f"{main.__module__}:{main.__name__}"}


@pytest.mark.parametrize("word", ["stylise", "--size", "Stylize", ""])
def test_an_unknown_command_is_one_line_that_lists_all(word: str, capsys: Capture) -> None:
    assert call(word) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error == f"error: unknown command {word!r}; known: {', '.join(COMMANDS)}\n"


def test_a_door_gives_the_whole_command_line_to_its_command(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "argv", ["scripts/styles.py", "--help"])
    with pytest.raises(SystemExit) as stop:
        main("styles")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("usage: faststyle styles ")


@pytest.mark.parametrize("word", ["--help", "styles"])
def test_a_reader_that_has_enough_ends_it_quietly(word: str) -> None:
    """As ``head`` does. A process, since it is its stdout that breaks."""
    reading, writing = os.pipe()
    os.close(reading)
    line = [sys.executable, "-m", "faststyle", word]
    done = subprocess.run(line, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("word", ["--help", "styles"])
def test_a_full_standard_output_is_one_line(word: str, unbuffered: str) -> None:
    """When it is printed, or only when it is flushed."""
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    line = [sys.executable, "-m", "faststyle", word]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert re.fullmatch("error: (standard output: )?No space left on device\n", done.stderr)
    assert done.returncode == 2


class Interrupting:
    """Ctrl-C while a module is imported."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.module:
            raise KeyboardInterrupt


@pytest.mark.parametrize("command", ["train", "optimize", "distill", "stylize"])
def test_ctrl_c_during_imports_is_one_line(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    module = "faststyle.experiments.application" if is_hydra(command) else f"faststyle.commands.{command}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(module), *sys.meta_path])
    assert call(command) == 130
    assert capsys.readouterr() == ("", "error: interrupted\n")


def is_hydra(command: str) -> bool:
    """Whether it takes ``key=value`` in place of options."""
    return (CONF / f"{command}.yaml").is_file()


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse.ArgumentParser, argparse.Action]]:
    """Those of the parser, and of those below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)
        else:
            yield parser, action


def help_names_its_options(command: str, capsys: Capture) -> bool:
    """With exit code 0. Options with what they mean; of Hydra's, every setting."""
    parsers: list[Parser] = []

    def parse(self: Parser, argv: list[str]) -> argparse.Namespace:
        parsers.append(self)
        return argparse.ArgumentParser.parse_args(self, argv)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parser, "parse_args", parse)
        code, (out, error) = call(command, "--help"), capsys.readouterr()
    if is_hydra(command):
        settings = set(OmegaConf.load(CONF / f"{command}.yaml")) - {"defaults", "hydra"}
        return (code, error) == (0, "") and all(re.search(rf"^{setting}:", out, re.MULTILINE) for setting in settings)
    return (code, error, out) == (0, "", "".join(parser.format_help() for parser in parsers[:1])) and all(
        action.help and all(name in of.format_help() for name in action.option_strings or [action.dest])
        for of, action in options(parsers[0])
    )


def a_bad_option_is_one_line(command: str, capsys: Capture) -> bool:
    """With exit code 2, on stderr."""
    code = call(command, "nope=1" if is_hydra(command) else "--nope")
    out, error = capsys.readouterr()
    return (code, out, error.count("\n")) == (2, "", 1) and error.startswith("error: ")


def its_summary_is_in_the_help(command: str, capsys: Capture) -> bool:
    call("--help")
    summary = COMMANDS[command].summary
    return (
        bool(summary) and re.search(rf"^  {command} +{re.escape(summary)}$", capsys.readouterr().out, re.M) is not None
    )


def what_it_needs_is_in_the_extra(command: str, capsys: Capture) -> bool:
    """That which the message below names."""
    extra = set(map(name_of, PROJECT["optional-dependencies"][COMMANDS[command].extra]))
    return all(set(made_by().get(name, ["?"])) <= extra for name in COMMANDS[command].needs)


def what_it_needs_is_checked_before_it_is_imported(command: str, capsys: Capture) -> bool:
    module = f"faststyle.commands.{command.replace('-', '_')}"
    find_spec, kept = importlib.util.find_spec, []
    for missing in COMMANDS[command].needs:
        with pytest.MonkeyPatch.context() as patch:
            patch.delitem(sys.modules, module, raising=False)
            patch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name))  # noqa: B023
            code, printed = call(command, "--help"), capsys.readouterr()
            line = f"error: faststyle {command} needs {missing}: pip install 'faststyle[{COMMANDS[command].extra}]'\n"
            kept.append((code, *printed, module in sys.modules) == (2, "", line, False))
    return all(kept)


RULES: list[Callable[[str, Capture], bool]] = [
    help_names_its_options,
    a_bad_option_is_one_line,
    its_summary_is_in_the_help,
    what_it_needs_is_in_the_extra,
    what_it_needs_is_checked_before_it_is_imported,
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


@each_rule
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_keeps_to(rule: Callable[[str, Capture], bool], command: str, capsys: Capture) -> None:
    assert rule(command, capsys)


@each_rule
def test_a_wrong_command_breaks(
    rule: Callable[[str, Capture], bool], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option without help, two lines for a bad one, no summary, a package of no extra, imported without it."""
    module = ModuleType("faststyle.commands.wrong")

    def wrong(argv: list[str]) -> int:
        parser = Parser(prog="faststyle wrong")
        parser.add_argument("--unexplained")
        if argv == ["--help"]:
            parser.parse_args(argv)
        print("two\nlines", file=sys.stderr)
        return 1

    module.run = wrong  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(COMMANDS, "wrong", Command("", ("sys",)))
    monkeypatch.setattr("faststyle.commands.main.check_installed", lambda *_: None)
    monkeypatch.setattr("importlib.import_module", lambda name: sys.modules.setdefault(name, module))
    assert not rule("wrong", capsys)


# the least that each command without needs does; the files are made by the test
LEAST = {
    "stylize": "stylize photo.png --checkpoint style.safetensors --output styled.png",
    "styles": "styles",
    "export": "export style.safetensors --output style.onnx",
    "sweep-sheet": "sweep-sheet sweep",
}
WITHOUT_EXTRAS = """
import importlib, json, sys
absent, names, lines = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(absent))
from faststyle.commands.main import main
codes = []
for name in names:
    importlib.import_module("faststyle.commands." + name)
for line in lines:
    sys.argv = line
    try:
        main()
    except SystemExit as stop:
        codes.append(stop.code)
print(json.dumps(codes))
"""


def test_commands_without_needs_work_without_the_extras(tiny_style: Path, tmp_path: Path) -> None:
    """And every command's file can be imported, so that its options are read before anything is."""
    assert set(LEAST) == {name for name, command in COMMANDS.items() if not command.needs}
    (tmp_path / "style.safetensors").write_bytes(tiny_style.read_bytes())
    Image.fromarray(noise(20, 30)).save(tmp_path / "photo.png")
    (tmp_path / "sweep" / "0" / ".hydra").mkdir(parents=True)
    (tmp_path / "sweep" / "0" / ".hydra" / "overrides.yaml").write_text("- steps=2\n")
    (tmp_path / "sweep" / "0" / "result.json").write_text('{"evaluation": {"style_error": 0.1}, "seconds": 1}')
    Image.fromarray(noise(20, 30)).save(tmp_path / "sweep" / "0" / "stylized.png")

    extras = {name_of(requirement) for extra in PROJECT["optional-dependencies"].values() for requirement in extra}
    absent = ["omegaconf", *(name for name, distributions in made_by().items() if extras & set(distributions))]
    assert {"torch", "torchvision", "hydra", "pytorch_lightning", "openvino", "matplotlib"} <= set(absent)
    names = [name.replace("-", "_") for name in COMMANDS]
    lines = [["faststyle", *line.split()] for line in LEAST.values()]
    code = [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps([absent, names, lines])]
    done = subprocess.run(code, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [0] * len(LEAST)
    assert (tmp_path / "styled.png").is_file()
    assert (tmp_path / "style.onnx").is_file()
    assert (tmp_path / "sweep" / "sheet.png").is_file()
