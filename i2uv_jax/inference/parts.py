"""The network cut into the parts that a benchmark times one by one."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2uv_jax.config import HandNetConfig
from i2uv_jax.hand.asset import Hand
from i2uv_jax.inference.program import input_shapes, make_mesh, make_whole, view_shapes
from i2uv_jax.models.complexity import flops_per_picture, model_complexity
from i2uv_jax.models.folding import folded_norms
from i2uv_jax.models.hand_net import HandNet, build_model
from i2uv_jax.models.resnet import ResNet

WHOLE = "whole"


@dataclasses.dataclass(frozen=True)
class Part:
    """A piece of the program that can be compiled alone."""

    name: str
    function: Callable
    """Of the folded variables and the batched inputs."""
    inputs: Callable[[int], tuple[jax.ShapeDtypeStruct, ...]]
    """Shapes of the batched inputs, by batch size."""
    flops: int
    """Of the convolutions of one picture."""


def network_parts(config: HandNetConfig, variables: dict, hand: Hand) -> list[Part]:
    """Encoder, decoder, SRNet if there is one, mesh, and last the whole.

    Where the config looks at pictures more than once (`looks`), only the whole does.
    """
    model = build_model(config)
    complexity = model_complexity(config)
    flops = {part.part: part.flops for part in complexity}
    encoder_flops, sr_flops = flops["affine_net/encoder"], flops.get("sr_net", 0)
    size, map_size = config.image_size, config.stage_sizes[-1]

    def image(batch: int) -> tuple:
        return (jax.ShapeDtypeStruct((batch, size, size, 3), jnp.float32),)

    def coarse_map(batch: int, side: int = map_size) -> tuple:
        return (jax.ShapeDtypeStruct((batch, side, side, 3), jnp.float32),)

    def encode(variables: dict, image: jax.Array) -> Any:
        return _apply(model, _encode, variables, image)

    def decoder_inputs(batch: int) -> tuple:
        return jax.eval_shape(encode, variables, *image(batch)), *image(batch)

    def decode(variables: dict, features: Any, image: jax.Array) -> jax.Array:
        return _apply(model, _decode, variables, image, features)

    def refine(variables: dict, uv_map: jax.Array) -> jax.Array:
        return _apply(model, HandNet.refine, variables, uv_map)

    def mesh(variables: dict, *inputs: jax.Array) -> dict:
        return make_mesh(config, hand)(*inputs)

    parts = [
        Part("encoder", encode, image, encoder_flops),
        Part("decoder", decode, decoder_inputs, sum(flops.values()) - encoder_flops - sr_flops),
        Part("SRNet", refine, coarse_map, sr_flops),
        Part(
            "mesh",
            mesh,
            lambda b: (*coarse_map(b, config.uv_map_size), *view_shapes(b)),
            0,
        ),
        Part(
            WHOLE,
            make_whole(config, hand),
            lambda b: input_shapes(config, b),
            flops_per_picture(complexity, config.looks),
        ),
    ]
    return [part for part in parts if part.name != "SRNet" or config.sr is not None]


def _apply(model: HandNet, method: Callable, variables: dict, *inputs: Any) -> Any:
    with folded_norms():
        return model.apply(variables, *inputs, method=method)


def _encode(model: HandNet, image: jax.Array) -> Any:
    """The encoder's features: caught on their way; what follows is unused and compiled away."""
    features = []

    def catch(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        result = call(*args, **kwargs)
        if isinstance(context.module, ResNet):
            features.append(result)
        return result

    with nn.intercept_methods(catch):
        model.affine_net(image, train=False)
    return features[0]


def _decode(model: HandNet, image: jax.Array, features: Any) -> jax.Array:
    """AffineNet's finest map of given features; of the picture only the shape is used."""

    def give(call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        return features if isinstance(context.module, ResNet) else call(*args, **kwargs)

    with nn.intercept_methods(give):
        return model.affine_net(image, train=False).uv_maps[-1]
