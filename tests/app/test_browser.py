"""The page in a browser: what people do with it. Needs Chromium (Debian: apt install chromium)."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers import call, noise

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
MS = 60_000  # at most, on a machine with other work


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("streamlit")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "faststyle", "app", "--port", str(port)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    while b"URL" not in process.stdout.readline():
        assert process.poll() is None
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1400, 420], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": request.param, "height": 1000})
    page.set_default_timeout(MS)
    page.goto(address)
    page.wait_for_selector("text=pixels in")
    yield page
    page.close()


def upload(page: Any, path: Path) -> None:
    page.set_input_files("input[type=file] >> nth=0", path)


def test_upload_choose_turn_mix_and_download(page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(90, 120)).save("photo.jpg")
    upload(page, tmp_path / "photo.jpg")
    page.wait_for_selector("text=the photograph has 120x90")
    page.click("button:has-text('great wave')")
    page.wait_for_selector("code:has-text('--style great_wave')")
    page.get_by_role("slider", name="strength").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("code:has-text('--strength 0.95')")
    page.locator("[class*=st-key-other] input").fill("pointillism")
    page.keyboard.press("Enter")
    page.wait_for_selector("code:has-text('great_wave:0.5,pointillism:0.5')")
    page.click("button:has-text('paint it in full size')")
    with page.expect_download() as downloading:
        page.click("button:has-text('download')")
    downloading.value.save_as(tmp_path / "downloaded.jpg")
    command = page.inner_text("code")
    assert call(*command.split()[1:]) == 0
    assert Path("downloaded.jpg").read_bytes() == Path("photo_great_wave.jpg").read_bytes()


def test_bad_uploads_are_told_and_the_page_goes_on(page: Any, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    Image.fromarray(noise(1, 1)).save(tmp_path / "tiny.png")
    upload(page, tmp_path / "text.jpg")
    page.wait_for_selector("text=text.jpg is no picture of a known format")
    upload(page, tmp_path / "huge.png")
    page.wait_for_selector("text=huge.png has 400.0 megapixels, the limit is 50")
    upload(page, tmp_path / "tiny.png")
    page.wait_for_selector("text=the photograph has 1x1")
