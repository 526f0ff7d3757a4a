"""Draws named poses of the mean hand from four sides, a row for each of them.

python -m launch.draw_poses --out docs/poses.png
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.render.mesh_picture import draw_meshes
from i2uv_jax.viewing.overlay import composite
from i2uv_jax.viewing.panel import tile_row

POSES = (
    "spread", "hanging", "loose fist", "fist", "thumbs-up", "pointing",
    "hooked index", "two", "three", "okay", "pinch", "can",
)  # fmt: skip
_TILE_PX = 160
_FILL = 0.84
_BACKDROP = np.full((_TILE_PX, _TILE_PX, 3), 245, np.uint8)
_NUM_COLOURS = 64
"""Of the file: one hue in all shades needs no more, and a third of the space."""

# The hand frame (x thumb, y fingers, z out of the palm) in views (x right, y down, z away).
_FROM_PALM = np.diag([1.0, -1.0, -1.0])
_QUARTER_TURN = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
VIEWS = {
    "palm": _FROM_PALM,
    "thumb's side": _QUARTER_TURN @ _FROM_PALM,
    "back": _QUARTER_TURN @ _QUARTER_TURN @ _FROM_PALM,
    "little finger's": _QUARTER_TURN.T @ _FROM_PALM,
}


def posed_vertices_mm(hand: Hand, angles: Float[np.ndarray, "j 3"]) -> Float[np.ndarray, "v 3"]:
    """The mean hand in a pose, hand frame."""
    rotations = joint_rotations_from_angles(hand, jnp.asarray(angles, jnp.float32))
    posed = pose_hand(hand, jnp.asarray(MEAN_SHAPE, jnp.float32), HandPose(rotations, jnp.eye(3)))
    return 1000 * np.asarray(posed.vertices, np.float64)


def pose_row(hand: Hand, name: str) -> UInt8[np.ndarray, "ph pw 3"]:
    """A pose from the four sides, all at one scale; the palm's tile has the pose's name."""
    vertices = posed_vertices_mm(hand, NAMED_POSES[name])
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    views = np.stack([(vertices - (low + high) / 2) @ turn.T for turn in VIEWS.values()])
    points_px = views[..., :2] * _FILL * _TILE_PX / (high - low).max() + _TILE_PX / 2
    drawn = draw_meshes(points_px, views, hand.faces, _TILE_PX)
    captions = (name, *list(VIEWS)[1:])
    tiles = [composite(_BACKDROP, picture) for picture in drawn]
    return tile_row(dict(zip(captions, tiles, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the PNG file")
    parser.add_argument(
        "--poses", nargs="+", choices=list(NAMED_POSES), default=POSES, metavar="NAME"
    )
    arguments = parser.parse_args()
    hand = load_hand()
    rows = [pose_row(hand, name) for name in arguments.poses]
    if len(rows) % 2:
        rows.append(np.full_like(rows[0], 255))
    sheet = np.concatenate([np.hstack(rows[i : i + 2]) for i in range(0, len(rows), 2)])
    Image.fromarray(sheet).quantize(_NUM_COLOURS).save(arguments.out, optimize=True)
    print(f"{arguments.out}: {', '.join(arguments.poses)}")


if __name__ == "__main__":
    main()
