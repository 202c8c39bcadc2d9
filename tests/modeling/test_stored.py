"""PyTorch's files: what is whole, what is refused before any of it is used."""

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from faststyle.errors import CheckpointError
from faststyle.modeling.stored import check_whole, is_whole, load
from helpers import compress_checkpoint

KIND = "checkpoint of a test"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save({"a": torch.arange(1000.0)}, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


def test_what_was_saved_is_loaded(saved: Path) -> None:
    assert torch.equal(load(saved, KIND)["a"], torch.arange(1000.0))


def test_an_older_format_where_it_may_be(tmp_path: Path) -> None:
    """As torchvision's VGG weights have it."""
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert load(path, KIND, older=True)["a"].sum() == 2
    with pytest.raises(CheckpointError, match=f"^{path} is refused: it is damaged, or it is no {KIND}$"):
        load(path, KIND)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def zeroed(path: Path) -> None:
    """As a power cut leaves it: the end, with the list of what is in it, was written, the middle was not."""
    data = bytearray(path.read_bytes())
    data[1000:2000] = bytes(1000)
    path.write_bytes(data)


def only_an_end(path: Path) -> None:
    path.write_bytes(b"a" * 1000 + b"PK\x05\x06" + bytes(18))


def another_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")


def code(path: Path) -> None:
    path.write_bytes(pickle.dumps(print))


BROKEN = [cut, zeroed, only_an_end, another_zip, compress_checkpoint, code]


@pytest.mark.parametrize("spoil", BROKEN)
def test_what_is_not_whole_is_refused(spoil: Callable[[Path], None], saved: Path) -> None:
    check_whole(saved, KIND)
    spoil(saved)
    for refuse in (check_whole, load):
        with pytest.raises(CheckpointError, match=f"^{saved} is refused: it is damaged, or it is no {KIND}$"):
            refuse(saved, KIND)


def test_an_older_format_runs_no_code(tmp_path: Path) -> None:
    code(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is refused: it wants to run code|is refused: it is damaged"):
        load(tmp_path / "a.pth", KIND, older=True)


def test_empty_and_unreadable_files(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(CheckpointError, match=f"^cannot read {saved}: no permission$"):
        load(saved, KIND)
    saved.write_bytes(b"")
    with pytest.raises(CheckpointError, match=f"^{saved} is empty$"):
        load(saved, KIND)


def test_a_file_is_checked_before_torch_is_loaded(saved: Path) -> None:
    compress_checkpoint(saved)
    program = (
        "import sys; from pathlib import Path; from faststyle.errors import CheckpointError\n"
        "from faststyle.modeling.stored import load\n"
        f"try: load(Path({str(saved)!r}), 'a')\nexcept CheckpointError: print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (torch.ones(2, 3), True),
        (torch.ones(2, 3).T, True),
        (torch.ones(1).expand(10**12), False),
        (torch.ones(3).to_sparse(), False),
        (torch.ones(3, device="meta"), False),
    ],
)
def test_numbers_that_are_all_stored(tensor: torch.Tensor, expected: bool) -> None:
    assert is_whole(tensor) == expected
