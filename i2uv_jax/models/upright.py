"""A second look with the fingers up.

A network that need not know every turn of a hand learns the rest sooner. Trained mostly on hands
whose fingers point up, it still tells well enough where the fingers of any hand point; turned by
quarters until they point up, the picture is of the kind it knows best.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES, WRIST
from i2uv_jax.geometry.quarter_turns import turn_image, turn_points, turns_to_upright
from i2uv_jax.models.hand_net import HandNet

_MIDDLE_MCP = KEYPOINT_NAMES.index("middle_mcp")


def predict_uv_map(
    model: HandNet,
    variables: dict,
    image: Float[Array, "b h h 3"],
    keypoints_from_uv_map: Callable[[Float[Array, "b m m 3"]], Float[Array, "b 21 3"]],
) -> Float[Array, "b m m 3"]:
    """The model's UV maps of pictures as they stand; jit-able.

    Where the model's config says `upright`, pictures are looked at twice: once to find where the
    fingers point, once more turned. The map is turned back.
    """
    uv_map = model.apply(variables, image, train=False).uv_map
    if not model.config.upright:
        return uv_map
    keypoints = keypoints_from_uv_map(uv_map)
    turns = turns_to_upright(keypoints[:, _MIDDLE_MCP, :2] - keypoints[:, WRIST, :2])
    turned = jax.vmap(turn_image)(image, turns)
    uv_map = model.apply(variables, turned, train=False).uv_map
    return jax.vmap(lambda one, n: turn_points(one, n, centre=0.5))(uv_map, (-turns) % 4)
