# SPDX-License-Identifier: MIT
"""The layer of a lab with a trace (labs/labs.ini): what an event of a recorded trace costs in the
student's allocator, compared with the reference's; for grade.py.

A kernel whose own memory the student's code serves replays the trace on one CPU in QEMU, under
icount.  A plugin (tools/bench/qemu_count.c) counts the instructions from each call of the allocator
to its return, and the cache lines of data that they touch.  What interrupt handlers do and what is
on a stack does not count.  The figures are the same each time, on any host.

A figure gives all its points up to FULL times the reference's, none from NONE times on, and in
between a part that falls evenly.  Nothing is measured unless all other tests pass.
"""
import hashlib
import json
import os
import re

import bench_count
import lab_kernel
import lab_make
import labs
import nm
import qemu
import rooms
import trace_excerpt
from grade_layers import Result, Unfit, panic_of
from lab_make import alone

LAYER = "perf"
INSTRUCTIONS = "instructions"
TESTS = {INSTRUCTIONS: "instructions", "cache_lines": "cache lines"}
FULL, NONE = 1.05, 2.0  # times the reference's figure
PIECE = 40000  # events of the trace, from its begin
MORE, MEM = "tour=off monitor=off trace=", 128
CALLS = {"timed_alloc": "mem_alloc_pages", "timed_free": "mem_free_pages"}  # demo/trace_replay.c
# The functions of arch/x86_64/trap_entry.S that return from a trap, and so end what does not count.
LEAVES = ("trap_kernel", "user_iret", "paranoid_common", "nmi_first", "nmi_nested")
ROW = 1
COUNTED = re.compile(rf"^row {ROW} (\d+) (\d+) \d+ (\d+) ", re.MULTILINE)
AT = re.compile(rf"^at {ROW} (\w+) (\d+)$", re.MULTILINE)
SHOWN = 5  # functions of the profile
EVENTS = re.compile(r"^trace \S+: (\d+) events", re.MULTILINE)
NONE_FAILED = "failed allocations: 0, frees skipped for them: 0"


class Reference(lab_kernel.Kernel):
    """The kernel whose memory the reference serves.  Of a student's tree the reference is not the
    sources, but the objects with which the tree came."""

    def student(self, tree, out):
        named, found = self.named(), []
        os.makedirs(out, exist_ok=True)
        for path in self.one.twice():
            to = labs.object_in(out, path)
            plain = {"ref_" + name: name for name in named}
            source = self.reference(path, named)
            found.append(self.builder.make(to, [source], lab_make.rename, source, to, plain))
        self.builder.save()
        tests = [path for path in self.one.extra if path.startswith("tests/")]
        return found + [self.common(path)[path] for path in tests]


def tests(one):
    return list(TESTS) if one.trace else []


# ---- counting ----------------------------------------------------------------------------------


def places(elf, function, pattern):
    """[(address, that of the next)] of the instructions of @function like @pattern; not none."""
    code = bench_count.instructions(elf, function)
    ends = [*(here for _, here, _ in code[1:]), None]
    rows = [(here, end) for (_, here, text), end in zip(code, ends) if re.match(pattern, text)]
    if not rows:
        raise bench_count.Failed(f"{elf}: {function} has no {pattern}")
    return rows


def spec(elf):
    """The text of the plugin's spec: the calls of the allocator in the replay are windows."""
    rows = [line.split() for line in bench_count.said(*nm.COMMAND, "-n", elf).split("\n")]
    at = {row[2]: int(row[0], 16) for row in rows if len(row) == 3}
    lines = [("text", at["image_start"], at["text_end"]), ("stacks", *bench_count.STACKS)]
    lines.append(("entry", at["trap_stubs"], at["trap_common"]))
    for name in LEAVES:
        lines += [("leave", here, here + 1) for here, _ in places(elf, name, r"iret")]
    for name, called in CALLS.items():
        for here, after in places(elf, name, rf"call.*<{called}>$"):
            lines += [("call", here, ROW), ("next", after, ROW)]
    return "".join(f"{kind} {a:x} {b:x}\n" for kind, a, b in lines)


