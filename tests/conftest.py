"""Two simulated devices, so that sharding is tested on any machine, and a compilation cache."""

import os
from pathlib import Path

import pytest

# Both are read when JAX is first imported.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory) -> Path:
    """A model file with a network that is as small as it gets, untrained: for testing plumbing."""
    import jax
    import numpy as np

    from i2uv_jax.config import AffineNetConfig, HandNetConfig
    from i2uv_jax.models.weights import save_model, variable_shapes

    config = HandNetConfig(
        affine=AffineNetConfig(encoder="resnet18", width=0.125, decoder_channels=(16, 16, 8, 8)),
        sr=None,
        image_size=64,
    )
    rng = np.random.default_rng(0)

    # Drawn with NumPy, because compiling the network's own initialisers takes half a minute.
    # The maps stay inside the picture (0.5 plus a little), as trained ones do: sampling at points
    # far outside would blow rounding errors up.
    def draw(path, leaf):
        names = [part.key for part in path]
        is_head = "head" in names
        if names[-1] == "kernel":
            deviation = (0.05 if is_head else 1) * np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return rng.normal(0, deviation, leaf.shape).astype(np.float32)
        if is_head:
            return np.full(leaf.shape, 0.5, np.float32)
        return np.full(leaf.shape, names[-1] in ("scale", "var"), np.float32)

    variables = jax.tree.map_with_path(draw, variable_shapes(config))
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, config, variables, {"name": "tiny"})
    return path
