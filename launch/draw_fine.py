"""Draws what the shipped SRNet makes of exact coarse maps: a row for each named pose.

python -m launch.draw_fine --out docs/fine.png
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

from i2uv_jax.config import DetailConfig
from i2uv_jax.geometry.uv_map import (
    build_tables,
    build_vertex_tables,
    uv_map_from_vertices,
    vertices_from_uv_map,
)
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail import sample_traits
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.hand.high_fidelity import detailed_map
from i2uv_jax.hand.model import HandPose, pose_hand
from i2uv_jax.hand.named_poses import NAMED_POSES
from i2uv_jax.hand.pose_prior import joint_rotations_from_angles
from i2uv_jax.hand.shape_prior import MEAN_SHAPE
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.model_files import FINE_SRNET, shipped_file
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.ops.resize import resize_corner_aligned
from i2uv_jax.render.mesh_picture import draw_meshes
from i2uv_jax.viewing.overlay import composite
from i2uv_jax.viewing.panel import tile_row
from launch.draw_poses import VIEWS

POSES = ("hanging", "hooked index")
SIDES = ("back", "palm")
COARSE_TEXELS = 32
_TILE_PX = 300
_FILL = 0.9
_BACKDROP = np.full((_TILE_PX, _TILE_PX, 3), 245, np.uint8)
_NUM_COLOURS = 64


def three_surfaces_mm(name: str) -> dict[str, Float[np.ndarray, "n 3"]]:
    """A pose's coarse, super-resolved and true surface, as vertices of the fine mesh."""
    hand = load_hand()
    config, variables, _ = load_model_file(shipped_file(FINE_SRNET))
    size = config.uv_map_size
    rotations = joint_rotations_from_angles(hand, jnp.asarray(NAMED_POSES[name], jnp.float32))
    pose = HandPose(rotations, jnp.eye(3))
    posed = pose_hand(hand, jnp.asarray(MEAN_SHAPE, jnp.float32), pose)
    coarse = uv_map_from_vertices(build_tables(hand.atlas, COARSE_TEXELS), posed.vertices)
    coarse = resize_corner_aligned(coarse[None], (size, size))
    detail = DetailConfig()
    traits = sample_traits(jax.random.key(0), hand, detail)
    maps = {
        "coarse": coarse[0],
        "super-resolved": build_model(config).apply(variables, coarse, train=False).uv_map[0],
        "true": detailed_map(hand, posed, pose, traits, detail, size),
    }
    tables = build_vertex_tables(subdivision_of(hand).atlas, size)
    return {
        caption: 1000 * np.asarray(vertices_from_uv_map(tables, uv_map), np.float64)
        for caption, uv_map in maps.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the PNG file")
    out = parser.parse_args().out
    faces = subdivision_of(load_hand()).atlas.faces
    rows = []
    for name, side in zip(POSES, SIDES, strict=True):
        surfaces = three_surfaces_mm(name)
        views = np.stack([vertices @ VIEWS[side].T for vertices in surfaces.values()])
        low, high = views.min(axis=(0, 1)), views.max(axis=(0, 1))
        views -= (low + high) / 2
        points_px = views[..., :2] * _FILL * _TILE_PX / (high - low).max() + _TILE_PX / 2
        drawn = draw_meshes(points_px, views, faces, _TILE_PX)
        tiles = [composite(_BACKDROP, picture) for picture in drawn]
        rows.append(tile_row(dict(zip(surfaces, tiles, strict=True))))
    Image.fromarray(np.concatenate(rows)).quantize(_NUM_COLOURS).save(out, optimize=True)
    print(f"{out}: {', '.join(POSES)}")


if __name__ == "__main__":
    main()
