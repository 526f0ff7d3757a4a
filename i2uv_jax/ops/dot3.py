"""The inner product of vectors in space whose components come first, as CPUs like them."""

from jaxtyping import Array, Float


def dot3(first: Float[Array, "3 *n"], second: Float[Array, "3 *m"]) -> Float[Array, "*k"]:
    """A sum, exact in float32 on every device, unlike matrix products; what follows the components
    is broadcast."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
