"""Keypoints as the shipped hand landmark network sees them, beside a batch's pictures."""

from functools import partial

import jax
from jax.sharding import NamedSharding
from jaxtyping import Array

from i2uv_jax.config import LandmarkNetConfig
from i2uv_jax.data.extended import Extension
from i2uv_jax.detection.seen_keypoints import see_keypoints
from i2uv_jax.geometry.camera import keypoints_in_crop
from i2uv_jax.models.model_files import LANDMARK_NET, shipped_file
from i2uv_jax.models.weights import load_model_file
from i2uv_jax.ops.compiling import compiler_options
from i2uv_jax.ops.devices import on_every_device
from i2uv_jax.types import Batch

SEEN_BY = f"{LANDMARK_NET}, 1"
"""What a run's checkpoints say of it. To be raised with every change of `detection.seen_keypoints`
or of the network after which the same pictures are seen otherwise."""


def seen_extension(sharding: NamedSharding) -> Extension:
    """What fills the `Batch.seen_keypoints` of a batch. Compiles nothing yet."""
    config, variables, _ = load_model_file(shipped_file(LANDMARK_NET), LandmarkNetConfig)
    variables = on_every_device(variables, sharding)

    @partial(jax.jit, out_shardings=sharding, compiler_options=compiler_options())
    def see(key: Array, index: Array, batch: Batch, variables: dict) -> Array:
        true = keypoints_in_crop(batch.camera, batch.keypoints)
        return see_keypoints(jax.random.fold_in(key, index), config, variables, batch.image, true)

    def extend(key: Array, index: int, batch: Batch) -> Batch:
        return batch.replace(seen_keypoints=see(key, index, batch, variables))

    return extend
