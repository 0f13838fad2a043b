#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Leave out each acquire, release and barrier of mm/ and kernel/, one at a time; which set notices?

Usage: orders.py [--build DIR] [--only TEXT,...] [--max N] [--atomics]

BUILD/fiber-weak/race knows at which places an order is asked for, and leaves it out on request, so
nothing is compiled.  A line of the source is one place, also where a header has it.  Each is tried
under tso, then weak, with the sets that come there, N schedules each.  --only: places whose name or
line has one of the texts.  --atomics: read-modify-write operations, too, made relaxed.  (Under sc
no order is ever needed: nothing is to be tried.)  Exit status 0 if all ran: the survivors are for
the reader to judge.
"""
import os
import re
import resource
import signal
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import qemu

ATOMIC = re.compile(r"atomic_(add|sub|or|and|xchg|cas)|compare_exchange")


def output(*command):
    """The lines that @command prints; none if it has not ended after ten minutes of a CPU."""
    limit = resource.RLIMIT_CPU, (600, 600)
    done = rooms.call(command, stderr=None, preexec_fn=lambda: resource.setrlimit(*limit))
    return [] if done.returncode == -signal.SIGKILL else done.stdout.splitlines()


def line_of(place):
    path, line = place.split(":")
    return read(path).split("\n")[int(line) - 1].strip()


def sources(program, offsets):
    """[the line of mm/, kernel/ or include/ that asks for the order, for each of @offsets]"""
    reset = next(s for s in output("nm", program) if s.endswith(" T stores_reset"))
    start, found = int(reset.split()[0], 16) - 1, []
    at = [f"{(start + int(o, 16)) % 2**64:x}" for o in offsets]
    for line in output("addr2line", "-i", "-p", "-e", program, *at):
        place = os.path.normpath(line.split(" (discr")[0].split()[-1])
        if not line.startswith(" (inlined by)"):
            found.append(place)
        elif found[-1].startswith("include/quarry/types.h"):
            found[-1] = place
    return found


def places(program):
    """{place: (its offsets, the sets that come there)}"""
    sets, offsets, found = {}, [], {}
    for line in output(program, "--explore", "all", "--model=weak", "--max=30", "--orders"):
        if line.startswith("order "):
            offsets.append(line.split()[1])
        else:
            for offset in offsets:
                sets.setdefault(offset, []).append(line.split()[0])
            offsets = []
    for offset, place in zip(sets, sources(program, sets)):
        at = found.setdefault(place, ([], []))
        at[0].append(offset)
        at[1].extend(s for s in sets[offset] if s not in at[1])
    return found


def killed(program, model, offsets, sets, schedules):
    """The first of @sets that fails without the order, and how; or None."""
    for name in sets:
        how = (f"--model={model}", f"--max={schedules}", "--leave-out=" + ",".join(offsets))
        run = output(program, "--explore", name, *how)
        if not run or " OK" not in run[0]:
            return f"`{name}` {run[0].split(' s ')[1].strip() if run else 'does not end'}"
    return None


def main():
    parser = rooms.parser(__doc__, flags="atomics", words="only")
    parser.add_argument("--max", type=int, default=300)
    parser.set_defaults(build=qemu.BUILD)
    args = parser.parse_args()
    program = os.path.join(os.path.abspath(args.build), "fiber-weak/race")
    for place, (offsets, sets) in sorted(places(program).items()):
        line = line_of(place)
        if not any(text in place + line for text in args.only.split(",")):
            continue
        if ATOMIC.search(line) and not args.atomics:
            continue
        for model in ("tso", "weak"):
            found = killed(program, model, offsets, sets, args.max)
            if found:
                break
        print(f"{place}: {line}\n    {f'{model}: {found}' if found else 'no set'}", flush=True)


if __name__ == "__main__":
    main()
