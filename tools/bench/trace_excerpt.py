#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cut a consistent piece out of a recorded allocation trace (docs/bench.md has the format).

usage: trace_excerpt.py TRACE[.gz] FIRST COUNT [MAX_ORDER] > PIECE

Of the COUNT events from event FIRST on (0 is the first) it keeps the allocations up to MAX_ORDER
and their frees; ids are numbered anew, the lowest free one first, and the header is adapted.
"""
import gzip
import heapq
import itertools
import os
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms


def cut(lines, max_order):
    """Return the kept events as (op, id, order, type, cpu), ids numbered anew."""
    ids, free, used, kept = {}, [], 0, []
    for line in lines:
        word = line.split()
        if word[0] == "a" and int(word[2]) <= max_order:
            if free:
                ids[word[1]] = heapq.heappop(free), int(word[2])
            else:
                ids[word[1]] = used, int(word[2])
                used += 1
            kept.append(("a", *ids[word[1]], word[3], word[4]))
        elif word[0] == "a":
            ids.pop(word[1], None)
        elif word[1] in ids:
            new, order = ids.pop(word[1])
            heapq.heappush(free, new)
            kept.append(("f", new, order, "", word[2]))
    return kept, used


def excerpt(path, first, count, max_order=9):
    """The lines of the piece of the trace @path, the header first."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="ascii") as trace:
        if not next(trace, "").startswith("# events="):
            raise ValueError(f"{path} is no trace")
        kept, ids = cut(itertools.islice(trace, first, first + count), max_order)
    allocs = sum(event[0] == "a" for event in kept)
    live = peak = 0
    for op, _, order, _, _ in kept:
        live += 1 << order if op == "a" else -(1 << order)
        peak = max(peak, live)
    cpus = max((int(event[4]) for event in kept), default=0) + 1
    yield (
        f"# events={len(kept)} allocs={allocs} frees={len(kept) - allocs} ids={ids}"
        f" peak_live_pages={peak} cpus={cpus}"
    )
    for op, new, order, kind, cpu in kept:
        yield f"a {new} {order} {kind} {cpu}" if op == "a" else f"f {new} {cpu}"


def main():
    if len(sys.argv) not in (4, 5) or not all(word.isdigit() for word in sys.argv[2:]):
        sys.exit(__doc__)
    print("\n".join(excerpt(sys.argv[1], *map(int, sys.argv[2:]))))


if __name__ == "__main__":
    rooms.run(main, OSError, EOFError, ValueError)
