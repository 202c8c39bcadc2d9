"""The name of a run's folder: the same in all processes of a training."""

import pytest
import torch.distributed as dist

from faststyle.experiments.composition import RESOLVERS
from faststyle.experiments.launch import run_name
from helpers import free_port


def test_one_process_is_named_by_the_date() -> None:
    assert run_name("2026-11-29") == "2026-11-29"
    assert RESOLVERS["run"] is run_name


def test_all_processes_under_torchrun_take_the_date_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    store = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    assert [run_name(date) for date in ("12-00-59", "12-01-00", "12-01-00")] == ["12-00-59"] * 3
    del store


def test_a_job_keeps_its_name_when_it_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    assert run_name("today") == "today"  # several trainings of one job, without srun, are several runs
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    assert run_name("today") == run_name("tomorrow") == "job-71.2"
