"""Which styles a picture gets: a function of seed and name, evenly, and none that is not known."""

import collections

import pytest

from faststyle.datasets.choice import Choice, select_styles
from faststyle.errors import ConfigError

STYLES = ("a", "b", "c", "d")
NAMES = [f"{i}.jpg" for i in range(4000)]


def test_the_same_again_and_another_by_the_seed() -> None:
    """The figures are fixed: a data set is gone on with by a later version."""
    assert Choice(STYLES, 2, 0).of("x/0.jpg") == Choice(STYLES, 2, 0).of("x/0.jpg") == ["a", "d"]
    assert [Choice(STYLES, 1, 0).of(name)[0] for name in NAMES[:12]] == list("dbaddcaadbac")
    same = sum(Choice(STYLES, 1, 0).of(name) == Choice(STYLES, 1, 1).of(name) for name in NAMES)
    assert 0.2 < same / len(NAMES) < 0.3


def test_all_styles_evenly_and_each_once_for_a_picture() -> None:
    chosen = [Choice(STYLES, 3, 0).of(name) for name in NAMES]
    assert all(len(set(styles)) == 3 for styles in chosen)
    for place in range(3):
        counts = collections.Counter(styles[place] for styles in chosen)
        assert all(0.22 < counts[style] / len(NAMES) < 0.28 for style in STYLES)


def test_one_more_style_changes_its_share_only() -> None:
    changed = [name for name in NAMES if Choice(STYLES, 1, 0).of(name) != Choice((*STYLES, "e"), 1, 0).of(name)]
    assert all(Choice((*STYLES, "e"), 1, 0).of(name) == ["e"] for name in changed)
    assert 0.17 < len(changed) / len(NAMES) < 0.23


def test_names_that_are_no_utf_8() -> None:
    assert Choice(STYLES, 1, 0).of("caf\udce9.jpg")[0] in STYLES


def test_only_copies_have_marks() -> None:
    assert Choice(STYLES, 1, 0).mark("a") == ""
    assert Choice(STYLES, 1, 0).marks("x/0.jpg") == [""]
    assert Choice(STYLES, 2, 0).mark("a") == "-a"
    assert Choice(STYLES, 2, 0).marks("x/0.jpg") == ["-a", "-d"]


def test_which_are_wanted() -> None:
    assert select_styles("all", list(STYLES)) == STYLES
    assert select_styles("d, a,d", list(STYLES)) == ("d", "a")
    for wrong in ("e", "", "a,,b"):
        with pytest.raises(ConfigError, match="^a style must be one of a, b, c, d, found '"):
            select_styles(wrong, list(STYLES))


@pytest.mark.parametrize(("count", "words"), [(0, "must be at least 1"), (5, "--per-picture 5 needs as many styles")])
def test_as_many_as_there_are(count: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Choice(STYLES, count, 0)
