"""SRNet with texel features: what it adds belongs to the hand, not to the picture's axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from i2uv_jax.config import SRNetConfig
from i2uv_jax.geometry.map_normals import texel_frames
from i2uv_jax.models.sr_net import SRNet

SIZE = 32
CONFIG = SRNetConfig((6,), (3, 3), residual=True, detail_gain=100.0, texel_features=2, size=SIZE)


@pytest.fixture(scope="module")
def bowl():
    """A curved, uneven sheet, (1, 32, 32, 3), and a network with something to say of it."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    height = 0.2 * np.sin(5 * rows) * np.cos(4 * columns)
    uv_map = jnp.asarray(np.stack([columns, 1.2 * rows, height], axis=-1)[None], jnp.float32)
    variables = SRNet(CONFIG).init(jax.random.key(0), uv_map)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    leaves = [
        leaf + 0.3 * jax.random.normal(key, leaf.shape)
        for key, leaf in zip(keys, leaves, strict=True)
    ]
    return uv_map, jax.tree.unflatten(tree, leaves)


def test_it_turns_moves_and_grows_with_the_hand(bowl):
    uv_map, variables = bowl
    turn = jnp.asarray(Rotation.from_rotvec([0.4, -1.1, 2.0]).as_matrix(), jnp.float32)

    def moved(points):
        return 1.7 * points @ turn.T + jnp.array([0.3, -2.0, 5.0])

    refine = jax.jit(SRNet(CONFIG).apply)
    refined = refine(variables, uv_map)
    assert float(jnp.abs(refined - uv_map).max()) > 1e-3
    np.testing.assert_allclose(refine(variables, moved(uv_map)), moved(refined), atol=3e-5)


def test_it_knows_where_on_the_hand_it_is(bowl):
    # A plane looks the same everywhere, but at its border.
    _, variables = bowl
    rows, columns = np.mgrid[:SIZE, :SIZE] / np.float32(SIZE - 1)
    plane = jnp.asarray(np.stack([columns, rows, 0 * rows], axis=-1)[None], jnp.float32)
    height = SRNet(CONFIG).apply(variables, plane)[0, 8:-8, 8:-8, 2]
    assert float(jnp.std(height)) > 1e-4


def test_it_starts_as_the_identity(bowl):
    uv_map, _ = bowl
    refined, _ = SRNet(CONFIG).init_with_output(jax.random.key(0), uv_map)
    np.testing.assert_array_equal(refined, uv_map)


def test_frames_of_a_slanted_sheet():
    # u runs along +y and v along +z, 2 and 3 units in all: the normal is +x, the area 6.
    rows, columns = np.mgrid[:9, :9] / 8
    uv_map = jnp.asarray(np.stack([0 * rows, 2 * columns, 3 * rows], axis=-1)[None], jnp.float32)
    frames, size = texel_frames(uv_map)
    axes = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]).T
    np.testing.assert_allclose(frames, np.broadcast_to(axes, (1, 9, 9, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(size, np.full((1, 1, 1, 1), np.sqrt(6)), rtol=1e-6)


def test_features_need_a_gain():
    with pytest.raises(ValueError, match="texel_features: expected at least 0 with detail_gain"):
        SRNetConfig(residual=True, texel_features=2)
