"""Work on batches that are split over devices, each of which takes its own part and no other."""

from collections.abc import Callable, Collection
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec


def on_own_device(
    function: Callable, sharding: NamedSharding | None, *, whole: Collection[int] = ()
) -> Callable:
    """The function of arrays that share a leading axis, where each device works on its own part:
    left to itself, the compiler would have every device work on the others' parts, too.

    Args:
      sharding: how the arrays and what becomes of them are split; None leaves all to the compiler.
      whole: places of those arguments that every device needs as they are.
    """
    if sharding is None or sharding.mesh.size == 1:
        return function
    parts, everything = sharding.spec, PartitionSpec()

    def of_all(*arguments: Any) -> Any:
        specs = tuple(everything if i in whole else parts for i in range(len(arguments)))
        split = jax.shard_map(
            function, mesh=sharding.mesh, in_specs=specs, out_specs=parts, check_vma=False
        )
        return split(*arguments)

    return of_all


def on_every_device(tree: Any, sharding: NamedSharding | None) -> Any:
    """The same arrays, whole, on each device of a sharding (the default device for None), so that
    no program has to copy them there at every call.

    Raises:
      AssertionError: in a run of several processes, they are not the same in all of them.
    """
    everywhere = sharding and NamedSharding(sharding.mesh, PartitionSpec())
    return jax.device_put(tree, everywhere)
