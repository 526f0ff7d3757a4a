"""Losses as pure functions, chosen and weighted by `LossConfig`.

A loss term is a function from `LossInputs` to `MaskedValues`: one value per element and where it
counts. Averaging and weighting are written once, here: each term becomes its mean over all counted
elements of the *global* batch, so neither batch size nor device count changes its scale; the total
is their weighted sum. The published network's losses are the masked L1 on the UV map, its gradients
along U and V, and the regularisation outside the chart, on the four finest stages with weight 1
each; mesh losses are options.

The authors' code multiplies prediction and target with the chart's mask before every loss, so what
the network says outside the chart is forgotten there. Here true maps go on past the chart's
border, and "uv_mask" holds the prediction to that extension: sampling a vertex at the border then
never mixes in arbitrary values.

A user's own term is one function, named in the config as "package.module:function" or given as
the function itself.
"""

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from i2uv_jax.config import LossConfig, LossTerm
from i2uv_jax.geometry.alignment import align
from i2uv_jax.models.hand_net import HandNetOutput
from i2uv_jax.models.looks import regress_keypoints
from i2uv_jax.ops.resize import resize_corner_aligned

MASK_EPSILON = 1e-6
"""Keeps the mean over an empty mask at zero."""


@struct.dataclass
class LossInputs:
    """What a loss term may look at: one UV map against the truth, crop coordinates throughout.

    Vertices and keypoints are given for the final map only; z is relative to the wrist.
    """

    uv_map: Float[Array, "b m m 3"]
    true_uv_map: Float[Array, "b m m 3"]
    texel_mask: Bool[Array, "m m"]
    """Texels inside the chart."""
    vertices: Float[Array, "b v 3"] | None = None
    true_vertices: Float[Array, "b v 3"] | None = None
    keypoints: Float[Array, "b 21 3"] | None = None
    true_keypoints: Float[Array, "b 21 3"] | None = None


class MaskedValues(NamedTuple):
    """A loss per element, and its weight (mostly 0 or 1), which broadcasts against it."""

    values: Float[Array, "..."]
    mask: Float[Array, "..."] | Bool[Array, "..."]


TermFunction = Callable[[LossInputs], MaskedValues]


def masked_mean(masked: MaskedValues) -> Float[Array, ""]:
    """Mean of the values, weighted by their mask; zero where the mask is empty."""
    weights = jnp.asarray(masked.mask, masked.values.dtype)
    # Not the sum of the mask as it broadcasts: masks are mostly constants, and the compiler would
    # spend seconds on summing up a whole batch of them.
    total = jnp.sum(weights) * (masked.values.size / weights.size)
    return jnp.sum(masked.values * weights) / jnp.maximum(total, MASK_EPSILON)


def uv_l1(inputs: LossInputs) -> MaskedValues:
    """L1 distance inside the chart."""
    return MaskedValues(
        jnp.abs(inputs.uv_map - inputs.true_uv_map), inputs.texel_mask[None, :, :, None]
    )


def uv_aligned(inputs: LossInputs) -> MaskedValues:
    """L1 distance inside the chart once the map is turned, scaled and shifted onto the truth.

    While a network still mistakes how a hand is turned, "uv_l1" hears of little else: the sign of
    every texel's error is that of the turn. This term hears of shape and bend alone. The alignment
    counts as given: no gradient goes through it.
    """
    points, true_points = (
        uv_map.reshape(len(uv_map), -1, 3) for uv_map in (inputs.uv_map, inputs.true_uv_map)
    )
    inside = inputs.texel_mask.reshape(-1)
    alignment = jax.lax.stop_gradient(
        align(points, true_points, weights=inside.astype(points.dtype))
    )
    return MaskedValues(jnp.abs(alignment(points) - true_points), inside[None, :, None])


def uv_gradient(inputs: LossInputs) -> MaskedValues:
    """L1 between the differences of neighbouring texels along U and V, both inside the chart."""
    error = inputs.uv_map - inputs.true_uv_map
    mask = inputs.texel_mask
    along_u = jnp.abs(error[:, :, 1:] - error[:, :, :-1])
    along_v = jnp.abs(error[:, 1:] - error[:, :-1])
    # Flat, since the two differ in shape.
    batch = error.shape[0]
    masks = [mask[:, 1:] & mask[:, :-1], mask[1:] & mask[:-1]]
    return MaskedValues(
        jnp.concatenate([part.reshape(batch, -1, 3) for part in (along_u, along_v)], axis=1),
        jnp.concatenate([part.reshape(1, -1, 1) for part in masks], axis=1),
    )


