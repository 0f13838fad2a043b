#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks beyond the compiler's: includes, sizes, phrases, static analysis; `make lint`.

Each check is one line, "ok NAME" or "not ok NAME" with the faults below it, and counts as one test.
"""
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import analyse
import check
import facts
import figures
import lab_kills
import labs
import lib
import needs
import nm
import objects
import shared
import skeleton
import submission
import stable
import suites
import tables
import weight

ROOT = rooms.ROOT
SOURCE = (".c", ".cc", ".h", ".S", ".ld", ".py", ".sh", ".gdb", ".cfg", ".mk")
MAX_FILE, MAX_MAKEFILE, MAX_COLUMNS = 500, 200, 100

STD = r"<std[a-z]+\.h>"
QUARRY = r"<quarry/\w+\.h>"
SYSTEM = r"<(sys/)?\w+\.h>"
QUEUE, VIRTIO = r"<sys/queue\.h>", r"<linux/(virtio_\w+|pci_regs)\.h>"
FIBER = r'"fiber(_context|_cpu|_stores|_threads|_user|_whole)?\.h"'
TEST_HEADERS = r'"(tests/(lib/)?|mm/\w+/|drivers/|demo/)?\w+\.h"'
# Suites that run hosted only may include a source: to judge it, or to run between its steps.
HOSTED_ONLY = [
    QUARRY,
    r'"(tests/(lib|host|machines)|mm/\w+|kernel|drivers|boot|arch/x86_64)/\w+\.[ch]"',
    r'"(demo|bench|tests/soak)/\w+\.[ch]"',
    r'"\w+\.h"',
    r"<setjmp\.h>",
    VIRTIO,
]
PRIVATE = [QUARRY, r'"(tests/lib|kernel)/\w+\.h"']
MODELS = [QUARRY, r'"(mm/\w+/|tests/(fuzz|model)/)?\w+\.h"', SYSTEM]
# Directory -> allowed includes of its files; the first row that fits is used; each needs a row.
INCLUDES = [
    ("include/", [QUARRY, r"<(arch_inline|sys/queue|bsd/sys/tree|asm-generic/errno)\.h>", STD]),
    ("mm/", [QUARRY, r'"mm/\w+/\w+\.h"', QUEUE]),
    ("kernel/main.c", [QUARRY, r'"(kernel|demo)/\w+\.h"', r'"x86\.h"']),  # it starts the demo
    ("kernel/", [QUARRY, r'"(kernel/)?\w+\.h"', QUEUE, r"<(stb/\w+|elf)\.h>", STD]),
    ("demo/scenario.c", [QUARRY, r'"(demo|bench)/\w+\.h"', r'"tests/soak/soaks\.h"']),
    ("demo/", [QUARRY, r'"(demo|bench|kernel)/\w+\.h"', STD]),
    ("bench/bench", [QUARRY, r'"bench/bench.h"']),
    ("web/wasm/", [r"<(std\w+|ucontext)\.h>"]),
    ("examples/arena/", [QUARRY, r"<(host|stdlib)\.h>"]),
    ("examples/mini/", [r'"quarry\.h"', r"<quarry/types\.h>", STD]),
    ("examples/plugin/", [QUARRY, r'"plugin\.h"', SYSTEM]),
    ("examples/port-template/", [QUARRY, r'"(port|layout)\.h"', STD]),
    ("bench/peers/pages.c", [r"<linux/\w+\.h>"]),  # a module of Linux
    ("bench/peers/", [SYSTEM]),
    ("bench/time/", [r"<((sys|asm)/)?\w+\.h>", QUARRY, r'"\w+\.h"']),
    ("tools/", [STD, r'"qemu_plugin\.h"', r"<(inttypes|sched|stdio|stdlib|string|time)\.h>"]),
    ("user/", [r"<quarry/(abi|errno)\.h>", r'"\w+\.h"', STD]),
    ("drivers/", [QUARRY, r'"(drivers/)?\w+\.h"', QUEUE, VIRTIO]),
    ("boot/", [QUARRY, r'"(arch/x86_64/)?x86\.h"', r"<xen/[\w/-]+\.h>"]),
    ("arch/x86_64/", [QUARRY, r'"(x86|clock|nmi)\.h"', r"<x86_instr\.h>", STD]),
    ("arch/host/", [QUARRY, r'"host\.h"', SYSTEM]),
    ("arch/fiber/", [QUARRY, FIBER, r"<((sys|sanitizer)/)?\w+\.h>"]),
    ("labs/0/", [QUARRY, r'"(labs/0|tests/lib)/\w+\.h"']),
    ("labs/P/", [r'"(packed|paged)\.h"']),
    ("labs/model/", MODELS),
    ("labs/grade/stores.c", [QUARRY, r'"ops\.h"']),
    ("labs/grade/", [QUARRY, r'"(mm/\w+/|fiber_|tests/lib/ktest_)\w+\.h"', SYSTEM]),
    ("labs/planted/", []),  # these files hold only functions
    ("labs/right/", []),
    ("labs/wrong/", []),
    ("tests/model/", [QUARRY, r'"(mm/\w+/|tests/fuzz/)?\w+\.h"', SYSTEM]),
    ("tests/states/", MODELS),
    ("tests/porting/", [QUARRY, r'"(porting_(check|tests)|host)\.h"', r"<stdlib\.h>"]),
    ("tests/fuzz/host_fuzz.c", [QUARRY, r'"(host|fuzz)\.h"', r"<\w+\.h>"]),
    ("tests/fuzz/fuzz_", [QUARRY, r'"(tests/(lib|model)/|drivers/)?\w+\.h"', STD]),
    ("tests/races/matrix", [QUARRY, r'"(mm/\w+/)?\w+\.h"', r"<\w+\.h>"]),
    ("tests/races/fiber_memory", [QUARRY, r'"(mm/\w+/)?\w+\.h"', r"<\w+\.h>"]),
    ("tests/races/fiber_", [QUARRY, r'"\w+\.h"', r"<\w+\.h>"]),
    ("tests/fiber/explore_", [QUARRY, r'"((mm/\w+|kernel)/)?\w+\.[ch]"', SYSTEM]),
    ("tests/fiber/", [QUARRY, r'"(tests/(lib|fiber)/|mm/\w+/|drivers/|kernel/|demo/)?\w+\.h"']),
    ("tests/host/host_", [QUARRY, r'"(host|tests/lib/mm_priv)\.h"', SYSTEM]),
    ("tests/host/", HOSTED_ONLY),
    ("tests/machines/", HOSTED_ONLY),
    ("tests/suites/arch/test_arch.c", [QUARRY, r'"(tests/lib/|kernel/)?\w+\.h"']),
    # Tests that look at run queues or threads, whose structs are private to the kernel.
    ("tests/suites/kernel/test_share", PRIVATE),
    ("tests/suites/kernel/test_task.c", PRIVATE),
    ("tests/suites/kernel/test_ipc_turns.c", PRIVATE),
    ("tests/lib/share_help.h", PRIVATE),
    ("tests/lib/race_migrate.c", [r'"(tests/lib/race_migrate\.h|mm/move/migrate_lru\.c)"']),
    ("tests/soak/", [QUARRY, r'"(demo|tests/soak)/\w+\.h"']),
    ("tests/hostile/", [r"<quarry/(abi|errno)\.h>", r'"(user|tests/hostile)/\w+\.h"', STD]),
    ("tests/", [QUARRY, TEST_HEADERS, QUEUE, r"<elf\.h>", VIRTIO]),
]
# Phrases that no source may have; cut in two, so that this file has none either.
PHRASES = re.compile(
    r"\bTO" r"DO\b|\bFIX" r"ME\b|\bXX" r"X\b|\bHA" r"CK\b|/wor" r"k/|/roo" r"t/"
)


def sources(kinds=SOURCE):
    return (path for path in rooms.all_files(*kinds, "Makefile") if not path.startswith("."))


def wrong_includes(path, text):
    rules = next((r for prefix, r in INCLUDES if path.startswith(prefix)), None)
    if path in suites.listed("HOST_TEST_SRCS"):
        rules = HOSTED_ONLY
    if rules is None:
        yield f"{path}: no row for this directory in INCLUDES"
        return
    for nr, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s+([<"].*?[>"])', line)
        if match and not any(re.fullmatch(r, match.group(1)) for r in rules):
            yield f"{path}:{nr}: may not include {match.group(1)}"


# Includes that check_includes must refuse, or the check does not work.
WRONG_INCLUDES = [
    ("mm/new.c", '#include "kernel/thread.h"'),
    ("mm/new.c", "#include <stdio.h>"),
    ("include/quarry/new.h", '#include "mm/core/page.h"'),
    ("arch/host/new.c", '#include "kernel/thread.h"'),
    ("kernel/new.c", '# include "mm/core/page.h"'),
    ("drivers/new.c", '#include "arch/x86_64/x86.h"'),
    ("boot/new.c", "#include <stdio.h>"),
    ("arch/x86_64/new.c", '#include "mm/core/page.h"'),
    ("kernel/new.c", '#include "demo/act.h"'),
    ("demo/new.c", '#include "mm/core/page.h"'),
    ("demo/new.c", '#include "tests/soak/soaks.h"'),
    ("new/new.c", "int x;"),
]


def check_includes(_):
    """each directory has its row and only the includes allowed there"""
    for path, text in WRONG_INCLUDES:
        if not list(wrong_includes(path, text)):
            yield f"{path} may have {text!r}: the check does not work"
    for path in sources():
        if path.endswith((".c", ".h", ".S")):
            yield from wrong_includes(path, read(path))


def too_wide(path, lines):
    for nr, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > MAX_COLUMNS:
            yield f"{path}:{nr}: over {MAX_COLUMNS} columns"


def check_file_length(_):
    """no file is over 500 lines, the Makefile not over 200; none over 100 columns"""
    for path in sources(SOURCE + (".pml", ".race", ".js", ".mjs")):
        limit = MAX_MAKEFILE if path == "Makefile" else MAX_FILE
        lines = read(path).split("\n")[:-1]
        if len(lines) > limit:
            yield f"{path}: {len(lines)} lines, at most {limit}"
        yield from too_wide(path, lines)


def check_conditional(_):
    """no conditional compilation in mm/ except include guards"""
    for path in sources():
        if not path.startswith("mm/"):
            continue
        text = read(path)
        found = list(re.finditer(r"^\s*#\s*(if|ifdef|ifndef|elif|else)\b.*", text, re.MULTILINE))
        guard = path.endswith(".h") and found and re.match(r"#ifndef QUARRY_MM_\w+_H$", found[0][0])
        for m in found[1 if guard else 0 :]:
            yield f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m[0]}"


def check_phrases(_):
    """no open tasks in comments, no path of one machine"""
    for path in sources():
        for nr, line in enumerate(read(path).split("\n"), 1):
            if PHRASES.search(line):
                yield f"{path}:{nr}: {line.strip()}"


def check_licence(_):
    """each source names its licence in the first two lines"""
    for path in sources():
        if "SPDX-License-Identifier: MIT" not in "\n".join(read(path).split("\n")[:2]):
            yield path


# The names that kernel/main.c takes from demo/; no other object of the kernel proper takes any.
DOORS = {"kernel/main.c": {"demo_run", "monitor", "live_boot", "live_tested", "live_stop"}}


def symbols(build, room):
    """For each source of a room: (names that its object exports, names that it needs)."""
    made = {}
    for path in sources((".c", ".S")):
        at = os.path.join(build, "kernel", path + ".o")
        if path.startswith(room + "/") and os.path.exists(at):
            made[at] = path
    return {made[at]: names for at, names in nm.symbols(made).items()}


def check_doors(build):
    """kernel/main.c takes demo_run, monitor, live_* from demo/; no other source takes a name"""
    above = [symbols(build, room).values() for room in ("demo", "bench", "tests/soak")]
    demo = set().union(*(defined for room in above for defined, _ in room))
    others = [symbols(build, room) for room in ("mm", "kernel", "drivers", "boot", "arch/x86_64")]
    for path, (_, needed) in ((p, s) for room in others for p, s in room.items()):
        if needed & demo != DOORS.get(path, set()):
            yield f"{path}: takes from demo/: {', '.join(sorted(needed & demo)) or 'nothing'}"


def check_port(_):
    """port.h and arch.h declare only functions and variables that mm/ needs"""
    headers = [f"include/quarry/{name}.h" for name in ("port", "arch")]
    texts = [re.sub(r"/\*.*?\*/", "", read(path), flags=re.DOTALL) for path in headers]
    own = re.findall(r"\w+", " ".join(texts))
    mm = [path for path in sources() if path.startswith("mm/")] + ["include/quarry/trace_ring.h"]
    used = set(re.findall(r"\w+", " ".join(map(read, mm))))
    for path, text in zip(headers, texts):
        one = r"^(?:static inline |extern )?[a-z][\w ]*?[ *](\w+)(?:\(|;| ACQUIRED)"
        declared = re.findall(one, text, re.MULTILINE)
        if len(declared) < 5:
            yield f"{path}: {len(declared)} declarations found: the check does not work"
        unused = [name for name in declared if name not in used and own.count(name) == 1]
        yield from (f"{path}: {name}: not used in mm/" for name in unused)


def check_core(build):
    """docs/porting.md lists the outside names that the core of mm/ needs, at most 20, and those
    that all of mm/ needs"""
    core, rest = lib.documented()
    if len(core) > lib.MOST_NEEDED:
        yield f"docs/porting.md: {len(core)} names, at most {lib.MOST_NEEDED}"
    for folder, variables, listed in (("core", {"CORE": "1"}, core), ("full", {}, core | rest)):
        place = os.path.join(build, "lint", f"lib-{folder}")  # apart from library.py's
        if not check.make(place, os.path.join(place, "libquarry-mm.a"), **variables):
            yield f"make lib {folder}: does not build"
            continue
        needed = lib.needs(os.path.join(ROOT, place, "libquarry-mm.a"), "arch/host")
        for name in sorted(needed ^ listed):
            what = "is not listed" if name in needed else "is listed, but not needed"
            yield f"docs/porting.md: {folder}: {name} {what}"


def check_mutants(_):
    """every wrong variant of tests/mutants/ and tests/pressure/ applies to the tree"""
    for name, word in (("variant.py", "check"), ("pressure.py", "--check")):
        done = rooms.call([sys.executable, rooms.tool(name), word])
        if done.returncode:
            yield from filter(str.strip, done.stdout.split("\n"))


def check_facts(build):
    """files, functions, suites, lengths, commands and samples in README and docs/ are right"""
    yield from facts.wrong(build)


def check_figures(_):
    """each figure is drawn from its present text, and agrees with the code"""
    yield from figures.wrong()


def check_labs(_):
    """labs.ini, kills.md name what exists; no student's tree shows the bodies of its functions"""
    yield from labs.faults()
    if skeleton.has_solutions():
        yield from submission.faults()
        yield from skeleton.shown(list(labs.labs()))
        yield from (fault for lab in lab_kills.known() for fault in lab_kills.faults(lab))


