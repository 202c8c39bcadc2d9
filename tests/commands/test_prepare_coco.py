"""``faststyle prepare-coco``."""

import logging
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from omegaconf import OmegaConf

from faststyle.commands.prepare_coco import parse
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.resources import CONF
from helpers import call


def test_a_local_folder_is_packed(photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "in").mkdir()
    for path in photos.glob("*.jpg"):
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "in" / "bad.jpg").write_bytes(b"x")
    with caplog.at_level(logging.INFO):
        assert call("prepare-coco", "--source", tmp_path / "in", "--cache-dir", tmp_path, "--pack-size", 32) == 0
    assert "4 photographs packed, 1 skipped" in caplog.messages
    assert any(message.endswith(f" data.root={tmp_path / 'in'}") for message in caplog.messages)  # how to train
    (pixels,) = tmp_path.rglob("pixels.u8")
    assert pixels.stat().st_size == 4 * 32 * 32 * 3


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which its files are."""
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "served"))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield tmp_path / "served", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_zip_is_downloaded_once_and_packed(server: tuple[Path, str], photos: Path, tmp_path: Path) -> None:
    folder, address = server
    with ZipFile(folder / "photos.zip", "w") as archive:
        for path in photos.glob("*.jpg"):
            archive.write(path, path.name)
    options = (
        "--url",
        f"{address}/photos.zip",
        "--zip",
        tmp_path / "kept" / "a.zip",
        "--cache-dir",
        tmp_path / "packs",
    )
    assert call("prepare-coco", *options, "--pack-size", 16) == 0
    assert (tmp_path / "kept" / "a.zip").read_bytes() == (folder / "photos.zip").read_bytes()
    assert list((tmp_path / "packs").rglob("pixels.u8"))
    (folder / "photos.zip").unlink()
    assert call("prepare-coco", *options, "--pack-size", 32) == 0  # of the file that is here
    assert len(list((tmp_path / "packs").rglob("pixels.u8"))) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "http://127.0.0.1:1/a.zip", "--zip", "{here}/a.zip"], "download of http://127.0.0.1:1/a.zip broke"),
        (["--source", "{here}/nowhere"], "data.root: {here}/nowhere is none of: "),
        (["--source", "{here}"], "data.root: no pictures in {here}"),
    ],
)
def test_what_cannot_work_is_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(here=tmp_path) for argument in arguments]
    assert call("prepare-coco", *filled, "--cache-dir", tmp_path / "packs") == 2
    out, error = capsys.readouterr()
    assert error.startswith(f"error: {words.format(here=tmp_path)}")
    assert (out, error.count("\n")) == ("", 1)


def test_training_finds_what_it_made() -> None:
    """Without options, ``data=coco2017`` reads the same file, and its pack at the same size in the same place."""
    args = parse([])
    settings = compose_settings("train", TrainConfig, ["data=coco2017", "run_dir=runs"])
    assert OmegaConf.load(CONF / "data" / "coco2017.yaml").root is not None
    assert settings.data.root == str(args.zip)
    assert settings.cache_dir == str(args.cache_dir)
    assert settings.data.pack_size == args.pack_size
