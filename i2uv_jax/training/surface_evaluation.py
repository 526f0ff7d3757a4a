"""How near SRNet alone brings coarse surfaces to the true ones. A pure function, to be jitted."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from i2uv_jax.geometry.map_normals import angles_degrees, has_normal, uv_map_normals
from i2uv_jax.geometry.uv_map import UvTables
from i2uv_jax.metrics import point_distances
from i2uv_jax.models.hand_net import HandNet
from i2uv_jax.types import SurfacePairs


def build_surface_evaluation_step(
    model: HandNet, tables: UvTables
) -> Callable[[dict, SurfacePairs], tuple[Float[Array, "b m m 3"], dict[str, Float[Array, "b"]]]]:
    """The function that refines a batch's coarse maps and measures both, pair by pair.

    Its errors are means over the chart's texels: "surface_mm" and "coarse_surface_mm", the
    distance of each texel's point from the true one, nothing aligned, at the wrist's scale; and
    "normal_degrees" and "coarse_normal_degrees", the angle between normals.
    """
    mask, normal_mask = tables.texel_mask, has_normal(tables.texel_mask)

    def evaluation_step(variables, pairs):
        refined = model.apply(variables, pairs.network_input, train=False).uv_map
        true_normals = uv_map_normals(pairs.uv_map)
        errors = {}
        for prefix, uv_map in (("", refined), ("coarse_", pairs.coarse_uv_map)):
            distance = pairs.mm_per_unit[:, None, None] * point_distances(uv_map, pairs.uv_map)
            angle = angles_degrees(uv_map_normals(uv_map), true_normals)
            errors[f"{prefix}surface_mm"] = jnp.mean(distance, axis=(1, 2), where=mask)
            errors[f"{prefix}normal_degrees"] = jnp.mean(angle, axis=(1, 2), where=normal_mask)
        return refined, errors

    return evaluation_step
