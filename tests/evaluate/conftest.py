"""Benchmarks in miniature, as their owners lay them out, with truth."""

import json

import numpy as np
import pytest

from i2uv_jax.evaluate import benchmarks
from i2uv_jax.hand.mano import KEYPOINT_JOINTS, load_mano
from tests.archives import hands, write_freihand, write_hic, write_ho3d
from tests.mano_files import write_mano


@pytest.fixture(scope="session")
def mano_path(tmp_path_factory):
    return write_mano(tmp_path_factory.mktemp("mano") / "MANO_RIGHT.pkl")


@pytest.fixture
def freihand(tmp_path, mano_path):
    """Folder of four pictures."""
    write_freihand(tmp_path / "freihand", mano_path, 4)
    return tmp_path / "freihand"


@pytest.fixture
def ho3d(tmp_path, mano_path):
    """Folder of two frames of version 3, with the truth of the evaluation."""
    folder = tmp_path / "ho3d"
    write_ho3d(folder, mano_path, "v3", 2)
    _, _, vertices, keypoints = hands(mano_path, 2, len("evaluation"))
    shift = np.array([-0.08, -0.09, -0.6])
    own_order = np.empty_like(keypoints)
    own_order[:, list(KEYPOINT_JOINTS)] = keypoints
    (folder / "evaluation_xyz.json").write_text(json.dumps((own_order + shift).tolist()))
    (folder / "evaluation_verts.json").write_text(json.dumps((vertices + shift).tolist()))
    return folder


@pytest.fixture
def hic(tmp_path, mano_path):
    write_hic(tmp_path / "hic", mano_path, 2)
    return tmp_path / "hic"


@pytest.fixture
def benchmark(request, mano_path):
    """The benchmark that a test names, read."""
    folder = request.getfixturevalue(request.param)
    mano = load_mano(mano_path)
    return {
        "freihand": lambda: benchmarks.freihand(folder),
        "ho3d": lambda: benchmarks.ho3d_evaluation(folder, "v3", mano),
        "hic": lambda: benchmarks.hic_fits(folder, mano),
    }[request.param]()
