"""How far one loss network can stand in for another: features, Gram matrices, gradients."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from faststyle.losses.layer_losses import ContentLoss, GramLoss, gram_matrix
from faststyle.modeling.loss_network import LossNetwork


@dataclass(frozen=True)
class Agreement:
    """How far one layer agrees.

    r2: share of the features' variance that a linear map of the student's explains, fitted on other pictures.
    gram_error: relative squared error of the Gram matrices, through the same map.
    style_cosine, content_cosine: cosine between the gradients of the style and of the content error with respect to
    the picture; 1 is the same direction.
    """

    r2: float
    gram_error: float
    style_cosine: float
    content_cosine: float


def agreement(
    student: LossNetwork,
    teacher: LossNetwork,
    *,
    fit: Sequence[Tensor],
    pictures: Sequence[Tensor],
    contents: Sequence[Tensor],
    painting: Tensor,
) -> dict[str, Agreement]:
    """The agreement at each of the student's layers, means over ``pictures``; all are (1, 3, H, W) in [0, 1].

    fit: pictures on which the linear maps are fitted. contents: for each picture, the photograph that its content
    error is taken against. painting: what the style error is taken against.
    """
    result = {}
    for layer in student.layers:
        with torch.no_grad():
            to_teacher = linear_map((student(x, [layer])[layer], teacher(x, [layer])[layer]) for x in fit)
            pairs = [(student(x, [layer])[layer], teacher(x, [layer])[layer]) for x in pictures]
            r2 = [_r2(torch.einsum("oi,bihw->bohw", to_teacher, own), true) for own, true in pairs]
            grams = [(to_teacher @ gram_matrix(own) @ to_teacher.mT, gram_matrix(true)) for own, true in pairs]
        gram_error = [((own - true).square().sum() / true.square().sum()).item() for own, true in grams]
        cosines = [
            _cosine(*(_gradients(network, layer, x, content, painting) for network in (student, teacher)))
            for x, content in zip(pictures, contents, strict=True)
        ]
        style, content = zip(*cosines, strict=True)
        result[layer] = Agreement(*(sum(values) / len(values) for values in (r2, gram_error, style, content)))
    return result


def linear_map(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Least squares from features (B, C, H, W) to others (B, D, H, W), over all pairs of them: (D, C)."""
    pairs = list(pairs)
    products = torch.stack([gram_matrix(torch.cat(pair, dim=1)).mean(0) for pair in pairs]).mean(0)
    own = pairs[0][0].shape[1]
    ridge = 1e-6 * products[:own, :own].diagonal().mean() * torch.eye(own, device=products.device)
    solution: Tensor = torch.linalg.solve(products[:own, :own] + ridge, products[:own, own:])
    return solution.mT


def _r2(own: Tensor, true: Tensor) -> float:
    variance = (true - true.mean(dim=(2, 3), keepdim=True)).square().sum()
    return 1 - ((own - true).square().sum() / variance).item()


def _gradients(
    network: LossNetwork, layer: str, picture: Tensor, content: Tensor, painting: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of the style error and the content error at one layer with respect to the picture."""
    with torch.no_grad():
        style = GramLoss({layer: 1.0}, network(painting, [layer]), "relative")
        target = network(content, [layer])
    picture = picture.detach().requires_grad_()
    features = network(picture, [layer])
    (by_style,) = torch.autograd.grad(style(features), picture, retain_graph=True)
    (by_content,) = torch.autograd.grad(ContentLoss({layer: 1.0}, "relative")(features, target), picture)
    return by_style, by_content


def _cosine(own: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor]) -> list[float]:
    return [cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in zip(own, true, strict=True)]
