"""Similarities of the picture plane: turned, scaled and shifted pictures and points. Jit-able."""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from i2uv_jax.ops.grid_sample import grid_sample

_UNDECIDED = 1e-6
"""Length in crop sides of what is too short to point anywhere."""


@struct.dataclass
class PictureSimilarity:
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
        return self.of_points(uv_map.reshape(uv_map.shape[0], -1, 3)).reshape(uv_map.shape)

    def of_points(self, points: Float[Array, "b n 3"]) -> Float[Array, "b n 3"]:
        """Points in crop coordinates with a depth, which scales with the picture."""
        return jnp.concatenate([self(points[..., :2]), self.of_lengths(points[..., 2:])], axis=-1)

    def of_lengths(self, lengths: Float[Array, "b *n"]) -> Float[Array, "b *n"]:
        """Lengths in crop sides, in the plane or in depth."""
        return self.scale.reshape(-1, *(1,) * (lengths.ndim - 1)) * lengths

    def of_image(
        self, image: Float[Array, "b h h c"], size: int, *, by_picture: bool = False
    ) -> Float[Array, "b size size c"]:
        """The picture with `size` pixels a side; what comes in from beyond its edge repeats the
        edge. Sampling is bilinear: where new pixels are much larger than old ones it aliases.

        Args:
          by_picture: for batches that several devices share (see `ops.grid_sample`).
        """
        batch, side, _, channels = image.shape
        centres = (np.arange(size, dtype=np.float32) + 0.5) / size
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(1, size**2, 2)
        target = jnp.broadcast_to(grid, (batch, size**2, 2))
        # `grid_sample` puts 0 and 1 at the centres of the corner pixels.
        corner_aligned = (self.inverse()(target) * side - 0.5) / (side - 1)
        sampled = grid_sample(image, corner_aligned, by_picture=by_picture)
        return sampled.reshape(batch, size, size, channels)

    def inverse(self) -> "PictureSimilarity":
        """The way back."""
        turn = jnp.swapaxes(self.turn, -1, -2)
        shift = jnp.einsum("bij,bj->bi", turn, self.shift, precision="highest")
        return PictureSimilarity(turn, 1 / self.scale, -shift / self.scale[:, None])


def clockwise_turn(angle: Float[Array, "*b"]) -> Float[Array, "*b 2 2"]:
    """Rotations of the picture plane by angles in radians, from x towards y: clockwise as seen."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, -sin], axis=-1), jnp.stack([sin, cos], axis=-1)], axis=-2)


def upright_turn(direction: Float[Array, "b 2"]) -> Float[Array, "b 2 2"]:
    """The rotations of the picture that make directions point up; nearly none is taken for up."""
    direction = direction - jnp.array([0.0, _UNDECIDED])
    length = jnp.linalg.norm(direction, axis=-1, keepdims=True)
    x, y = jnp.moveaxis(direction / length, -1, 0)
    # Takes (x, y) to (0, -1).
    return jnp.stack([jnp.stack([-y, x], axis=-1), jnp.stack([-x, -y], axis=-1)], axis=-2)
