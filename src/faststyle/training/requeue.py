"""Jobs of a cluster that are to make room: what SLURM sends before it ends a job, and running again afterwards."""

import logging
import os
import signal
import subprocess
from types import FrameType

from faststyle.errors import describe

log = logging.getLogger(__name__)

# before the time is over or the job is pre-empted: sbatch --signal=USR1@120, submitit's USR2
SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
RESTARTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


def is_requeued() -> bool:
    """Whether this process may be a job that runs again, in a run folder of its own."""
    again = any(os.environ.get(name, "0") != "0" for name in RESTARTS)
    return again or os.environ.get("SUBMITIT_EXECUTOR") == "local"  # which does not say


def listen() -> None:
    """Under SLURM one of ``SIGNALS`` now ends the process, and the job runs again, if not by submitit's own handler."""
    for number in SIGNALS if _job() else ():
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _requeue)


def requeue(received: signal.Signals) -> None:
    """Does what one of ``SIGNALS`` would have done at once: has the job run again, and ends the process."""
    handler = signal.getsignal(received)
    if callable(handler):
        handler(received, None)


def _requeue(number: int, frame: FrameType | None) -> None:
    job = _job()
    if job and os.environ.get("SLURM_PROCID", "0") == "0":
        try:
            subprocess.run(["scontrol", "requeue", job], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            log.warning("job %s is not requeued: %s", job, describe(error))
    raise SystemExit(128 + number)


def _job() -> str | None:
    """Of an array, its task."""
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")
