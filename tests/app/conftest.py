"""The page without a browser."""

import sys
from pathlib import Path
from typing import Any

import pytest

from faststyle.commands.app import PAGE


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """It, once drawn; its trainings are in ``tmp_path``."""
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setattr(sys, "argv", [str(PAGE), str(tmp_path)])
    return AppTest.from_file(str(PAGE), default_timeout=60).run()
