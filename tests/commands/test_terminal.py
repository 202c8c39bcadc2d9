"""Errors on the command line: one line and exit code 2, or a traceback on demand."""

import pytest

from faststyle.commands.terminal import one_line_errors
from faststyle.errors import FaststyleError, ImageError


def fail(*, debug: bool) -> None:
    with one_line_errors(debug=debug):
        raise ImageError("no picture a.jpg")


def test_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        fail(debug=False)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: no picture a.jpg\n"


def test_debug() -> None:
    with pytest.raises(FaststyleError):
        fail(debug=True)


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0
