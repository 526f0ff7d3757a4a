"""Pickles of numbers are read; everything that could run is refused and does not run."""

import os
import pickle

import numpy as np
import pytest
import scipy.sparse

from i2uv_jax.restricted_pickle import read_restricted_pickle
from tests.mano_files import old_pickle


class Calls:
    """Pickles as a call of something."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def write(path, content, protocol=2):
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


CONTENT = {
    "floats": np.arange(6.0).reshape(2, 3),
    "by_column": np.asfortranarray(np.arange(6, dtype=np.uint32).reshape(2, 3)),
    "big_endian": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 3)),
    "bool": np.array([True, False]),
    "scalar": np.float64(2.5),
    "columns": scipy.sparse.csc_matrix(np.diag([1.0, 0, 3])[:2]),
    "rows": scipy.sparse.csr_matrix(np.diag([1.0, 0, 3])[:, :2]),
    "text": "cracker box",
    "nested": [None, (1, 2.5), {"deep": np.array(7)}],
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_numbers_come_back_whatever_the_protocol(tmp_path, protocol):
    back = read_restricted_pickle(write(tmp_path / "a.pkl", CONTENT, protocol))
    for name in ("floats", "by_column", "big_endian", "empty", "bool"):
        np.testing.assert_array_equal(back[name], CONTENT[name])
        assert back[name].dtype == CONTENT[name].dtype.newbyteorder("=")
    assert back["scalar"] == 2.5
    for name in ("columns", "rows"):
        np.testing.assert_array_equal(back[name], CONTENT[name].toarray())
    assert back["text"] == "cracker box"
    assert back["nested"] == [None, (1, 2.5), {"deep": 7}]


def test_names_and_bytes_of_python_2(tmp_path):
    # What Python 2 wrote for numpy.array([1.5]): values as a text, names of that time.
    old = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\ntcnumpy\n"
        b"dtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"S'\\x00\\x00\\x00\\x00\\x00\\x00\\xf8?'\ntb."
    )
    np.testing.assert_array_equal(read_restricted_pickle(write(tmp_path / "a.pkl", old)), [1.5])
    content = old_pickle({"a": CONTENT["columns"]})
    assert b"scipy.sparse.csc\n" in content
    back = read_restricted_pickle(write(tmp_path / "b.pkl", content))
    np.testing.assert_array_equal(back["a"], CONTENT["columns"].toarray())


HOSTILE = {
    "os.system": (Calls(os.system, "echo ran > {path}"), r"posix\.system"),
    "eval": (Calls(eval, "open({path!r}, 'w')"), r"builtins\.eval"),
    "getattr": (Calls(getattr, "text", "real"), "getattr"),
    "numpy.load": (Calls(np.load, "{path}"), r"numpy\.load"),
    "numpy.fromfile": (b"cnumpy\nfromfile\n(S'/etc/hostname'\ntR.", r"numpy\.fromfile"),
    "numpy by a dotted name": (
        b"\x80\x04\x8c\x05numpy\x8c\x0blib.npyio.x\x93.",
        r"numpy\.lib\.npyio\.x",
    ),
    "objects in an array": (np.array([Calls(os.system, "true")], object), "system"),
    "an array of plain objects": (np.array([1, "a"], object), "no numbers"),
    "a record": (np.zeros(2, [("a", "f4")]), "no numbers"),
    "another of chumpy's": (b"cchumpy.ch\nMatVecMult\n)R.", r"chumpy\.ch\.MatVecMult"),
    "copyreg": (b"ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR.",
                "another class"),
    "a class left over": (b"cnumpy\nndarray\n.", "names a class"),
    "something outside": (b"Pfile\n.", "outside the file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line_and_does_not_run(tmp_path, name):
    content, reason = HOSTILE[name]
    proof = tmp_path / "ran"
    if isinstance(content, Calls):
        words = (str(w).format(path=str(proof)) for w in content.arguments)
        content = Calls(content.function, *words)
    path = write(tmp_path / "hostile.pkl", content)
    with pytest.raises(ValueError, match=rf"hostile\.pkl: refused: .*{reason}") as error:
        read_restricted_pickle(path)
    assert "\n" not in str(error.value)
    assert not proof.exists()


def sparse_with(**changes):
    matrix = scipy.sparse.csc_matrix(np.eye(3))
    for name, value in changes.items():
        setattr(matrix, name, value)
    return matrix


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(CONTENT, 2)[:-40],
        b"",
        b"no pickle",
        sparse_with(indices=np.array([0, 1, 2**30], np.int32)),
        sparse_with(indptr=np.array([0, 9, 2, 3], np.int32)),
        # An array that claims more values than it has.
        pickle.dumps(np.arange(3.0), 2).replace(b"K\x03\x85", b"K\xff\x85"),
    ],
)
def test_damage_is_one_line_with_the_file_s_name(tmp_path, content):
    with pytest.raises(ValueError, match=r"broken\.pkl: ") as error:
        read_restricted_pickle(write(tmp_path / "broken.pkl", content))
    assert "\n" not in str(error.value)


def test_names_that_repeat_cost_nothing(tmp_path):
    nested = [np.arange(3)]
    for _ in range(200):  # 2^200 arrays, if each mention were read anew
        nested = [nested, nested]
    read_restricted_pickle(write(tmp_path / "a.pkl", nested))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.pkl: cannot be read \(No such file"):
        read_restricted_pickle(tmp_path / "none.pkl")
