"""Rematerialisation changes what is kept for the gradient, and nothing else."""

import jax
import jax.numpy as jnp
import numpy as np

from i2uv_jax.config import AffineNetConfig, HandNetConfig
from i2uv_jax.models.hand_net import build_model
from i2uv_jax.models.layers import ConvNormRelu, call_block

CONFIG = HandNetConfig(
    affine=AffineNetConfig("resnet18", width=0.125, decoder_channels=(16, 16, 8, 8)),
    sr=None,
    image_size=32,
)
IMAGE = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)


def test_block_has_the_same_values_statistics_and_gradient():
    block = ConvNormRelu(4)
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 3))
    variables = block.init(jax.random.key(1), x, train=True)

    def run(rematerialise):
        def loss(params):
            y, new = block.apply(
                {**variables, "params": params},
                x,
                method=lambda module, x: call_block(
                    module, x, train=True, rematerialise=rematerialise
                ),
                mutable=["batch_stats"],
            )
            return jnp.sum(jnp.sin(y)), new

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), run(True), run(False)
    )


def test_every_block_and_stage_is_rematerialised_under_the_same_names():
    plain, rematerialised = (build_model(CONFIG, rematerialise=flag) for flag in (False, True))

    def variables_of(model):
        return jax.eval_shape(
            lambda key: model.init(key, jnp.zeros(IMAGE.shape), train=False), jax.random.key(0)
        )

    variables = variables_of(plain)
    assert variables_of(rematerialised) == variables

    def count_remats(model):
        def forward(variables, image):
            return model.apply(variables, image, train=True, mutable=["batch_stats"])[0].uv_map

        jaxpr = jax.make_jaxpr(forward)(variables, IMAGE)
        return sum(equation.primitive.name in ("remat2", "checkpoint") for equation in jaxpr.eqns)

    assert count_remats(plain) == 0
    assert count_remats(rematerialised) == 8 + 4  # blocks of a ResNet-18, stages
