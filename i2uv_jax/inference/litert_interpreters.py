"""LiteRT's interpreters, each of which one thread at a time may call. Needs the extra `litert`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import LifoQueue

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from i2uv_jax.inference.runtime_errors import UnsupportedModelError


class InterpreterPool:
    """A program that several threads may call: they wait for each other where all interpreters are
    at work."""

    def __init__(self, content: bytes, *, num_threads: int, max_interpreters: int) -> None:
        """
        Args:
          content: of a LiteRT file with one signature.
          num_threads: of each interpreter.
          max_interpreters: that are opened, each when it is first needed.
        """
        self._content = content
        self._num_threads = num_threads
        self._idle: LifoQueue[Callable | None] = LifoQueue()
        for _ in range(max_interpreters):
            self._idle.put(None)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """The program's outputs by name.

        Raises:
          UnsupportedModelError: LiteRT cannot run it.
        """
        with self._borrowed() as run:
            return run(**inputs)

    def open(self) -> None:
        """Opens an interpreter ahead of the first call.

        Raises:
          UnsupportedModelError: LiteRT cannot run the program.
        """
        with self._borrowed():
            pass

    @contextmanager
    def _borrowed(self) -> Iterator[Callable[..., dict[str, np.ndarray]]]:
        # The last that was put back comes first: no more are opened than work at one time.
        run = self._idle.get()
        try:
            run = run or self._opened()
            yield run
        finally:
            self._idle.put(run)

    def _opened(self) -> Callable[..., dict[str, np.ndarray]]:
        interpreter = Interpreter(model_content=self._content, num_threads=self._num_threads)
        try:
            interpreter.allocate_tensors()
        except RuntimeError as error:
            raise UnsupportedModelError("LiteRT", error) from error
        return interpreter.get_signature_runner()
