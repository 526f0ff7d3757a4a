"""3D hand meshes from single RGB pictures: I2UV-HandNet in JAX and Flax.

    import i2uv_jax
    predictor = i2uv_jax.load_model("small")
    hand = predictor(photo)  # (h, w, 3) uint8, or a batch of them
    found = i2uv_jax.load_detector()(photo)  # where hands are: arguments for `predictor`

See `i2uv_jax.inference.predictor.Predictor` for boxes, left hands and cameras, and
`i2uv_jax.inference.prediction.HandPrediction` for what comes back.
"""

from importlib import import_module

# Looked up on first use (PEP 562): importing JAX takes a second or more, and `i2uv --help` as well
# as the light modules below this package should not wait for it.
_PUBLIC = {
    "DetectedHand": "i2uv_jax.inference.detected_hand",
    "HandPrediction": "i2uv_jax.inference.prediction",
    "ImageError": "i2uv_jax.imaging.read",
    "Predictor": "i2uv_jax.inference.predictor",
    "Rig": "i2uv_jax.hand.rig",
    "available_models": "i2uv_jax.models.model_files",
    "find_in_box": "i2uv_jax.inference.hand_in_box",
    "keep_compiled_programs": "i2uv_jax.inference.cache",
    "load_detector": "i2uv_jax.inference.hand_detector",
    "load_model": "i2uv_jax.inference.predictor",
    "read_photo": "i2uv_jax.imaging.read",
    "rig_of": "i2uv_jax.hand.rig",
}

__all__ = sorted((*_PUBLIC, "__version__"))


def __getattr__(name: str):
    if name == "__version__":
        return import_module("importlib.metadata").version("i2uv-jax")
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
