"""Commands in this process: what they change of it is put back."""

import logging
import os
from collections.abc import Iterator

import pytest
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """Environment variables, the log's level, the files that it writes. Hydra has to be cleared by the command."""
    environment, level, handlers = dict(os.environ), logging.root.level, list(logging.root.handlers)
    yield
    os.environ.clear()
    os.environ.update(environment)
    logging.root.setLevel(level)
    for handler in set(logging.root.handlers).difference(handlers):
        handler.close()
    assert not GlobalHydra.instance().is_initialized()
