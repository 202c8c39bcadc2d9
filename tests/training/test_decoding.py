"""The training of the decoder."""

from itertools import pairwise

import pytest
import torch

from faststyle.config import OptimizerConfig
from faststyle.modeling.decoder import LEVELS, PICTURE
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_images
from faststyle.training import decoding
from faststyle.training.decoding import Decoding, disturbed, relative_error, starting, whole
from helpers import noise

CROPS = torch.stack([torch.from_numpy(noise(32, 32, seed=seed).copy()) for seed in range(4)])
OPTIMIZER = OptimizerConfig(algorithm="adam", learning_rate=2e-3, schedule="constant", warmup=0.1)


@pytest.fixture(scope="module")
def module() -> Decoding:
    torch.manual_seed(0)
    module = Decoding(load_loss_network("compact", LEVELS), CROPS, optimizer=OPTIMIZER, max_steps=20, seed=0)
    module.log_dict = lambda *_: None  # type: ignore[assignment,misc,return-value]
    return module


def test_the_loss_falls_and_only_the_decoder_is_trained(module: Decoding) -> None:
    optimizer = module.configure_optimizers()
    frozen = {name: value.clone() for name, value in module.loss_network.state_dict().items()}
    losses = []
    for step in range(20):
        loss = module.training_step(CROPS, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad is not None for parameter in module.decoder.parameters())
    assert all(parameter.grad is None for parameter in module.loss_network.parameters())
    assert all(torch.equal(frozen[name], value) for name, value in module.loss_network.state_dict().items())


def test_features_are_disturbed_in_proportion() -> None:
    features = 100 * torch.randn(2000, 3, 4, 4)
    share = (disturbed(features, torch.Generator()) - features).flatten(1).std(1) / features.flatten(1).std(1)
    assert share.mean().item() == pytest.approx(decoding.NOISE / 2, rel=0.05)
    assert share.max() < 1.6 * decoding.NOISE


def test_features_have_unit_scale(module: Decoding) -> None:
    features = module.loss_network(to_images(CROPS))
    for level, scale in zip(LEVELS, module.decoder.scales, strict=True):
        torch.testing.assert_close(features[level].square().mean().sqrt(), scale)


def test_every_stage_sees_what_the_network_says_and_what_the_stage_before_makes_of_it(
    module: Decoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "NOISE", 0)
    images = to_images(CROPS)
    targets = module.loss_network(images) | {PICTURE: images}
    pictures, _ = module.decode(targets)
    assert pictures.shape == images.shape
    torch.testing.assert_close(pictures[-1:], module.decoder.decode(targets[LEVELS[-1]][-1:], LEVELS[-1]))
    x = targets[LEVELS[0]][:2]
    for level in LEVELS:
        x = module.decoder.decode(x, level)
    torch.testing.assert_close(pictures[:2], x)


@pytest.mark.parametrize("count", range(1, 18))
def test_every_picture_starts_somewhere(count: int) -> None:
    shares = [starting(count, level) for level in LEVELS]
    assert sum(shares) == count
    assert shares[0] >= 1
    assert all(later <= earlier for earlier, later in pairwise(shares[:-1]))
    assert count < 8 or min(shares) >= 1


def test_errors_are_relative_to_the_variance() -> None:
    target = torch.randn(2, 3, 64, 64)
    assert relative_error(target, target) == 0
    mean = target.mean((2, 3), keepdim=True).expand_as(target)
    assert relative_error(mean, target).item() == pytest.approx(1, abs=0.01)
    assert relative_error(7 * mean, 7 * target).item() == pytest.approx(1, abs=0.01)
    assert relative_error(target.bfloat16(), target).dtype == torch.float32


def test_pictures_are_cut_to_whole_positions_of_the_coarsest_level() -> None:
    images = torch.rand(1, 3, 36, 41)
    assert torch.equal(whole(images), images[..., :32, :40])


def test_a_checkpoint_leaves_the_loss_network_out(module: Decoding) -> None:
    state = module.state_dict()
    assert all(name.startswith("decoder.") for name in state)
    module.load_state_dict(state)
    with pytest.raises(RuntimeError, match="Missing key"):
        module.load_state_dict({})
