"""``faststyle COMMAND ...``. A new subcommand is a row in ``COMMANDS`` and a module with ``run(argv)``."""

import importlib
import io
import logging
import os
import sys
from dataclasses import dataclass

from faststyle import __version__
from faststyle.commands.terminal import check_installed, one_line_errors
from faststyle.threads import sleep_while_waiting

Code = int | str | None  # of the process, as SystemExit has it
BROKEN_PIPE = 1
TRAINING = ("torch", "torchvision", "pytorch_lightning", "hydra")


@dataclass(frozen=True)
class Command:
    """summary: for ``--help``. needs: packages besides those for applying a style, all of ``extra``."""

    summary: str
    needs: tuple[str, ...] = ()
    extra: str = "train"


COMMANDS = {
    "stylize": Command("apply a style to pictures"),
    "stylize-dataset": Command(
        "make a stylised copy of a data set, on many cores or machines", ("filelock", "pyarrow", "ray"), "ray"
    ),
    "app": Command("serve a page in the browser that applies styles", ("streamlit",), "app"),
    "styles": Command("list the shipped styles"),
    "train": Command("train a style", TRAINING),
    "optimize": Command("paint one photograph by image optimisation", TRAINING),
    "evaluate": Command("measure styles, or finished pictures", TRAINING),
    "export": Command("write a style as one ONNX file"),
    "benchmark": Command("measure the speed on this machine", TRAINING[:1]),
    "prepare-coco": Command("download COCO 2017 and pack it for training", TRAINING),
    "compare-settings": Command("compare settings of image optimisation on a sample", TRAINING),
    "compare-recipes": Command("train recipes for the same time and compare them", TRAINING),
    "sweep-sheet": Command("draw the runs of a multirun on one sheet"),
    "distill": Command("distil VGG-19 into the compact loss network", TRAINING),
    "train-decoder": Command("train what turns the compact loss network's features into pictures", TRAINING),
    "compare-loss-networks": Command("measure how far the compact loss network agrees with VGG-19", TRAINING),
}


def main(command: str | None = None) -> None:
    """Runs the command line's subcommand, or ``command`` with the whole command line; ends with its exit code."""
    sleep_while_waiting()
    for stream in (sys.stdout, sys.stderr):  # file names need not be text
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.raiseExceptions = False  # a log line that a full disk does not take is no traceback
    try:
        code: Code = _run(command, sys.argv[1:])
    except SystemExit as stop:
        code = stop.code
    except BrokenPipeError:
        code = BROKEN_PIPE
    except KeyboardInterrupt:  # during imports; later the command tells of it
        print("error: interrupted", file=sys.stderr)
        code = 130
    sys.exit(_flush(code))


def _flush(code: Code) -> Code:
    """The exit code, or another one if what was printed cannot be written to its end."""
    try:
        print(end="", flush=True)  # stdout may be closed, and then is None
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more
        if isinstance(error, BrokenPipeError):  # whoever reads the output, such as head, has enough
            return BROKEN_PIPE
        if not code:
            print(f"error: standard output: {error.strerror}", file=sys.stderr)
            return 2
    return code


def _run(command: str | None, arguments: list[str]) -> int:
    """The exit code; or an exit."""
    with one_line_errors():
        if command is None:
            command = _command_of(arguments)
            arguments = arguments[1:]
        check_installed(f"faststyle {command}", COMMANDS[command].needs, COMMANDS[command].extra)
    module = importlib.import_module(f"faststyle.commands.{command.replace('-', '_')}")
    code: int = module.run(arguments)
    return code


def _command_of(arguments: list[str]) -> str:
    """The subcommand, or an exit after the help, the version or an error."""
    first = arguments[0] if arguments else "--help"
    if first in COMMANDS:
        return first
    if first in ("-h", "--help", "help"):
        print(_help())
        raise SystemExit(0 if arguments else 2)
    if first == "--version":
        print(f"faststyle {__version__}")
        raise SystemExit(0)
    print(f"error: unknown command {first!r}; known: {', '.join(COMMANDS)}", file=sys.stderr)
    raise SystemExit(2)


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "usage: faststyle COMMAND ...",
            "",
            "Feed-forward fast style transfer: train a network for one painting, apply it to any picture.",
            "",
            *rows,
            "",
            "faststyle COMMAND --help says the rest; faststyle --version.",
        ]
    )
