"""A hand of MANO's shape with random numbers, and its pickle as the owners' Python 2 wrote it."""

import pickle
import sys
import types

import numpy as np
import scipy.sparse

from i2uv_jax.evaluate.surfaces import uv_surface
from i2uv_jax.geometry.uv_map import build_tables, uv_map_from_vertices
from i2uv_jax.hand.asset import load_hand
from i2uv_jax.hand.mano import TIP_VERTICES
from i2uv_jax.hand.skeleton import JOINT_NAMES

NUM_VERTICES = 778
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
_OWN_JOINTS = [0] + [
    JOINT_NAMES.index(f"{finger}_{joint}")
    for finger in ("index", "middle", "little", "ring", "thumb")
    for joint in (("cmc", "mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip"))
]
"""The package's joints that are MANO's, in MANO's order."""


def mano_arrays(seed=0):
    """Arrays by the file's names: a sheet with a hand's proportions in place of a hand."""
    rng = np.random.default_rng(seed)
    columns = 26
    rows = -(-NUM_VERTICES // columns)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2)
    grid = grid[:NUM_VERTICES]
    place = grid / rows
    template = 0.18 * np.concatenate([place, 0.1 * np.sin(5 * place[:, :1])], axis=1)
    faces = [
        corners
        for row in range(rows - 1)
        for column in range(columns - 1)
        for a in [row * columns + column]
        for corners in ((a, a + columns, a + 1), (a + 1, a + columns, a + columns + 1))
        if max(corners) < NUM_VERTICES
    ]
    regressor = rng.random((16, NUM_VERTICES)) * (rng.random((16, NUM_VERTICES)) < 0.02)
    regressor[:, :16] += np.eye(16)
    # Smooth, as a hand's: a sheet of noise would have no UV map to speak of.
    anchors = np.stack(np.meshgrid(*2 * [np.linspace(0.1, 0.9, 4)]), -1).reshape(16, 2)
    weights = np.exp(-20 * ((place[:, None] - anchors) ** 2).sum(-1))
    waves = np.sin(place @ rng.normal(0, 6, (2, 30)) + rng.random(30))
    directions = waves @ rng.normal(0, 1 / 30, (30, 3 * 145))
    directions = directions.reshape(NUM_VERTICES, 3, 145)
    table = np.array([PARENTS, range(16)], np.int64).astype(np.uint32)
    return {
        "v_template": template,
        "shapedirs": 0.02 * directions[..., :10],
        "posedirs": 0.02 * directions[..., 10:],
        "J_regressor": scipy.sparse.csc_matrix(regressor / regressor.sum(1, keepdims=True)),
        "weights": weights / weights.sum(1, keepdims=True),
        "f": np.array(faces, np.uint32),
        "kintree_table": table,
        "hands_mean": 0.2 * rng.standard_normal(45),
        "hands_components": np.eye(45),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }


def hand_arrays():
    """The same of a mesh with MANO's number of vertices on the package's own hand, whose forms and
    poses have no correctives; the finger tips have MANO's numbers."""
    hand = load_hand()
    tables = build_tables(hand.atlas, 32)
    rows = np.concatenate([hand.template, hand.skin_weights], axis=1)
    on_map = np.asarray(uv_map_from_vertices(tables, rows))
    faces = uv_surface(on_map[..., :3], tables.texel_mask).faces
    used, faces = np.unique(faces, return_inverse=True)
    rows, faces = on_map.reshape(-1, rows.shape[1])[used], faces.reshape(-1, 3).tolist()
    # Middles of triangles make up the number.
    assert NUM_VERTICES // 2 < len(rows) <= NUM_VERTICES
    for number in range(len(rows), NUM_VERTICES):
        a, b, c = faces.pop(0)
        rows = np.concatenate([rows, rows[[a, b, c]].mean(axis=0, keepdims=True)])
        faces += [(a, b, number), (b, c, number), (c, a, number)]
    tips = hand.keypoint_regressor[[4, 8, 12, 16, 20]] @ hand.template
    order = np.arange(NUM_VERTICES)
    for tip, place in zip(tips, TIP_VERTICES, strict=True):
        nearest = np.linalg.norm(rows[order, :3] - tip, axis=1).argmin()
        order[[nearest, place]] = order[[place, nearest]]
    rows, faces = rows[order], np.argsort(order)[np.array(faces)]
    template, own_weights = rows[:, :3], rows[:, 3:]
    weights = own_weights[:, _OWN_JOINTS]
    weights[:, 0] += own_weights[:, 1:5].sum(axis=1)  # metacarpals are the wrist's
    joints = hand.joint_regressor[_OWN_JOINTS] @ hand.template
    nearness = np.exp(-np.linalg.norm(template - joints[:, None], axis=-1) / 0.004)
    regressor = nearness / nearness.sum(axis=1, keepdims=True)
    return {
        **mano_arrays(),
        "v_template": template,
        "shapedirs": np.zeros((NUM_VERTICES, 3, 10)),
        "posedirs": np.zeros((NUM_VERTICES, 3, 135)),
        "J_regressor": scipy.sparse.csc_matrix(regressor),
        "weights": weights / weights.sum(axis=1, keepdims=True),
        "f": faces.astype(np.uint32),
        "hands_mean": np.zeros(45),
    }


def write_mano(path, seed=0, content=None):
    """Writes MANO_RIGHT.pkl as shipped: shape directions as a chumpy selection of more of them.

    The hand is the sheet of `mano_arrays(seed)`, or `content`.
    """
    content = mano_arrays(seed) if content is None else content
    directions = content["shapedirs"]
    both = np.concatenate([directions, 9 * directions], axis=-1)
    chosen = np.arange(both.size).reshape(both.shape)[..., :10]
    content["shapedirs"] = _of_chumpy(
        "chumpy.reordering",
        "Select",
        {
            "a": _of_chumpy("chumpy.ch", "Ch", {"x": both, "_dirty_vars": set()}),
            "idxs": chosen.ravel(),
            "preferred_shape": directions.shape,
        },
    )
    path.write_bytes(old_pickle(content))
    return path


def old_pickle(content):
    """Protocol 2 with the names that modules had under Python 2."""
    text = pickle.dumps(content, 2)
    for new, old in (
        ("numpy._core.multiarray", "numpy.core.multiarray"),
        ("scipy.sparse._csc", "scipy.sparse.csc"),
    ):
        text = text.replace(f"c{new}\n".encode(), f"c{old}\n".encode())
    return text


def write_template(path):
    """An OBJ of the sheet with texture coordinates, as a user lays MANO out."""
    arrays = mano_arrays()
    uv = 0.05 + 0.9 * arrays["v_template"][:, :2] / 0.18
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in arrays["v_template"]]
    lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in uv]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in arrays["f"]]
    path.write_text("\n".join(lines) + "\n")
    return path


def _of_chumpy(module, name, state):
    """An object that pickles as one of chumpy's, which need not be installed."""
    package = sys.modules.setdefault("chumpy", types.ModuleType("chumpy"))
    holder = sys.modules.setdefault(module, types.ModuleType(module))
    setattr(package, module.rpartition(".")[2], holder)
    if not hasattr(holder, name):
        setattr(holder, name, type(name, (), {"__module__": module}))
    made = getattr(holder, name)()
    made.__dict__.update(state)
    return made
