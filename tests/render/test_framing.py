"""How crops lie about hands: as the config says, or close up."""

import jax
import numpy as np

from i2uv_jax.config import OcclusionConfig, RenderConfig
from i2uv_jax.geometry.camera import project
from i2uv_jax.geometry.keypoints import MIDDLE_MCP, WRIST
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render.scene import sample_placements

COUNT = 64


def boxes_and_palms(**options):
    """Longer side of each hand's box in crop sides, and where its palm points (x right, y down)."""
    config = RenderConfig(
        free_view_share=0.0, tilt_degrees=0.0, occlusion=OcclusionConfig(0, 0, 0, 0), **options
    )
    hand = load_hand()

    @jax.jit
    def place(key):
        placed = sample_placements(key, hand, config, COUNT)
        points = [placed.posed.vertices, placed.posed.keypoints]
        seen = jax.vmap(lambda framing, p: framing.to_camera_frame(p))
        return [project(placed.framing.camera, seen(placed.framing, p)) for p in points]

    vertices, keypoints = map(np.asarray, place(jax.random.key(0)))
    palm = keypoints[:, MIDDLE_MCP] - keypoints[:, WRIST]
    return np.ptp(vertices, axis=1).max(axis=-1), palm


def test_closeups_stand_upright_and_fill_the_crop():
    side, palm = boxes_and_palms(min_fill=0.3, max_fill=0.3, closeup_share=1.0)
    assert side.min() > 0.59 and side.max() < 1.31 and np.ptp(side) > 0.5
    # An error of 0.35 palms along each axis leaves nearly all palms within 60 degrees of upright.
    lean = np.abs(np.rad2deg(np.arctan2(palm[:, 0], -palm[:, 1])))
    assert np.mean(lean < 60) > 0.9


def test_the_other_pictures_are_as_the_config_says():
    side, palm = boxes_and_palms(min_fill=0.3, max_fill=0.3, closeup_share=0.5)
    own = np.abs(side - 0.3) < 1e-3
    assert 0.3 < own.mean() < 0.7
    side, palm = boxes_and_palms(min_fill=0.3, max_fill=0.3)
    np.testing.assert_allclose(side, 0.3, atol=1e-3)
    assert 0.3 < np.mean(palm[:, 1] < 0) < 0.7  # any turn
