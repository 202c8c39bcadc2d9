"""Which rows of a network a picture is made of: a style, or several by their shares, and how strong."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from faststyle.checkpoint import Header
from faststyle.config import PHOTOGRAPH, STRENGTHS, style_share
from faststyle.errors import ConfigError, between


def parse_style(text: str) -> dict[str, float]:
    """``starry_night``, or ``starry_night:0.6,great_wave:0.4``: shares by name. Raises ``ConfigError``."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, colon, share = part.strip().partition(":")
        try:
            value = float(share) if colon else 1.0
        except ValueError:
            raise ConfigError(f"the style must be like NAME or NAME:0.6,NAME:0.4, found {text!r}") from None
        if not name or name in shares:
            raise ConfigError(f"the style must name each of its styles once, found {text!r}")
        shares[name] = value
    return shares


def style_names(header: Header) -> list[str]:
    """The styles that a file has; of a file with one that it does not name, none."""
    style = header.style()
    return [name for name in header.styles if name != PHOTOGRAPH] or ([style.name] if style else [])


def row_shares(header: Header, style: str | Mapping[str, float] | None, strength: float) -> NDArray[np.float32] | None:
    """(rows,): the share of each row, with the sum 1; None for a network of one row.

    style: a name, ``NAME:0.6,NAME:0.4``, or shares by name, which need not have the sum 1; None where there is but one.
    strength: in ``STRENGTHS``, see ``style_share``; the rest is the photograph's row, less than nothing above 1.

    Raises ``ConfigError`` on a style or a strength that the file does not have, or on shares that cannot be.
    """
    known = style_names(header)
    between("the strength", strength, *STRENGTHS)
    if style is None:
        if len(known) > 1:
            raise ConfigError(f"choose a style, or several by their shares: {', '.join(known)}")
        shares = dict.fromkeys(known, 1.0)
    else:
        shares = parse_style(style) if isinstance(style, str) else dict(style)
    for name, share in shares.items():
        if name not in known:
            raise ConfigError(f"no style {name!r} in this file, which has {', '.join(known) or 'one without a name'}")
        if not (0 <= share < math.inf):
            raise ConfigError(f"the share of {name} must be a number from 0, found {share}")
    if strength != 1 and PHOTOGRAPH not in header.styles:
        raise ConfigError("this file has one strength: training with strength=0.2 gives it others")
    if not header.styles:
        return None
    total = sum(shares.values())
    if not 0 < total < math.inf:
        raise ConfigError(f"the shares of {', '.join(shares)} have the sum {total}")
    share = style_share(strength)
    rows = np.array([share * shares.get(name, 0.0) / total for name in header.styles], np.float32)
    if PHOTOGRAPH in header.styles:
        rows[-1] = 1 - share
    return rows
