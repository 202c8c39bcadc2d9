"""The three-line files in scripts/: each opens onto one command, and every command has its own."""

import runpy
from pathlib import Path

import pytest

from faststyle.commands.main import COMMANDS
from helpers import ROOT

SCRIPTS = ROOT / "scripts"
OTHERS = {"gallery", "make_paintings"}  # what makes shipped files
DOORS = sorted(path for path in SCRIPTS.glob("*.py") if path.stem not in OTHERS)


def command_behind(door: Path) -> str | None:
    """The command that it runs as a program; None if it runs none, or one of another name."""
    called: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("faststyle.commands.main.main", called.append)
        runpy.run_path(str(door), run_name="__main__")
        as_program, called[:] = list(called), []
        runpy.run_path(str(door), run_name="imported")
    fitting = as_program == [door.stem.replace("_", "-")] and not called
    return as_program[0] if fitting else None


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.stem)
def test_a_door_opens_onto_the_command_of_its_name(door: Path) -> None:
    assert command_behind(door) in COMMANDS
    assert len([line for line in door.read_text().splitlines() if line]) == 3


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_door(command: str) -> None:
    assert SCRIPTS / f"{command.replace('-', '_')}.py" in DOORS


@pytest.mark.parametrize("line", ['main("train")', 'main("paint")', "main()", "pass"])
def test_a_wrong_door_is_seen(line: str, tmp_path: Path) -> None:
    """Onto another command, one that is not there, or none."""
    start = "from faststyle.commands.main import main\n\n"
    (tmp_path / "stylize.py").write_text(f'{start}if __name__ == "__main__":\n    {line}\n')
    with pytest.raises((AssertionError, TypeError)):
        assert command_behind(tmp_path / "stylize.py") in COMMANDS


def test_a_door_that_opens_when_it_is_imported_is_seen(tmp_path: Path) -> None:
    (tmp_path / "stylize.py").write_text('from faststyle.commands.main import main\n\nmain("stylize")\n')
    assert command_behind(tmp_path / "stylize.py") is None
