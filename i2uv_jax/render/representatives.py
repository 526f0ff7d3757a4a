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
    """What it sees; -1 where nothing is covered, and where the first of two speaks for both."""
    place: Float[Array, "b n 2"]
    """Crop coordinates."""
    planes: Float[Array, "b f 9"]
    size: int = struct.field(pytree_node=False)
    supersampling: int = struct.field(pytree_node=False)

    def locate(
        self, picture: Int[Array, ""], sample: Int[Array, "m"], face: Int[Array, "m"]
    ) -> tuple[Float[Array, "m 2"], Float[Array, "3 m"]]:
        """Crop coordinates of samples of a picture, and barycentric weights in their faces."""
        place = self.place[picture, sample]
        x, y = (self.supersampling * self.size) * place.T
        return place, weights_at(self.planes[picture, face], x, y)

    def mean_colour(self, colour: Float[Array, "b n 3"]) -> Float[Array, "b size size 3"]:
        """Of each pixel's samples, given those of all samples, zero where they see nothing."""
        batch = len(colour)
        colour = colour.reshape(batch, -1, self.size, self.size, 3)
        if colour.shape[1] == 1:
            return colour[:, 0]
        has_second = self.face.reshape(batch, 2, self.size, self.size, 1)[:, 1] >= 0
        return (colour[:, 0] + colour[:, 1]) * jnp.where(has_second, 0.5, 1)


def find_representatives(seen: VisibleFaces, supersampling: int) -> Representatives:
    """The first and the last covered sample of each pixel; one between them if both see one face.

    Shading is the dearest part of a picture. Two samples smooth the edges within the hand nearly as
    well as all of them; the outline is a matter of coverage, which counts all.
    """
    batch, fine, _ = seen.face.shape
    size = fine // supersampling
    face = seen.face.reshape(batch, size, supersampling, size, supersampling)
    face = face.transpose(0, 2, 4, 1, 3).reshape(batch, supersampling**2, size**2)
    pixel = jnp.arange(size**2)
    corner = jnp.stack([pixel % size, pixel // size], axis=-1)

    def look_up(part):
        """Face (b, p) and place (b, p, 2) of one part of each pixel; parts count row by row."""
        offset = jnp.stack([part % supersampling, part // supersampling], axis=-1) + 0.5
        chosen = jnp.take_along_axis(face, part[:, None], axis=1)[:, 0]
        return chosen, (corner + offset / supersampling) / size

    first, first_place = look_up(jnp.argmax(face >= 0, axis=1))
    if supersampling == 1:
        return Representatives(first, first_place, seen.planes, size, supersampling)
    last_part = supersampling**2 - 1 - jnp.argmax(face[:, ::-1] >= 0, axis=1)
    last, last_place = look_up(last_part)
    # Triangles are convex, so that the middle is in the same one.
    same = first == last
    first_place = jnp.where(same[..., None], (first_place + last_place) / 2, first_place)
    return Representatives(
        jnp.concatenate([first, jnp.where(same, -1, last)], axis=1),
        jnp.concatenate([first_place, last_place], axis=1),
        seen.planes,
        size,
        supersampling,
    )
