"""The page as a whole."""

from typing import Any

from app_helpers import said


def test_it_has_three_tabs(page: Any) -> None:
    assert not said(page)[0]
    assert [tab.label for tab in page.tabs] == ["a photograph", "any painting", "trainings"]


def test_trainings_are_read_only_in_their_tab(page: Any) -> None:
    assert "no training in" not in str([caption.value for caption in page.caption])
    page.session_state["tab"] = "trainings"
    page.run()
    assert not said(page)[0]
    assert "no training in" in page.caption[-1].value
