"""What a hand holds lies in the loop of its palm and fingers."""

import jax
import numpy as np

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.render.grasped import sample_grasped

COUNT = 32


def test_a_grasped_can_lies_between_fingers_and_palm():
    """A hand about a can: the bones of its fingers lie on an arc of 4.5 cm radius."""
    points = np.zeros((21, 3), np.float32)
    row = {name: number for number, name in enumerate(KEYPOINT_NAMES)}
    radius = 0.045
    for number, finger in enumerate(("index", "middle", "ring", "little")):
        # Hand frame: y along the hand, +z the palm's side; the fingers curl from -90 degrees.
        for joint, degrees in zip(("mcp", "pip", "dip", "tip"), (-60, 10, 60, 100), strict=True):
            angle = np.deg2rad(degrees)
            x = 0.03 - 0.02 * number
            points[row[f"{finger}_{joint}"]] = (
                x, 0.09 + radius * np.cos(angle), radius * np.sin(angle)
            )  # fmt: skip
    for number, joint in enumerate(("cmc", "mcp", "ip", "tip")):
        points[row[f"thumb_{joint}"]] = (0.05, 0.02 + 0.02 * number, -0.03 + 0.03 * number)
    points[row["wrist"]] = (0, 0, -radius)
    middle = np.float32([0, 0.09, 0])
    keys = jax.random.split(jax.random.key(0), COUNT)
    things, fits = jax.jit(jax.vmap(sample_grasped, (0, None)))(keys, points)
    assert fits.mean() > 0.8
    is_can = fits & (things.side_edge == 1) & (things.end_edge < 0.2)
    assert is_can.sum() > 5
    for centre, axes, extents in zip(
        *(np.asarray(part)[is_can] for part in (things.centre_m, things.axes, things.extents_m)),
        strict=True,
    ):
        # Across the palm, and with the loop's middle within the can.
        assert abs(axes[2, 0]) > 0.8
        away = middle - centre  # the arc's own middle
        away -= (away @ axes[2]) * axes[2]
        assert np.linalg.norm(away) < 0.02
        assert extents[0] < radius
