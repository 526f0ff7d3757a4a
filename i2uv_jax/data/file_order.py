"""In which order the samples of stored sets are trained on: a function of seed and step.

Each set is shuffled anew every epoch and goes on for ever; sets are mixed by weight; process p of n
takes every n-th sample from the p-th on, so that together they see each once. Batches are made
before worker processes come in, which then take turns at whole batches: neither their number nor
the step at which a run is resumed changes what is in a batch. Up to order, a batch over all
processes holds the same samples however many processes there are.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import grain
from absl import flags

from i2uv_jax.data.stored_set import HostSample, StoredSet, ToHostCrop, quiet_readers

_BATCHES_AHEAD = 2
"""Batches that are made ready per worker process, or altogether without any."""

_THREADS = 4
"""That decode in a process without workers."""


@dataclass(frozen=True)
class Part:
    """Samples of one set, from `first` to before `last` of a split, and their weight in the mix."""

    stored: StoredSet
    split: str
    first: int
    last: int
    weight: float = 1.0


@dataclass(frozen=True)
class Share:
    """Which of several processes this one is."""

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class CropSettings:
    """See `ToHostCrop`."""

    sides: float
    size: int


def training_batches(
    parts: Sequence[Part], crop_of: CropSettings, *, seed: int, batch_size: int, share: Share
) -> grain.MapDataset[HostSample]:
    """This process's batches by step, each as they would come in an uninterrupted run.

    Args:
      batch_size: this process's part of the batch.
    """
    orders = [
        _crops(part, crop_of).seed(seed + index).shuffle().repeat()
        for index, part in enumerate(parts)
    ]
    mixed = orders[0]
    if len(orders) > 1:
        mixed = grain.MapDataset.mix(orders, weights=[part.weight for part in parts])
    return mixed[share.index :: share.count].batch(batch_size, drop_remainder=True)


def evaluation_batches(
    part: Part, crop_of: CropSettings, *, num_batches: int, batch_size: int, share: Share
) -> grain.MapDataset[HostSample]:
    """So many batches in stored order; from the start again where the part is shorter."""
    endless = _crops(part, crop_of).repeat()
    mine = endless[share.index :: share.count]
    return mine.batch(batch_size, drop_remainder=True)[:num_batches]


def read_ahead(
    batches: grain.MapDataset[HostSample], *, first: int, num_workers: int
) -> grain.DatasetIterator[HostSample]:
    """An iterator from a step on, whose batches are made before they are asked for.

    Args:
      num_workers: processes that decode; 0 decodes in threads of this one.
    """
    ahead = grain.ReadOptions(
        num_threads=_THREADS if num_workers == 0 else 1, prefetch_buffer_size=_BATCHES_AHEAD
    )
    dataset = batches[first:].to_iter_dataset(ahead)
    if num_workers:
        # grain's workers read absl's flags, which nobody parses here.
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(
                num_workers=num_workers, per_worker_buffer_size=_BATCHES_AHEAD
            ),
            worker_init_fn=_start_worker,
        )
    return iter(dataset)


def _start_worker(worker: int, count: int) -> None:
    """What a worker process does first."""
    del worker, count
    quiet_readers()
    # Ctrl-C, and schedulers' SIGTERM, reach all processes of a run. The run needs its batches until
    # it has come to the end of a step and saved; then it ends its workers itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Waits for the run's end, however it comes, and ends this process, which nobody else would."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _crops(part: Part, crop_of: CropSettings) -> grain.MapDataset[HostSample]:
    to_crop = ToHostCrop(is_photos=part.stored.is_photos, sides=crop_of.sides, size=crop_of.size)
    samples = grain.MapDataset.source(part.stored.samples(part.split))
    return samples[part.first : part.last].map(to_crop)
