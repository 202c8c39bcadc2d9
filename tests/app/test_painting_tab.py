"""Any painting, without a browser."""

import time
from typing import Any

import pytest

from app_helpers import png, said

UPLOAD = ("a b.png", png(40, 40), "image/png")


def test_a_painting_is_needed(page: Any) -> None:
    assert page.button(key="start").disabled
    page.file_uploader(key="painting").set_value(UPLOAD).run()
    assert not page.button(key="start").disabled


@pytest.mark.slow
def test_it_is_painted_stopped_and_downloaded(page: Any) -> None:
    page.file_uploader(key="optimized").set_value(("p.png", png(40, 60), "image/png"))
    page.file_uploader(key="painting").set_value(UPLOAD)
    page.slider(key="size").set_value(128)
    page.slider(key="steps").set_value(300).run()
    page.button(key="start").click().run()
    assert page.button(key="start").disabled
    assert said(page)[1][1] == (
        """faststyle optimize content=p.png 'style.image='"'"'a b.png'"'"'' image_size=128 style.size=128 """
        "steps=300 output=p_painted.png"
    )
    end = time.monotonic() + 90
    while not page.session_state.work.job.step:
        assert time.monotonic() < end
        time.sleep(0.5)
        page.run()
    assert not page.get("download_button")
    page.button(key="stop").click().run()
    while page.session_state.work.job.state != "done":
        assert time.monotonic() < end
        time.sleep(0.2)
    page.run()
    assert said(page)[0] == []
    assert page.caption[-1].value.startswith("stopped after ")
    assert len(page.get("download_button")) == 1
    assert not page.button(key="start").disabled


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        (("bad.jpg", b"text", "image/jpeg"), "bad.jpg is no picture of a known format"),
        (("long.png", png(4, 40), "image/png"), "the painting is over 8 times as long as it is narrow"),
    ],
)
def test_a_bad_painting_is_told(upload: tuple[str, bytes, str], words: str, page: Any) -> None:
    page.file_uploader(key="painting").set_value(upload).run()
    page.button(key="start").click().run()
    (error,), _ = said(page)
    assert error.startswith(words)
    assert "work" not in page.session_state
