"""Why a model cannot run on another runtime: it is not installed, or has no way to compute it."""


class MissingRuntimeError(ValueError):
    """Packages are not installed; the message names the extra."""

    def __init__(self, extra: str, error: ImportError) -> None:
        super().__init__(
            f'{extra}: not installed ({error}); pip install "i2uv-jax[{extra}]", or uv sync '
            f"--extra {extra}"
        )


class UnsupportedModelError(ValueError):
    """A converter or a runtime fails on a model; the message says which and how."""

    def __init__(self, what: str, reason: object) -> None:
        super().__init__(f"{what} fails on this model ({str(reason).strip().splitlines()[0]})")
