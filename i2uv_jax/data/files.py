"""Stored sets as a source of batches, behind the same interface as the renderer.

Host: decode and crop, in worker processes (`file_order.py`). Device: the UV map from vertices and
camera, and the random similarity and colours of `variation.py`, which move picture, map and camera
together. A thread keeps the next batches on the device.
"""

import itertools
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from jaxtyping import Array

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.file_order import (
    CropSettings,
    Part,
    Share,
    evaluation_batches,
    read_ahead,
    training_batches,
)
from i2uv_jax.data.stored_set import HostSample, StoredSet, open_set
from i2uv_jax.data.streams import SourceKeys, Stream
from i2uv_jax.data.variation import vary_batch
from i2uv_jax.geometry.camera import project, to_crop_space
from i2uv_jax.geometry.keypoints import WRIST
from i2uv_jax.geometry.uv_map import UvTables, build_tables, uv_map_from_vertices
from i2uv_jax.types import Batch, Camera

ZOOM = 1.5
"""Sides of the host's crop per side of the network's: a square turned by any angle needs 1.41."""

_ON_DEVICE = 2
"""Batches that wait on the device."""

_HELD_OUT_SHARE = 0.2
"""Most of a set without an evaluation split that is kept from training."""


class FileSource:
    """A `BatchSource` of the sets that `config.data.sets` names."""

    def __init__(self, config: ExperimentConfig, keys: SourceKeys, sharding: Sharding) -> None:
        """Opens the sets; nothing is decoded yet.

        Args:
          keys: decide how pictures are varied.
          sharding: of batches; each process reads what its own devices take.

        Raises:
          ValueError: a set cannot be used, or the sets do not show the same hand.
        """
        sets = [open_set(Path(folder)) for folder, _ in config.data.sets]
        _check_same_hand(sets)
        self.atlas = sets[0].hand.atlas
        self.keypoint_regressor = sets[0].hand.keypoint_regressor
        share = Share(jax.process_index(), jax.process_count())
        self._sharding = sharding
        self._num_workers = config.data.workers
        size, batch_size = config.model.image_size, config.train.batch_size // share.count
        training, evaluation = _parts(sets, config)
        self._training = training_batches(
            training,
            CropSettings(sides=ZOOM, size=round(ZOOM * size)),
            seed=config.train.seed,
            batch_size=batch_size,
            share=share,
        )
        self._evaluation = evaluation_batches(
            evaluation,
            CropSettings(sides=1.0, size=size),
            num_batches=-(-config.evaluation.num_images // config.train.batch_size),
            batch_size=batch_size,
            share=share,
        )
        self._order = {
            "sets": [stored.identity for stored in sets],
            "weights": [weight for _, weight in config.data.sets],
            "seed": config.train.seed,
            # The last ones may be kept for evaluation, how many depends on its config.
            "trained_on": [part.last - part.first for part in training],
            "batch_size": config.train.batch_size,
        }
        tables = build_tables(self.atlas, config.model.uv_map_size)

        def vary(host: dict[str, Array], step: Array, key: Array) -> Batch:
            return vary_batch(
                jax.random.fold_in(key, step),
                batch_of_host(host, tables),
                turn_degrees=config.data.turn_degrees,
                strength=config.data.variation,
                zoom=ZOOM,
                size=size,
            )

        self._variation_key = keys.of(Stream.VARIATION).training
        self._vary = jax.jit(vary, out_shardings=sharding)
        self._as_it_is = jax.jit(lambda host: batch_of_host(host, tables), out_shardings=sharding)
        self._ahead: _ReadAhead | None = None

    def training_batch(self, step: int) -> Batch:
        """The batch to train on at a step; steps in a row are read ahead."""
        if self._ahead is None or self._ahead.next_step != step:
            if self._ahead is not None:
                self._ahead.close()
            self._ahead = _ReadAhead(self._training, step, self._num_workers, self._sharding)
        return self._vary(self._ahead.next(), step, self._variation_key)

    def evaluation_batches(self) -> Iterator[Batch]:
        """The whole evaluation set: the same pictures at every call, not varied."""
        for host in read_ahead(self._evaluation, first=0, num_workers=0):
            yield self._as_it_is(to_devices(host, self._sharding))

    def state(self, step: int) -> dict[str, Any]:
        """Where the order stands before a step, and what the order depends on; of JSON's types."""
        return {"next_index": step, **self._order}


class _ReadAhead:
    """Batches in a row from a step on, the next of which wait on the devices already."""

    def __init__(
        self,
        batches: grain.MapDataset[HostSample],
        first_step: int,
        num_workers: int,
        sharding: Sharding,
    ) -> None:
        self.next_step = first_step
        self._iterator = read_ahead(batches, first=first_step, num_workers=num_workers)
        self._sharding = sharding
        # One thread: batches come in the iterator's order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._waiting: deque[Future] = deque()
        # Worker processes do not end by themselves; a run does not have to remember them.
        self._closing = weakref.finalize(self, _close, self._thread, self._iterator)

    def next(self) -> dict[str, jax.Array]:
        while len(self._waiting) <= _ON_DEVICE:
            self._waiting.append(self._thread.submit(_load, self._iterator, self._sharding))
        self.next_step += 1
        return self._waiting.popleft().result()

    def close(self) -> None:
        self._closing()


def _load(iterator: grain.DatasetIterator[HostSample], sharding: Sharding) -> dict[str, jax.Array]:
    return to_devices(next(iterator), sharding)


def _close(thread: ThreadPoolExecutor, iterator: grain.DatasetIterator[HostSample]) -> None:
    thread.shutdown(wait=True, cancel_futures=True)
    iterator.close()


def to_devices(host: HostSample, sharding: Sharding) -> dict[str, jax.Array]:
    """The global batch of which this process has read its share."""
    # Copied: workers hand arrays over in shared memory, which JAX would keep in use on CPUs.
    return {
        name: jax.make_array_from_process_local_data(sharding, np.array(values))
        for name, values in host.items()
    }


def batch_of_host(host: dict[str, Array], tables: UvTables) -> Batch:
    """A batch of `HostSample`s as training takes it. Pure, jit-able."""
    camera = Camera(focal=host["focal"], principal=host["principal"])
    keypoints = host["keypoints"]
    plane = project(camera, keypoints)
    points = to_crop_space(camera, host["vertices"], keypoints[:, WRIST, 2])
    return Batch(
        image=host["image"].astype(jnp.float32) / 255,
        uv_map=uv_map_from_vertices(tables, points),
        vertices=host["vertices"],
        keypoints=keypoints,
        hand_mask=host["hand_mask"].astype(jnp.float32) / 255,
        keypoint_visible=jnp.all((plane >= 0) & (plane <= 1), axis=-1),
        camera=camera,
    )


def _parts(sets: list[StoredSet], config: ExperimentConfig) -> tuple[list[Part], Part]:
    """What is trained on, and what is evaluated on: the first set's "evaluation" split or, where
    it has none, the last of its training samples, which are then kept from training."""
    weights = [weight for _, weight in config.data.sets]
    counts = [stored.splits.get("train", 0) for stored in sets]
    for stored, count in zip(sets, counts, strict=True):
        if count < 1:
            raise ValueError(f'{stored.folder}: has no samples to train on (split "train")')
    first = sets[0]
    if first.splits.get("evaluation"):
        evaluation = Part(first, "evaluation", 0, first.splits["evaluation"])
    else:
        held_out = min(config.evaluation.num_images, int(_HELD_OUT_SHARE * counts[0]))
        if held_out < 1:
            raise ValueError(
                f"{first.folder}: too few samples ({counts[0]}) to keep some for evaluation"
            )
        evaluation = Part(first, "train", counts[0] - held_out, counts[0])
        counts[0] -= held_out
    training = [
        Part(stored, "train", 0, count, weight)
        for stored, count, weight in zip(sets, counts, weights, strict=True)
    ]
    return training, evaluation


def _check_same_hand(sets: list[StoredSet]) -> None:
    for first, other in itertools.pairwise(sets):
        if first.hand.atlas.fingerprint != other.hand.atlas.fingerprint or not np.allclose(
            first.hand.keypoint_regressor, other.hand.keypoint_regressor, atol=1e-5
        ):
            raise ValueError(
                f"data.sets: {first.folder} and {other.folder} show hands of different meshes or "
                "UV charts, which one network cannot learn"
            )
