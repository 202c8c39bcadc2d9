"""Trainings that are killed at random moments, and go on. A few, or as many as one asks for:

FASTSTYLE_KILLS=100 uv run pytest tests/robustness/test_kills.py
"""

import logging
import os
import random
import shutil
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from faststyle.checkpoint import read_checkpoint
from faststyle.files import TEMPORARY
from helpers import fork, same_tensors

KILLS = int(os.environ.get("FASTSTYLE_KILLS", "5"))
LONGEST = 60  # seconds, of the small training in one piece

log = logging.getLogger(__name__)


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the temporary one, where that can be had."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_training_killed_at_random_moments_ends_as_if_it_had_not_been(
    train_overrides: list[str], other_file_system: Path
) -> None:
    """The run folder is on another file system than the temporary one: moved files would be halved there."""
    settings = [setting for setting in train_overrides if not setting.startswith(("run_dir=", "trainer.max_steps="))]
    settings += ["trainer.max_steps=60", "trainer.checkpoint_every=3", "trainer.sample_every=10", "resume=auto"]

    def start(folder: Path) -> BaseProcess:
        arguments = ("train", *settings, f"cache_dir={folder}/packs", f"hydra.run.dir={folder}/run")
        return fork(arguments, other_file_system, other_file_system / "printed")

    def end(process: BaseProcess, folder: Path) -> Path:
        """The weights of the finished training."""
        process.join(LONGEST)
        assert process.exitcode == 0, (other_file_system / "printed").read_text()
        assert len(list(folder.glob("run/checkpoints/*.ckpt"))) == 1
        assert not list(folder.rglob(f"{TEMPORARY}*"))
        (weights,) = folder.glob("run/*.safetensors")
        return weights

    process = start(other_file_system / "first")  # which imports for all
    end(process, other_file_system / "first")
    begun = time.monotonic()
    whole = read_checkpoint(end(start(other_file_system / "whole"), other_file_system / "whole"))
    seconds = time.monotonic() - begun
    moments = random.Random(0)
    kills = trainings = 0
    while kills < KILLS:
        folder = other_file_system / str(trainings)
        process = start(folder)
        while kills < KILLS:
            process.join(moments.uniform(0, seconds))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            process = start(folder)
        assert same_tensors(read_checkpoint(end(process, folder)), whole)
        shutil.rmtree(folder)
        trainings += 1
    log.info("%d kills of %d trainings of %.1f s", kills, trainings, seconds)
