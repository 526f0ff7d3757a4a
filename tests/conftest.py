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
    import jax.numpy as jnp

    from i2uv_jax.config import AffineNetConfig, HandNetConfig
    from i2uv_jax.models.hand_net import build_model
    from i2uv_jax.models.weights import save_model

    config = HandNetConfig(
        affine=AffineNetConfig(encoder="resnet18", width=0.125, decoder_channels=(16, 16, 8, 8)),
        sr=None,
        image_size=64,
    )
    image = jnp.zeros((1, 64, 64, 3))
    variables = jax.jit(lambda key: build_model(config).init(key, image, train=False))(
        jax.random.key(0)
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, config, variables, {"name": "tiny"})
    return path
