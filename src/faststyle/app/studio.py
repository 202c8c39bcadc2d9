"""What the page does, without the page: uploads to pictures, and these in all styles or in one."""

import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from faststyle.errors import ImageError
from faststyle.imaging.images import RAISE_LIMIT, Picture, resize_shorter_side, write_picture
from faststyle.imaging.masks import Mask, to_mask
from faststyle.imaging.reading import decode_picture
from faststyle.inference.masking import Composition
from faststyle.inference.strokes import with_strokes
from faststyle.inference.stylizer import Stylizer
from faststyle.resources import PAINTINGS

THUMBNAIL = 160  # pixels of the shorter side
PREVIEW = 640  # the same; larger photographs are painted in full when they are asked for
MOST_MEGAPIXELS = 50.0  # of an upload: several users share the memory


@dataclass(frozen=True)
class Look:
    """How a photograph is painted. share: of ``other``, if there is a second style. color: see ``Composition``."""

    style: str
    other: str | None = None
    share: float = 0.0
    strength: float = 1.0
    stroke_size: float = 1.0
    color: str = "style"

    @property
    def mixture(self) -> str:
        """As ``--style`` has it."""
        if self.other is None or not self.share:
            return self.style
        return f"{self.style}:{1 - self.share:g},{self.other}:{self.share:g}"

    def command(self, photograph: list[str], output: str, mask: str | None) -> str:
        """The command line that writes the same file. photograph: its name, or ``--sample NAME``."""
        options = {
            "--style": self.mixture,
            "--strength": f"{self.strength:g}" if self.strength != 1 else None,
            "--stroke-size": f"{self.stroke_size:g}" if self.stroke_size != 1 else None,
            "--preserve-color": self.color if self.color != "style" else None,
            "--mask": mask,
            "--output": output,
        }
        given = [word for key, value in options.items() if value is not None for word in (key, value)]
        return shlex.join(["faststyle", "stylize", *photograph, "--checkpoint", PAINTINGS.stem, *given])


class Studio:
    """The shipped paintings, loaded once for all users, who paint in turn: each painting takes all cores."""

    def __init__(self) -> None:
        self.stylizer = Stylizer.load(PAINTINGS, style="starry_night")
        self.turn = Lock()

    @property
    def styles(self) -> list[str]:
        """Their names."""
        return self.stylizer.styles

    def paint(self, photograph: Picture, look: Look, mask: Mask | None = None) -> Picture:
        """The photograph in a look; where ``mask`` is black it stays. Raises ``FaststyleError``."""
        stylizer = self.stylizer.with_style(look.mixture, strength=look.strength)
        masks = [] if mask is None else [("mask", mask)]
        composition = Composition([with_strokes(stylizer, look.stroke_size)], masks, feather=0, color=look.color)
        with self.turn:
            rgb = composition.stylize(photograph.rgb)
        return replace(photograph, rgb=rgb)

    def thumbnails(self, photograph: Picture) -> dict[str, Picture]:
        """A small picture of the photograph in each style."""
        small = smaller(photograph, THUMBNAIL)
        return {name: self.paint(small, Look(name)) for name in self.styles}


def open_upload(data: bytes, name: str) -> Picture:
    """A photograph from a user. Raises ``ImageError``."""
    try:
        return decode_picture(data, name=name, max_megapixels=MOST_MEGAPIXELS)
    except ImageError as error:
        raise ImageError(str(error).removesuffix(RAISE_LIMIT)) from error  # an option that the page lacks


def open_mask(data: bytes, name: str) -> Mask:
    """A mask from a user. Raises ``ImageError``."""
    return to_mask(open_upload(data, name), name)


def smaller(picture: Picture, side: int) -> Picture:
    """The picture with its shorter side at ``side`` pixels at most."""
    return picture if min(picture.size) <= side else resize_shorter_side(picture, side)


def encode(picture: Picture, suffix: str) -> bytes:
    """The very file that ``faststyle stylize`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"picture{suffix}"
        write_picture(path, picture)
        return path.read_bytes()
