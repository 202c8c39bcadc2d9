"""How far a picture is from a painting's style: the figure that ranks as the eye does (BENCHMARKS.md)."""

import torch
from torch import Tensor, nn

from faststyle.losses.layer_losses import TINY, covariance_matrix
from faststyle.losses.perceptual_loss import halvings
from faststyle.modeling.loss_network import LossNetwork, nearest_layer

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_1", "relu5_1")  # of VGG-19
SCALES = 2  # the picture, and half its size: large forms count


def distance_layers(architecture: str) -> list[str]:
    """Those of ``architecture`` that are as deep as ``LAYERS``."""
    return list(dict.fromkeys(nearest_layer(architecture, name) for name in LAYERS))


class StyleDistance(nn.Module):
    """Fréchet distance of a picture's features to a painting's, each layer's taken as Gaussian over its positions.

    |m - m_s|^2 + tr(C + C_s - 2 (C C_s)^1/2) (Dowson & Landau 1982), over tr(C_s): the mean over ``distance_layers``
    and ``SCALES``. 0 for the painting itself. It is FID's distance (Heusel et al. 2017, arXiv:1706.08500) of two
    pictures in place of two sets. No loss here minimises it.

    loss_network: returns ``distance_layers``. style: (1, 3, H, W) in [0, 1].
    """

    @torch.no_grad()
    def __init__(self, loss_network: LossNetwork, style: Tensor) -> None:
        super().__init__()
        self.loss_network = loss_network
        self.layers = distance_layers(loss_network.architecture)
        self.painting = [(mean, cov, _square_root(cov)) for mean, cov in self.gaussians(style)]

    @torch.no_grad()
    def forward(self, image: Tensor) -> float:
        """image: (1, 3, H, W) in [0, 1]."""
        distances = []
        for (mean, cov), (wanted_mean, wanted, root) in zip(self.gaussians(image), self.painting, strict=False):
            shared = torch.linalg.eigvalsh(root @ cov @ root).clamp_min(0).sqrt().sum()  # tr((C C_s)^1/2)
            distance = (mean - wanted_mean).square().sum() + cov.trace() + wanted.trace() - 2 * shared
            distances.append(distance.clamp_min(0) / wanted.trace().clamp_min(TINY))
        return torch.stack(distances).mean().item()

    def gaussians(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Mean (C,) and covariance (C, C) of each layer at each scale, float64 on the CPU, the large scale first."""
        found = []
        for _, picture in zip(range(SCALES), halvings(image), strict=False):
            features = self.loss_network(picture, layers=self.layers)
            for layer in self.layers:
                x = features[layer].double().cpu()
                found.append((x.mean((0, 2, 3)), covariance_matrix(x)[0]))
        return found


def _square_root(matrix: Tensor) -> Tensor:
    """Of a symmetric matrix without negative eigenvalues, (C, C)."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
