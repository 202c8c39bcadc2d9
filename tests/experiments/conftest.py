"""What Hydra composes of ``conf/``."""

import hydra
import pytest
from omegaconf import DictConfig

from faststyle.resources import CONF
from helpers import KINDS


@pytest.fixture(scope="session")
def composed() -> dict[str, DictConfig]:
    """Each configuration as Hydra composes it; not to be changed."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return {name: hydra.compose(name, ["run_dir=runs"]) for name in KINDS}
