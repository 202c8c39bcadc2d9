"""Styles, mixtures and strengths: which rows a picture is made of."""

import math

import numpy as np
import pytest

from faststyle.checkpoint import Header
from faststyle.errors import ConfigError
from faststyle.inference.mixture import parse_style, row_shares, style_names
from helpers import make_config
from test_config import make_recipe

MANY = Header(make_config(rows=4, keeps=True), styles=("a", "b", "c", "photograph"))
WITHOUT = Header(make_config(rows=2), styles=("a", "b"))
ONE = Header(make_config(), make_recipe())


def test_shares_are_read() -> None:
    assert parse_style("starry_night") == {"starry_night": 1}
    assert parse_style("a:0.6, b@384:3") == {"a": 0.6, "b@384": 3}


@pytest.mark.parametrize("text", ["", "a:", "a:x", "a,a", "a,,b", ":1"])
def test_what_is_no_style_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="^the style must "):
        parse_style(text)


def test_the_names_of_a_files_styles() -> None:
    assert (style_names(MANY), style_names(ONE), style_names(Header(make_config()))) == (["a", "b", "c"], ["x"], [])


def test_shares_are_normalised_and_symmetric() -> None:
    assert row_shares(MANY, "a:3,b:1", 1) == pytest.approx([0.75, 0.25, 0, 0])
    assert row_shares(MANY, {"b": 0.1, "a": 0.3}, 1) == pytest.approx([0.75, 0.25, 0, 0])
    assert row_shares(WITHOUT, "b", 1) == pytest.approx([0, 1])


@pytest.mark.parametrize(("strength", "share"), [(0, 0), (0.25, 0.25), (1, 1), (1.5, 1.2)])
def test_the_rest_of_the_strength_is_the_photographs(strength: float, share: float) -> None:
    shares = row_shares(MANY, "a:1,c:1", strength)
    assert shares == pytest.approx([share / 2, 0, share / 2, 1 - share])
    assert np.sum(shares) == pytest.approx(1)


def test_one_style_needs_no_name() -> None:
    for style in (None, "x"):
        assert row_shares(ONE, style, 1) is None
    assert row_shares(Header(make_config()), None, 1) is None


@pytest.mark.parametrize(
    ("header", "style", "strength", "words"),
    [
        (MANY, None, 1, "choose a style, or several by their shares: a, b, c"),
        (MANY, "d", 1, "no style 'd' in this file, which has a, b, c"),
        (MANY, "photograph", 1, "no style 'photograph' in this file, which has a, b, c"),
        (MANY, "a:-1", 1, "the share of a must be a number from 0, found -1.0"),
        (MANY, {"a": math.nan}, 1, "the share of a must be a number from 0, found nan"),
        (MANY, "a:0,b:0", 1, "the shares of a, b have the sum 0.0"),
        (MANY, {"a": 1e308, "b": 1e308}, 1, "the shares of a, b have the sum inf"),
        (MANY, "a", 1.6, "the strength must be from 0.* to 1.5, found 1.6"),
        (WITHOUT, "a", 0.5, "this file has one strength: training with strength=0.2 gives it others"),
        (ONE, "y", 1, "no style 'y' in this file, which has x"),
        (ONE, None, 0.5, "this file has one strength: training with strength=0.2 gives it others"),
    ],
)
def test_what_a_file_does_not_have_is_one_line(
    header: Header, style: str | dict[str, float] | None, strength: float, words: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{words}$"):
        row_shares(header, style, strength)
