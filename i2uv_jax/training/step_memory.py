"""How many bytes a training step needs, worked out before there is a machine to run it on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax

from i2uv_jax.config import DataConfig, ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.models.networks import build_network
from i2uv_jax.training.program import abstract_state, build_program
from i2uv_jax.types import TrainingBatch


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a training step needs on its one device, from the traced program's shapes."""

    parameters: int
    """With the running statistics."""
    optimizer: int
    average: int
    gradient: int
    """With the sum over microbatches, where there are several."""
    batch: int
    """Pictures and what is known of them; twice, as the next batch is made while a step runs."""
    weights_for_backward: int
    """What the backward pass keeps whatever the batch: weights in the computation's precision."""
    activations_per_image: int
    """What the backward pass keeps of each picture that the network sees."""
    microbatch_size: int
    pictures_seen: int
    """By the network of one microbatch: its own, mirror images and those without a hand."""

    @property
    def activations(self) -> int:
        """Of one microbatch."""
        return self.activations_per_image * self.pictures_seen

    @property
    def total(self) -> int:
        """All of it at once."""
        return (
            self.parameters
            + self.optimizer
            + self.average
            + self.gradient
            + self.batch
            + self.weights_for_backward
            + self.activations
        )


def step_memory(config: ExperimentConfig, source: BatchSource | None = None) -> StepMemory:
    """What a step keeps on one device, read off the traced program: nothing is compiled or run.

    Activations are all that automatic differentiation hands from the forward to the backward pass,
    traced for one microbatch and for one of twice as many pictures. A compiler keeps fewer where it
    computes anew what is cheap, and needs room to work in, which is not counted; neither is the
    renderer.

    Args:
      source: of batches like the config's; the renderer unless given.

    Raises:
      ValueError: the config names a loss that does not exist.
    """
    num_microbatches = config.train.microbatches
    # CPUs' formulations keep other things than accelerators'.
    model_config = replace(config.model, cpu_paths="off")
    train = replace(config.train, num_devices=1, fsdp=1)
    config = replace(config, model=model_config, train=train, data=DataConfig())
    program = build_program(config, source)
    state = abstract_state(config)
    whole = jax.eval_shape(lambda: program.source.training_batch(0))
    model = build_network(model_config, rematerialise=config.train.rematerialise)

    def backward(params: dict, batch_stats: dict, batch: TrainingBatch):
        def loss_of(params: dict):
            output, _ = model.apply(
                {"params": params, "batch_stats": batch_stats},
                *program.task.network_inputs(batch),
                train=True,
                mutable=["batch_stats"],
            )
            return program.task.compute_loss(output, batch)[0]

        return jax.vjp(loss_of, params)[1]

    def num_seen(batch: TrainingBatch) -> int:
        pictures, *_ = jax.eval_shape(program.task.network_inputs, batch)
        return len(pictures)

    microbatch = _resized(whole, lambda size: size // num_microbatches)
    twice = _resized(microbatch, lambda size: 2 * size)
    kept, kept_of_twice = (
        _num_bytes(jax.eval_shape(backward, state.params, state.batch_stats, batch))
        for batch in (microbatch, twice)
    )
    seen = num_seen(microbatch)
    per_image = round((kept_of_twice - kept) / (num_seen(twice) - seen))
    params = _num_bytes(state.params)
    return StepMemory(
        parameters=params + _num_bytes(state.batch_stats),
        optimizer=_num_bytes(state.opt_state),
        average=_num_bytes(state.average),
        gradient=params * (1 if num_microbatches == 1 else 2),
        batch=2 * _num_bytes(whole),
        weights_for_backward=kept - seen * per_image,
        activations_per_image=per_image,
        microbatch_size=config.train.batch_size // num_microbatches,
        pictures_seen=seen,
    )


def _resized(batch: TrainingBatch, new_size: Callable[[int], int]) -> TrainingBatch:
    """The shapes of a batch with another number of pictures, of each kind."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((new_size(leaf.shape[0]), *leaf.shape[1:]), leaf.dtype),
        batch,
    )


def _num_bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
