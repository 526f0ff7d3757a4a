"""The training run: build, resume, train, evaluate, save, hand out the model.

`train` reads from top to bottom. What a step computes is in `step.py`, where the pictures come
from in `i2uv_jax.data`, what is written where in `checkpoint.py`.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from i2uv_jax.config import ExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.data.synthetic import SyntheticSource
from i2uv_jax.geometry.uv_map import build_tables
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.ops.compiling import network_compiler_options
from i2uv_jax.training.checkpoint import (
    EVALUATION_FILE,
    MODEL_FILE,
    TENSORBOARD_FOLDER,
    Checkpoints,
    has_checkpoints,
    open_run_folder,
    write_text,
)
from i2uv_jax.training.evaluation import comparison_picture, evaluate
from i2uv_jax.training.initial_weights import load_initial_variables
from i2uv_jax.training.interruption import StopRequest
from i2uv_jax.training.model_file import export_state
from i2uv_jax.training.optimizer import build_optimizer, learning_rate_schedule
from i2uv_jax.training.reporting import Reporter
from i2uv_jax.training.sharding import batch_sharding, check_batch_size, make_mesh, replicated
from i2uv_jax.training.state import TrainState, first_state, init_state
from i2uv_jax.training.step import build_evaluation_step, build_loss, build_train_step
from i2uv_jax.types import Batch


class DivergedError(RuntimeError):
    """The loss is no longer a finite number; the message names the step and the term."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    state: TrainState
    steps_done: int
    errors_mm: dict[str, float]
    """Errors on the evaluation set at the end; empty if a signal stopped the run."""
    signal_number: int | None
    """The signal that stopped the run, or None."""


