"""A Ctrl-C that cannot get lost."""

import signal
import threading
from types import TracebackType


class InterruptWatch:
    """Context manager: Ctrl-C raises KeyboardInterrupt as ever, and `check` raises it once more.

    Python drops what a signal handler raises inside a garbage collector's callback, and JAX has
    one: about one Ctrl-C in ten that comes while JAX is being imported would have no effect. So
    it is noted as well, and whoever works long asks between two pieces of work.

    Where Ctrl-C is ignored or handled by others already, and outside the main thread, where Python
    allows no handlers, this does nothing.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._installed = False

    def __enter__(self) -> "InterruptWatch":
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed since this was entered."""
        if self._interrupted:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        self._interrupted = True
        raise KeyboardInterrupt
