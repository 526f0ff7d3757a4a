"""Runs of several processes, mostly one per host: how they find each other, agree and wait.

All processes run the same program on the same config. Each feeds its own devices: the renderer is
one program over the mesh, of which every process runs its devices' part. The first process alone
speaks and writes what is written once; checkpoints are written by all.
"""

import os

import jax
import numpy as np
from jax.experimental import multihost_utils


def connect(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    ask_cluster: bool = False,
) -> None:
    """Joins the run's other processes, if there are any. Comes before anything else of JAX.

    The three values given by hand go before what the environment says. Without them a SLURM job
    step of several tasks or a Cloud TPU slice of several hosts is recognised by its environment
    variables.

    Args:
      coordinator: HOST:PORT on which the first process waits for the others.
      ask_cluster: let JAX find the cluster out even if no variable names one (Cloud TPU VMs
        outside Kubernetes know it from their metadata server).

    Raises:
      ValueError: some of the three values are missing, or they contradict each other.
    """
    given = (coordinator, num_processes, process_id)
    if any(value is not None for value in given):
        if None in given:
            raise ValueError("--coordinator, --num-processes and --process-id only go together")
        if not 0 <= process_id < num_processes:
            raise ValueError(
                f"--process-id: expected 0 to {num_processes - 1} (--num-processes is "
                f"{num_processes}), got {process_id}"
            )
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--coordinator: expected HOST:PORT, got {coordinator!r}")
        jax.distributed.initialize(coordinator, num_processes, process_id)
    elif ask_cluster or _cluster_is_named():
        jax.distributed.initialize()


def is_first_process() -> bool:
    """Whether this process is the one that speaks and writes."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Returns once all processes have called it with the same text."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def is_so_everywhere(here: bool) -> bool:
    """Whether all processes say so, who have to call together."""
    if jax.process_count() == 1:
        return here
    return bool(np.all(multihost_utils.process_allgather(np.uint32(here))))


class SharedMaximum:
    """The largest of the numbers that the processes name at a step, the same for all of them.

    With one process that is its own number at once. With several each gets the answer about the
    call before, which is there by then: nobody waits for the slowest at every step.
    """

    def __init__(self) -> None:
        self._pending: jax.Array | None = None
        if jax.process_count() > 1:
            self._mesh = jax.sharding.Mesh(np.array(jax.devices()), ("all",))
            replicated = jax.sharding.NamedSharding(self._mesh, jax.sharding.PartitionSpec())
            self._maximum = jax.jit(lambda numbers: numbers.max(), out_shardings=replicated)

    def __call__(self, number: int) -> int:
        """Names this process's number (at least 0); all processes have to call together."""
        if jax.process_count() == 1:
            return number
        sharding = jax.sharding.NamedSharding(self._mesh, jax.sharding.PartitionSpec("all"))
        mine = np.full(jax.local_device_count(), number, np.int32)
        numbers = jax.make_array_from_process_local_data(sharding, mine)
        before, self._pending = self._pending, self._maximum(numbers)
        return 0 if before is None else int(before)


def _cluster_is_named() -> bool:
    # Not SLURM_NTASKS: a shell within an allocation has it, too, without being one of its tasks.
    num_tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    tpu_hosts = os.environ.get("TPU_WORKER_HOSTNAMES", "")
    return ("SLURM_PROCID" in os.environ and int(num_tasks) > 1) or "," in tpu_hosts
