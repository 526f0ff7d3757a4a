"""Two simulated devices, so that sharding is tested on any machine, and quick compilation.

Tests run little of what they compile: LLVM optimises nothing, and what one process compiled the
others (worker processes, started programs, the next run) find in a folder.
"""

import os
from pathlib import Path

import pytest

# All are read when JAX is first imported.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory) -> Path:
    """A model file with a network that is as small as it gets, untrained: for testing plumbing."""
    from i2uv_jax.config import AffineNetConfig, HandNetConfig
    from i2uv_jax.models.random_weights import random_variables
    from i2uv_jax.models.weights import save_model

    config = HandNetConfig(
        affine=AffineNetConfig(encoder="resnet18", width=0.125, decoder_channels=(16, 16, 8, 8)),
        sr=None,
        image_size=64,
    )
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, config, random_variables(config), {"name": "tiny"})
    return path


@pytest.fixture
def fast_renderer(monkeypatch):
    """Replaces the renderer, which takes long to compile, by one of noise and a turned hand.

    As with the real one, a key decides everything and all leaves have the right shapes and types.
    """
    import jax
    import jax.numpy as jnp

    from i2uv_jax.data import generator, synthetic
    from i2uv_jax.render.assets import RenderAssets
    from i2uv_jax.types import Batch, Camera

    def sample_batch(key, hand, config, batch_size, assets, *, sharding=None, is_sequence=False):
        image_key, turn_key = jax.random.split(key)
        size = config.image_size
        angle = jax.random.uniform(turn_key, (batch_size,), maxval=2 * jnp.pi)
        angle = angle[0] + 0.1 * jnp.arange(batch_size) if is_sequence else angle
        cos, sin, zero = jnp.cos(angle), jnp.sin(angle), jnp.zeros(batch_size)
        turn = jnp.stack([cos, zero, sin, zero, zero + 1, zero, -sin, zero, cos], -1)
        vertices = (hand.template - hand.template.mean(0)) @ turn.reshape(-1, 3, 3)
        vertices = vertices + jnp.array([0.02, -0.01, 0.6])
        # Smooth pictures, as photos are: noise of a twelfth of the size, enlarged.
        coarse = jax.random.uniform(image_key, (batch_size, size // 12 + 2, size // 12 + 2, 3))
        image = jax.image.resize(coarse, (batch_size, size, size, 3), "linear")
        return Batch(
            image=image,
            uv_map=jnp.zeros((batch_size, config.uv_map_size, config.uv_map_size, 3)),
            vertices=vertices,
            keypoints=jnp.einsum("kv,bvd->bkd", hand.keypoint_regressor, vertices),
            hand_mask=jnp.round(image[..., 0] * 4) / 4,
            keypoint_visible=jax.random.bernoulli(turn_key, 0.8, (batch_size, 21)),
            camera=Camera(focal=2 + cos, principal=jnp.stack([cos, sin], -1)),
        )

    for module in (generator, synthetic):
        monkeypatch.setattr(module, "sample_batch", sample_batch)
        monkeypatch.setattr(
            module, "load_render_assets", lambda config, hand: RenderAssets(None, None)
        )