def train(
    config: ExperimentConfig,
    folder: Path,
    *,
    resume: bool = False,
    source: BatchSource | None = None,
) -> TrainResult:
    """Runs the training that `config` describes, in and from `folder`.

    Args:
      config: the whole experiment.
      folder: the run's folder; see `checkpoint.py` for what it holds.
      resume: continue from the newest checkpoint in the folder, if there is one.
      source: where batches come from; the renderer unless given.

    Raises:
      ValueError: config and folder, or config and machine, do not go together, or the config names
        a loss or a model to start from that does not exist.
      DivergedError: a loss term or the gradient is not finite.
    """
    start_time = time.monotonic()
    mesh = make_mesh(config.train.num_devices)
    check_batch_size(config.train.batch_size, mesh)

    # Build. Parameters and batches get keys of their own, so that neither moves the other. The
    # "rbg" generator compiles four times faster than the default, which draws each of a net's many
    # parameters with code of its own; pictures keep the default, the same on every accelerator.
    data_key = jax.random.key(config.train.seed)
    params_key = jax.random.key(config.train.seed, impl="rbg")
    if source is None:
        source = SyntheticSource(config, data_key, batch_sharding(mesh))
    model = build_model(config.model)
    optimizer = build_optimizer(config.optim, config.train.num_steps)
    learning_rate = learning_rate_schedule(config.optim, config.train.num_steps)
    create_state = partial(init_state, config=config)
    train_step = jax.jit(
        build_train_step(
            model,
            optimizer,
            build_loss(config.loss, config.model, source),
            average_decay=config.train.ema_decay,
        ),
        in_shardings=(replicated(mesh), batch_sharding(mesh)),
        out_shardings=(replicated(mesh), replicated(mesh)),
        donate_argnums=0,
        compiler_options=network_compiler_options(),
    )
    tables = build_tables(source.atlas, config.model.uv_map_size)
    evaluation_step = jax.jit(
        build_evaluation_step(model, tables, source.keypoint_regressor),
        compiler_options=network_compiler_options(),
    )
    initial_variables = None
    if not (resume and has_checkpoints(folder)):
        initial_variables = load_initial_variables(config, source.atlas)
    open_run_folder(folder, config, resume=resume)

    with (
        Checkpoints(folder, keep=config.train.keep_checkpoints) as checkpoints,
        StopRequest() as stop,
    ):
        if checkpoints.latest_step is not None:
            abstract_state = jax.eval_shape(create_state, params_key)
            state = checkpoints.restore(abstract_state, replicated(mesh))
        elif initial_variables is not None:
            create_first = jax.jit(
                first_state, static_argnames="config", out_shardings=replicated(mesh)
            )
            state = create_first(initial_variables, config=config)
        else:
            state = jax.jit(create_state, out_shardings=replicated(mesh))(params_key)
        first_step = int(state.step)

        with Reporter(folder / TENSORBOARD_FOLDER, config.train, first_step=first_step) as reporter:
            num_params = sum(leaf.size for leaf in jax.tree.leaves(state.params))
            reporter.say(
                f"{config.name}: {num_params / 1e6:.2f} M parameters, "
                f"{mesh.size} x {mesh.devices.flat[0].device_kind}, "
                f"steps {first_step} to {config.train.num_steps}, in {folder}"
            )

            def report(step: int, metrics: dict[str, jax.Array]) -> None:
                values = {name: float(value) for name, value in metrics.items()}
                _check_finite(step, values)
                values["learning_rate"] = float(learning_rate(step))
                reporter.step_done(step + 1, values)

            def measure(state: TrainState) -> dict[str, float]:
                errors_mm = evaluate(evaluation_step, state.best_variables, source)
                reporter.evaluated(int(state.step), errors_mm)
                write_text(folder / EVALUATION_FILE, json.dumps(errors_mm, indent=2) + "\n")
                return errors_mm

            # Train. The metrics of a step are fetched after the next one was dispatched, so that
            # the device never waits for the host.
            waiting: list[tuple[int, dict[str, jax.Array]]] = []
            for step in range(first_step, config.train.num_steps):
                batch = source.training_batch(step)
                state, metrics = train_step(state, batch)
                waiting.append((step, metrics))
                if len(waiting) > 1:
                    report(*waiting.pop(0))

                done = step + 1
                is_last = (
                    done == config.train.num_steps
                    or stop.signal_number is not None
                    or _is_over(start_time, config.train.max_minutes)
                )
                save_now = should_run(done, config.train.save_every, is_last)
                picture_now = should_run(done, config.train.picture_every)
                evaluate_now = not is_last and should_run(done, config.train.evaluate_every)
                if save_now or picture_now or evaluate_now:
                    # First make sure that this very state is worth keeping.
                    report(*waiting.pop())
                if save_now:
                    checkpoints.save(state)
                if picture_now:
                    pixels = _batch_picture(evaluation_step, state, batch)
                    reporter.picture(done, "input_prediction_truth", pixels)
                if evaluate_now:
                    measure(state)
                if save_now or picture_now or evaluate_now:
                    reporter.pause()
                if is_last:
                    break

            # Finish.
            if stop.signal_number is not None:
                reporter.say(
                    f"stopped by a signal after step {int(state.step)}; continue with --resume"
                )
                return TrainResult(state, int(state.step), {}, stop.signal_number)
            errors_mm = measure(state)
            export_state(state, config, source.atlas, folder / MODEL_FILE, errors_mm)
            reporter.say(f"wrote {folder / MODEL_FILE}")
            return TrainResult(state, int(state.step), errors_mm, None)


def should_run(steps_done: int, every: int, is_last: bool = False) -> bool:
    """Whether something that runs every so many steps, and at the last, is due."""
    return is_last or steps_done % every == 0


def _is_over(start_time: float, max_minutes: float | None) -> bool:
    return max_minutes is not None and time.monotonic() - start_time > 60 * max_minutes


def _check_finite(step: int, values: dict[str, float]) -> None:
    # A term tells where to look, its sum or the gradient only that something is wrong.
    terms_first = sorted(values, key=lambda name: name in ("loss/total", "gradient_norm"))
    for name in terms_first:
        if not math.isfinite(values[name]):
            raise DivergedError(
                f"step {step}: {name} is {values[name]}; the newest checkpoint is from before. "
                f"Lower optim.peak_learning_rate or set optim.clip_norm"
            )


def _batch_picture(evaluation_step: Callable, state: TrainState, batch: Batch) -> np.ndarray:
    """The first pictures of a batch, each with its predicted and true UV map, one below another."""
    uv_map, _ = evaluation_step(state.best_variables, batch)
    rows = zip(batch.image[:4], uv_map[:4], batch.uv_map[:4], strict=True)
    return np.concatenate([comparison_picture(*map(np.asarray, row)) for row in rows])
