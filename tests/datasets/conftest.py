"""A Ray cluster of two machines, each with a core, for all tests that need one: it takes ten seconds to start."""

import contextlib
import importlib.util
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from helpers import ROOT, free_port

SECONDS = 90  # until it is up


@dataclass
class Cluster:
    """Started as a user does, with ``ray start``. address: of the first machine. environment: of commands for it."""

    address: str
    environment: dict[str, str]
    log: Path
    machines: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start_machine(self) -> "subprocess.Popen[bytes]":
        """One more; it is up once the cluster has its core."""
        head = ["--head", f"--port={self.address.split(':')[1]}", "--include-dashboard=false"]
        own = [f"--address={self.address}"] if self.machines else head
        line = [sys.executable, "-m", "ray.scripts.scripts", "start", *own, "--num-cpus=1", "--num-gpus=0", "--block"]
        line += ["--disable-usage-stats", f"--object-store-memory={80 * 2**20}"]
        with self.log.open("ab") as log:
            started = subprocess.Popen(line, stdout=log, stderr=log, env=self.environment, start_new_session=True)
        self.machines.append(started)
        self.wait(sum(machine.poll() is None for machine in self.machines))
        return started

    def wait(self, machines: int) -> None:
        code = f"import ray; ray.init({self.address!r}, log_to_driver=False, logging_level='ERROR')\n"
        code += f"import time\nwhile ray.cluster_resources().get('CPU', 0) < {machines}: time.sleep(0.1)"
        end = time.monotonic() + SECONDS
        while True:
            line = [sys.executable, "-c", code]
            left = max(1, end - time.monotonic())
            done = subprocess.run(line, env=self.environment, capture_output=True, timeout=left, check=False)
            if done.returncode == 0:
                return
            alive = self.machines[-1].poll() is None
            assert alive, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text() + done.stderr.decode()

    def command(self, *arguments: object) -> "subprocess.Popen[str]":
        """``faststyle stylize-dataset ...`` on it, begun, with two workers."""
        line = [sys.executable, "-m", "faststyle", "stylize-dataset", *map(str, arguments)]
        line += ["--address", self.address, "--workers", "2"]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=self.environment)

    def workers(self, machine: int | None = None) -> list[int]:
        """The processes of the workers that paint, on all machines or on one."""
        machines = [each.pid for each in self.machines if machine in (None, each.pid)]
        return [process for each in machines for process, name in running_on(each) if name == b"ray::Worker.do"]


def running_on(machine: int) -> list[tuple[int, bytes]]:
    """A machine's processes with their names: they are a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == machine:
                found.append((int(folder.name), (folder / "cmdline").read_bytes().rstrip(b"\0")))
        except OSError:  # it has ended meanwhile
            pass
    return found


def lose(machine: "subprocess.Popen[bytes]") -> None:
    """Ends a machine with all that runs there, at once."""
    if machine.poll() is None:
        for process, _ in running_on(machine.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        machine.wait(SECONDS)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra ray")
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc, to find the workers")
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "OMP_NUM_THREADS": "1"}
    environment = (
        os.environ | own | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    )
    found = Cluster(f"127.0.0.1:{free_port()}", environment, tmp_path_factory.mktemp("ray") / "log")
    try:
        for _ in range(2):
            found.start_machine()
        yield found
    finally:
        for machine in found.machines:
            lose(machine)
