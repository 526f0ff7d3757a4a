"""A Ctrl-C that cannot get lost, and a SIGTERM that ends a verb in the same way."""

import signal
import threading
import time
from types import TracebackType

from i2uv_jax.cli.failure import EXIT_INTERRUPTED, EXIT_TERMINATED

_TWINS_SECONDS = 1.0
"""`timeout` sends two SIGTERMs at once, to the process and to its group. The second would cut short
what the first one's exception is tidying up, so that within this time it does nothing."""

_ORDINARY_HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Terminated(KeyboardInterrupt):
    """SIGTERM came, as `timeout`, `docker stop` and schedulers send it: whatever Ctrl-C would leave
    in order this does, too."""


def exit_code_of(interruption: KeyboardInterrupt) -> int:
    """What a process exits with that was interrupted so."""
    return EXIT_TERMINATED if isinstance(interruption, Terminated) else EXIT_INTERRUPTED


class InterruptWatch:
    """Context manager: Ctrl-C raises KeyboardInterrupt as ever, SIGTERM `Terminated`, which is one,
    and `check` raises it once more.

    Python drops what a signal handler raises inside a garbage collector's callback, and JAX has
    one: about one Ctrl-C in ten that comes while JAX is being imported would have no effect. So
    it is noted as well, and whoever works long asks between two pieces of work.

    A signal that is ignored or handled by others already is left to them; outside the main thread,
    where Python allows no handlers, this does nothing.
    """

    def __init__(self) -> None:
        self._interruption: type[KeyboardInterrupt] | None = None
        self._terminated_at: float | None = None
        self._installed: list[signal.Signals] = []

    def __enter__(self) -> "InterruptWatch":
        if threading.current_thread() is threading.main_thread():
            self._installed = [
                number
                for number, handler in _ORDINARY_HANDLERS.items()
                if signal.getsignal(number) is handler
            ]
        for number in self._installed:
            signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number in self._installed:
            signal.signal(number, _ORDINARY_HANDLERS[number])

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed since this was entered, and `Terminated`
        if SIGTERM came."""
        if self._interruption is not None:
            raise self._interruption

    def _note(self, number: int, frame: object) -> None:
        if number == signal.SIGTERM:
            before, self._terminated_at = self._terminated_at, time.monotonic()
            if before is not None and self._terminated_at - before < _TWINS_SECONDS:
                return
        self._interruption = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        raise self._interruption
