"""The processes of one training: each has its share of every batch, and all do the same with the whole."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from faststyle.errors import ConfigError, LostProcessError

SIGNS = ("connection", "timed out", "gloo", "nccl")  # in what PyTorch says of a process that has gone, in lower case


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process's number among them."""
    return dist.get_rank() if world_size() > 1 else 0


def share(whole: int, number: int, processes: int) -> slice:
    """Which of the ``whole`` pictures of a batch are those of process ``number`` of so many."""
    own = whole // processes
    return slice(number * own, (number + 1) * own)


def check_shares(batch_size: int, processes: int) -> None:
    """Raises ``ConfigError`` unless all processes have equally many pictures of a batch."""
    if batch_size % processes:
        raise ConfigError(f"data.batch_size must be a multiple of the {processes} processes, found {batch_size}")


def gather(values: Tensor) -> Tensor:
    """(B, ...) of this process's pictures to those of the whole batch, in its order, alike in all processes."""
    if world_size() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def largest(value: int, device: torch.device) -> int:
    """The largest value of any process."""
    if world_size() == 1:
        return value
    found = torch.tensor(value, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def same(value: bool) -> bool:
    """What the first process finds, in all of them: another may look when the first has already changed it."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values)
    return values[0]


@contextmanager
def together() -> Iterator[None]:
    """The processes part at the end. Raises ``LostProcessError`` where another one ends inside."""
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not any(sign in str(error).lower() for sign in SIGNS):
            raise
        raise LostProcessError("another process of this training has ended; resume=auto continues") from error
    finally:
        if world_size() > 1:
            dist.destroy_process_group()
