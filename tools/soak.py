#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Long stress in QEMU, one boot after the other, one JSON line each; `make soak TARGET=...`.

Usage: tools/soak.py [--build DIR] [--seed N] TARGET [ROUNDS]

  boots     boots with selftest=most, CPUs and seed different each time    (200 boots)
  suites    boots with selftest=all: 1 to 8 CPUs, with and without nodes, a
            quarter of them under icount, another seed each time            (100 boots)
  offline   boots with rounds=N: offlining under stress, in both policies   (2000 rounds, 100 a
            boot)
  hotplug   boots with hotplug=N: 8 CPUs go offline and back under stress while
            ranges go offline and back                                      (2000 downs and ups, 400
            a boot)
  programs  boots with programs=N: 128 MiB that programs in ring 3 have
            mapped go offline and back, under each policy in turn           (200 rounds, 20 a boot)
  syscalls  boots with user=over, case 5: random system calls while memory is short and a task is
            killed, CPUs and ranges of memory go offline and back  (1000000 calls, 100000 a boot)
  poison    boots with poison=N: random requests to retire pages while memory is in use,
            and pages and CPUs go offline and back; a build that checks allocated blocks
                                                                            (10000 requests, 1000 a
                                                                            boot)
  hoard     boots with user=hoard: random programs that hoard each kind of the kernel's memory; only
            they may die or be refused, and all memory must come back
                                                                       (10000 programs, 100 a boot)
  virtio    4 GiB plugged, used and unplugged by QEMU's virtio-mem, under load on every CPU;
            QEMU's resident memory must fall by 95 % of that within a second (2 rounds in a boot)

The results are in BUILD/soak/TARGET.jsonl.  A target continues where it stopped: a run with a line
is not repeated; remove the file to begin anew.  Each line has the seed and the whole command: any
run can be repeated alone.  Exit status 0 only if every run on file, up to ROUNDS, passed.
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
import check
import guest
import qemu

TARGETS = {
    "boots": 200,
    "suites": 100,
    "offline": 2000,
    "hotplug": 2000,
    "programs": 200,
    "syscalls": 1000000,
    "poison": 10000,
    "hoard": 10000,
    "virtio": 2,
}
OFFLINE_ROUNDS_A_BOOT = 100
HOTPLUG_DOWNS_A_BOOT = 200
PROGRAM_ROUNDS_A_BOOT = 20
REQUESTS_A_BOOT = 1000
HOARDERS_A_BOOT = 100
CALLS_A_ROUND = 20000
ROUNDS_A_BOOT = 5
FUZZERS = 2  # programs that run at once
PLUGGED_MIB = 4096
FUZZED = 5  # the case in user/over.c; from bit 8 on the number of calls
SUITE_CPUS = 8
SUITE_NODES = [None, [256, 256], [128, 256, 128]]


# {target: the machines that its runs take}
MACHINES = {
    "syscalls": [
        {"cpus": 2, "mem": 64},
        {"cpus": 4, "mem": 64},
        {"cpus": 4, "mem": 128},
        {"cpus": 8, "mem": 96},
        {"cpus": 4, "nodes": [64, 64]},
    ],
    "hoard": [
        {"cpus": 4, "mem": 64},
        {"cpus": 1, "mem": 64},
        {"cpus": 4, "mem": 128},
        {"cpus": 2, "mem": 96},
        {"cpus": 8, "mem": 256},
        {"cpus": 4, "nodes": [64, 64]},
    ],
    "poison": [
        {"cpus": 4, "mem": 256},
        {"cpus": 8, "mem": 192},
        {"cpus": 2, "mem": 256},
        {"cpus": 4, "nodes": [128, 128]},
    ],
}


