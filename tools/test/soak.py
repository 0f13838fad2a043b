#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Long stress in QEMU, one boot after the other, one JSON line each; `make soak TARGET=...`.

docs/build.md says what a round of each TARGET is.  The results are in BUILD/soak/TARGET.jsonl.  A
target continues where it stopped: a run with a line is not repeated; remove the file to begin anew.
Each line has the seed and the whole command: any run can be repeated alone.  Exit status 0 only if
every run on file, up to ROUNDS, passed.
"""
import contextlib
import json
import os
import random
import re
import sys
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import guest
import qemu

CALLS = 20000  # of a round of system calls
FUZZERS = 2  # programs that run at once
FUZZED = 5  # the case in tests/hostile/over.c; from bit 8 on the number of calls
PLUGGED_MIB = 4096


@dataclass
class Target:
    """The boots of a target."""

    rounds: int  # of all boots
    part: int  # most rounds of a boot
    line: str  # the kernel's command line
    machines: list  # of the options of qemu.Machine
    seconds: float = 0  # of a CPU that a round may take; 0: qemu.LIMIT holds for the boot


def machines(*sizes, **more):
    """Machines of these sizes: the number of CPUs, and the MiB of the machine or of its nodes."""
    kinds = {True: "nodes", False: "mem"}
    return [{"cpus": c, kinds[isinstance(mib, list)]: mib, **more} for c, mib in sizes]


MEMS = (256, 256, [128, 128], [96, 160])
SUITES_MEMS = (512, [256, 256], [128, 256, 128])
# 96 boots combine each number of CPUs with each kind of nodes, with icount (which is slowest) and
# without.
SUITES = [((1 + i % 8, SUITES_MEMS[i % 3]), i // 8 % 4 == 1) for i in range(96)]
SHORT = ((2, 64), (4, 64), (4, 128), (8, 96), (4, [64, 64]))
POISON = ((4, 256), (8, 192), (2, 256), (4, [128, 128]))
HOARD = ((4, 64), (1, 64), (4, 128), (2, 96), (8, 256), (4, [64, 64]))
OVER = "selftest=none tour=off user=over user_arg={calls} user_rounds={times}"
OFFLINE = "selftest=none rounds={part} isolation={policy}"
ALL_KINDS = "selftest=none tour=off user=hoard user_arg={part}"
TWO = machines((4, [512, 512]))
PLUGS = machines((4, 1024), extra=guest.virtio_mem(PLUGGED_MIB))
TARGETS = {
    "boots": Target(
        200, 1, "selftest=most tour=off", machines(*((c, m) for c in (1, 2, 4, 4, 8) for m in MEMS))
    ),
    "suites": Target(
        100, 1, "selftest=all tour=off", [m for s, slow in SUITES for m in machines(s, icount=slow)]
    ),
    "offline": Target(2000, 100, OFFLINE, TWO, 20),
    # A down and its up are two rounds.
    "hotplug": Target(
        2000, 400, "selftest=none hotplug={half}", machines((8, 512), (8, [256, 256])), 5
    ),
    "programs": Target(
        200, 20, "selftest=none programs={part}", machines((4, [512, 512]), programs=True), 60
    ),
    "syscalls": Target(1000000, 5 * CALLS, OVER, machines(*SHORT, programs=True), 60 / CALLS),
    "poison": Target(10000, 1000, "selftest=none poison={part}", machines(*POISON), 0.5),
    "hoard": Target(10000, 100, ALL_KINDS, machines(*HOARD, programs=True), 10),
    "virtio": Target(2, 2, "selftest=none tour=off", PLUGS),
}


def plan(target, rounds, done, seed):
    """The next run of a target: (command line, machine, number of rounds in it)."""
    it, chance = TARGETS[target], random.Random(seed)
    part = min(it.part, rounds - done)
    if target == "hotplug":
        part += part % 2
    calls = min(CALLS, part)  # and the rest of the part in later boots
    if target == "syscalls":
        part -= part % calls
    words = {"part": part, "half": part // 2, "policy": chance.choice(["precise", "disable"])}
    line = it.line.format(**words, calls=calls << 8 | FUZZED, times=part // calls)
    in_turn = it.machines[done % len(it.machines)]
    machine = qemu.Machine(**(in_turn if target == "suites" else chance.choice(it.machines)))
    if it.seconds:
        machine.timeout = qemu.WATCHDOG + it.seconds * part
    monitor = "" if target == "virtio" else " monitor=off"
    return f"{line} seed={seed:#x}{monitor}", machine, part


# ---- what is wrong with a run --------------------------------------------------------------------


def numbers(run, pattern):
    """(the console's line that is @pattern, the numbers of its groups), or ("no count", [])."""
    found = re.search(rf"^{pattern}$", run.text, re.MULTILINE)
    return (found.group(0), [int(n) for n in found.groups()]) if found else ("no count", [])


def complaints_virtio(run, worth):
    fell = [float(part) for part in re.findall(r"^# fell by ([-\d.]+)$", run.text, re.MULTILINE)]
    if len(fell) != worth or min(fell) < 0.95:
        yield f"the host's memory fell by {fell} of what was unplugged, {worth} times"
    if not re.search(r"load: ended: \d+ operations, \d+ objects moved, 0 damaged", run.text):
        yield "the load did not end well"
    if "check: every invariant holds" not in run.text:
        yield "an invariant does not hold"


def complaints_hotplug(run, worth):
    _, done = numbers(run, r"hotplug: (\d+) downs and (\d+) ups of 8 CPUs.*")
    if sum(done) != worth:
        yield f"not the {worth} downs and ups that it was asked for"
    said, stray = numbers(
        run,
        r"hotplug: IPIs \d+; to CPUs not online (\d+), taken by such (\d+), "
        r"to CPUs out of range (\d+)",
    )
    if not stray or any(stray):
        yield f"IPIs to CPUs that are not online: {said}"


def complaints_programs(run, worth):
    _, offlines = numbers(run, r"programs: (\d+) offlines?, each at the first call: .*")
    _, bad = numbers(run, r"programs: \d+ verified \d+ pages, (\d+) wrong; all ended well")
    if offlines != [worth] or bad != [0]:
        yield f"not the {worth} offlines under programs that it was asked for"


def complaints_hoard(run, worth):
    said, done = numbers(
        run, r"hoard: (\d+) programs: (\d+) ended, \d+ faulted, (\d+) were killed; 0 surprises"
    )
    if done[:1] != [worth] or worth >= 20 and not all(done):
        yield f"not the {worth} programs, some ended and some killed: {said}"


def complaints_poison(run, _):
    said, counts = numbers(run, r"poison: (\d+) pages flagged, on the list (\d+); .*")
    if len(set(counts)) != 1:
        yield f"flagged pages and listed ones: {said}"
    said, load = numbers(
        run,
        r"poison: \d+ pages lost, \d+ met by their users, 0 wrong; (\d+) reclaimed, (\d+) moved, "
        r"(\d+) offlines, \d+ refused, (\d+) downs, \d+ ups;.*",
    )
    if not load or not all(load):
        yield f"nothing was reclaimed, moved or offlined, or no CPU went: {said}"


def complaints_syscalls(run, worth):
    calls = sum(int(n) for n in re.findall(r"^fuzz: (\d+) calls of seed", run.text, re.MULTILINE))
    if calls != worth // FUZZERS * FUZZERS:
        yield f"{calls} calls, not {worth}"
    ends = r"soak: (\d+) downs and \d+ ups of \d+ CPUs, (\d+) offlines .* "
    said, load = numbers(run, ends + r"(\d+) dropped, (\d+) killed")
    if not load or not all(load):
        yield f"no CPU or range went offline, no page was dropped or nobody was killed: {said}"


def complaints(target, run, worth):
    """The faults of a run: its own verdict, and those that its output shows."""
    wrong = []
    if not (run.status == qemu.PASS_STATUS if target == "virtio" else run.passed):
        wrong = [f"ended with {run.status}{qemu.in_test(run.text)}, last line {run.last!r}"]
    more = globals().get(f"complaints_{target}", lambda *_: ())
    return wrong + list(more(run, worth))


def run_plan(target, name, cmdline, machine, worth):
    if target != "virtio":
        return machine.run(name, cmdline)
    return guest.plug_run(name, machine, cmdline, PLUGGED_MIB, worth)


def image_id(kernel):
    """The kernel's build id, which tells runs of different kernels apart."""
    out = rooms.call(["readelf", "-n", os.path.abspath(kernel)]).stdout
    return next((line.split()[-1] for line in out.split("\n") if "Build ID" in line), "unknown")


def read_lines(path):
    lines = []
    for text in rooms.read(path).splitlines() if os.path.exists(path) else ():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))  # an interrupted run wrote a part, and is run again
    return lines


