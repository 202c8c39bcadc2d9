"""The page in a browser: what people do with it. Needs Chromium (Debian: apt install chromium). Several users at once
make some requests, or as many as one asks for:

FASTSTYLE_REQUESTS=200 uv run pytest tests/app/test_browser.py -n 0 -o log_cli=true -o log_cli_level=INFO
"""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app_helpers import make_run
from faststyle.imaging.reading import read_picture
from helpers import call, free_port, noise

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
REQUESTS = int(os.environ.get("FASTSTYLE_REQUESTS", "8"))
USERS = 4
log = logging.getLogger(__name__)
MS = 60_000  # at most, on a machine with other work


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Its address and its process. It has one training."""
    pytest.importorskip("streamlit")
    port = free_port()
    runs = tmp_path_factory.mktemp("runs")
    make_run(runs / "today", ["1,0,9,0.5", "3,0,19,0.25"])
    command = [sys.executable, "-m", "faststyle", "app", "--port", str(port), "--runs", str(runs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while b"URL" not in process.stdout.readline():
        assert process.poll() is None
    yield f"http://127.0.0.1:{port}", process.pid
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
def page(request: pytest.FixtureRequest, browser: Any, server: tuple[str, int]) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": request.param, "height": 1000})
    page.set_default_timeout(MS)
    page.goto(server[0])
    page.wait_for_selector("text=pixels in")
    yield page
    page.close()


def upload(page: Any, path: Path) -> None:
    page.set_input_files("input[type=file] >> nth=0", path)


def download(page: Any, button: str, path: Path | str) -> None:
    with page.expect_download() as downloading:
        page.click(f"{button} button")
    downloading.value.save_as(path)


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
    download(page, ".st-key-download", "downloaded.jpg")
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


def test_a_mask_is_painted_and_its_command_writes_the_download(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(90, 120)).save("photo.png")
    upload(page, tmp_path / "photo.png")
    page.wait_for_selector("text=the photograph has 120x90")
    page.click("text=paint the mask")
    page.wait_for_selector("text=paint where the style goes")
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 4, y, steps=4)
    page.mouse.up()
    page.wait_for_selector("code:has-text('--mask photo_mask.png')")
    download(page, ".st-key-download_mask", "photo_mask.png")
    mask = np.asarray(Image.open("photo_mask.png").convert("L"))
    assert mask.shape == (90, 120)
    assert mask[45, 60:85].min() == 255
    assert not mask[:30].any()
    assert not mask[:, :50].any()
    page.click("button:has-text('paint it in full size')")
    download(page, ".st-key-download", "downloaded.png")
    assert call(*page.inner_text("code").split()[1:]) == 0
    assert Path("downloaded.png").read_bytes() == Path("photo_starry_night.png").read_bytes()
    page.click("button:has-text('clear')")
    page.wait_for_selector("code:not(:has-text('--mask'))")


def test_any_painting(page: Any, tmp_path: Path) -> None:
    Image.fromarray(noise(64, 64)).save(tmp_path / "a painting.png")
    Image.fromarray(noise(64, 64)).save(tmp_path / "photo.png")
    page.get_by_role("tab", name="any painting").click()
    page.set_input_files(".st-key-optimized input[type=file]", tmp_path / "photo.png")
    page.set_input_files(".st-key-painting input[type=file]", tmp_path / "a painting.png")
    page.get_by_role("slider", name="shorter side").focus()
    page.keyboard.press("Home")
    page.get_by_role("slider", name="iterations").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="start", exact=True).click()
    page.wait_for_selector("text=of 300 iterations")
    page.get_by_role("button", name="stop").click()
    page.wait_for_selector("text=stopped after")
    page.wait_for_selector("code:has-text('image_size=128 style.size=128 steps=300 output=photo_painted.png')")
    download(page, ".st-key-download_painted", tmp_path / "painted.png")
    assert read_picture(tmp_path / "painted.png").size == (128, 128)


def test_trainings(page: Any) -> None:
    page.get_by_role("tab", name="trainings").click()
    page.wait_for_selector("text=ended; 20 steps")
    page.wait_for_selector("canvas, svg.marks")
    assert not page.get_by_role("alert").count()


def test_several_users_at_once(server: tuple[str, int]) -> None:
    """Each turns the strength up and down; the slowest answer, the memory after the first quarter and at the end."""
    async_api = pytest.importorskip("playwright.async_api")
    address, process = server
    seconds: list[float] = []
    memory: list[float] = []

    async def use(page: Any) -> None:
        page.set_default_timeout(MS)
        await page.goto(address)
        await page.wait_for_selector("text=pixels in")
        for number in range(REQUESTS // USERS):
            await page.get_by_role("slider", name="strength").focus()
            start = perf_counter()
            await page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
            await page.wait_for_selector(
                "code" + (":not(:has-text('--strength'))" if number % 2 else ":has-text('0.95')")
            )
            seconds.append(perf_counter() - start)
            memory.append(resident(process))
            assert not await page.get_by_role("alert").count()

    async def use_all() -> None:
        async with async_api.async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            await asyncio.gather(*[use(await browser.new_page()) for _ in range(USERS)])
            await browser.close()

    with ThreadPoolExecutor(1) as own:  # this thread has Playwright's own loop
        own.submit(lambda: asyncio.run(use_all())).result()
    slowest, median = max(seconds), sorted(seconds)[len(seconds) // 2]
    warm = memory[len(memory) // 4]
    log.info(
        "%d requests: median %.2f s, slowest %.2f s; %.0f MB, then %.0f", REQUESTS, median, slowest, warm, memory[-1]
    )
    assert len(seconds) == REQUESTS
    if REQUESTS >= 200:
        assert slowest <= 4 * median
        assert memory[-1] <= 1.1 * warm


def resident(process: int) -> float:
    """Megabytes of memory of a process."""
    (line,) = [each for each in Path(f"/proc/{process}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
