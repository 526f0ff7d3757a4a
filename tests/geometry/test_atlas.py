"""Reading atlases from OBJ files: indices, quads, the direction of v, and what is refused."""

import numpy as np
import pytest

from i2uv_jax.geometry.atlas import Atlas

SQUARE = """
# two sides of a fold: vertex 2 has two texture coordinates
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 0.5 0
vt 0.5 1
vt 0 1
vt 1.0 0.25
f 1/1 2/2 3/3 4/4
f 1/1/1 -3/5 3/3
"""


def test_quads_split_and_v_turns_down(tmp_path):
    path = tmp_path / "square.obj"
    path.write_text(SQUARE)
    atlas = Atlas.from_obj(path)
    assert atlas.num_vertices == 4
    np.testing.assert_array_equal(atlas.faces, [[0, 1, 2], [0, 2, 3], [0, 1, 2]])
    np.testing.assert_array_equal(atlas.faces_uv, [[0, 1, 2], [0, 2, 3], [0, 4, 2]])
    np.testing.assert_allclose(atlas.uv[[0, 4]], [[0, 1], [1, 0.75]])
    np.testing.assert_array_equal(atlas.vertex_of_uv, [0, 1, 2, 3, 1])


def test_fingerprint_is_the_layout_s_and_not_the_object_s(tmp_path):
    path = tmp_path / "square.obj"
    path.write_text(SQUARE)
    same = Atlas.from_obj(path).fingerprint, Atlas.from_obj(path).fingerprint
    path.write_text(SQUARE.replace("vt 0.5 1", "vt 0.5 0.9"))
    assert same[0] == same[1] != Atlas.from_obj(path).fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\nf 1 1 1\n", "bad.obj:2: .*no texture coordinate"),
        ("v 0 0 0\nvt 0 x\n", "bad.obj:2"),
        ("v 0 0 0\nvt 0 0\nf 1/1 2/1 3/1\n", "must index 1 entries"),
        ("v 0 0 0\nv 1 0 0\nvt 0 0\nf 1/1 1/1 1/1\n", "1 of 2 vertices have no UV"),
        ("v 0 0 0\nvt 0 1.5\nf 1/1 1/1 1/1\n", "between 0 and 1"),
        ("", "holds no face"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Atlas.from_obj(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.obj: cannot be read"):
        Atlas.from_obj(tmp_path / "none.obj")
