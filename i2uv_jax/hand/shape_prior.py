"""Random hand shapes: adults and adolescents.

Hand length (wrist to the middle finger's tip, fingers straight) of adults runs from about 159 mm
(5th percentile of women) to 211 mm (95th of men) in the US Army's 1988 survey (Gordon et al. 1989,
ANSUR); adolescents from about 12 years on reach 150 mm. MakeHuman's phenotypes give the form; the
sampler then draws the length and scales the hand to it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from i2uv_jax.geometry.keypoints import KEYPOINT_NAMES
from i2uv_jax.hand.asset import Hand, load_hand
from i2uv_jax.hand.model import phenotype_coefficients
from i2uv_jax.hand.skeleton import NUM_PHENOTYPES, NUM_SHAPE, SHAPE_NAMES

MEAN_SHAPE = np.array([0.5, 2 / 3, 0.5, 0.5, 0.5, 0.5] + [0.0] * (NUM_SHAPE - NUM_PHENOTYPES))
"""MakeHuman's mean adult, with a hand of about 204 mm; sampled hands are scaled to real lengths."""

HAND_LENGTH_RANGE_M = (0.150, 0.215)
"""Least and greatest straight length from the wrist keypoint to the middle finger's tip."""

_LENGTH_MEAN_M, _LENGTH_SPREAD_M = 0.183, 0.015
_PHENOTYPE_RANGES = np.array([(0, 1), (0.5, 1), (0, 1), (0, 1), (0.2, 0.7), (0, 1)])
_SIZE = SHAPE_NAMES.index("size")
_SPREAD = 0.5
"""Standard deviation of our own variations' coefficients (1 is two standard deviations)."""
_CHAIN = tuple(
    KEYPOINT_NAMES.index(name)
    for name in ("wrist", "middle_mcp", "middle_pip", "middle_dip", "middle_tip")
)


def sample_shape(key: PRNGKeyArray, hand: Hand | None = None) -> Float[Array, "s"]:
    """A random adult or adolescent hand as a shape vector (`skeleton.SHAPE_NAMES`); jit-able.

    Phenotypes are uniform over both sexes and ages from about 15 up, our own variations normal
    with their stated spread; the hand's straight length is normal (183 +- 15 mm) within
    `HAND_LENGTH_RANGE_M`.
    """
    hand = load_hand() if hand is None else hand
    phenotype_key, own_key, length_key = jax.random.split(key, 3)
    low, high = _PHENOTYPE_RANGES.T
    phenotype = jax.random.uniform(phenotype_key, (NUM_PHENOTYPES,), minval=low, maxval=high)
    own = jax.random.truncated_normal(own_key, -2.2, 2.2, (NUM_SHAPE - NUM_PHENOTYPES,)) * _SPREAD
    shape = jnp.concatenate([phenotype, own]).at[_SIZE].set(0.0)
    limits = (np.array(HAND_LENGTH_RANGE_M) - _LENGTH_MEAN_M) / _LENGTH_SPREAD_M
    length = _LENGTH_MEAN_M + _LENGTH_SPREAD_M * jax.random.truncated_normal(length_key, *limits)
    return shape.at[_SIZE].set(_size_for_length(hand, shape, length))


def hand_length(hand: Hand, shape: Float[Array, "s"]) -> Float[Array, ""]:
    """Straight length from the wrist along the middle finger to its tip, metres."""
    return _chain_length(_middle_chain(hand, shape))


def _size_for_length(
    hand: Hand, shape: Float[Array, "s"], length: Float[Array, ""]
) -> Float[Array, ""]:
    """The `size` coefficient that gives the hand (at size 0) the wanted length, in metres.

    The length is close to linear in the coefficient; two secant steps leave it within 0.1 mm.
    """
    size = 0.0
    per_unit = 0.1 * hand_length(hand, jnp.asarray(MEAN_SHAPE, jnp.float32))
    for _ in range(2):
        size = size + (length - hand_length(hand, shape.at[_SIZE].set(size))) / per_unit
    return size


def _middle_chain(hand: Hand, shape: Float[Array, "s"]) -> Float[Array, "5 3"]:
    """Wrist, MCP, PIP, DIP and tip of the middle finger of the unposed hand."""
    phenotype = phenotype_coefficients(hand.corner_coefficients, shape[:NUM_PHENOTYPES])
    coefficients = jnp.concatenate([phenotype, shape[NUM_PHENOTYPES:]])
    template, shapes = _chain_basis(hand)
    return template + jnp.sum(coefficients[:, None, None] * shapes, 0)


def _chain_basis(hand: Hand) -> tuple[np.ndarray, np.ndarray]:
    """Template and blend shapes of the middle finger's chain alone."""
    rows = hand.keypoint_regressor[list(_CHAIN)]
    return rows @ hand.template, np.einsum("cv,kvd->kcd", rows, hand.blend_shapes)


def _chain_length(points: Float[Array, "5 3"]) -> Float[Array, ""]:
    return jnp.sum(jnp.linalg.norm(points[1:] - points[:-1], axis=-1))
