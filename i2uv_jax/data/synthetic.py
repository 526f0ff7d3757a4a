"""The renderer as a source of batches: made on the device, a pure function of seed and step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.render.shading import sample_tints
from i2uv_jax.types import Batch, Camera

_QUARTER_TURNS = np.array(
    [[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]], np.float32
)
"""Matrices of n quarter turns counter-clockwise as seen, y down: one takes (x, y) to (y, -x)."""


class SyntheticSource:
    """A `BatchSource` that renders the shipped hand.

    Rendering is jitted apart from the training step: the two compile, and can be timed, each for
    itself. Batches are born on the devices that will use them.
    """

    def __init__(self, config: ExperimentConfig, key: Array, sharding: Sharding) -> None:
        """Renders pictures and UV maps of the sizes that the config's model takes and gives."""
        hand = load_hand()
        self.atlas = hand.atlas
        self.keypoint_regressor = hand.keypoint_regressor
        self._key = key
        self._reuse = config.data.reuse
        self._evaluation_key = jax.random.key(config.evaluation.seed)
        batch_size = config.train.batch_size
        self._num_evaluation_batches = -(-config.evaluation.num_images // batch_size)
        render_config = replace(
            config.render,
            image_size=config.model.image_size,
            uv_map_size=config.model.uv_map_size,
        )

        # Step and key are arguments, so every batch of the run comes from one compilation.
        @partial(jax.jit, out_shardings=sharding)
        def render(key: Array, index: Array) -> Batch:
            key = jax.random.fold_in(key, index)
            return sample_batch(key, hand, render_config, batch_size)

        self._render = render
        self._vary = jax.jit(vary_batch, out_shardings=sharding)
        self._rendered: tuple[int, Batch] | None = None

    def training_batch(self, step: int) -> Batch:
        """The batch to train on at a step; the same for the same step whatever came before."""
        index, use = divmod(step, self._reuse)
        if self._rendered is None or self._rendered[0] != index:
            self._rendered = (index, self._render(self._key, index))
        batch = self._rendered[1]
        if use == 0:
            return batch
        return self._vary(jax.random.fold_in(self._key, step), batch)

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call."""
        for index in range(self._num_evaluation_batches):
            yield self._render(self._evaluation_key, index)


def vary_batch(key: Array, batch: Batch) -> Batch:
    """The same hands once more, turned by quarters and in other light; pure and jit-able.

    Every picture is turned about its centre by a random number of quarter turns (exact: no pixel
    is resampled), together with all of its geometry, and gets a random gain per colour channel.
    """
    turn_key, gain_key = jax.random.split(key)
    batch_size = batch.image.shape[0]
    turns = jax.random.randint(turn_key, (batch_size,), 0, 4)
    turned = jax.vmap(_turn)(batch, turns)
    gain = sample_tints(gain_key, batch_size)[:, None, None]
    return turned.replace(image=jnp.clip(turned.image * gain, 0, 1))


def _turn(batch: Batch, turns: Array) -> Batch:
    """One picture (no batch axis) turned counter-clockwise by `turns` quarters."""
    rotation = jnp.asarray(_QUARTER_TURNS)[turns]

    def turn_points(points: Array, centre: float = 0.0) -> Array:
        plane = (points[..., :2] - centre) @ rotation.T + centre
        return jnp.concatenate([plane, points[..., 2:]], axis=-1)

    def turn_image(image: Array) -> Array:
        return jax.lax.switch(turns, [partial(jnp.rot90, k=n) for n in range(4)], image)

    camera = Camera(
        focal=batch.camera.focal, principal=turn_points(batch.camera.principal, centre=0.5)
    )
    return batch.replace(
        image=turn_image(batch.image),
        hand_mask=turn_image(batch.hand_mask),
        uv_map=turn_points(batch.uv_map, centre=0.5),
        vertices=turn_points(batch.vertices),
        keypoints=turn_points(batch.keypoints),
        camera=camera,
    )