def soak(build, target, rounds, first_seed):
    path = os.path.join(os.path.abspath(build), "soak", target + ".jsonl")
    lines = read_lines(path)
    rooms.write(path, "".join(json.dumps(line) + "\n" for line in lines))  # only complete lines
    done = sum(line["rounds"] for line in lines)
    failed = [line for line in lines if not line["passed"]]
    if lines:
        print(f"soak {target}: after {done} of {rounds}, {len(failed)} failed so far", flush=True)
    image = os.path.join(build, "quarry.elf")
    if target == "poison":
        if not check.make(os.path.join(build, "checked"), "kernel", CHECKED="1"):
            sys.exit("soak: the checked kernel does not build")
        image = os.path.join(build, "checked", "quarry.elf")
    kernel = image_id(image)
    seeds = random.Random(first_seed) if first_seed is not None else random.SystemRandom()
    for _ in range(len(lines)):
        seeds.getrandbits(32)  # skip the seeds of earlier runs
    while done < rounds:
        seed = seeds.getrandbits(32) | 1
        cmdline, machine, worth = plan(target, rounds, done, seed)
        start = time.time()
        machine.kernel = image
        run = run_plan(target, f"soak-{target}", cmdline, machine, worth)
        done += worth
        wrong = complaints(target, run, worth)
        passed, bad, skipped, names = run.ktap()
        line = {
            "run": len(lines) + 1,
            "rounds": worth,
            "seed": seed,
            "passed": not wrong,
            "wrong": wrong,
            "status": run.status,
            "seconds": round(run.seconds, 2),
            "cpus": machine.cpus,
            "nodes": machine.nodes or [machine.mem],
            "icount": machine.icount,
            "cmdline": cmdline,
            "kernel": kernel,
            "tests": {"passed": passed, "failed": bad, "skipped": skipped},
            "names": names,
            "last": run.last,
            "time": int(start),
        }
        if wrong:
            failed.append(line)
            line["log"] = os.path.join(build, "soak", f"{target}-{line['run']}.log")
            line["command"] = run.command
            rooms.write(os.path.abspath(line["log"]), run.text)
        lines.append(line)
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        how = f"{'FAILED' if wrong else 'ok    '}  seed {seed:#010x}  {machine.cpus} CPUs"
        how += f"{' icount' if machine.icount else ''}  {run.seconds:5.1f} s"
        print(f"soak {target}: {done:5} of {rounds}  {how}", flush=True)
        if wrong:
            print("\n".join(wrong) + "\n" + run.story(25), flush=True)
    total = f"{len(failed)} of {len(lines)} runs failed ({os.path.relpath(path)})"
    print(f"soak {target}: {done} of {rounds} done, {total}")
    return not failed


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--seed", type=lambda s: int(s, 0), help="seed of the runs' seeds")
    parser.add_argument("target")
    parser.add_argument("rounds", nargs="?", type=int)
    args = parser.parse_args()
    if args.target not in TARGETS:
        parser.error(f"TARGET={args.target}: wanted one of {' '.join(TARGETS)}")
    rounds = args.rounds or TARGETS[args.target].rounds
    return 0 if soak(args.build, args.target, rounds, args.seed) else 1


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted; the same command continues")
