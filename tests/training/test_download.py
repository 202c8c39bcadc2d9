"""The download goes on where it broke."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from faststyle.errors import DataError
from faststyle.training.download import download

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; honours Range; breaks off after ``limit`` bytes."""

    limit = len(CONTENT)

    def do_GET(self) -> None:
        if self.path != "/a.zip":
            self.send_error(404)
            return
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : start + self.limit])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/a.zip"
    server.shutdown()
    server.server_close()


def test_whole(url: str, tmp_path: Path) -> None:
    path = download(url, tmp_path / "deep" / "a.zip")
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_goes_on_after_a_break(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "limit", 400_000)
    for _ in range(2):
        with pytest.raises(DataError, match="the same command goes on"):
            download(url, tmp_path / "a.zip")
        assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").stat().st_size == 800_000
    assert download(url, tmp_path / "a.zip").read_bytes() == CONTENT


def test_part_that_is_already_whole(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert download(url, tmp_path / "a.zip").read_bytes() == CONTENT


def test_part_that_is_too_long(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"x")
    with pytest.raises(DataError, match=f"has {len(CONTENT) + 1} of {len(CONTENT)} bytes"):
        download(url, tmp_path / "a.zip")


def test_existing_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"x")
    assert download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip").read_bytes() == b"x"


@pytest.mark.parametrize("path", ["/b.zip", ":1/a.zip"])
def test_unreachable(path: str, url: str, tmp_path: Path) -> None:
    bad = url.replace("/a.zip", path) if path == "/b.zip" else "http://127.0.0.1:1/a.zip"
    with pytest.raises(DataError, match=f"{bad}"):
        download(bad, tmp_path / "a.zip")


@pytest.mark.parametrize("url", ["x", "", "ftp:/", "http://a b/", "http://[", "http://127.0.0.1:1000000/", "file:///"])
def test_bad_addresses(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        download(url, tmp_path / "a.zip")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        download("http://127.0.0.1:1/a.zip", tmp_path)


def test_a_server_that_names_no_size(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "send_header", lambda *_: None)
    monkeypatch.setattr(Handler, "limit", 0)
    with pytest.raises(DataError, match="cannot download"):
        download(url, tmp_path / "a.zip")
