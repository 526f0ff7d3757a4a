"""Pictures through a model one after the other, with every stage busy and bounded memory.

    items -> load (threads) -> batches -> model (asynchronous) -> finish (threads) -> outcomes

Each stage runs a few items ahead of the next and no more, whatever the number of items; outcomes
come in the items' order. An item that fails somewhere becomes a failed outcome and costs nobody
else anything; where the items themselves end with an error, those before it are still done.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

_BATCHES_AHEAD = 2
"""Batches that the model has been given and not yet answered: one at work, one waiting."""


@dataclass(frozen=True)
class Outcome(Generic[Item]):
    """What became of an item: a result, or the error that one stage raised for it."""

    item: Item
    result: Any = None
    error: Exception | None = None


def stream(
    items: Iterable[Item],
    *,
    load: Callable[[Item], Any],
    infer: Callable[[list[Any]], Callable[[], Iterable[Any]]],
    finish: Callable[[Item, Any, Any], Any],
    expected: tuple[type[Exception], ...],
    batch_size: int,
    in_order: bool = False,
    num_threads: int = 4,
) -> Iterator[Outcome[Item]]:
    """Yields an outcome for each item, in order; items are drawn as they are needed.

    An error of `items` is raised after the outcomes of all items before it.

    Args:
      load: an item to what the model takes; called in threads.
      infer: starts a batch of loaded items and returns a function that waits for its results.
      finish: item, loaded and the model's result to the outcome's result; called in threads.
      expected: errors of `load` and `finish` that only cost their item; others end the stream, as
        all errors of `infer` do.
      batch_size: items that the model is given together; the last batch may be smaller.
      in_order: load one item after the other, in one thread, for a `load` that remembers.
      num_threads: of each pool that need not keep an order.
    """
    load_pool = ThreadPoolExecutor(1 if in_order else num_threads, thread_name_prefix="load")
    finish_pool = ThreadPoolExecutor(num_threads, thread_name_prefix="finish")
    end: Exception | None = None

    def calls_to_load() -> Iterator[tuple]:
        nonlocal end
        try:
            for item in items:
                yield load, item
        except Exception as error:
            end = error

    try:
        loaded = _in_threads(load_pool, calls_to_load(), window=2 * batch_size, expected=expected)
        finished = _in_threads(
            finish_pool,
            _calls_to_finish(loaded, infer, finish, batch_size),
            window=2 * batch_size,
            expected=expected,
        )
        yield from finished
        if end is not None:
            raise end
    finally:
        for pool in (load_pool, finish_pool):
            pool.shutdown(wait=True, cancel_futures=True)


def _in_threads(
    pool: ThreadPoolExecutor,
    calls: Iterable[tuple | Outcome],
    *,
    window: int,
    expected: tuple[type[Exception], ...],
) -> Iterator[Outcome]:
    """Outcomes of calls (function, item, *more), at most `window` ahead; failed ones pass."""
    waiting: deque[tuple[Any, Future] | Outcome] = deque()

    def next_outcome() -> Outcome:
        first = waiting.popleft()
        if isinstance(first, Outcome):
            return first
        item, future = first
        try:
            return Outcome(item, future.result())
        except expected as error:
            return Outcome(item, error=error)

    for call in calls:
        if isinstance(call, Outcome):
            waiting.append(call)
        else:
            function, item, *more = call
            waiting.append((item, pool.submit(function, item, *more)))
        if len(waiting) >= window:
            yield next_outcome()
    while waiting:
        yield next_outcome()


def _calls_to_finish(
    loaded: Iterator[Outcome], infer: Callable, finish: Callable, batch_size: int
) -> Iterator[tuple | Outcome]:
    """Runs batches of `batch_size` items; those that failed to load keep their place in them."""
    running: deque[tuple[list[Outcome], Callable | None]] = deque()

    def answers() -> Iterator[tuple | Outcome]:
        batch, wait = running.popleft()
        results = iter(wait() if wait is not None else ())
        for outcome in batch:
            failed = outcome.error is not None
            yield outcome if failed else (finish, outcome.item, outcome.result, next(results))

    while batch := list(itertools.islice(loaded, batch_size)):
        usable = [outcome.result for outcome in batch if outcome.error is None]
        running.append((batch, infer(usable) if usable else None))
        if len(running) >= _BATCHES_AHEAD:
            yield from answers()
    while running:
        yield from answers()
