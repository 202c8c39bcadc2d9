"""What started this process: a user, torchrun, or a cluster, of which each starts several processes of one training."""

import os

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "SUBMITIT_LOCAL_GLOBALID")  # 0 in the first process of a training


def is_first() -> bool:
    """Whether this is the first process of its training, which alone writes and tells."""
    return all(os.environ.get(rank, "0") == "0" for rank in RANKS)


def run_name(date: str) -> str:
    """The name of a new run's folder, the same in all processes of a training: the date; under torchrun, the date at
    which one of them asked first; under SLURM's srun the number of the job, which it keeps when it runs again."""
    if step := os.environ.get("SLURM_STEP_ID"):
        return f"job-{os.environ['SLURM_JOB_ID']}.{step}"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        import torch.distributed as dist  # takes seconds

        store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)  # type: ignore[attr-defined]
        return store.compare_set("faststyle/run", "", date).decode()
    return date
