"""Errors on the whole evaluation set, and how they are said."""

from collections.abc import Callable

import numpy as np

from i2uv_jax.data.source import BatchSource


def evaluate(evaluation_step: Callable, variables: dict, source: BatchSource) -> dict[str, float]:
    """Means over the evaluation set of every error that `evaluation_step` measures.

    Their names end in their units: "_mm" or "_degrees".
    """
    collected: dict[str, list[np.ndarray]] = {}
    for batch in source.evaluation_batches():
        _, errors = evaluation_step(variables, batch)
        for name, values in errors.items():
            collected.setdefault(name, []).append(np.asarray(values))
    return {name: float(np.concatenate(parts).mean()) for name, parts in collected.items()}


def describe_errors(errors: dict[str, float]) -> str:
    """The errors of pictures or of pairs, as a sentence says them."""
    if "surface_mm" not in errors:
        return (
            f"on unseen pictures vertices {errors['aligned_vertex_mm']:.2f} mm, keypoints "
            f"{errors['aligned_keypoint_mm']:.2f} mm (aligned)"
        )
    refined, coarse = errors["surface_mm"], errors["coarse_surface_mm"]
    share = f" ({refined / coarse:.0%})" if coarse else ""
    return (
        f"on unseen pairs surfaces {coarse:.3f} -> {refined:.3f} mm{share}, normals "
        f"{errors['coarse_normal_degrees']:.1f} -> {errors['normal_degrees']:.1f} degrees"
    )
