"""Interpreters are opened as they are needed, and given back whatever becomes of a call."""

import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

pytest.importorskip("litert_converter", reason="needs the extra litert")
pytest.importorskip("ai_edge_litert", reason="needs the extra litert")

from i2uv_jax.inference.litert_graph import litert_model
from i2uv_jax.inference.litert_interpreters import InterpreterPool


@pytest.fixture(scope="module")
def doubling():
    shape = jax.ShapeDtypeStruct((1, 3), np.float32)
    return litert_model(lambda x: {"y": 2 * x}, {"x": shape})


def row(value):
    return np.full((1, 3), value, np.float32)


def test_a_call_that_fails_gives_its_interpreter_back(doubling):
    pool = InterpreterPool(doubling, num_threads=1, max_interpreters=1)
    with pytest.raises((TypeError, ValueError)):
        pool(z=row(1))
    np.testing.assert_array_equal(pool(x=row(1))["y"], row(2))


def test_an_interpreter_that_cannot_be_opened_leaves_its_place(doubling, monkeypatch):
    pool = InterpreterPool(doubling, num_threads=1, max_interpreters=1)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "_opened", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pool.open()
    np.testing.assert_array_equal(pool(x=row(1))["y"], row(2))


def test_no_more_are_opened_than_are_needed_or_allowed(doubling, monkeypatch):
    pool = InterpreterPool(doubling, num_threads=1, max_interpreters=3)
    opened, open_one, meet = [], pool._opened, threading.Barrier(3, timeout=30)
    at_once = False

    def counted():
        run = open_one()
        opened.append(run)

        def answer(**inputs):
            if at_once:
                meet.wait()  # Three meet, or the barrier breaks.
            return run(**inputs)

        return answer

    monkeypatch.setattr(pool, "_opened", counted)
    for value in range(4):
        pool(x=row(value))
    assert len(opened) == 1
    at_once = True
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda value: pool(x=row(value))["y"], range(6)))
    np.testing.assert_array_equal(np.concatenate(answers)[:, 0], 2 * np.arange(6))
    assert len(opened) == 3
