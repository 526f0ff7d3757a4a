"""The training run: build, resume, train, evaluate, save, hand out the model.

`train` reads from top to bottom. What a step computes is in `step.py`, what is compiled and how it
lies on the devices in `program.py`, where the pictures come from in `i2uv_jax.data`, what is
written where in `run_folder.py`. Every process of a run of several goes through it, and all of
them take the same turns.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax

from i2uv_jax.config import AnyExperimentConfig
from i2uv_jax.data.source import BatchSource
from i2uv_jax.training.bad_steps import BadStepWatch, save_batch
from i2uv_jax.training.best_checkpoint import EvaluatedSteps
from i2uv_jax.training.checkpoint import Checkpoints
from i2uv_jax.training.evaluation import batch_picture, evaluate
from i2uv_jax.training.initial_weights import load_initial_variables
from i2uv_jax.training.interruption import StopRequest
from i2uv_jax.training.model_file import export_model
from i2uv_jax.training.optimizer import learning_rate_schedule
from i2uv_jax.training.processes import SharedMaximum, is_first_process
from i2uv_jax.training.profiling import StepProfiler
from i2uv_jax.training.program import TrainingProgram, abstract_state, build_program
from i2uv_jax.training.reporting import Reporter
from i2uv_jax.training.run_folder import (
    BEST_MODEL_FILE,
    EVALUATED_FILE,
    EVALUATION_FILE,
    MODEL_FILE,
    TENSORBOARD_FOLDER,
    has_checkpoints,
    open_run_folder,
    write_config,
    write_text,
)
from i2uv_jax.training.state import TrainState
from i2uv_jax.training.utilisation import utilisation_per_image_rate

_TIME_IS_OVER = 1
"""As a reason to stop; others are the numbers of signals. That of SIGHUP, 1, is never caught."""


@dataclass(frozen=True)
class TrainResult:
    """How a run ended."""

    state: TrainState
    steps_done: int
    scores: dict[str, float]
    """Scores on the evaluation set at the end, of hands errors in mm; empty if a signal stopped the
    run."""
    signal_number: int | None
    """The signal that stopped the run, or None."""


def train(
    config: AnyExperimentConfig,
    folder: Path,
    *,
    resume: bool = False,
    source: BatchSource | None = None,
    profile_folder: Path | None = None,
) -> TrainResult:
    """Runs the training that `config` describes, in and from `folder`.

    Args:
      config: the whole experiment.
      folder: the run's folder; see `run_folder.py` for what it holds. Several processes share it.
      resume: continue from the newest checkpoint in the folder, if there is one.
      source: where batches come from; what `config.data` says unless given.
      profile_folder: where a profile of a few steps goes, if one is wanted.

    Raises:
      ValueError: config and folder, or config and machine, do not go together, or the config names
        a loss or a model to start from that does not exist.
      DivergedError: a loss term or the gradient is not finite, or the loss has exploded.
      OSError: something could not be written.
    """
    start_time = time.monotonic()
    program = build_program(config, source)
    source, task = program.source, program.task
    initial_variables = None
    if not (resume and has_checkpoints(folder)):
        initial_variables = load_initial_variables(config, source.atlas)
    open_run_folder(folder, config, resume=resume)
    learning_rate = learning_rate_schedule(config.optim, config.train.num_steps)
    evaluated = EvaluatedSteps(folder / EVALUATED_FILE, task.error)

    with (
        Checkpoints(folder, keep=config.train.keep_checkpoints, evaluated=evaluated) as checkpoints,
        StopRequest() as stop,
    ):
        notes: list[str] = []
        seconds_before: float | None = 0.0
        shapes = abstract_state(config)
        if checkpoints.latest_step is not None:
            state = checkpoints.restore(shapes, program.state_shardings, notes.append)
            seconds_before = checkpoints.restored_seconds
            check_source(checkpoints.restored_source_state, source.state(int(state.step)), folder)
        else:
            state = program.first_state(initial_variables)
        write_config(folder, config)
        reporter = Reporter(
            folder / TENSORBOARD_FOLDER,
            config.train,
            first_step=int(state.step),
            is_first_process=is_first_process(),
            utilisation_per_image_rate=utilisation_per_image_rate(config.model, program.mesh),
        )
        with reporter:
            for note in (*notes, _introduction(program, state, folder)):
                reporter.say(note)
            watch = BadStepWatch(
                config.train,
                save_batch=partial(save_batch, folder, program.source, program.mesh, config.train),
                say=reporter.say,
            )

            def seconds_so_far() -> float | None:
                if seconds_before is None:  # from before checkpoints held them
                    return None
                return seconds_before + time.monotonic() - start_time

            def report(step: int, metrics: dict[str, jax.Array], data_seconds: float) -> None:
                values = {name: float(value) for name, value in metrics.items()}
                watch.check(step, values)
                values["learning_rate"] = float(learning_rate(step))
                reporter.step_done(step + 1, values, data_seconds=data_seconds)

            def measure(state: TrainState) -> dict[str, float]:
                scores = evaluate(task, program.evaluation_step, state.best_variables, source)
                reporter.evaluated(int(state.step), scores, task.describe(scores))
                if int(state.step) == checkpoints.latest_step:
                    evaluated.note(int(state.step), scores)
                if is_first_process():
                    write_text(folder / EVALUATION_FILE, json.dumps(scores, indent=2) + "\n")
                return scores

            # Train. The metrics of a step are fetched after the next one was dispatched, so that
            # the device never waits for the host.
            first_step = int(state.step)
            profiler = StepProfiler(profile_folder, first_step)
            agree = SharedMaximum()
            stop_reason = 0
            waiting: list[tuple[int, dict[str, jax.Array], float]] = []
            for step in range(first_step, config.train.num_steps):
                profiler.before_step(step, state)
                asked_at = time.monotonic()
                batch = source.training_batch(step)
                data_seconds = time.monotonic() - asked_at
                state, metrics = program.train_step(state, batch)
                waiting.append((step, metrics, data_seconds))
                if len(waiting) > 1:
                    report(*waiting.pop(0))

                done = step + 1
                stop_reason = agree(
                    stop.signal_number or _time_is_over(start_time, config.train.max_minutes)
                )
                is_last = done == config.train.num_steps or stop_reason != 0
                save_now = should_run(done, config.train.save_every, is_last)
                picture_now = should_run(done, config.train.picture_every)
                evaluate_now = not is_last and should_run(done, config.train.evaluate_every)
                if profiler.after_step(step, state, is_last=is_last):
                    reporter.say(f"wrote a profile to {profile_folder}")
                if save_now or picture_now or evaluate_now:
                    # First make sure that this very state is worth keeping.
                    report(*waiting.pop())
                if save_now:
                    checkpoints.save(state, source.state(done), seconds_so_far())
                if picture_now:
                    pixels = batch_picture(
                        task, program.evaluation_step, state.best_variables, batch, program.mesh
                    )
                    reporter.picture(done, "input_prediction_truth", pixels)
                if evaluate_now:
                    measure(state)
                if save_now or picture_now or evaluate_now:
                    reporter.pause()
                if is_last:
                    break

            # Finish.
            steps_done = int(state.step)
            if profiler.is_missing:
                reporter.say("no profile: the run ended before the steps that it shows")
            if watch.num_skipped:
                reporter.say(f"steps whose updates were skipped: {watch.num_skipped}")
            if stop_reason not in (0, _TIME_IS_OVER):
                reporter.say(f"stopped by a signal after step {steps_done}; continue with --resume")
                return TrainResult(state, steps_done, {}, stop_reason)
            scores = measure(state)
            export = partial(export_model, config=config, atlas=source.atlas, mesh=program.mesh)
            export(folder / MODEL_FILE, state=state, scores=scores, seconds=seconds_so_far())
            reporter.say(f"wrote {folder / MODEL_FILE}")
            best_step = evaluated.best(checkpoints.steps)
            if best_step not in (None, steps_done):
                best_state = checkpoints.restore_step(best_step, shapes, program.state_shardings)
                export(
                    folder / BEST_MODEL_FILE,
                    state=best_state,
                    scores=evaluated.scores[best_step],
                    seconds=checkpoints.restored_seconds,
                )
                reporter.say(f"wrote {folder / BEST_MODEL_FILE}, of step {best_step}")
            elif best_step == steps_done and is_first_process():
                # An earlier finish of this run may have left one, of a step that was best then.
                (folder / BEST_MODEL_FILE).unlink(missing_ok=True)
            return TrainResult(state, steps_done, scores, None)


def should_run(steps_done: int, every: int, is_last: bool = False) -> bool:
    """Whether something that runs every so many steps, and at the last, is due."""
    return is_last or steps_done % every == 0


def check_source(saved: dict[str, Any] | None, now: dict[str, Any], folder: Path) -> None:
    """Raises ValueError if a run's source of data is not the one that its checkpoint came from."""
    if saved is None:  # from before sources had a state
        return
    for name in dict.fromkeys([*saved, *now]):
        if saved.get(name) != now.get(name):
            raise ValueError(
                f"{folder} cannot be resumed with other data ({name}: {now.get(name)}, at the "
                f"checkpoint {saved.get(name)}); start another run with --train.init_from"
            )


def _time_is_over(start_time: float, max_minutes: float | None) -> int:
    is_over = max_minutes is not None and time.monotonic() - start_time > 60 * max_minutes
    return _TIME_IS_OVER if is_over else 0


def _introduction(program: TrainingProgram, state: TrainState, folder: Path) -> str:
    num_params = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    devices = f"{program.mesh.size} x {program.mesh.devices.flat[0].device_kind}"
    if jax.process_count() > 1:
        devices = f"{devices} in {jax.process_count()} processes"
    config = program.config
    return (
        f"{config.name}: {num_params / 1e6:.2f} M parameters, {devices}, "
        f"steps {int(state.step)} to {config.train.num_steps}, in {folder}"
    )