def uv_mask(inputs: LossInputs) -> MaskedValues:
    """L1 distance outside the chart, to the extension of the true map past its border."""
    return MaskedValues(
        jnp.abs(inputs.uv_map - inputs.true_uv_map), ~inputs.texel_mask[None, :, :, None]
    )


def vertices(inputs: LossInputs) -> MaskedValues:
    """L1 distance of the mesh's vertices."""
    _require(inputs.vertices, "vertices", "vertices_from_uv_map")
    return MaskedValues(jnp.abs(inputs.vertices - inputs.true_vertices), jnp.ones(()))


def keypoints(inputs: LossInputs) -> MaskedValues:
    """L1 distance of the 21 keypoints."""
    _require(inputs.keypoints, "keypoints", "keypoint_regressor")
    return MaskedValues(jnp.abs(inputs.keypoints - inputs.true_keypoints), jnp.ones(()))


def keypoints_2d(inputs: LossInputs) -> MaskedValues:
    """L1 distance of the keypoints' projections."""
    _require(inputs.keypoints, "keypoints_2d", "keypoint_regressor")
    error = inputs.keypoints[..., :2] - inputs.true_keypoints[..., :2]
    return MaskedValues(jnp.abs(error), jnp.ones(()))


LOSS_TERMS: dict[str, TermFunction] = {
    term.__name__: term
    for term in (uv_l1, uv_aligned, uv_gradient, uv_mask, vertices, keypoints, keypoints_2d)
}


def presence_loss(logit: Float[Array, "*b"], absent_logit: Float[Array, "*n"]) -> Float[Array, ""]:
    """Binary cross-entropy of the logits of pictures with a right hand, and of others without.

    Either kind weighs half, however many there are: the model's probabilities are then those of
    even odds.
    """
    seen, absent = jax.nn.softplus(-logit), jax.nn.softplus(absent_logit)
    return (seen.mean() + absent.mean()) / 2


def confidence_loss(
    log_error: Float[Array, "b m m"],
    uv_map: Float[Array, "b m m 3"],
    true_uv_map: Float[Array, "b m m 3"],
    texel_mask: Bool[Array, "m m"],
) -> Float[Array, ""]:
    """Mean negative log-likelihood inside the chart of the texels' distances from the truth.

    A distance d is expected to follow p(d) = exp(-d / b) / b with b = exp(log_error), the Laplace
    distribution of what is not negative: d / b + log b, least where b is the mean of d. It is
    negative where d and b are small. The map counts as given: no gradient goes to it.
    """
    error = jax.lax.stop_gradient(uv_map - true_uv_map)
    distance = jnp.linalg.norm(error, axis=-1)
    return masked_mean(MaskedValues(distance * jnp.exp(-log_error) + log_error, texel_mask[None]))


def resolve_term(term: str | TermFunction) -> tuple[str, TermFunction]:
    """A term's name in reports, and its function.

    Raises:
        ValueError: no built-in term and no importable "package.module:function" is called so.
    """
    if callable(term):
        return term.__name__, term
    if term in LOSS_TERMS:
        return term, LOSS_TERMS[term]
    module_name, colon, function_name = term.partition(":")
    if not colon:
        near = difflib.get_close_matches(term, LOSS_TERMS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"loss: expected one of {sorted(LOSS_TERMS)} or 'package.module:function', "
            f"got {term!r}{hint}"
        )
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"loss: expected an importable function, got {term!r} ({error})") from None
    if not callable(function):
        raise ValueError(f"loss: expected an importable function, got {term!r} (no function)")
    return function_name, function


