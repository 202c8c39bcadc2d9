"""What every layout keeps to: all samples once, labels and order kept, the same bytes each time, damage told of."""

import io
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from faststyle.datasets.choice import Choice
from faststyle.datasets.layout import SOME, Layout, Painted, Sample
from faststyle.datasets.layouts import LAYOUTS, open_layout
from faststyle.errors import DataError
from helpers import noise

Labelled = dict[str, tuple[bytes, bytes]]  # picture and label by name
ONE = Choice(("a", "b"), 1, 0)
BOTH = Choice(("a", "b"), 2, 0)
COUNT = 2 * SOME + 3


def encoded(seed: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(8, 9, seed)).save(file, kind)
    return file.getvalue()


@dataclass(frozen=True)
class Maker:
    """make: a data set of a kind. read: its pictures and labels, by name. damage: cuts a file."""

    make: Callable[[Labelled, Path], Path]
    read: Callable[[Path], Labelled]
    damage: Callable[[Path], None] | None


def make_folder(data: Labelled, place: Path) -> Path:
    """A label is the folder."""
    for name, (picture, label) in data.items():
        (place / label.decode()).mkdir(parents=True, exist_ok=True)
        (place / label.decode() / f"{name}.jpg").write_bytes(picture)
    return place


def read_folder(place: Path) -> Labelled:
    files = sorted(path for path in place.rglob("*.jpg"))
    return {path.stem: (path.read_bytes(), path.parent.name.encode()) for path in files}


def make_zip(data: Labelled, place: Path) -> Path:
    """A label is a file beside the picture."""
    place.mkdir()
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        for name, (picture, label) in data.items():
            archive.writestr(f"{name}.jpg", picture)
            archive.writestr(f"{name}.txt", label)
    return place


def read_zip(place: Path) -> Labelled:
    with zipfile.ZipFile(place / "a.zip") as archive:
        names = sorted(name.removesuffix(".jpg") for name in archive.namelist() if name.endswith(".jpg"))
        return {name: (archive.read(f"{name}.jpg"), archive.read(f"{name.split('-')[0]}.txt")) for name in names}


