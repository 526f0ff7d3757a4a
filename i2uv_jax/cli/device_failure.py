"""What a verb says when the device it computes on fails, or when there is none."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from i2uv_jax.cli.failure import EXIT_FAILED, CommandError

_STARTS_DEVICES = "jax._src.xla_bridge"
"""JAX's module whose errors, of no class of their own, say that a device cannot be started."""


@contextmanager
def device_mishaps(what: str) -> Iterator[None]:
    """Around what the device computes: where it fails, or its memory does not suffice, a
    CommandError says so; `what` names it: "the model failed on 8 photos at once"."""
    try:
        yield
    except RuntimeError as error:  # XLA's.
        raise CommandError(f"{what} ({_reason(error)}){_way_out(error)}", EXIT_FAILED) from error


def device_failure(error: Exception) -> CommandError | None:
    """What to say of an error that nobody has caught; None if it is not a device's."""
    jax = sys.modules.get("jax")
    if jax is None:
        return None
    if isinstance(error, jax.errors.JaxRuntimeError):
        return CommandError(f"the device failed ({_reason(error)})", EXIT_FAILED)
    if _raised_in(error) == _STARTS_DEVICES:
        asked = os.environ.get("JAX_PLATFORMS")
        reason = _reason(error) or "JAX knows none of them"
        asked_for = f", JAX_PLATFORMS={asked} asked for" if asked else ""
        return CommandError(
            f"no device to compute on{asked_for} ({reason}); JAX_PLATFORMS=cpu takes the CPU"
        )
    return None


def _raised_in(error: Exception) -> str | None:
    """The module that raised it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return None if traceback is None else traceback.tb_frame.f_globals.get("__name__")


def _reason(error: Exception) -> str:
    return "".join(str(error).splitlines()[:1])


def _way_out(error: Exception) -> str:
    is_memory = any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "out of memory"))
    return "; a smaller --batch needs less memory" if is_memory else ""
