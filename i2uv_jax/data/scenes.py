"""Scenes of many hands as a source of batches: rendered now and then, pasted at every step."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, UInt8

from i2uv_jax.config import DetectorExperimentConfig, RenderConfig, SceneConfig
from i2uv_jax.data.streams import SourceKeys, Stream
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.ops.compiling import compiler_options
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.ops.each_picture import each_picture
from i2uv_jax.ops.hash_prng import hash_key
from i2uv_jax.render.assets import RenderAssets, load_render_assets
from i2uv_jax.render.background import sample_background
from i2uv_jax.render.cutouts import Cutouts, sample_bystander_cutouts, sample_hand_cutouts
from i2uv_jax.render.photo_scene import ScenePool, mirror_scenes, sample_scenes
from i2uv_jax.types import SceneBatch

_AT_A_TIME = 64
"""Cut-outs and backgrounds that are made together; pools hold whole multiples of it."""
_BYSTANDERS_PER_HAND = 0.25
_EVALUATION_CUTOUTS = 256


class PoolMaker:
    """Renders what scenes are made of; compiled once, whatever the size of pools."""

    def __init__(self, scene: SceneConfig, render: RenderConfig, size: int) -> None:
        """
        Args:
          size: side of the scenes in pixels.

        Raises:
          ValueError: a folder of textures or pictures that the config names cannot be used.
        """
        hand = load_hand()
        config = replace(render, image_size=scene.cutout_size, uv_map_size=2)
        self._assets = on_every_device(load_render_assets(config, hand), None)
        compiled = partial(jax.jit, compiler_options=compiler_options())

        @compiled
        def hands(key: Array, assets: RenderAssets) -> Cutouts:
            return sample_hand_cutouts(key, hand, config, _AT_A_TIME, assets)

        @compiled
        def bystanders(key: Array, assets: RenderAssets) -> Cutouts:
            return sample_bystander_cutouts(key, scene.cutout_size, _AT_A_TIME)

        @compiled
        def backgrounds(key: Array, assets: RenderAssets) -> UInt8[Array, "n h h 3"]:
            keys = jax.random.split(hash_key(key), _AT_A_TIME)
            pictures = each_picture(
                lambda one: sample_background(one, size, config.background, assets.backgrounds),
                keys,
            )
            return jnp.round(255 * pictures).astype(jnp.uint8)

        self._makers = (hands, bystanders, backgrounds)

    def __call__(self, key: Array, num_hands: int, num_backgrounds: int) -> ScenePool:
        """The pool of a key; counts are rounded up to what is made together."""
        counts = (num_hands, _BYSTANDERS_PER_HAND * num_hands, num_backgrounds)
        parts = []
        for number, (make, count) in enumerate(zip(self._makers, counts, strict=True)):
            own_key = jax.random.fold_in(key, number)
            pieces = [
                make(jax.random.fold_in(own_key, piece), self._assets)
                for piece in range(math.ceil(count / _AT_A_TIME))
            ]
            parts.append(jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *pieces))
        hand_cutouts, bystander_cutouts, pictures = parts
        return ScenePool(
            things=jax.tree.map(
                lambda *both: jnp.concatenate(both), hand_cutouts, bystander_cutouts
            ),
            num_hands=len(hand_cutouts.pixels),
            backgrounds=pictures,
        )


class SceneSource:
    """A `BatchSource` of scenes; a batch is a pure function of the run's seed and the step."""

    atlas = None
    keypoint_regressor = None

    def __init__(
        self, config: DetectorExperimentConfig, keys: SourceKeys, sharding: NamedSharding
    ) -> None:
        """Compiles nothing yet.

        Raises:
          ValueError: a folder of textures or pictures that the config names cannot be used.
        """
        self._config = config
        self._sharding = sharding
        self._pool_keys, self._scene_keys = keys.of(Stream.SCENE_POOLS), keys.of(Stream.SCENES)
        self._make_pool = PoolMaker(config.scene, config.render, config.model.image_size)
        self._pool: tuple[int, ScenePool] | None = None
        self._drawn: tuple[int, SceneBatch] | None = None

        # The loop over scenes cannot be split: each device runs all of it and keeps its own part.
        @partial(jax.jit, out_shardings=sharding, compiler_options=compiler_options())
        def draw(key: Array, step: Array, pool: ScenePool) -> SceneBatch:
            key = jax.random.fold_in(key, step)
            return sample_scenes(
                key, pool, config.scene, config.render.sensor, config.train.batch_size
            )

        self._draw = draw
        self._mirror = jax.jit(mirror_scenes, out_shardings=sharding)

    def training_batch(self, step: int) -> SceneBatch:
        """The batch to train on at a step; the same for the same step whatever came before.

        Every scene is seen twice, the second time in a mirror.
        """
        scene = self._config.scene
        index = step // 2 // scene.batches_per_pool
        if self._pool is None or self._pool[0] != index:
            self._pool = None  # the old pool's memory goes before the new one's comes
            key = jax.random.fold_in(self._pool_keys.training, index)
            pool = self._make_pool(key, scene.num_cutouts, scene.num_backgrounds)
            self._pool = (index, on_every_device(pool, self._sharding))
        number = step // 2
        if self._drawn is None or self._drawn[0] != number:
            self._drawn = (number, self._draw(self._scene_keys.training, number, self._pool[1]))
        batch = self._drawn[1]
        return self._mirror(batch) if step % 2 else batch

    def evaluation_batches(self) -> Iterator[SceneBatch]:
        """The whole evaluation set, of hands of its own: the same pictures at every call."""
        key = self._pool_keys.evaluation
        pool = self._make_pool(key, _EVALUATION_CUTOUTS, _EVALUATION_CUTOUTS)
        pool = on_every_device(pool, self._sharding)
        for index in range(-(-self._config.evaluation.num_images // self._config.train.batch_size)):
            yield self._draw(self._scene_keys.evaluation, index, pool)

    def state(self, step: int) -> dict[str, Any]:
        """Nothing: the run's config, which decides all pictures, is kept beside checkpoints."""
        return {}
