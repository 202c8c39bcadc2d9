"""Which style each picture of a training is for, and how strong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from faststyle.config import STRENGTHS, style_share


@dataclass(frozen=True)
class Mixtures:
    """Of a batch. styles: the name of each picture's. strengths: (B,) in the range ``STRENGTHS``. shares: (B, rows)
    for ``TransformerNet.forward``: ``style_share`` of the style's row, and the rest of the photograph's."""

    styles: list[str]
    strengths: Tensor
    shares: Tensor

    def __getitem__(self, part: slice) -> "Mixtures":
        """Those of some of the pictures."""
        return Mixtures(self.styles[part], self.strengths[part], self.shares[part])


class MixturePlan:
    """The mixtures of a step are a function of (seed, step) alone, as its crops are: there is no state to save.

    Each style comes once before one comes again, every time in a new order.

    rows: names of the network's; the last is the photograph's, if any picture is to be a mixture with it. styles: the
    names of those that are trained. strength: the share of the pictures that are such mixtures, at a random strength.
    """

    def __init__(self, rows: Sequence[str], styles: Sequence[str], *, strength: float, seed: int) -> None:
        self.rows, self.styles, self.strength, self.seed = list(rows), list(styles), strength, seed

    def draw(self, step: int, batch_size: int) -> Mixtures:
        """The mixtures of one step, of the whole batch, on the CPU."""
        styles = [self._style(step * batch_size + i) for i in range(batch_size)]
        random = np.random.default_rng((self.seed, 1, step))
        mixed, at = random.random((2, batch_size))
        strengths = torch.from_numpy(np.where(mixed < self.strength, STRENGTHS[1] * at, 1.0)).float()
        shares = torch.zeros(batch_size, len(self.rows))
        own = torch.tensor([style_share(strength) for strength in strengths.tolist()])
        shares[range(batch_size), [self.rows.index(style) for style in styles]] = own
        shares[:, -1] += 1 - own
        return Mixtures(styles, strengths, shares)

    def _style(self, position: int) -> str:
        turn, place = divmod(position, len(self.styles))
        order = np.random.default_rng((self.seed, 2, turn)).permutation(len(self.styles))
        style: str = self.styles[order[place]]
        return style
