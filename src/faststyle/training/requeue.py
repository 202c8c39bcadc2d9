"""Jobs of a cluster that are to make room: SLURM's signal before it ends a job, and running again afterwards."""

import logging
import os
import signal
import subprocess

from faststyle.errors import describe

log = logging.getLogger(__name__)

# what SLURM sends before the time is over or the job is pre-empted: sbatch --signal=USR1@120, submitit's USR2
SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))


def is_requeued() -> bool:
    """Whether this process may be a job that runs again: its run folder is its own, and holds where it was."""
    restarts = (os.environ.get(name, "0") for name in ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT"))
    return any(count != "0" for count in restarts) or os.environ.get("SUBMITIT_EXECUTOR") == "local"


def requeue(received: signal.Signals) -> None:
    """Has the job run again after one of ``SIGNALS``: by submitit, whose handler then ends the process, or by SLURM."""
    handler = signal.getsignal(received)
    if callable(handler):
        handler(received, None)
    elif job := _job():
        try:
            subprocess.run(["scontrol", "requeue", job], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            log.warning("job %s is not requeued: %s", job, describe(error))


def _job() -> str | None:
    """Of an array, its task."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")
