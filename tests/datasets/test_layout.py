"""Names of results; two pictures never become one file."""

import pytest

from faststyle.datasets.choice import Choice
from faststyle.datasets.layout import SOME, check_distinct, some, written_name
from faststyle.errors import OutputError


@pytest.mark.parametrize(
    ("name", "mark", "written"),
    [
        ("a/b.jpg", "", "a/b.jpg"),
        ("a.b/c.d.JPG", "-wave", "a.b/c.d-wave.JPG"),
        ("b.gif", "", "b.png"),
        ("b.gif", "-wave", "b-wave.png"),
    ],
)
def test_names_of_results(name: str, mark: str, written: str) -> None:
    assert written_name(name, mark) == written


ONE, BOTH = Choice(("x", "y"), 1, 0), Choice(("x", "y"), 2, 0)


def test_pictures_of_different_names_are_well() -> None:
    check_distinct(["a.gif", "a.jpg", "b/a.gif", "a-x.png"], ONE)
    check_distinct(["a.gif", "a.jpg", "b/a.gif"], BOTH)


@pytest.mark.parametrize(
    ("names", "choice"), [(["a.gif", "a.png"], ONE), (["a-x.gif", "b.jpg", "a-x.png"], ONE), (["a.png", "a.gif"], ONE)]
)
def test_two_pictures_that_would_become_one_are_refused(names: list[str], choice: Choice) -> None:
    with pytest.raises(OutputError, match=f"^{names[0]} and {names[-1]} would both become a(-x)?.png$"):
        check_distinct(names, choice)


def test_lots() -> None:
    names = list(map(str, range(2 * SOME + 1)))
    assert [len(few) for few in some(names)] == [SOME, SOME, 1]
    assert [name for few in some(names) for name in few] == names
