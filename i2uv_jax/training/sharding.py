"""How arrays lie on the devices of a run.

The mesh has two axes. Batches are split over both. Parameters, optimiser state and averages are
whole on every device, or, with `train.fsdp` = n, split over the n devices of the `fsdp` axis and
whole along `data`. Either way a step computes the same: under `jax.jit` a mean over a sharded batch
is the mean over the global batch (batch norm included). But for what each device draws beside its
own pictures (`negatives.py`), nothing else in the package knows how many devices there are.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from i2uv_jax.config import TrainConfig

DATA_AXIS = "data"
FSDP_AXIS = "fsdp"
_BATCH_AXES = (DATA_AXIS, FSDP_AXIS)

MIN_SHARDED_SIZE = 1024
"""Leaves with fewer values are whole on every device: splitting them would cost more than it
saves."""


def make_mesh(num_devices: int | None = None, fsdp: int = 1) -> Mesh:
    """A mesh over the first `num_devices` devices (all of all processes for None).

    Args:
      fsdp: length of the `fsdp` axis; the `data` axis takes the rest.

    Raises:
      ValueError: there are fewer devices, `fsdp` does not divide them, or some of the processes'
        devices would be left out of a run of several processes.
    """
    devices = jax.devices()
    num_devices = len(devices) if num_devices is None else num_devices
    if num_devices > len(devices):
        raise ValueError(f"train.num_devices: expected at most {len(devices)}, got {num_devices}")
    if jax.process_count() > 1 and num_devices != len(devices):
        raise ValueError(
            f"train.num_devices: expected none or all {len(devices)} in a run of "
            f"{jax.process_count()} processes, got {num_devices}"
        )
    if num_devices % fsdp:
        raise ValueError(f"train.fsdp: expected a divisor of the {num_devices} devices, got {fsdp}")
    # `Mesh` has Auto axes; `jax.make_mesh` would make Explicit ones, with which every convolution
    # of a sharded picture asks for its output sharding.
    return Mesh(np.array(devices[:num_devices]).reshape(-1, fsdp), _BATCH_AXES)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Leading axis split over all devices."""
    return NamedSharding(mesh, PartitionSpec(_BATCH_AXES))


def microbatch_sharding(mesh: Mesh) -> NamedSharding:
    """Second axis split over all devices; the first numbers the microbatches."""
    return NamedSharding(mesh, PartitionSpec(None, _BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(abstract_state: Any, mesh: Mesh) -> Any:
    """A sharding for each leaf of a state, given its shapes.

    Each leaf is split along its longest axis that the `fsdp` axis divides (the last of several
    equals); leaves without one, or with fewer than `MIN_SHARDED_SIZE` values, stay whole.
    """
    num_parts = mesh.shape[FSDP_AXIS]

    def sharding(leaf: jax.ShapeDtypeStruct) -> NamedSharding:
        axes = [axis for axis, length in enumerate(leaf.shape) if length % num_parts == 0]
        if num_parts == 1 or not axes or leaf.size < MIN_SHARDED_SIZE:
            return replicated(mesh)
        longest = max(axes, key=lambda axis: (leaf.shape[axis], axis))
        return NamedSharding(mesh, PartitionSpec(*[None] * longest, FSDP_AXIS))

    return jax.tree.map(sharding, abstract_state)


def check_batch_size(config: TrainConfig, mesh: Mesh) -> None:
    """Raises ValueError unless every device gets as many pictures of each microbatch."""
    parts = mesh.size * config.microbatches
    if config.batch_size % parts:
        microbatches = f" x {config.microbatches} microbatches" if config.microbatches > 1 else ""
        raise ValueError(
            f"train.batch_size: expected a multiple of the {mesh.size} devices{microbatches}, "
            f"got {config.batch_size}"
        )


def on_every_process(tree: Any, mesh: Mesh) -> Any:
    """The same arrays, such that each process can read them whole: `np.asarray` then works.

    All processes have to call it together.
    """
    if all(leaf.is_fully_addressable or leaf.is_fully_replicated for leaf in jax.tree.leaves(tree)):
        return tree
    return jax.jit(lambda leaves: leaves, out_shardings=replicated(mesh))(tree)
