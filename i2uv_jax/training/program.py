"""What a config becomes: mesh, source of batches, and the compiled functions of a run.

One `jax.jit` per function, with shardings for all that goes in and comes out; see `sharding.py`.
Nothing is compiled before it is called.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
from flax import linen as nn
from jax.sharding import Mesh

from i2uv_jax.config import (
    AnyExperimentConfig,
    DetectorExperimentConfig,
    TrainConfig,
)
from i2uv_jax.data.source import BatchSource
from i2uv_jax.models.networks import build_network
from i2uv_jax.ops.compiling import compiler_options
from i2uv_jax.training.detector_task import detector_task
from i2uv_jax.training.gradient import build_gradient
from i2uv_jax.training.hand_task import hand_task
from i2uv_jax.training.optimizer import build_optimizer
from i2uv_jax.training.sharding import (
    batch_sharding,
    check_batch_size,
    make_mesh,
    replicated,
    state_shardings,
)
from i2uv_jax.training.sources import build_source
from i2uv_jax.training.state import TrainState, first_state, init_state
from i2uv_jax.training.step import build_train_step
from i2uv_jax.training.surface_task import surface_task
from i2uv_jax.training.task import Task


@dataclass(frozen=True)
class TrainingProgram:
    """The parts of a run; make it with `build_program`."""

    config: AnyExperimentConfig
    mesh: Mesh
    source: BatchSource
    task: Task
    state_shardings: Any
    """How the state lies on the devices: one sharding for all of it, or one per leaf."""
    train_step: Any
    """Jitted: (state, batch) to (state, metrics); the state that goes in is used up."""
    evaluation_step: Callable
    """Jitted step of the task; what it measures is whole on every process."""

    def first_state(self, variables: dict[str, Any] | None = None) -> TrainState:
        """The state before the first step, of given or of random weights; born where it will lie.

        Args:
          variables: "params" and "batch_stats" to start from.
        """
        create = init_state if variables is None else first_state
        create = jax.jit(partial(create, config=self.config), out_shardings=self.state_shardings)
        return create(_params_key(self.config) if variables is None else variables)


def abstract_state(config: AnyExperimentConfig) -> TrainState:
    """Shapes and types of a run's state; traces the network, computes nothing."""
    return jax.eval_shape(partial(init_state, config=config), _params_key(config))


def build_program(
    config: AnyExperimentConfig, source: BatchSource | None = None
) -> TrainingProgram:
    """Puts a run together; nothing is compiled yet.

    Args:
      source: where batches come from; what `config.data` says unless given.

    Raises:
      ValueError: config and machine do not go together, or the config names a loss or a stored set
        that cannot be used.
    """
    mesh = make_mesh(config.train.num_devices, config.train.fsdp)
    check_batch_size(config.train, mesh)
    if source is None:
        source = build_source(config, mesh)
    is_split = config.train.fsdp > 1
    shardings = state_shardings(abstract_state(config), mesh) if is_split else replicated(mesh)
    model = build_network(
        config.model, rematerialise=config.train.rematerialise, by_picture=mesh.size > 1
    )
    task = _task(config, model, source, mesh)
    gradient_of = build_gradient(
        model,
        task.compute_loss,
        network_inputs=task.network_inputs,
        num_microbatches=config.train.microbatches,
        mesh=mesh,
    )
    train_step = jax.jit(
        build_train_step(
            build_optimizer(config.optim, config.train.num_steps),
            gradient_of,
            average_decay=config.train.ema_decay,
            skip_above=_skip_limit(config.train),
        ),
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(),
    )
    evaluation_step = jax.jit(
        task.evaluation_step,
        out_shardings=(batch_sharding(mesh), replicated(mesh)),
        compiler_options=compiler_options(),
    )
    return TrainingProgram(config, mesh, source, task, shardings, train_step, evaluation_step)


def _task(config: AnyExperimentConfig, model: nn.Module, source: BatchSource, mesh: Mesh) -> Task:
    if isinstance(config, DetectorExperimentConfig):
        return detector_task(model)
    if config.model.affine is None:
        return surface_task(config, model, source)
    return hand_task(config, model, source, mesh)


def _skip_limit(config: TrainConfig) -> float | None:
    if config.bad_steps != "skip":
        return None
    return math.inf if config.max_loss is None else config.max_loss


def _params_key(config: AnyExperimentConfig) -> jax.Array:
    # The "rbg" generator compiles four times faster than the default, which draws each of a net's
    # many parameters with code of its own. Its numbers differ from backend to backend.
    return jax.random.key(config.train.seed, impl="rbg")
