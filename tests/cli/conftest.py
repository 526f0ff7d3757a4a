from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_photo(tmp_path):
    """Writes a noisy picture and gives its path; the suffix decides the format."""

    def write(name: str, width: int = 80, height: int = 60, **options):
        rng = np.random.default_rng(len(name))
        pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def rest_hand_map():
    """A 16 x 16 UV map of the template hand, palm to the camera, filling most of the crop."""
    from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
    from i2uv_jax.hand.asset import load_hand

    hand = load_hand()
    points = (hand.template - hand.template.mean(0)) * np.array([4, -4, -4]) + [0.5, 0.5, 0]
    return np.asarray(uv_map_from_vertices(build_tables(hand.atlas, 16), points))


@pytest.fixture
def telling_model_path(tmp_path):
    """A file of a network that tells presence and confidence; to be used with `fast_network`."""
    from i2uv_jax.config import AffineNetConfig, HandNetConfig
    from i2uv_jax.models.random_weights import random_variables
    from i2uv_jax.models.weights import save_model

    affine = AffineNetConfig(
        "resnet18", 0.125, (16, 8, 8), coarse_to_fine=True, presence=True, confidence=True
    )
    config = HandNetConfig(affine, sr=None, image_size=64)
    path = tmp_path / "telling.safetensors"
    save_model(path, config, random_variables(config), {"name": "telling"})
    return path


@pytest.fixture
def fast_network(monkeypatch, rest_hand_map):
    """Replaces the network, which takes seconds to compile, by one that always sees that hand.

    It moves the hand by the picture's brightness, so that results still depend on the picture. A
    model that tells presence sees a right hand where the picture is brighter on the right, and
    expects errors of 0.05 crop sides.
    """
    import jax.numpy as jnp

    from i2uv_jax.inference import program
    from i2uv_jax.models.hand_net import HandNetOutput

    def apply(variables, image, keypoints=None, *, train, super_resolve=True):
        shift = image.mean(axis=(1, 2, 3))[:, None, None, None]
        return HandNetOutput(stage_uv_maps=(), uv_map=rest_hand_map + 0.1 * shift)

    def apply_telling(variables, image, keypoints=None, *, train, super_resolve=True):
        left, right = (half.mean(axis=(1, 2, 3)) for half in jnp.split(image, 2, axis=2))
        output = apply(variables, image, keypoints, train=train)
        return output.replace(
            presence_logit=9 * (right - left),
            log_error=jnp.full((len(image), 16, 16), jnp.log(0.05)),
        )

    def build_model(config):
        chosen = apply_telling if config.tells_presence else apply
        return SimpleNamespace(apply=chosen, config=config)

    monkeypatch.setattr(program, "build_model", build_model)
