"""``faststyle benchmark dataset`` and ``ddp``; what they print is in ``test_benchmark.py``."""

from pathlib import Path

import pytest

from faststyle.commands import benchmark_scaling
from helpers import call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset", "nowhere"], "no folder nowhere"),
        (["dataset", "empty"], "nothing in"),
        (["dataset", ".", "--workers", "1024"], "1024 at once need as many cores, found "),
        (["ddp", "--processes", "1", "--batch-size", "0"], "argument --batch-size: must be from 1 to 1,024"),
        (
            ["ddp", "--processes", "2", "--batch-size", "3"],
            "--batch-size must be a multiple of the 2 processes, found 3",
        ),
        (["dataset", ".", "--plan", "100"], "argument --plan: expected 2 arguments"),
        (["dataset", ".", "--plan", "100001", "9"], "--plan: at most 100,000 workers, found 100,001"),
        (["dataset", ".", "--bandwidth", "0"], "argument --bandwidth: must be from 1e-06"),
        (["dataset", "few"], "few: expected more than 16 picture files, found 1"),
        (["dataset", "zips"], "zips: expected more than 16 picture files, found 0"),
        (["ddp", "--bandwidth", "0"], "argument --bandwidth: must be from 1e-06"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    for name in ("few/a.jpg", "zips/a.zip"):
        Path(name).parent.mkdir()
        Path(name).touch()
    monkeypatch.setattr(benchmark_scaling, "available_cores", lambda: 2)
    assert call("benchmark", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