def make_tar(data: Labelled, place: Path) -> Path:
    place.mkdir()
    with tarfile.open(place / "a.tar", "w") as tar:
        for name, (picture, label) in data.items():
            for extension, content in (("cls", label), ("jpg", picture)):
                info = tarfile.TarInfo(f"{name}.{extension}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return place


def read_tar(place: Path) -> Labelled:
    with tarfile.open(place / "a.tar") as tar:
        found = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    names = [name.removesuffix(".jpg") for name in found if name.endswith(".jpg")]
    return {name: (found[f"{name}.jpg"], found[f"{name}.cls"]) for name in names}


def make_parquet(data: Labelled, place: Path) -> Path:
    """In row groups of ten."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra ray")
    from pyarrow import parquet

    rows = [
        {"name": name, "image": {"bytes": picture, "path": "x"}, "label": label.decode()}
        for name, (picture, label) in data.items()
    ]
    place.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), place / "a.parquet", row_group_size=10)
    return place


def read_parquet(place: Path) -> Labelled:
    from pyarrow import parquet

    rows = parquet.read_table(place / "a.parquet").to_pylist()
    names = [row["name"] for row in rows]
    marked = [name if names.count(name) == 1 else f"{name}-{'ab'[i % 2]}" for i, name in enumerate(names)]
    return {name: (row["image"]["bytes"], row["label"].encode()) for name, row in zip(marked, rows, strict=True)}


def cut(path: Path) -> Callable[[Path], None]:
    return lambda place: (place / path).write_bytes((place / path).read_bytes()[:-2000])


# A new layout needs its row here.
MAKERS = {
    "folder": Maker(make_folder, read_folder, None),
    "zip": Maker(make_zip, read_zip, cut(Path("a.zip"))),
    "tar": Maker(make_tar, read_tar, lambda place: cut_tar(place / "a.tar")),
    "parquet": Maker(make_parquet, read_parquet, cut(Path("a.parquet"))),
}
each_kind = pytest.mark.parametrize("kind", MAKERS)


def cut_tar(path: Path) -> None:
    """In the last picture."""
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    path.write_bytes(path.read_bytes()[: last.offset_data + 10])


@pytest.fixture
def data() -> Labelled:
    return {f"{i:03}": (encoded(i), f"class{i % 3}".encode()) for i in range(COUNT)}


def stamp(sample: Sample, style: str) -> bytes:
    """What stands for the painted picture."""
    return f"{sample.name} in {style} of {len(sample.data or b'')}".encode(errors="surrogateescape")


def paint(layout: Layout, samples: Iterable[Sample]) -> Iterator[Painted]:
    for sample in samples:
        if sample.data is None and sample.error is None:
            yield Painted(sample)
        elif sample.data is not None:
            for style in layout.choice.styles[: layout.choice.per_picture]:
                yield Painted(sample, layout.choice.mark(style), stamp(sample, style))


def copy_of(layout: Layout, files: list[str], output: Path) -> Path:
    """All parts, the last one first, in another process's layout."""
    layout = pickle.loads(pickle.dumps(layout))
    for file in files:
        parts = list(layout.parts(file))
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        pieces = [output / "pieces" / file / str(part.number) for part in parts]
        for part, piece in reversed(list(zip(parts, pieces, strict=True))):
            layout.write(part, paint(layout, layout.samples(part)), output, piece)
        if layout.joins:
            layout.join(file, pieces, output / file)
    shutil.rmtree(output / "pieces", ignore_errors=True)
    return output


def check_copy(kind: str, data: Labelled, tmp_path: Path, choice: Choice) -> None:
    root = MAKERS[kind].make(data, tmp_path / "in")
    assert MAKERS[kind].read(root) == data
    layout, files = open_layout(root, choice)
    assert type(layout) is LAYOUTS[kind]
    samples = [sample for file in files for part in layout.parts(file) for sample in layout.samples(part)]
    names = [sample.name for sample in samples]
    assert len(set(names)) == len(names) == len(data)
    assert sum(part.count for file in files for part in layout.parts(file)) == len(data)
    by_picture = {sample.data: sample for sample in samples}
    marks = ["-a", "-b"] if choice.per_picture == 2 else [""]
    expected = {
        f"{name}{mark}": (stamp(by_picture[picture], style), label)
        for name, (picture, label) in data.items()
        for mark, style in zip(marks, "ab", strict=False)
    }
    copies = [copy_of(layout, files, tmp_path / name) for name in ("one", "two")]
    assert MAKERS[kind].read(copies[0]) == expected
    assert all(Path(sample.suffix) == Path(".jpg") for sample in samples)
    for path in copies[0].rglob("*.*"):
        assert path.read_bytes() == (copies[1] / path.relative_to(copies[0])).read_bytes()


def test_every_kind_is_tested() -> None:
    assert set(LAYOUTS) == set(MAKERS)


@each_kind
@pytest.mark.parametrize("choice", [ONE, BOTH], ids=["one", "both"])
def test_a_copy_has_all_pictures_once_with_their_labels(
    kind: str, choice: Choice, data: Labelled, tmp_path: Path
) -> None:
    check_copy(kind, data, tmp_path, choice)


@each_kind
def test_a_part_can_be_read_alone_and_is_small(kind: str, data: Labelled, tmp_path: Path) -> None:
    layout, files = open_layout(MAKERS[kind].make(data, tmp_path / "in"), ONE)
    parts = [part for file in files for part in layout.parts(file)]
    assert len(parts) > 2
    assert max(part.count for part in parts) <= SOME
    assert [len(list(layout.samples(part))) for part in reversed(parts)] == [part.count for part in reversed(parts)]


@pytest.mark.parametrize("kind", [kind for kind, maker in MAKERS.items() if maker.damage])
def test_what_is_damaged_is_told_of_and_the_rest_kept(kind: str, data: Labelled, tmp_path: Path) -> None:
    root = MAKERS[kind].make(data, tmp_path / "in")
    MAKERS[kind].damage(root)  # type: ignore[misc]
    layout, files = open_layout(root, ONE)
    samples = [sample for file in files for part in layout.parts(file) for sample in layout.samples(part)]
    (bad,) = [sample for sample in samples if sample.error]
    assert bad.name == files[0]
    assert f"{files[0]} is no whole" in str(bad.error)
    assert [sample.data for sample in samples if sample.data] == (
        [p for p, _ in data.values()][:-1] if kind == "tar" else []
    )


def with_one_twice(samples: list[Sample]) -> list[Sample]:
    return [*samples, samples[0]]


def with_one_less(samples: list[Sample]) -> list[Sample]:
    return samples[1:]


def with_others_pictures(samples: list[Sample]) -> list[Sample]:
    return [Sample(s.name, samples[0].data, s.suffix, s.error, s.rest) for s in samples]


@pytest.mark.parametrize("change", [with_one_twice, with_one_less, with_others_pictures])
def test_a_wrong_layout_is_seen(
    change: Callable[[list[Sample]], list[Sample]], data: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = LAYOUTS["tar"].read
    monkeypatch.setattr(LAYOUTS["tar"], "read", lambda *given: iter(change(list(read(*given)))))
    with pytest.raises((AssertionError, KeyError)):
        check_copy("tar", data, tmp_path, ONE)


@each_kind
def test_a_file_or_a_folder_of_them_is_of_one_kind(kind: str, data: Labelled, tmp_path: Path) -> None:
    root = MAKERS[kind].make(data, tmp_path / "in")
    layout, files = open_layout(root, ONE)
    assert type(layout) is LAYOUTS[kind]
    if layout.joins:
        alone, names = open_layout(root / files[0], ONE)
        assert (type(alone), names, alone.root) == (LAYOUTS[kind], files, root)
        (root / "photo.jpg").write_bytes(encoded(0))
        with pytest.raises(DataError, match=r"holds a folder of pictures \(photo.jpg\) and .*: give a folder with one"):
            open_layout(root, ONE)


NO_DATA_SET = {
    "nowhere": "^no data set .*nowhere: expected",
    "empty": "^nothing in",
    "a.jpg": "a.jpg is no data set",
    "a.txt": "is no data set",
}


@pytest.mark.parametrize(("name", "words"), NO_DATA_SET.items())
def test_no_data_set(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.jpg").touch()
    for file in ("a.jpg", "a.txt"):
        (tmp_path / file).touch()
    with pytest.raises(DataError, match=words) as caught:
        open_layout(tmp_path / name, ONE)
    assert all(layout.word in str(caught.value) for layout in LAYOUTS.values())
