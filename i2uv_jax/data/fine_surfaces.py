"""Rendered hands in high fidelity: the truth that their pictures do not show."""

import jax
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.config import DetailConfig, RenderConfig
from i2uv_jax.geometry.uv_map import build_vertex_tables, vertices_from_uv_map
from i2uv_jax.hand.asset import Hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.framing import Placement
from i2uv_jax.render.scene import sample_placements

_MAP_SIZE = 256
_RELIEF = 2
"""Folded into a batch's key: what is drawn of the pictures does not depend on the relief."""


def fine_vertices(
    key: PRNGKeyArray, hand: Hand, config: RenderConfig, batch_size: int, count: int
) -> Float[np.ndarray, "count n 3"]:
    """The hands that a `HandGenerator` shows in `batches(key, count)`, each with a relief of its
    own: vertices of `subdivision_of(hand)`, metres, camera frame."""
    tables = build_vertex_tables(subdivision_of(hand).atlas, _MAP_SIZE)
    detail = DetailConfig()

    def of_hand(relief_key: PRNGKeyArray, placement: Placement) -> Float[Array, "n 3"]:
        traits = sample_traits(relief_key, hand, detail)
        uv_map = detailed_map(hand, placement.posed, placement.pose, traits, detail, _MAP_SIZE)
        # The map is moved, not the vertices sampled from it: XLA for CPUs (jax 0.10.2) garbles all
        # but the first 2^15 coordinates of the latter in one program.
        return vertices_from_uv_map(tables, placement.framing.to_camera_frame(uv_map))

    @jax.jit
    def of_batch(index: Array) -> Float[Array, "b n 3"]:
        batch_key = jax.random.fold_in(key, index)
        placements = sample_placements(batch_key, hand, config, batch_size)
        relief_key = hash_key(jax.random.fold_in(batch_key, _RELIEF))
        return jax.vmap(of_hand)(jax.random.split(relief_key, batch_size), placements)

    batches = [of_batch(index) for index in range(-(-count // batch_size))]
    return np.concatenate(jax.device_get(batches))[:count]
