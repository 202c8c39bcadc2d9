"""Where a result may go; a file is replaced whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from faststyle import files
from faststyle.errors import OutputError
from faststyle.files import TEMPORARY, check_output, check_outputs, look_again, replacing


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["a.png", "new/folder/A.PNG", "x" * 251 + ".png"])
def test_a_free_place_will_do(name: str, overwrite: bool, tmp_path: Path) -> None:
    assert check_output(tmp_path / name, [".png"], overwrite=overwrite) == tmp_path / name
    assert list(tmp_path.iterdir()) == []
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("done")
    assert (tmp_path / name).read_text() == "done"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.jpg", "its suffix must be one of .png, .jpg2"),
        ("a", "its suffix must be one of"),
        ("folder.png", "it is a folder"),
        ("fifo.png", "it is no regular file"),
        ("file.png/b.png", "is no folder"),
        ("loop.png", "it is no regular file"),
        ("x" * 252 + ".png", "File name too long"),
        ("new/" + "x" * 252 + ".png", "File name too long"),
        ("x" * 256 + "/a.png", "File name too long"),
        ("dangling.png", "it is no regular file"),
        ("source.png", "would replace its own source"),
        ("hard_link.png", "would replace its own source"),
        ("link.png", "would replace its own source"),
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_never(name: str, words: str, overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "file.png").touch()
    source = tmp_path / "source.png"
    source.touch()
    os.link(source, tmp_path / "hard_link.png")
    for link, target in (("loop.png", "loop.png"), ("dangling.png", "nowhere"), ("link.png", source)):
        (tmp_path / link).symlink_to(target)
    with pytest.raises(OutputError, match=words) as caught:
        check_output(tmp_path / name, [".png", ".jpg2"], overwrite=overwrite, sources=[source, tmp_path / "missing"])
    assert "\n" not in str(caught.value)


def test_an_existing_file_is_replaced_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"a.json exists: set overwrite to replace it"):
        check_output(path, [".json"])
    assert check_output(path, [".json"], overwrite=True) == path
    assert path.read_text() == "mine"


def test_a_folder_without_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write anywhere
    with pytest.raises(OutputError, match=f"cannot write .*a.png: no permission to write in {tmp_path}$"):
        check_output(tmp_path / "new" / "a.png", [".png"])


def test_what_killed_processes_left_goes(tmp_path: Path) -> None:
    """Theirs, once they are gone: not that of one that runs, here or elsewhere, nor what only looks like one."""
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    number = gone.stdout.decode().strip()
    left = [tmp_path / f"{TEMPORARY}{process}-0" for process in (number, f"{number}.{files._machine()}")]
    running = ("1", os.getpid(), f"{os.getpid()}.{files._machine()}", f"{number}.another", "x", "9" * 30)
    others = [tmp_path / f"{TEMPORARY}{process}-0" for process in running]
    for path in (*left, *others):
        path.touch()
    with replacing(tmp_path / "a") as temporary:
        temporary.touch()
    assert set(tmp_path.iterdir()) == {tmp_path / "a", *others}

    left[0].touch()  # by one that is lost later
    look_again()
    with replacing(tmp_path / "a") as temporary:
        temporary.touch()
    assert set(tmp_path.iterdir()) == {tmp_path / "a", *others}


def test_many_results_of_the_same_sources(tmp_path: Path) -> None:
    """None of them replaces any source; each is told by its name."""
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).touch()
    results = [tmp_path / name for name in ("b.png", "c.png", "new.png")]
    check_outputs(results, [".png"], overwrite=True, sources=[tmp_path / "a.png", tmp_path / "missing"])
    with pytest.raises(OutputError, match="c.png would replace its own source"):
        check_outputs(results, [".png"], overwrite=True, sources=[tmp_path / "a.png", tmp_path / "c.png"])


def test_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the content is on the disk."""
    synced: list[int] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino) or sync(file))

    def replace_synced(temporary: Path, target: Path) -> Path:
        assert synced[-1] == temporary.stat().st_ino
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", replace_synced)
    path = tmp_path / "deep" / "a"
    for text in ("one", "two"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert temporary.parent == path.parent
        assert path.read_text() == text
    assert len(synced) == 2
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
