"""The pipeline keeps order, bounds what is alive, and loses no more than the item that failed."""

import threading
import time
import weakref

import numpy as np
import pytest

from i2uv_jax.inference.stream import stream


class Picture:
    """A tiny picture whose life can be watched."""

    def __init__(self, value):
        self.pixels = np.full((16, 16, 3), value % 256, np.uint8)
        self.value = value


def double(batch):
    values = [picture.value for picture in batch]
    return lambda: [2 * value for value in values]


def run(items, **options):
    given = {
        "load": Picture,
        "infer": double,
        "finish": lambda item, picture, result: (picture.value, result),
        "expected": (ValueError,),
        "batch_size": 8,
    }
    return stream(items, **{**given, **options})


def test_ten_thousand_pictures_in_bounded_memory():
    alive, most, drawn = weakref.WeakSet(), 0, 0

    def load(item):
        picture = Picture(item)
        alive.add(picture)
        return picture

    def items():
        nonlocal drawn
        for item in range(10_000):
            drawn = item
            yield item

    for count, outcome in enumerate(run(items(), load=load)):
        assert (outcome.item, outcome.result) == (count, (count, 2 * count))
        most = max(most, len(alive))
        assert drawn - count <= 7 * 8
    assert count == 9_999
    # Two windows of two batches, two batches in the model, one being filled.
    assert most <= 7 * 8


def test_a_load_that_remembers_sees_one_item_after_the_other():
    seen = []

    def load(item):
        before = len(seen)
        time.sleep(0.002 * (item % 3))
        seen.append(item)
        assert len(seen) == before + 1  # nobody else was at it meanwhile
        return Picture(item)

    outcomes = list(run(range(40), load=load, in_order=True))
    assert [outcome.error for outcome in outcomes] == [None] * 40
    assert seen == list(range(40))


def test_order_is_kept_whatever_takes_long():
    def slow(item):
        time.sleep(0.02 if item % 5 == 0 else 0)
        return Picture(item)

    assert [outcome.item for outcome in run(range(40), load=slow)] == list(range(40))


def test_an_error_costs_its_item_alone():
    def load(item):
        if item % 7 == 0:
            raise ValueError(f"bad {item}")
        return Picture(item)

    def finish(item, picture, result):
        if item % 11 == 0:
            raise ValueError(f"full {item}")
        return result

    for outcome in run(range(100), load=load, finish=finish):
        if outcome.item % 7 == 0:
            assert str(outcome.error) == f"bad {outcome.item}"
        elif outcome.item % 11 == 0:
            assert str(outcome.error) == f"full {outcome.item}"
        else:
            assert (outcome.error, outcome.result) == (None, 2 * outcome.item)


def test_batches_are_whole_and_started_before_the_last_is_fetched():
    events = []

    def infer(batch):
        events.append(("start", len(batch)))

        def wait():
            events.append(("fetch", len(batch)))
            return [None] * len(batch)

        return wait

    list(run(range(20), infer=infer))
    assert events == [("start", 8), ("start", 8), ("fetch", 8), ("start", 4), ("fetch", 8),
                      ("fetch", 4)]  # fmt: skip


@pytest.mark.parametrize("stage", ["load", "infer", "finish"])
def test_errors_that_nobody_expected_end_the_stream(stage):
    def broken(*_):
        raise RuntimeError("device lost")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="device lost"):
        list(run(range(30), **{stage: broken}))
    assert threading.active_count() == before


def test_items_before_an_error_of_their_source_are_done():
    def items():
        yield from range(21)
        raise OSError("damaged")

    done = []
    with pytest.raises(OSError, match="damaged"):
        for outcome in run(items()):
            done.append(outcome.result)
    assert done == [(value, 2 * value) for value in range(21)]


def test_nothing_is_left_running_when_the_reader_stops():
    before = threading.active_count()
    outcomes = run(iter(range(10_000)))
    next(outcomes)
    outcomes.close()
    assert threading.active_count() == before