def check_format(_):
    """C and C++ are as clang-format 14 has them"""
    files = [path for path in sources() if path.endswith((".c", ".cc", ".h"))]
    done = rooms.call(["clang-format-14", "--dry-run", *files])
    changed = {line.split(":")[0] for line in done.stdout.split("\n") if "warning:" in line}
    yield from (f"{path}: not formatted: make format" for path in sorted(changed))
    if done.returncode:
        yield f"clang-format-14: {done.stdout[:200]}"


CHECKS = [
    check_includes, check_file_length, check_format, check_conditional,
    check_phrases, check_licence, *objects.CHECKS, *needs.CHECKS, check_doors, check_port,
    check_core, check_mutants, *tables.CHECKS, check_facts, check_figures, *shared.CHECKS,
    *stable.CHECKS, *weight.CHECKS, check_labs, *analyse.CHECKS,
]


def lint(counts, build, only):
    for check in CHECKS:
        name = check.__name__[6:]
        if name not in only:
            continue
        try:
            if needs.why(name):
                raise needs.LeftOut(needs.why(name))
            wrong = list(check(build))
        except needs.LeftOut as e:
            counts.left_out(name, e)
            continue
        except (OSError, subprocess.CalledProcessError) as e:
            wrong = [f"could not be checked: {e}"]
        print(f"  {'not ok' if wrong else 'ok'} {name}: {check.__doc__}", flush=True)
        for line in wrong[:20]:
            print(f"    {line}")
        if len(wrong) > 20:
            print(f"    and {len(wrong) - 20} more")
        counts.one(not wrong, name)


def main():
    parser = rooms.parser(__doc__)
    names = [c.__name__[6:] for c in CHECKS]
    parser.add_argument("--only", help="checks, with commas: " + ",".join(names))
    parser.add_argument("--jobs", type=int, default=check.jobs(), help="programs at a time")
    args = parser.parse_args()
    analyse.jobs, counts = args.jobs, check.Counts()
    lint(counts, args.build, rooms.chosen(parser, args.only, names, "check"))
    return counts.close("lint")


if __name__ == "__main__":
    rooms.run(main)
