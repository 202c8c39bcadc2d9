"""What PyTorch wrote to a file, read without running code and in no more memory than the file has bytes.

PyTorch itself is imported only once a file is whole.
"""

from __future__ import annotations  # a type names torch

import os
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faststyle.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

ZIP = b"PK\x03\x04"  # how a file begins that PyTorch 1.6 or a newer one wrote


def check_readable(path: Path) -> None:
    """Raises ``CheckpointError`` if a file is empty, or may not be read: safetensors would say that there is none."""
    if path.stat().st_size == 0:
        raise CheckpointError(f"{path} is empty")
    if not os.access(path, os.R_OK):
        raise CheckpointError(f"cannot read {path}: no permission")


def check_whole(path: Path, kind: str) -> None:
    """Raises ``CheckpointError`` unless a file is such a zip as PyTorch writes, with every byte as it was written.

    PyTorch never compresses: a file that does may hold thousands of times its size. kind: what it should be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            pickled = any(entry.filename.endswith("/data.pkl") for entry in entries)
            packed = sum(entry.file_size for entry in entries) > path.stat().st_size
            whole = pickled and not packed and archive.testzip() is None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception:  # zipfile raises half a dozen kinds
        whole = False
    if not whole:
        raise CheckpointError(f"{path} is refused: it is damaged, or it is no {kind}")


def load(path: Path, kind: str, *, older: bool = False) -> Any:
    """What a file holds, tensors on the CPU. older: it may be of a PyTorch before 1.6, which wrote no zip.

    Raises ``CheckpointError`` if it cannot be read, is damaged or wants to run code, or if there is no PyTorch.
    """
    check_readable(path)
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    if is_zip or not older:
        check_whole(path, kind)
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(f"{path}: a {path.suffix} file needs torch: pip install 'faststyle[train]'") from error
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is refused below, or by whoever reads
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen kinds; an unsafe pickle is among them
        reason = "it wants to run code" if "Unsupported" in str(error) or "GLOBAL" in str(error) else "it is damaged"
        raise CheckpointError(f"{path} is refused: {reason}, or it is no {kind}") from error


def is_whole(tensor: Tensor) -> bool:
    """Whether a tensor is dense, with each of its numbers stored: a view of one number may claim to be a million."""
    import torch

    dense = tensor.layout == torch.strided and not tensor.is_meta
    return dense and tensor.untyped_storage().nbytes() >= tensor.nbytes
