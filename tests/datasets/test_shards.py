"""Tar shards: what belongs to a sample, which of it is the picture, names, damage."""

import io
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from datasets.test_layouts import BOTH, ONE, copy_of, encoded, paint
from faststyle.datasets.choice import Choice
from faststyle.datasets.layout import Layout
from faststyle.datasets.layouts import open_layout
from faststyle.datasets.shards import split_name


def make_shard(path: Path, members: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=kind) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 1234567890, 0o600
            if name.endswith("/"):
                info.type, info.size = tarfile.DIRTYPE, 0
            tar.addfile(info, io.BytesIO(content))
    return path


def names_of(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def copied(members: dict[str, bytes], tmp_path: Path, choice: Choice = ONE, field: str | None = None) -> Path:
    layout, files = open_layout(make_shard(tmp_path / "a.tar", members), choice, field)
    return copy_of(layout, files, tmp_path / "out") / "a.tar"


def test_keys_are_webdatasets() -> None:
    base_plus_ext = pytest.importorskip("webdataset").tariterators.base_plus_ext
    for name in ("a.jpg", "x/a.jpg", "x.y/a.seg.png", "./a.cls", "a", ".hidden", "x/a"):
        found = split_name(name)
        assert base_plus_ext(name) == (found if found[1] else (None, None))


def test_all_but_the_picture_is_kept(tmp_path: Path) -> None:
    members = {
        "README": b"of the set",
        "x/": b"",
        "x/0.cls": b"7",
        "x/0.jpg": encoded(0),
        "x/0.seg.png": b"a mask",
        "x/1.json": b'{ "a": 1}\n',  # without a picture
        "x/2.GIF": encoded(2, "GIF"),
        "x/2.cls": b"8",
    }
    out = copied(members, tmp_path)
    assert names_of(out) == ["README", "x/0.cls", "x/0.jpg", "x/0.seg.png", "x/1.json", "x/2.png", "x/2.cls"]
    with tarfile.open(out) as tar:
        for info in tar:
            content = tar.extractfile(info).read()  # type: ignore[union-attr]
            assert (info.mtime, info.mode) == (1234567890, 0o600)
            if info.name in ("x/0.jpg", "x/2.png"):
                assert content.startswith(b"a.tar/x/")
            else:
                assert content == members[info.name]


def test_several_copies_of_a_sample_have_keys_of_their_own(tmp_path: Path) -> None:
    out = copied({"0.cls": b"7", "0.jpg": encoded(0), "0.seg.png": b"m"}, tmp_path, BOTH)
    assert names_of(out) == ["0-a.cls", "0-a.jpg", "0-a.seg.png", "0-b.cls", "0-b.jpg", "0-b.seg.png"]


def test_the_field_is_the_pictures_extension(tmp_path: Path) -> None:
    members = {"0.left.jpg": encoded(0), "0.right.jpg": encoded(1), "0.png": b"mask"}
    out = copied(members, tmp_path, field="right.jpg")
    with tarfile.open(out) as tar:
        content = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    assert content == members | {"0.right.jpg": content["0.right.jpg"]}
    assert content["0.right.jpg"].startswith(b"a.tar/0.right.jpg in a")


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_and_both_formats(kind: int, tmp_path: Path) -> None:
    members = {f"{'folder/' * 40}{i:03}.{ext}": encoded(i) for i in range(20) for ext in ("cls", "jpg")}
    layout, files = open_layout(make_shard(tmp_path / "a.tar", members, kind), BOTH)
    assert len(list(layout.parts("a.tar"))) == 2
    names = names_of(copy_of(layout, files, tmp_path / "out") / "a.tar")
    assert len(set(names)) == len(names) == 80
    assert {name.replace("-a.", ".").replace("-b.", ".") for name in names} == set(members)


def samples_of(layout: Layout) -> tuple[int, list[str]]:
    """Whole ones, and the errors."""
    samples = [sample for part in layout.parts("a.tar") for sample in layout.samples(part)]
    return sum(sample.data is not None for sample in samples), [s.error for s in samples if s.error]


@pytest.mark.parametrize("cut", range(0, 4 * 1024, 256))
def test_a_shard_cut_anywhere_has_what_is_before(cut: int, tmp_path: Path) -> None:
    """Two members of a sample take four blocks of 512 bytes here, of which the picture has 1636 to its end."""
    members = {f"{i}.{ext}": b"x" * 100 for i in range(3) for ext in ("cls", "jpg")}
    path = make_shard(tmp_path / "a.tar", members)
    path.write_bytes(path.read_bytes()[:cut])
    count, errors = samples_of(open_layout(path, ONE)[0])
    assert count == (cut + 2048 - 1636) // 2048
    assert len(errors) == (cut == 0 or cut % 1024 != 0)  # which is where another member could begin


def test_damage_in_the_middle_is_told_of(tmp_path: Path) -> None:
    path = make_shard(tmp_path / "a.tar", {f"{i}.jpg": b"x" * 100 for i in range(30)})
    data = bytearray(path.read_bytes())
    data[20 * 1024 : 20 * 1024 + 512] = b"y" * 512
    path.write_bytes(data)
    assert samples_of(open_layout(path, ONE)[0]) == (20, ["a.tar is no whole tar file (damaged after 20,480 bytes)"])


def test_memory_does_not_grow_with_the_shard(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2000):
        path = make_shard(tmp_path / "a.tar", {f"{i}.jpg": bytes(20_000) for i in range(count)})
        layout, _ = open_layout(path, ONE)
        tracemalloc.start()
        for part in layout.parts("a.tar"):
            layout.write(part, paint(layout, layout.samples(part)), tmp_path, tmp_path / "piece")
        layout.join("a.tar", [tmp_path / "piece"], tmp_path / "joined.tar")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 100_000
