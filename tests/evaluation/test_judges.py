"""The judges: their contract, and that none is what a loss minimises."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import safetensors.torch
import torch
from torch import Tensor

from faststyle.errors import ConfigError
from faststyle.evaluation.judges import HOLDS, JUDGES, STYLE_LAYERS, Bench, Eyes, edges, load_eyes, partial_judges
from faststyle.experiments.application import compose_settings
from faststyle.experiments.composition import balanced_loss
from faststyle.experiments.schema import OptimizeConfig
from faststyle.losses.perceptual_loss import STYLE_LOSSES, adapt_layers
from faststyle.modeling.loss_network import build_loss_network
from faststyle.resources import CONF

PHOTOGRAPH = torch.rand(1, 3, 64, 72, generator=torch.Generator().manual_seed(1))
PAINTING = torch.rand(1, 3, 64, 72, generator=torch.Generator().manual_seed(2)) ** 2 * 0.7
Check = Callable[[str, Bench], None]


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return load_eyes("compact", weights="default", resnet_weights=None)


@pytest.fixture(scope="module")
def bench(eyes: Eyes) -> Bench:
    return Bench(eyes, PAINTING)


def figure(judge: str, bench: Bench, picture: Tensor) -> float:
    return bench(picture, PHOTOGRAPH)[judge]


def worse(judge: str, one: float, other: float) -> bool:
    return one < other if JUDGES[judge].higher else one > other


def is_best_of_what_it_is_about(judge: str, bench: Bench) -> None:
    best = 1.0 if JUDGES[judge].higher else 0.0
    original = PAINTING if JUDGES[judge].about == "style" else PHOTOGRAPH
    assert figure(judge, bench, original) == pytest.approx(best, abs=2e-3)


def falls_with_every_step_away(judge: str, bench: Bench) -> None:
    original, other = PAINTING, PHOTOGRAPH
    if JUDGES[judge].about == "photograph":
        original, other = other, original
    figures = [figure(judge, bench, original.lerp(other, share)) for share in (0.0, 0.3, 0.6, 1.0)]
    assert all(worse(judge, later, earlier) for earlier, later in pairwise(figures))


def gives_the_same_figure_again(judge: str, bench: Bench) -> None:
    picture = PHOTOGRAPH.lerp(PAINTING, 0.5)
    assert figure(judge, bench, picture) == figure(judge, bench, picture)


def bears_a_blank_picture(judge: str, bench: Bench) -> None:
    assert torch.tensor(figure(judge, bench, torch.zeros_like(PHOTOGRAPH))).isfinite()


CHECKS: list[Check] = [
    is_best_of_what_it_is_about,
    falls_with_every_step_away,
    gives_the_same_figure_again,
    bears_a_blank_picture,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("judge", JUDGES)
def test_every_judge(judge: str, check: Check, bench: Bench) -> None:
    check(judge, bench)


def test_a_figure_that_is_no_judge_fails(bench: Bench) -> None:
    bench = Bench.__new__(Bench)
    bench.verdicts = {"gram": lambda picture, photograph: -picture.mean().item()}
    with pytest.raises(AssertionError):
        is_best_of_what_it_is_about("gram", bench)
    with pytest.raises(AssertionError):
        falls_with_every_step_away("gram", bench)


def shipped_losses() -> Iterator[tuple[str, OptimizeConfig]]:
    for page in sorted((CONF / "loss").glob("*.yaml")):
        if page.stem != "base":
            yield page.stem, compose_settings("optimize", OptimizeConfig, [f"loss={page.stem}", "run_dir=."])


def test_no_shipped_loss_minimises_what_a_judge_measures() -> None:
    """VGG-19's layers of Gram matrices are none of theirs; no statistic is missing from ``HOLDS``."""
    losses = list(shipped_losses())
    assert len(losses) > 5
    for name, settings in losses:
        for term, layers in adapt_layers(settings.loss, "vgg19").used_layers.items():
            assert term == "content" or not set(layers) & set(STYLE_LAYERS["vgg19"]), name
        assert not partial_judges(settings.loss, "vgg19", {"first": "vgg19", "second": "compact"})
    assert {statistic for held in HOLDS.values() for statistic in held} == set(STYLE_LOSSES)


def test_a_loss_on_a_judges_layers_is_told_of() -> None:
    loss = replace(balanced_loss(), style_layers={"conv1_2": 1.0, "relu4_1": 1.0}, statistic="gram")
    architectures = {"first": "vgg19", "second": "compact"}
    assert partial_judges(loss, "vgg19", architectures) == {"gram": ["conv1_2"]}
    assert partial_judges(replace(loss, statistic="moments"), "vgg19", architectures) == {}
    shared = replace(loss, style_layers={"relu3_4": 1.0}, statistic="moments")
    assert partial_judges(shared, "compact", architectures) == {"covariance": ["relu3_4"]}
    assert partial_judges(replace(shared, style_weight=0), "compact", architectures) == {}


def test_edges_do_not_depend_on_contrast() -> None:
    assert edges(0.3 + 0.4 * PHOTOGRAPH, PHOTOGRAPH) == pytest.approx(1, abs=1e-5)
    assert abs(edges(PAINTING, PHOTOGRAPH)) < 0.2


def test_the_second_network_is_resnet_where_its_weights_are_given(tmp_path: object) -> None:
    path = f"{tmp_path}/resnet50.safetensors"
    safetensors.torch.save_file(build_loss_network("resnet50", STYLE_LAYERS["resnet50"]).state_dict(), path)
    eyes = load_eyes("compact", weights="default", resnet_weights=path)
    assert (eyes.first.architecture, eyes.second.architecture) == ("compact", "resnet50")
    bench = Bench(eyes, PAINTING)
    is_best_of_what_it_is_about("covariance", bench)
    falls_with_every_step_away("covariance", bench)


def test_what_cannot_be_judged_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"a picture of \(1, 3, 32, 36\), its photograph \(1, 3, 64, 72\)"):
        bench(PHOTOGRAPH[..., ::2, ::2], PHOTOGRAPH)
    with pytest.raises(ConfigError, match="the judges' loss network must be one of vgg19, compact, found 'resnet50'"):
        load_eyes("resnet50", weights="default", resnet_weights=None)
