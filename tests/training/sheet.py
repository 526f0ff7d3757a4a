"""A source of batches that needs no renderer: a bent sheet before a coloured gradient.

The sheet's pose decides the gradient's colours, so there is something to learn, and a batch costs
nothing to make or compile.
"""

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.config import (
    AffineNetConfig,
    EvaluationConfig,
    ExperimentConfig,
    HandNetConfig,
    OptimConfig,
    TrainConfig,
)
from i2uv_jax.geometry.atlas import Atlas
from i2uv_jax.geometry.camera import to_crop_space
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.types import Batch, Camera

_GRID = 6


def _sheet_atlas() -> Atlas:
    rows, columns = np.mgrid[:_GRID, :_GRID]
    uv = 0.1 + 0.8 * np.stack([columns, rows], axis=-1).reshape(-1, 2) / (_GRID - 1)
    corner = (rows[:-1, :-1] * _GRID + columns[:-1, :-1]).ravel()
    upper = np.stack([corner, corner + _GRID, corner + 1], axis=1)
    lower = np.stack([corner + 1, corner + _GRID, corner + _GRID + 1], axis=1)
    faces = np.concatenate([upper, lower])
    return Atlas(uv=uv, faces=faces, faces_uv=faces, num_vertices=_GRID**2)


class SheetSource:
    """A `BatchSource` of bent sheets; at `poison_step` its labels are NaN."""

    _grid = _GRID

    def __init__(self, config, *, poison_step=None, sharding=None):
        self.atlas = _sheet_atlas()
        self.keypoint_regressor = np.eye(_GRID**2, dtype=np.float32)[:21]
        self._tables = build_tables(self.atlas, config.model.uv_map_size)
        self._config = config
        self._poison_step = poison_step
        self._make = jax.jit(self._make_batch, out_shardings=sharding)

    def training_batch(self, step):
        batch = self._make(jax.random.fold_in(jax.random.key(7), step))
        if step == self._poison_step:
            batch = batch.replace(uv_map=batch.uv_map * jnp.nan)
        return batch

    def evaluation_batches(self):
        yield self._make(jax.random.key(8))

    def state(self, step):
        return {"step": step, "sheet": self._grid}

    def _make_batch(self, key):
        batch_size, size = self._config.train.batch_size, self._config.model.image_size
        angle_key, bend_key = jax.random.split(key)
        angles = jax.random.uniform(angle_key, (batch_size, 1), minval=-1.0, maxval=1.0)
        bends = jax.random.uniform(bend_key, (batch_size, 1), minval=-4.0, maxval=4.0)
        flat = jnp.asarray(self.atlas.uv, jnp.float32) - 0.5
        x = 0.15 * (jnp.cos(angles) * flat[:, 0] - jnp.sin(angles) * flat[:, 1])
        y = 0.15 * (jnp.sin(angles) * flat[:, 0] + jnp.cos(angles) * flat[:, 1])
        z = 0.5 + bends * (x**2 - y**2)
        vertices = jnp.stack([x, y, z], axis=-1)
        keypoints = vertices[:, :21]
        camera = Camera(
            focal=jnp.full((batch_size,), 2.5), principal=jnp.full((batch_size, 2), 0.5)
        )
        points = to_crop_space(camera, vertices, keypoints[:, 0, 2])
        ramp = jnp.linspace(-1, 1, size)
        red = 0.5 + 0.5 * jnp.sin(angles[..., None]) * ramp[None, None, :] * jnp.ones((size, 1))
        green = 0.5 + 0.1 * bends[..., None] * ramp[None, :, None] * jnp.ones((1, size))
        image = jnp.stack([red, green, red * green], axis=-1)
        return Batch(
            image=image,
            uv_map=uv_map_from_vertices(self._tables, points),
            vertices=vertices,
            keypoints=keypoints,
            hand_mask=jnp.ones((batch_size, size, size)),
            keypoint_visible=jnp.ones((batch_size, 21), bool),
            camera=camera,
        )


SHEET_CONFIG = ExperimentConfig(
    name="sheet",
    model=HandNetConfig(
        affine=AffineNetConfig(encoder="resnet18", width=0.125, decoder_channels=(16, 16, 8, 8)),
        sr=None,
        image_size=32,
    ),
    # Adam divides by the gradient's size: a large epsilon keeps rounding errors small.
    optim=OptimConfig(peak_learning_rate=1e-2, clip_norm=1.0, epsilon=1e-3),
    train=TrainConfig(
        num_steps=4,
        batch_size=4,
        num_devices=1,
        ema_decay=0.9,
        log_every=2,
        picture_every=4,
        evaluate_every=100,
        save_every=2,
    ),
    evaluation=EvaluationConfig(num_images=4),
)