def total_loss(
    config: LossConfig,
    output: HandNetOutput,
    true_uv_map: Float[Array, "b n n 3"],
    texel_masks: Mapping[int, Bool[Array, "m m"]],
    *,
    vertices_from_uv_map: Callable[[Float[Array, "b m m 3"]], Float[Array, "b v 3"]] | None = None,
    keypoint_regressor: Float[Array, "21 v"] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The weighted sum of all terms, and every term's mean. Jit-able, differentiable.

    Args:
        config: what is taken where.
        output: the network's maps.
        true_uv_map: the true map at any size; it is sampled corner-aligned at each stage's size.
        texel_masks: texels inside the chart, by map size: `mask_sizes` lists the sizes needed.
        vertices_from_uv_map: samples the mesh from a map of the final map's size; needed by mesh
            terms only. The true mesh is sampled from the true map in the same way.
        keypoint_regressor: keypoints = regressor @ vertices; needed by keypoint terms only.

    Returns:
        The total, and scalars by name: "total", "final/TERM", and "stageN/TERM" with the stages
        numbered from 1, coarsest first; with `confidence_weight` also "confidence".

    Raises:
        ValueError: a term is unknown, or a term's input or a mask is missing.
    """
    total = jnp.zeros((), jnp.float32)
    scalars: dict[str, Array] = {}

    def add_terms(prefix: str, terms: tuple[LossTerm, ...], weight: float, inputs: LossInputs):
        nonlocal total
        for term, term_weight in terms:
            name, function = resolve_term(term)
            scalars[f"{prefix}/{name}"] = mean = masked_mean(function(inputs))
            total = total + weight * term_weight * mean

    num_stages = len(output.stage_uv_maps)
    for index, weight in _weighted_stages(config, num_stages):
        inputs = _map_inputs(output.stage_uv_maps[index], true_uv_map, texel_masks)
        add_terms(f"stage{index + 1}", config.stage_terms, weight, inputs)

    if config.final_terms:
        inputs = _map_inputs(output.uv_map, true_uv_map, texel_masks)
        if vertices_from_uv_map is not None:
            inputs = _with_mesh(inputs, vertices_from_uv_map, keypoint_regressor)
        add_terms("final", config.final_terms, 1.0, inputs)

    if config.confidence_weight > 0:
        inputs = _map_inputs(output.stage_uv_maps[-1], true_uv_map, texel_masks)
        scalars["confidence"] = confidence_loss(
            output.log_error, inputs.uv_map, inputs.true_uv_map, inputs.texel_mask
        )
        total = total + config.confidence_weight * scalars["confidence"]
    scalars["total"] = total
    return total, scalars


def mask_sizes(config: LossConfig, stage_sizes: tuple[int, ...], uv_map_size: int) -> set[int]:
    """The sizes of texel mask that `total_loss` asks for."""
    sizes = {stage_sizes[index] for index, _ in _weighted_stages(config, len(stage_sizes))}
    if config.confidence_weight > 0:
        sizes.add(stage_sizes[-1])
    return sizes | ({uv_map_size} if config.final_terms else set())


def _weighted_stages(config: LossConfig, num_stages: int) -> list[tuple[int, float]]:
    """(index coarsest first, weight) of the stages that count."""
    finest_first = range(num_stages - 1, -1, -1)
    pairs = zip(finest_first, config.stage_weights, strict=False)
    return [(index, weight) for index, weight in pairs if weight > 0]


def _map_inputs(
    uv_map: Float[Array, "b m m 3"],
    true_uv_map: Float[Array, "b n n 3"],
    texel_masks: Mapping[int, Bool[Array, "m m"]],
) -> LossInputs:
    size = uv_map.shape[1]
    if size not in texel_masks:
        raise ValueError(f"texel_masks: expected a mask of size {size}, got {sorted(texel_masks)}")
    return LossInputs(
        uv_map=uv_map,
        true_uv_map=resize_corner_aligned(true_uv_map, (size, size)),
        texel_mask=jnp.asarray(texel_masks[size], bool),
    )


def _with_mesh(
    inputs: LossInputs,
    vertices_from_uv_map: Callable[[Array], Array],
    keypoint_regressor: Float[Array, "21 v"] | None,
) -> LossInputs:
    meshes = [vertices_from_uv_map(uv_map) for uv_map in (inputs.uv_map, inputs.true_uv_map)]
    inputs = inputs.replace(vertices=meshes[0], true_vertices=meshes[1])
    if keypoint_regressor is None:
        return inputs
    regressed = [regress_keypoints(keypoint_regressor, mesh) for mesh in meshes]
    return inputs.replace(keypoints=regressed[0], true_keypoints=regressed[1])


def _require(value: Array | None, term: str, argument: str) -> None:
    if value is None:
        raise ValueError(
            f"loss {term!r}: expected `{argument}` and the final map (final_terms), got neither "
            "vertices nor keypoints here"
        )
