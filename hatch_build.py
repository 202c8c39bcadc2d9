"""Puts what ``src/faststyle/resources.py`` looks for into a wheel: settings, weights, pictures, photographs."""

import sys
from pathlib import Path
from typing import Any

import skimage
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("conf", "checkpoints", "paintings")


class DataFolder(BuildHookInterface):
    """Runs when a wheel is built; not for an editable install, whose files are the checkout's."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the files are gathered."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "src"))
        from faststyle.imaging.sample_photos import FILES

        photographs = Path(skimage.__file__).parent / "data"
        sources = {Path(self.root) / folder: folder for folder in FOLDERS}
        sources |= {photographs / file: f"sample_photos/{file}" for file in FILES}
        build_data["force_include"] |= {str(path): f"faststyle/data/{name}" for path, name in sources.items()}
