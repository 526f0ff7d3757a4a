"""The renderer as a source of batches: made on the device, a pure function of seed and step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Sharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.geometry.quarter_turns import turn_image, turn_points
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.render.scene import sample_batch
from i2uv_jax.render.shading import sample_tints
from i2uv_jax.types import Batch, Camera


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
        # Quarter turns would undo the renderer's preference for upright hands.
        turn = config.render.upright_share == 0
        self._vary = jax.jit(partial(vary_batch, turn=turn), out_shardings=sharding)
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


def vary_batch(key: Array, batch: Batch, *, turn: bool = True) -> Batch:
    """The same hands once more in light of another colour; pure and jit-able.

    With `turn` every picture is also turned about its centre by a random number of quarters,
    together with all of its geometry.
    """
    turn_key, gain_key = jax.random.split(key)
    batch_size = batch.image.shape[0]
    if turn:
        turns = jax.random.randint(turn_key, (batch_size,), 0, 4)
        batch = jax.vmap(_turn)(batch, turns)
    gain = sample_tints(gain_key, batch_size)[:, None, None]
    return batch.replace(image=jnp.clip(batch.image * gain, 0, 1))


def _turn(batch: Batch, turns: Array) -> Batch:
    """One picture (no batch axis) turned counter-clockwise by `turns` quarters."""
    principal = turn_points(batch.camera.principal, turns, centre=0.5)
    return batch.replace(
        image=turn_image(batch.image, turns),
        hand_mask=turn_image(batch.hand_mask, turns),
        uv_map=turn_points(batch.uv_map, turns, centre=0.5),
        vertices=turn_points(batch.vertices, turns),
        keypoints=turn_points(batch.keypoints, turns),
        camera=Camera(focal=batch.camera.focal, principal=principal),
    )
