"""The few samples of a supersampled picture that are shaded. Pure and jit-able."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from i2uv_jax.render.rasterise import VisibleFaces, weights_at


@struct.dataclass
class Representatives:
    """The samples that stand for a pixel's covered ones, one picture's after the other's.

    Sample s * size**2 + r * size + c is one of pixel (row r, column c); s counts to one or two.
    """

    face: Int[Array, "b n"]
    part: Int[Array, "b n"]
    """Which of the pixel's samples it is, row by row."""
    planes: Float[Array, "b f 9"]
    size: int = struct.field(pytree_node=False)
    supersampling: int = struct.field(pytree_node=False)

    def locate(
        self, picture: Int[Array, ""], sample: Int[Array, "m"], face: Int[Array, "m"]
    ) -> tuple[Float[Array, "m 2"], Float[Array, "3 m"]]:
        """Crop coordinates of samples of a picture, and barycentric weights in their faces."""
        pixel, part = sample % self.size**2, self.part[picture, sample]
        x = self.supersampling * (pixel % self.size) + part % self.supersampling + 0.5
        y = self.supersampling * (pixel // self.size) + part // self.supersampling + 0.5
        place = jnp.stack([x, y], axis=-1) / (self.supersampling * self.size)
        return place, weights_at(self.planes[picture, face], x, y)


def find_representatives(seen: VisibleFaces, supersampling: int) -> Representatives:
    """The first and the last covered sample of each pixel.

    Shading is the dearest part of a picture. Two samples smooth the edges within the hand nearly as
    well as all of them; the outline is a matter of coverage, which counts all.
    """
    batch, fine, _ = seen.face.shape
    size = fine // supersampling
    face = seen.face.reshape(batch, size, supersampling, size, supersampling)
    face = face.transpose(0, 2, 4, 1, 3).reshape(batch, supersampling**2, size**2)
    last = supersampling**2 - 1
    parts = [jnp.argmax(face >= 0, axis=1)]
    if last > 0:
        parts.append(last - jnp.argmax(face[:, ::-1] >= 0, axis=1))
    part = jnp.stack(parts, axis=1)
    face = jnp.take_along_axis(face, part, axis=1)
    return Representatives(
        face.reshape(batch, -1), part.reshape(batch, -1), seen.planes, size, supersampling
    )
