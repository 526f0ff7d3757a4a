"""What a compiled program sends between devices: read from its own text, the optimised HLO."""

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_COLLECTIVE = re.compile(rf" = (.+?) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")
_CALLED = re.compile(r"\b(?:body|condition|calls|to_apply)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"\bbranch_computations=\{([^}]*)\}")
_TRIP_COUNT = re.compile(r'known_trip_count"?:\{"?n"?:"?(\d+)')


@dataclass(frozen=True)
class Collective:
    """All of one kind in one run of a program, as one device sees it."""

    kind: str
    count: int
    num_bytes: int
    """Of the results (of what goes in for a reduce-scatter, which is as much as is reduced)."""


def collectives(hlo_text: str, num_devices: int) -> tuple[Collective, ...]:
    """Counts a compiled program's collectives; loops count as often as they run.

    Both branches of a condition count. A loop whose number of rounds the compiler does not know
    counts once.

    Args:
      hlo_text: `compiled.as_text()`.
      num_devices: that take part in each reduce-scatter.
    """
    entry, own, calls = _parse(hlo_text)
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()

    def add(name: str, times: int) -> None:
        for kind, num_bytes in own[name]:
            counts[kind] += times
            factor = num_devices if kind == "reduce-scatter" else 1
            sizes[kind] += times * factor * num_bytes
        for callee, rounds in calls[name]:
            add(callee, times * rounds)

    if entry is not None:
        add(entry, 1)
    return tuple(Collective(kind, counts[kind], sizes[kind]) for kind in KINDS if counts[kind])


def _parse(hlo_text):
    """Name of the entry; collectives (kind, bytes) and calls (name, rounds) by computation."""
    entry, current = None, ""
    own, calls = defaultdict(list), defaultdict(list)
    for line in hlo_text.splitlines():
        if (header := _COMPUTATION.match(line)) is not None:
            current = header[2]
            entry = current if header[1] else entry
            continue
        if (found := _COLLECTIVE.search(line)) is not None:
            own[current].append((found[2], _bytes(found[1])))
            continue  # what it calls is its reduction
        rounds = int(trips[1]) if (trips := _TRIP_COUNT.search(line)) else 1
        names = _CALLED.findall(line)
        for branches in _BRANCHES.findall(line):
            names += [name.strip().lstrip("%") for name in branches.split(",")]
        calls[current] += [(name, rounds) for name in names]
    return entry, own, calls


def _bytes(shapes: str) -> int:
    """Of an array, or of a tuple of arrays, as HLO writes their types."""
    return sum(
        math.prod(int(n) for n in lengths.split(",") if n) * max(1, int(bits or 8) // 8)
        for _, bits, lengths in _ARRAY.findall(shapes)
    )