def plan(target, rounds, done, seed):
    """The next run of a target: (command line, machine, number of rounds in it)."""
    chance = random.Random(seed)
    base = f"seed={seed:#x} monitor=off"
    if target == "boots":
        cpus = chance.choice([1, 2, 4, 4, 8])
        nodes = chance.choice([None, None, [128, 128], [96, 160]])
        return (f"selftest=most tour=off {base}", qemu.Machine(cpus=cpus, mem=256, nodes=nodes), 1)
    if target == "suites":
        # 96 boots combine each number of CPUs with each kind of nodes, with icount (which is
        # slowest) and without.
        machine = qemu.Machine(
            cpus=1 + done % SUITE_CPUS,
            mem=512,
            nodes=SUITE_NODES[done % len(SUITE_NODES)],
            icount=done // SUITE_CPUS % 4 == 1,
        )
        return f"selftest=all tour=off {base}", machine, 1
    if target == "hotplug":
        downs = min(HOTPLUG_DOWNS_A_BOOT, (rounds - done + 1) // 2)
        nodes = chance.choice([None, [256, 256]])
        return (
            f"selftest=none hotplug={downs} {base}",
            qemu.Machine(cpus=8, mem=512, nodes=nodes, timeout=qemu.WATCHDOG + 10 * downs),
            2 * downs,
        )
    if target == "programs":
        part = min(PROGRAM_ROUNDS_A_BOOT, rounds - done)
        return (
            f"selftest=none programs={part} {base}",
            qemu.Machine(
                cpus=4, nodes=[512, 512], programs=True, timeout=qemu.WATCHDOG + 60 * part
            ),
            part,
        )
    if target == "syscalls":
        calls = min(CALLS_A_ROUND, rounds - done)
        times = min(ROUNDS_A_BOOT, (rounds - done) // calls)
        machine = chance.choice(MACHINES[target])
        return (
            f"selftest=none tour=off user=over user_arg={calls << 8 | FUZZED} user_rounds={times} "
            f"{base}",
            qemu.Machine(programs=True, timeout=qemu.WATCHDOG + 60 * times, **machine),
            calls * times,
        )
    if target == "virtio":
        return (
            f"selftest=none tour=off seed={seed:#x}",
            qemu.Machine(cpus=4, mem=1024, extra=guest.virtio_mem(PLUGGED_MIB)),
            rounds - done,
        )
    if target == "hoard":
        part = min(HOARDERS_A_BOOT, rounds - done)
        machine = chance.choice(MACHINES[target])
        return (
            f"selftest=none tour=off user=hoard user_arg={part} {base}",
            qemu.Machine(programs=True, timeout=qemu.WATCHDOG + 10 * part, **machine),
            part,
        )
    if target == "poison":
        part = min(REQUESTS_A_BOOT, rounds - done)
        machine = chance.choice(MACHINES[target])
        return (
            f"selftest=none poison={part} {base}",
            qemu.Machine(timeout=qemu.WATCHDOG + part // 2, **machine),
            part,
        )
    part = min(OFFLINE_ROUNDS_A_BOOT, rounds - done)
    policy = chance.choice(["precise", "disable"])
    return (
        f"selftest=none rounds={part} isolation={policy} {base}",
        qemu.Machine(cpus=4, nodes=[512, 512], timeout=qemu.WATCHDOG + 20 * part),
        part,
    )


def complaints_virtio(run, worth):
    fell = [float(part) for part in re.findall(r"^# fell by ([-\d.]+)$", run.text, re.MULTILINE)]
    if len(fell) != worth or min(fell) < 0.95:
        yield f"the host's memory fell by {fell} of what was unplugged, {worth} times"
    if not re.search(r"load: ended: \d+ operations, \d+ objects moved, 0 damaged", run.text):
        yield "the load did not end well"
    if "check: every invariant holds" not in run.text:
        yield "an invariant does not hold"


def complaints_hotplug(run, worth):
    done = re.search(r"^hotplug: (\d+) downs and (\d+) ups of 8 CPUs", run.text, re.MULTILINE)
    if not done or int(done.group(1)) + int(done.group(2)) != worth:
        yield f"not the {worth} downs and ups that it was asked for"
    asked = re.search(
        r"^hotplug: IPIs \d+; to CPUs not online (\d+), taken by such (\d+), "
        r"to CPUs out of range (\d+)$",
        run.text,
        re.MULTILINE,
    )
    if not asked or any(int(n) for n in asked.groups()):
        yield "IPIs to CPUs that are not online: " + (asked.group(0) if asked else "no count")


def complaints_programs(run, worth):
    if (
        f"programs: {worth} offlines, each at the first call: " not in run.text
        or " 0 pages wrong; all ended well" not in run.text
    ):
        yield f"not the {worth} offlines under programs that it was asked for"


def complaints_hoard(run, worth):
    done = re.search(
        r"^hoard: (\d+) programs: (\d+) ended, \d+ faulted, (\d+) were killed; 0 surprises$",
        run.text,
        re.MULTILINE,
    )
    all_kinds = done and (worth < 20 or all(int(n) for n in done.groups()))
    if not all_kinds or int(done.group(1)) != worth:
        yield f"not the {worth} programs, some ended and some killed: " + (
            done.group(0) if done else "no count"
        )


def complaints_poison(run, _):
    listed = re.search(r"^poison: (\d+) pages flagged, on the list (\d+); ", run.text, re.MULTILINE)
    if not listed or listed.group(1) != listed.group(2):
        yield "flagged pages and listed ones: " + (listed.group(0) if listed else "no count")
    load = re.search(
        r"^poison: \d+ pages lost, \d+ met by their users, 0 wrong; (\d+) reclaimed, (\d+) moved, "
        r"(\d+) offlines, \d+ refused, (\d+) downs, \d+ ups;",
        run.text,
        re.MULTILINE,
    )
    if not load or not all(int(n) for n in load.groups()):
        yield "nothing was reclaimed, moved or offlined, or no CPU went: " + (
            load.group(0) if load else "no count"
        )


def complaints_syscalls(run, worth):
    calls = sum(int(n) for n in re.findall(r"^fuzz: (\d+) calls of seed", run.text, re.MULTILINE))
    if calls != worth // FUZZERS * FUZZERS:
        yield f"{calls} calls, not {worth}"
    done = re.search(
        r"^soak: (\d+) downs and \d+ ups of \d+ CPUs, (\d+) offlines .* "
        r"(\d+) dropped, (\d+) killed$",
        run.text,
        re.MULTILINE,
    )
    if not done or not all(int(n) for n in done.groups()):
        yield (
            "no CPU went, no range went offline, no page was dropped or nobody was killed: "
            + (done.group(0) if done else "no count")
        )


COMPLAINTS = {
    "virtio": complaints_virtio,
    "hotplug": complaints_hotplug,
    "programs": complaints_programs,
    "hoard": complaints_hoard,
    "poison": complaints_poison,
    "syscalls": complaints_syscalls,
}


def complaints(target, run, worth):
    """The faults of a run: its own verdict, and those that its output shows."""
    wrong = []
    if not (run.status == qemu.PASS_STATUS if target == "virtio" else run.passed):
        wrong = [f"ended with {run.status}{qemu.in_test(run.text)}, last line {run.last!r}"]
    return wrong + list(COMPLAINTS.get(target, lambda *_: ())(run, worth))


def run_plan(target, name, cmdline, machine, worth):
    if target != "virtio":
        return machine.run(name, cmdline)
    return guest.plug_run(name, machine, cmdline, PLUGGED_MIB, worth)


def image_id(kernel):
    """The kernel's build id, which tells runs of different kernels apart."""
    out = subprocess.run(["readelf", "-n", kernel], capture_output=True, text=True).stdout
    return next((line.split()[-1] for line in out.split("\n") if "Build ID" in line), "unknown")


def read_lines(path):
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for text in f:
                try:
                    lines.append(json.loads(text))
                except ValueError:
                    pass  # an interrupted run wrote only a part of this line: it is run again
    return lines


def soak(build, target, rounds, first_seed):
    path = os.path.join(build, "soak", target + ".jsonl")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    lines = read_lines(path)
    with open(path, "w", encoding="utf-8") as f:  # without an incomplete line
        f.writelines(json.dumps(line) + "\n" for line in lines)
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
            with open(line["log"], "w", encoding="utf-8") as f:
                f.write(run.text)
        lines.append(line)
        with open(path, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")
        print(
            f"soak {target}: {done:5} of {rounds}  {'FAILED' if wrong else 'ok    '}  seed "
            f"{seed:#010x}"
            f"  {machine.cpus} CPUs{' icount' if machine.icount else ''}  {run.seconds:5.1f} s",
            flush=True,
        )
        if wrong:
            print("\n".join(wrong) + "\n" + run.story(25), flush=True)
    print(
        f"soak {target}: {done} of {rounds} done, {len(failed)} of {len(lines)} runs failed "
        f"({path})"
    )
    return not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seed", type=lambda s: int(s, 0), help="seed of the runs' seeds")
    parser.add_argument("target")
    parser.add_argument("rounds", nargs="?", type=int)
    args = parser.parse_args()
    if args.target not in TARGETS:
        parser.error(f"TARGET={args.target}: wanted one of {' '.join(TARGETS)}")
    return 0 if soak(args.build, args.target, args.rounds or TARGETS[args.target], args.seed) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        sys.exit(130)
