"""What the subcommands share: one line for an error and exit code 2, or a traceback on demand; logging to stderr."""

import argparse
import logging
import re
from collections.abc import Callable

import pytest

from faststyle.commands.terminal import build_parser, log_to_terminal, one_line_errors, pixels, real, run_parsed, whole
from faststyle.errors import FaststyleError, ImageError


def fail(*, debug: bool) -> None:
    with one_line_errors(debug=debug):
        raise ImageError("no picture a.jpg")


def test_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        fail(debug=False)
    assert stop.value.code == 2
    assert capsys.readouterr() == ("", "error: no picture a.jpg\n")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (OSError(28, "No space left on device", "out/a.png"), 2, "out/a.png: No space left on device"),
        (OSError("odd"), 2, "odd"),
        (PermissionError(13, "Permission denied", b"caf\xe9"), 2, r"caf\udce9: Permission denied"),
        (MemoryError(), 2, "not enough memory"),
        (MemoryError("Unable to allocate 9 GiB"), 2, "not enough memory (Unable to allocate 9 GiB)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ImageError("no picture a\nb\x1b[31m\u202e.jpg"), 2, r"no picture a\nb\x1b[31m\u202e.jpg"),
    ],
)
def test_whatever_the_machine_does_is_one_clean_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    assert stop.value.code == code
    assert capsys.readouterr().err == f"error: {line}\n"


def test_a_closed_pipe_passes() -> None:
    with pytest.raises(BrokenPipeError), one_line_errors():
        raise BrokenPipeError


def test_debug_lets_the_error_pass() -> None:
    with pytest.raises(FaststyleError):
        fail(debug=True)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0


def test_every_parser_has_debug_and_the_name_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser("paint", "Paint a picture.", epilog="Slowly.")
    assert parser.parse_args(["--debug"]).debug
    assert not parser.parse_args([]).debug
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: faststyle paint ")
    assert all(words in text for words in ("Paint a picture.", "--debug", "Slowly."))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--nope"], "unrecognized arguments: --nope; faststyle paint --help"),
        (["--no\npe"], r"unrecognized arguments: --no\npe; faststyle paint --help"),
        (["--size=--"], "argument --size=--: -- is no value; faststyle paint --help"),
        (["--size", "large"], "argument --size: invalid int value: 'large'; faststyle paint --help"),
        (["fast", "--nope"], "unrecognized arguments: --nope; faststyle paint --help"),
        (["fast", "--rounds"], "argument --rounds: expected one argument; faststyle paint fast --help"),
    ],
)
def test_a_wrong_option_is_one_line(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the command's own parser, and of those below it."""
    parser = build_parser("paint", "Paint a picture.")
    parser.add_argument("--size", type=int)
    parser.add_subparsers().add_parser("fast").add_argument("--rounds")
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(argv)
    assert stop.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error == f"error: {words} lists the options\n"


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (whole(1, 9), {"1": 1, " 9": 9}, ["0", "10", "-1", "1.5", "", "inf", "1e1", "9" * 5000]),
        (pixels(32), {"32": 32, "20000": 20000}, ["31", "1" + "0" * 30]),
        (real(0, 2.5), {"0": 0, "2.5": 2.5, "1e-9": 1e-9}, ["-1e-9", "2.51", "nan", "inf", "-inf", "1e400", "x"]),
    ],
)
def test_numbers_within_bounds(
    kind: Callable[[str], float], good: dict[str, float], bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = build_parser("paint", "Paint a picture.")
    parser.add_argument("--n", type=kind)
    assert {text: parser.parse_args(["--n", text]).n for text in good} == good
    for text in bad:
        with pytest.raises(SystemExit):
            parser.parse_args([f"--n={text}"])
        assert re.match(r"error: argument --n: (must be from|invalid \w+ value).*\n$", capsys.readouterr().err), text


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_returns_its_exit_code(returned: int | None, code: int) -> None:
    args = argparse.Namespace(debug=False, number=3)
    seen: list[argparse.Namespace] = []
    assert run_parsed(args, lambda args: seen.append(args) or returned) == code
    assert seen == [args]


def test_debug_of_the_command_line_decides(capsys: pytest.CaptureFixture[str]) -> None:
    def paint(args: argparse.Namespace) -> None:
        raise ImageError("no picture a.jpg")

    with pytest.raises(SystemExit):
        run_parsed(argparse.Namespace(debug=False), paint)
    assert capsys.readouterr().err == "error: no picture a.jpg\n"
    with pytest.raises(ImageError):
        run_parsed(argparse.Namespace(debug=True), paint)


def test_log_lines_are_bare_and_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest has its own, beside which nothing is added
    log_to_terminal()
    logging.getLogger("faststyle.somewhere").info("3 photographs packed")
    logging.getLogger("faststyle.somewhere").info("a\nb.jpg: damaged")
    logging.getLogger("faststyle.somewhere").debug("not for the terminal")
    assert capsys.readouterr() == ("", "3 photographs packed\na\\nb.jpg: damaged\n")
