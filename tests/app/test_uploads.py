"""Pictures that a user gives, as the page keeps them."""

from typing import Any

from app_helpers import png


def test_an_upload_is_opened_once(page: Any) -> None:
    sample = page.session_state["opened"]
    assert sample[0] == "astronaut"
    page.file_uploader(key="photograph").set_value(("a.png", png(8, 8), "image/png")).run()
    opened = page.session_state["opened"]
    assert opened[1].size == (8, 8)
    page.slider(key="strength").set_value(0.5).run()
    assert page.session_state["opened"][1] is opened[1]
