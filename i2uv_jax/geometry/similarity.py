"""Similarities of the picture plane: turned, scaled and shifted pictures and points. Jit-able."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.ops.grid_sample import grid_sample


@struct.dataclass
class Similarity:
    """Takes crop coordinates p to scale * turn @ (p - 1/2) + 1/2 + shift, one map a picture."""

    turn: Float[Array, "b 2 2"]
    """Rotations: orthogonal, determinant 1."""
    scale: Float[Array, "b"]
    shift: Float[Array, "b 2"]
    """In crop sides."""

    def turned(self, points: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        """Turned about the origin alone; what follows x and y stays."""
        plane = jnp.einsum("bij,bnj->bni", self.turn, points[..., :2], precision="highest")
        return jnp.concatenate([plane, points[..., 2:]], axis=-1)

    def __call__(self, points: Float[Array, "b n 2"]) -> Float[Array, "b n 2"]:
        """Points in crop coordinates."""
        return self.scale[:, None, None] * self.turned(points - 0.5) + 0.5 + self.shift[:, None]

    def of_uv_map(self, uv_map: Float[Array, "b m m 3"]) -> Float[Array, "b m m 3"]:
        """A UV position map, whose depth scales with the picture."""
        points = uv_map.reshape(len(uv_map), -1, 3)
        depth = self.scale[:, None, None] * points[..., 2:]
        return jnp.concatenate([self(points[..., :2]), depth], axis=-1).reshape(uv_map.shape)

    def of_image(self, image: Float[Array, "b h h c"], size: int) -> Float[Array, "b size size c"]:
        """The picture with `size` pixels a side; what comes in from beyond its edge repeats the
        edge. Sampling is bilinear: where new pixels are much larger than old ones it aliases."""
        side = image.shape[1]
        centres = (jnp.arange(size) + 0.5) / size
        x, y = jnp.meshgrid(centres, centres)
        target = jnp.broadcast_to(
            jnp.stack([x, y], axis=-1).reshape(1, -1, 2), (len(image), size**2, 2)
        )
        # `grid_sample` puts 0 and 1 at the centres of the corner pixels.
        corner_aligned = (self.inverse()(target) * side - 0.5) / (side - 1)
        sampled = grid_sample(image, corner_aligned, by_picture=True)
        return sampled.reshape(len(image), size, size, -1)

    def inverse(self) -> "Similarity":
        """The way back."""
        turn = jnp.swapaxes(self.turn, -1, -2)
        shift = jnp.einsum("bij,bj->bi", turn, self.shift, precision="highest")
        return Similarity(turn, 1 / self.scale, -shift / self.scale[:, None])
