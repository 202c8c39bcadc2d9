"""Types of the settings: see test_run.py for every refusal, test_configs.py for every option."""

import pytest
from omegaconf import OmegaConf

from faststyle.errors import ConfigError
from faststyle.experiments.schema import typed


def test_unknown_key() -> None:
    with pytest.raises(ConfigError, match="Key 'colour' not in 'Train'"):
        typed(OmegaConf.create({"colour": 1}))
