"""What the tests of the page use."""

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from helpers import noise


def png(*size: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(*size)).save(file, "PNG")
    return file.getvalue()


def said(page: Any) -> tuple[list[str], list[str]]:
    """The errors, and the command lines."""
    assert not page.exception
    return [error.value for error in page.error], [code.value for code in page.code]


def make_run(folder: Path, rows: list[str], *, age: float = 0) -> Path:
    """A training's table of losses, so many seconds old."""
    metrics = folder / "metrics" / "version_0" / "metrics.csv"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("\n".join(["content_loss,epoch,step,style_loss", *rows]) + "\n")
    os.utime(metrics, (1e9 - age, 1e9 - age))
    return metrics
