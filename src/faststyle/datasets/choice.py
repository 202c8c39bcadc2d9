"""Which styles a picture of a data set gets."""

import hashlib
from dataclasses import dataclass

from faststyle.errors import ConfigError, at_least, one_of


@dataclass(frozen=True)
class Choice:
    """``per_picture`` of the styles for each picture, without repetition, at random by ``seed``.

    Raises ``ConfigError`` if there are too few styles.
    """

    styles: tuple[str, ...]
    per_picture: int
    seed: int

    def __post_init__(self) -> None:
        at_least("--per-picture", self.per_picture, 1)
        if self.per_picture > len(self.styles):
            raise ConfigError(f"--per-picture {self.per_picture} needs as many styles, found {len(self.styles)}")

    def of(self, name: str) -> list[str]:
        """A picture's styles: a function of its name, the seed and the styles alone, uniform.

        Those with the least hash (rendezvous hashing): one more style changes few pictures.
        """
        return sorted(self.styles, key=lambda style: self._hash(name, style))[: self.per_picture]

    def _hash(self, name: str, style: str) -> bytes:
        text = f"{self.seed}\n{style}\n{name}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).digest()

    def marks(self, name: str) -> list[str]:
        """Those of a picture's copies; to know the one of a single copy takes no hash."""
        return [self.mark(style) for style in self.of(name)] if self.per_picture > 1 else [""]

    def mark(self, style: str) -> str:
        """What tells a picture's copies apart, at the end of its name; nothing where there is one copy."""
        return f"-{style}" if self.per_picture > 1 else ""


def select_styles(wanted: str, known: list[str]) -> tuple[str, ...]:
    """``all``, or names with commas in between, each once. Raises ``ConfigError`` on an unknown one."""
    if wanted == "all":
        return tuple(known)
    names = dict.fromkeys(name.strip() for name in wanted.split(","))
    for name in names:
        one_of("a style", name, known)
    return tuple(names)
