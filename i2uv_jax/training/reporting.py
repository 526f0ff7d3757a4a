"""What a run tells: a progress line, TensorBoard scalars and pictures, a few plain sentences.

In a terminal the progress line is redrawn in place; elsewhere (a log file, a pipe) a plain line is
printed at each report, so that logs stay readable.
"""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TextIO

import numpy as np
from jaxtyping import UInt8
from tensorboardX import SummaryWriter
from tqdm import tqdm

from i2uv_jax.config import TrainConfig


class Reporter:
    """Context manager that reports one run, from `first_step` on.

    Of several processes the first one reports; in the others this does nothing.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        *,
        first_step: int = 0,
        stream: TextIO | None = None,
        is_first_process: bool = True,
        utilisation_per_image_rate: float | None = None,
    ) -> None:
        """Starts to report.

        Args:
          utilisation_per_image_rate: see `utilisation.py`; None leaves the utilisation out.
        """
        self._is_on = is_first_process
        self._stream = stream or sys.stderr
        self._config = config
        # What an earlier piece of the run told of later steps is taken back: they come again.
        taken_back = first_step + 1 if first_step else None
        self._writer = SummaryWriter(str(folder), purge_step=taken_back) if self._is_on else None
        self._start_time = time.monotonic()
        self._window_start: float | None = None
        self._window_steps = 0
        self._step_rate = 0.0
        self._data_seconds = 0.0
        self._utilisation_per_image_rate = utilisation_per_image_rate
        self._bar = (
            tqdm(
                total=config.num_steps,
                initial=first_step,
                unit="step",
                file=self._stream,
                bar_format="{percentage:3.0f}% {bar} {n_fmt}/{total_fmt}{postfix} "
                "[{elapsed}, {remaining} left]",
            )
            if self._is_on and self._stream.isatty()
            else None
        )

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._writer is not None:
            self._writer.close()

    def say(self, text: str) -> None:
        """Prints a line without tearing the progress line apart."""
        if not self._is_on:
            return
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def step_done(
        self, steps_done: int, metrics: dict[str, float], *, data_seconds: float = 0.0
    ) -> None:
        """Counts a finished step; every `log_every` of them it is reported.

        Args:
          data_seconds: how long the loop waited for the step's batch. What is rendered on the
            device keeps nobody waiting there: it is a part of the step (`i2uv bench train` tells
            the two apart).
        """
        if not self._is_on:
            return
        if self._window_start is None:
            # The first step of a window compiles or waits for an evaluation: time the others.
            self._window_start = time.monotonic()
        else:
            self._window_steps += 1
            self._data_seconds += data_seconds
        if self._bar is not None:
            self._bar.update(1)
        if steps_done % self._config.log_every and steps_done != self._config.num_steps:
            return
        seconds = time.monotonic() - self._window_start
        if self._window_steps and seconds:
            self._step_rate = self._window_steps / seconds
        image_rate = self._step_rate * self._config.batch_size
        for name, value in metrics.items():
            self._writer.add_scalar(f"train/{name}", value, steps_done)
        for name, value in self._speed(seconds, image_rate).items():
            self._writer.add_scalar(f"speed/{name}", value, steps_done)
        shown = f"loss {metrics['loss/total']:.4f}, {image_rate:.0f} images/s"
        if self._bar is not None:
            self._bar.set_postfix_str(shown)
        else:
            left = self._time_left(steps_done)
            self.say(f"step {steps_done}/{self._config.num_steps}: {shown}, {left} left")
        self._start_window(time.monotonic())

    def pause(self) -> None:
        """Leaves the time until the next step out of the images per second."""
        self._start_window(None)

    def evaluated(self, steps_done: int, scores: dict[str, float], in_words: str) -> None:
        """Reports the scores of an evaluation."""
        if not self._is_on:
            return
        for name, value in scores.items():
            self._writer.add_scalar(f"evaluation/{name}", value, steps_done)
        self.say(f"step {steps_done}: {in_words}")

    def picture(self, steps_done: int, name: str, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Shows a picture in TensorBoard."""
        if not self._is_on:
            return
        self._writer.add_image(name, pixels, steps_done, dataformats="HWC")

    def _start_window(self, start: float | None) -> None:
        self._window_start, self._window_steps, self._data_seconds = start, 0, 0.0

    def _speed(self, seconds: float, image_rate: float) -> dict[str, float]:
        """The window's speed by name; nothing where no step of it was timed."""
        if not self._window_steps or not seconds:
            return {}
        speed = {
            "images_per_second": image_rate,
            "step_seconds": seconds / self._window_steps,
            "data_wait_seconds": self._data_seconds / self._window_steps,
            "data_wait_share": self._data_seconds / seconds,
        }
        if self._utilisation_per_image_rate is not None:
            speed["model_flop_utilisation"] = self._utilisation_per_image_rate * image_rate
        return speed

    def _time_left(self, steps_done: int) -> str:
        if not self._step_rate:
            return "unknown time"
        seconds = (self._config.num_steps - steps_done) / self._step_rate
        if self._config.max_minutes is not None:
            spent = time.monotonic() - self._start_time
            seconds = min(seconds, max(0.0, 60 * self._config.max_minutes - spent))
        return tqdm.format_interval(seconds)
