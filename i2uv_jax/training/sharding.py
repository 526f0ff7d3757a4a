"""How arrays lie on the devices of a run: batches split along the mesh's `data` axis, state whole.

Under `jax.jit` a mean over a sharded batch is the mean over the global batch (batch norm
included), so nothing else in the package knows how many devices there are.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

DATA_AXIS = "data"


def make_mesh(num_devices: int | None = None) -> Mesh:
    """A mesh over the first `num_devices` local devices (all of them for None).

    Raises:
      ValueError: there are fewer devices.
    """
    devices = jax.devices()
    if num_devices is not None and num_devices > len(devices):
        raise ValueError(f"train.num_devices: expected at most {len(devices)}, got {num_devices}")
    # `Mesh` has Auto axes; `jax.make_mesh` would make Explicit ones, with which every convolution
    # of a sharded picture asks for its output sharding.
    return Mesh(np.array(devices[:num_devices]), (DATA_AXIS,))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec(DATA_AXIS))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises ValueError unless the batch splits evenly over the mesh's devices."""
    if batch_size % mesh.size:
        raise ValueError(
            f"train.batch_size: expected a multiple of the {mesh.size} devices, got {batch_size}"
        )
