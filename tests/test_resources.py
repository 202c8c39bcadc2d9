"""Where shipped files are, in a checkout and in a package."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import platformdirs
import pytest

from faststyle import resources
from faststyle.checkpoint import read_checkpoint
from faststyle.errors import CheckpointError
from faststyle.resources import find_weights, shipped_styles, style_picture
from helpers import ROOT


@pytest.fixture
def installed(tmp_path: Path) -> ModuleType:
    """The file as a package without a checkout around it has it."""
    path = tmp_path / "site-packages" / "faststyle" / "resources.py"
    path.parent.mkdir(parents=True)
    shutil.copy(resources.__file__, path)
    spec = importlib.util.spec_from_file_location("faststyle_installed.resources", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_checkout_has_them_at_its_top_level() -> None:
    assert resources.IN_CHECKOUT
    assert resources.ROOT == ROOT
    for folder in (resources.CONF, resources.CHECKPOINTS, resources.LOSS_NETWORKS):
        assert folder.is_dir()
    assert resources.cache_folder() == ROOT / "data"


def test_a_package_has_them_in_its_data_folder(
    installed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "site-packages" / "faststyle" / "data"
    assert not installed.IN_CHECKOUT
    assert data == installed.ROOT
    places = (installed.CONF, installed.CHECKPOINTS, installed.LOSS_NETWORKS, installed.SAMPLE_PHOTOS)
    assert all(data in place.parents for place in places)
    assert installed.shipped_styles() == []
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert installed.cache_folder() == tmp_path / "faststyle"


def test_the_command_is_the_one_that_works_there(installed: ModuleType) -> None:
    assert resources.COMMAND == "uv run faststyle"
    assert installed.COMMAND == "faststyle"


def test_shipped_styles_have_a_picture_each() -> None:
    assert {path.stem for path in shipped_styles()} >= {"starry_night", "great_wave"}
    assert shipped_styles() == sorted(shipped_styles())
    assert all(style_picture(path.stem).is_file() for path in shipped_styles())


def test_weights_are_found_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_weights("starry_night") == resources.CHECKPOINTS / "starry_night.safetensors"
    assert find_weights("anywhere/x.safetensors") == Path("anywhere/x.safetensors")  # there or not
    monkeypatch.chdir(tmp_path)
    Path("starry_night").touch()
    assert find_weights("starry_night") == Path("starry_night")  # the user's own file first


def test_an_unknown_name_lists_the_shipped_ones() -> None:
    names = ", ".join(path.stem for path in shipped_styles())
    for load in (find_weights, read_checkpoint):
        with pytest.raises(CheckpointError, match=f"^no checkpoint mona_lisa; shipped styles: {re.escape(names)}$"):
            load("mona_lisa")
