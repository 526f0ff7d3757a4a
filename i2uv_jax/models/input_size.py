"""What all networks ask of their pictures."""

from jaxtyping import Array, Float


def check_picture_size(image: Float[Array, "b h w c"], size: int) -> None:
    """Refuses pictures that are not square, of `size` pixels a side and of three channels.

    Raises:
      ValueError: as said.
    """
    if image.shape[1:] != (size, size, 3):
        raise ValueError(f"image: expected shape (b, {size}, {size}, 3), got {image.shape}")
