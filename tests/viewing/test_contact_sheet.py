import numpy as np
import pytest

from i2uv_jax.viewing.contact_sheet import contact_sheet


@pytest.mark.parametrize(
    ("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (4, 2, 2), (5, 2, 3), (64, 8, 8)]
)
def test_every_picture_has_its_place(count, rows, columns):
    pictures = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 3, 3, 3)
    )
    sheet = contact_sheet(pictures)
    assert sheet.shape == (5 * rows - 2, 5 * columns - 2, 3)
    for index in range(rows * columns):
        top, left = 5 * (index // columns), 5 * (index % columns)
        tile = sheet[top : top + 3, left : left + 3]
        assert np.all(tile == (index if index < count else 255))
    # Gaps are paper.
    assert np.all(sheet[:, 3::5] == 255) and np.all(sheet[3::5] == 255)


def test_no_picture():
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(np.zeros((0, 3, 3, 3), np.uint8))
