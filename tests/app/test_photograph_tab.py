"""A photograph in the shipped styles, without a browser."""

import importlib.util
import io
from typing import Any

import pytest
from PIL import Image

from app_helpers import png, said
from faststyle.imaging.images import Picture

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("streamlit"), reason="needs the extra app")


def test_there_is_a_picture_before_anything_is_chosen(page: Any) -> None:
    errors, (command,) = said(page)
    assert not errors
    assert command == (
        "faststyle stylize --sample astronaut --checkpoint paintings --style starry_night "
        "--output astronaut_starry_night.png"
    )
    assert page.caption[0].value.startswith("512x512 pixels in ")


def test_everything_that_can_be_turned_stands_in_the_command(page: Any) -> None:
    page.button(key="choose pointillism").click().run()
    page.slider(key="strength").set_value(0.5)
    page.slider(key="stroke_size").set_value(1.5)
    page.selectbox(key="other").set_value("great_wave").run()
    page.slider(key="share").set_value(0.25)
    page.selectbox(key="color").set_value("the photograph's chroma")
    page.slider(key="until").set_value(50)
    page.file_uploader(key="mask").set_value(("mask.png", png(8, 8), "image/png")).run()
    errors, (command,) = said(page)
    assert not errors
    for words in (
        *("--style pointillism:0.75,great_wave:0.25", "--strength 0.5", "--stroke-size 1.5"),
        *("--preserve-color luminance", "--mask mask.png", "--output astronaut_pointillism.png"),
    ):
        assert words in command


def test_a_photograph_in_full_is_downloaded_until_something_is_turned(page: Any) -> None:
    page.file_uploader(key="photograph").set_value(("a b.jpg", png(700, 720), "image/jpeg")).run()
    assert page.caption[0].value.startswith("658x640 pixels in ")
    assert "the photograph has 720x700" in page.caption[0].value
    assert not page.get("download_button")
    page.button(key="paint").click().run()
    assert said(page)[0] == []
    assert len(page.get("download_button")) == 1
    page.slider(key="strength").set_value(0.5).run()
    assert not page.get("download_button")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"text", "bad.jpg is no picture of a known format"),
        (png(40, 40)[:900], "bad.jpg is damaged"),
        (b"", "bad.jpg is empty"),
    ],
)
def test_a_bad_upload_is_told_and_the_page_goes_on(data: bytes, words: str, page: Any) -> None:
    page.file_uploader(key="photograph").set_value(("bad.jpg", data, "image/jpeg")).run()
    (error,), commands = said(page)
    assert error.startswith(words)
    assert not commands
    page.file_uploader(key="photograph").set_value(("good.png", png(1, 1), "image/png")).run()
    errors, commands = said(page)
    assert not errors
    assert len(commands) == 1


def test_a_black_mask_is_told(page: Any) -> None:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    page.file_uploader(key="mask").set_value(("black.png", file.getvalue(), "image/png")).run()
    assert said(page)[0] == ["mask black.png is empty: white is where the style goes"]


def test_a_painted_mask_goes_before_an_uploaded_one(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    page.file_uploader(key="mask").set_value(("mask.png", png(8, 8), "image/png"))
    page.toggle(key="by_hand").set_value(True).run()
    errors, (command,) = said(page)
    assert not errors
    assert "--mask" not in command  # nothing is painted yet
    monkeypatch.setattr("faststyle.app.photograph_tab.paint_mask", lambda *_: png(8, 8))
    errors, (command,) = said(page.run())
    assert not errors
    assert "--mask astronaut_mask.png" in command
    assert len(page.get("download_button")) == 1
    monkeypatch.setattr("faststyle.app.photograph_tab.paint_mask", lambda *_: b"text")
    (error,), _ = said(page.run())
    assert error.startswith("astronaut_mask.png is no picture of a known format")


def test_too_large_a_photograph_is_told_without_an_option_that_the_page_lacks(page: Any) -> None:
    file = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(file, "PNG")
    page.file_uploader(key="photograph").set_value(("large.png", file.getvalue(), "image/png")).run()
    assert said(page)[0] == ["large.png has 60.0 megapixels, the limit is 50"]


def test_too_little_memory_is_told(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(*_: object) -> Picture:
        raise MemoryError

    monkeypatch.setattr("faststyle.app.studio.Studio.paint", paint)
    page.slider(key="strength").set_value(0.4).run()
    assert said(page)[0] == ["not enough memory: a smaller photograph helps"]