def counted(image, trace, build, folder):
    """(instructions, cache lines) of an event of the trace, in the kernel @image; and the functions
    with most instructions."""
    paths = {name: os.path.join(folder, "perf." + name) for name in ("spec", "counts")}
    with open(paths["spec"], "w", encoding="utf-8") as f:
        f.write(spec(image))
    plugin = f"{bench_count.plugin(build)},spec={paths['spec']},out={paths['counts']}"
    options = {"module": trace, "extra": ["-plugin", plugin]}
    done = lab_kernel.boot(image, "none", cpus=1, mem=MEM, more=MORE, **options)
    row, said, text = None, EVENTS.search(done.text), ""
    if os.path.exists(paths["counts"]):
        with open(paths["counts"], encoding="utf-8") as f:
            text = f.read()
        row = COUNTED.search(text)
    if not (done.passed and row and said and NONE_FAILED in done.text):
        why, lines = panic_of(done.text, done.status == qemu.TIMED_OUT)
        raise Unfit(f"the trace is not replayed to its end: {why}", lines)
    events, instructions, lines = map(int, row.groups())
    if events != int(said.group(1)):
        raise Unfit(f"the allocator returned from {events} of {said.group(1)} calls")
    return instructions / events, lines / events, profile(text, image, events)


def profile(text, image, events):
    """A line for each of the functions that take most of an event's instructions."""
    functions, share = bench_count.Functions(image), {}
    for address, times in AT.findall(text):
        name = functions.at(int(address, 16))[0]
        share[name] = share.get(name, 0) + int(times) / events
    most = sorted(share.items(), key=lambda item: -item[1])[:SHOWN]
    return [f"{times:.1f} of them in {name}" for name, times in most]


def write_piece(trace, events, to):
    rooms.write(to, "\n".join(trace_excerpt.excerpt(trace, 0, events)) + "\n")


def piece(kernel):
    """The path of the first events of the lab's trace, which are written once."""
    trace, to = os.path.join(labs.ROOT, kernel.one.trace), os.path.join(kernel.lab, "trace")
    return kernel.builder.make(to, [trace], write_piece, trace, PIECE, to)


def reference(one, build, folder, trace):
    """counted() of the reference; it is kept, since the same kernel has the same counts."""
    image = Reference(one, build, own=True).program(None, "reference")
    with open(image, "rb") as f:
        key = hashlib.sha256(f.read()).hexdigest() + f" {one.trace} {PIECE}"
    kept = image + ".counts"
    if os.path.exists(kept):
        with open(kept, encoding="utf-8") as f:
            found = json.load(f)
        if found["of"] == key:
            return found["counts"]
    found = {"of": key, "counts": counted(image, trace, build, folder)}
    with open(kept, "w", encoding="utf-8") as f:
        json.dump(found, f)
    return found["counts"]


def measured(grade, folder):
    """The results of counted() for the student's code, and for the reference."""
    one, build = grade.one, os.path.abspath(os.path.join(labs.ROOT, grade.args.build))
    kernel = grade.own_kernel()
    with alone(grade.args.build):
        trace = piece(kernel)
        ours = reference(one, build, folder, trace)
        image = kernel.program(grade.tree, grade.label)
    return counted(image, trace, build, folder), ours


# ---- the results -------------------------------------------------------------------------------


def part(ratio):
    """The part of its points that a figure gives which is @ratio times the reference's."""
    return min(1.0, max(0.0, (NONE - ratio) / (NONE - FULL)))


def result(name, mine, ours, details):
    ratio = mine / ours
    found = Result(LAYER, name, "PASS" if ratio <= FULL else "FAIL", part=part(ratio))
    found.details = details if name == INSTRUCTIONS else []
    found.why = f"{mine:.1f} {TESTS[name]} per event; the reference: {ours:.1f}, so {ratio:.2f}"
    found.why += f" times as many: {100 * found.part:.0f} % of the points"
    return found


def results(grade, wanted, folder):
    """The results of the tests @wanted; the figures also go to the leaderboard."""
    bad = [r.key() for r in grade.results if r.verdict != "PASS" and not r.neutral]
    if not wanted or bad:
        return [Result(LAYER, name, "SKIP", f"not measured: {bad[0]} failed") for name in wanted]
    try:
        (*theirs, details), ours = measured(grade, folder)
    except Unfit as why:
        return [Result(LAYER, name, "CRASH", str(why), why.lines) for name in wanted]
    except (lab_make.Failed, bench_count.Failed) as why:
        return [Result(LAYER, name, "ERROR", str(why)[:300]) for name in wanted]
    pairs = dict(zip(TESTS, zip(theirs, ours)))
    grade.board = {"instructions": round(theirs[0], 1), "reference": round(ours[0], 1)}
    grade.board |= {"lines": round(theirs[1], 2), "lines_reference": round(ours[1], 2)}
    grade.board["ratio"] = round(sum(a / b for a, b in pairs.values()) / len(pairs), 3)
    told = [result(name, *pairs[name], details) for name in wanted]
    for one in told:
        grade.screen.tell(one)
    return told
