"""``faststyle app``."""

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from faststyle.commands.app import PAGE
from helpers import call, free_port

Capture = pytest.CaptureFixture[str]


def test_it_is_for_this_machine_unless_told_otherwise(capsys: Capture) -> None:
    assert call("app", "--check") == 0
    printed = capsys.readouterr().out.split()
    assert str(PAGE) in printed
    assert {"--server.address=127.0.0.1", "--server.port=8501", "--server.maxUploadSize=50"} <= set(printed)
    assert call("app", "--check", "--public", "--port", 80, "--upload-limit", 7, "--runs", "mine") == 0
    printed = capsys.readouterr().out.split()
    assert {"--server.address=0.0.0.0", "--server.port=80", "--server.maxUploadSize=7"} <= set(printed)
    assert printed[-1] == str(Path("mine").absolute())


@pytest.mark.parametrize("options", [("--port", 0), ("--port", 70_000), ("--upload-limit", 0)])
def test_wrong_options(options: tuple[object, ...], capsys: Capture) -> None:
    assert call("app", "--check", *options) == 2


@pytest.mark.slow
def test_it_serves() -> None:
    pytest.importorskip("streamlit")
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "faststyle", "app", "--port", str(port)], stdout=subprocess.PIPE)
    try:
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5) as answer:
                    assert answer.read() == b"ok"
                break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail("no answer")
    finally:
        process.terminate()
        printed, _ = process.communicate(timeout=20)
    assert f"http://localhost:{port} " in printed.decode()
