"""The decoder of the compact loss network."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from safetensors.torch import load_file

from faststyle.errors import LossNetworkError
from faststyle.imaging.images import resize_shorter_side
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.modeling import decoder as module
from faststyle.modeling.decoder import COARSEST, LEVELS, Decoder, load_decoder
from faststyle.modeling.loss_network import build_loss_network
from faststyle.modeling.loss_network_weights import load_loss_network
from faststyle.modeling.pixels import to_image
from faststyle.resources import LOSS_NETWORKS


def test_each_level_is_decoded_to_the_shape_of_the_finer_one_and_the_last_to_pictures() -> None:
    images = torch.rand(2, 3, 4 * COARSEST, 3 * COARSEST)
    features = build_loss_network("compact", LEVELS)(images)
    shapes = [features[level].shape for level in LEVELS] + [images.shape]
    decoder = Decoder()
    for level, finer in zip(LEVELS, shapes[1:], strict=True):
        assert decoder.decode(features[level], level).shape == finer


def test_scales_are_taken_from_the_input_and_given_to_the_output() -> None:
    decoder, features = Decoder(), torch.randn(1, 256, 4, 4)
    before = decoder.decode(features, LEVELS[0])
    decoder.scales[0], decoder.scales[1] = 2, 3
    torch.testing.assert_close(decoder.decode(2 * features, LEVELS[0]), 3 * before)


@pytest.mark.parametrize(("level", "most"), list(zip(LEVELS, (0.4, 0.25, 0.25, 0.03), strict=True)))
def test_a_photograph_comes_back(level: str, most: float) -> None:
    """With less than so much of its variance as error."""
    picture = resize_shorter_side(read_picture(sample_photograph("coffee")), 128, name="coffee")
    image = to_image(picture.rgb)[..., :128, :184]
    x, decoder = load_loss_network("compact", LEVELS)(image)[level], load_decoder()
    for each in LEVELS[LEVELS.index(level) :]:
        x = decoder.decode(x, each)
    assert (x - image).square().mean() < most * image.var()


def test_the_shipped_weights_are_small() -> None:
    path = LOSS_NETWORKS / "decoder.safetensors"
    assert path.stat().st_size < 4e6
    assert {tensor.dtype for tensor in load_file(path).values()} == {torch.float16}
    assert not any(weight.requires_grad for weight in load_decoder().parameters())


@pytest.mark.parametrize("content", [b"", b"damaged", None, "compact"])
def test_a_file_that_is_none_is_told_in_one_line(
    content: bytes | str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "decoder.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        safetensors.torch.save_file(build_loss_network("compact", ["relu1_1"]).state_dict(), path)
    monkeypatch.setattr(module, "LOSS_NETWORKS", tmp_path)
    with pytest.raises(LossNetworkError, match="decoder.safetensors is no decoder of the compact network") as caught:
        load_decoder()
    assert "\n" not in str(caught.value)
