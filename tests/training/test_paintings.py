"""Fetching paintings: what comes is checked, and comes once."""

import functools
import http.server
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from faststyle.errors import DataError
from faststyle.resources import CONF
from faststyle.training import paintings
from faststyle.training.paintings import SOURCES, SUMS, Source, fetch, read_sums, sha256
from helpers import free_port, noise


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which a local server serves two paintings and what is none."""
    folder = tmp_path / "served"
    folder.mkdir()
    Image.fromarray(noise(40, 60)).save(folder / "wave.jpg")
    Image.fromarray(noise(60, 40)).save(folder / "night.jpg")
    (folder / "page.jpg").write_text("<html>no picture</html>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    known = {"wave": sha256(folder / "wave.jpg")}
    sources = {name: Source(f"{address}/{name}.jpg", known.get(name)) for name in ("wave", "night", "page", "none")}
    monkeypatch.setattr(paintings, "SOURCES", sources)
    yield folder
    server.shutdown()
    server.server_close()


def test_paintings_come_once_and_their_hashes_are_recorded(
    served: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "data" / "styles"
    assert fetch(["wave", "night"], folder) == []
    assert (folder / "wave.jpg").read_bytes() == (served / "wave.jpg").read_bytes()
    assert {path.name for path in folder.iterdir()} == {"wave.jpg", "night.jpg", SUMS}
    assert read_sums(folder) == {name: sha256(served / name) for name in ("wave.jpg", "night.jpg")}
    stamps = [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]
    with caplog.at_level(logging.INFO):
        assert fetch(["wave", "night"], folder) == []
    assert "wave.jpg is there" in caplog.text
    assert [path.stat().st_mtime_ns for path in sorted(folder.iterdir())] == stamps


def test_a_download_goes_on_from_what_is_there(served: Path, tmp_path: Path) -> None:
    """A server without ranges sends all of it again."""
    (tmp_path / "wave.jpg.part").write_bytes((served / "wave.jpg").read_bytes()[:100])
    assert fetch(["wave"], tmp_path) == []
    assert (tmp_path / "wave.jpg").read_bytes() == (served / "wave.jpg").read_bytes()


def test_all_but_the_failures_come(served: Path, tmp_path: Path) -> None:
    failures = fetch([], tmp_path)
    assert [line.partition(":")[0] for line in failures] == ["page", "none"]
    assert "what came is no picture" in failures[0]
    assert "404" in failures[1]
    assert all("\n" not in line for line in failures)
    assert {path.name for path in tmp_path.glob("*.*")} == {"wave.jpg", "night.jpg"}


@pytest.mark.parametrize("name", ["wave", "night"])
def test_another_picture_than_the_known_or_the_first_is_refused(name: str, served: Path, tmp_path: Path) -> None:
    fetch(["night"], tmp_path)
    Image.fromarray(noise(40, 60, seed=5)).save(served / f"{name}.jpg")
    (tmp_path / "night.jpg").unlink()
    (failure,) = fetch([name], tmp_path)
    assert re.search(r"has SHA-256 \w{16}\.\.\., expected \w{16}\.\.\.", failure)
    assert not list(tmp_path.glob(f"{name}*"))


def test_a_painting_that_was_changed_is_told(served: Path, tmp_path: Path) -> None:
    fetch(["night"], tmp_path)
    Image.fromarray(noise(40, 60, seed=5)).save(tmp_path / "night.jpg")
    (failure,) = fetch(["night"], tmp_path)
    assert "night.jpg has SHA-256" in failure


def test_no_connection_is_one_line(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Source(f"http://127.0.0.1:{free_port()}/a.jpg")
    monkeypatch.setattr(paintings, "SOURCES", {"a": nowhere, "b": nowhere})
    with pytest.raises(DataError, match="download of .*/a.jpg broke") as caught:
        fetch([], tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="^no download is known of mona_lisa; known: starry_night, great_wave, "):
        fetch(["great_wave", "mona_lisa"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_source_is_of_a_page_and_not_of_a_shipped_painting() -> None:
    for name, source in SOURCES.items():
        page = (CONF / "style" / f"{name}.yaml").read_text()
        assert f"file: {name}.jpg\n" in page
        assert "shipped:" not in page
        assert re.fullmatch(r"https://[\w./:(),?=-]+", source.url)
