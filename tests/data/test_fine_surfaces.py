"""High-fidelity truth of rendered hands: the hands of the pictures, with relief on their skin."""

import jax
import numpy as np

from i2uv_jax.config import RenderConfig
from i2uv_jax.data.fine_surfaces import fine_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.detail_chart import subdivision_of
from i2uv_jax.render.scene import sample_placements


def test_they_are_the_pictures_hands_and_rougher():
    hand, config, key = load_hand(), RenderConfig(), jax.random.key(3)
    fine = fine_vertices(key, hand, config, batch_size=2, count=3)
    faces = subdivision_of(hand).atlas.faces
    assert fine.shape == (3, subdivision_of(hand).atlas.num_vertices, 3)
    for index in range(3):
        batch, row = divmod(index, 2)
        placed = sample_placements(jax.random.fold_in(key, batch), hand, config, 2)
        one = jax.tree.map(lambda leaf, row=row: leaf[row], placed)
        rig = np.asarray(one.framing.to_camera_frame(one.posed.vertices))
        # The rig's vertices come first. Its surface and the smooth one with its relief are a
        # quarter of a millimetre apart on average.
        distance_mm = 1000 * np.linalg.norm(fine[index, : hand.num_vertices] - rig, axis=-1)
        assert 0.05 < distance_mm.mean() < 0.6
        assert distance_mm.max() < 6
        edges = fine[index][faces] - fine[index][np.roll(faces, 1, axis=1)]
        assert 1000 * np.linalg.norm(edges, axis=-1).max() < 12
