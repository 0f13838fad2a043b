#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The checks of lint.py that run other tools over the sources: clang, clang-tidy, cppcheck, and one
link.  As a program it writes the compile command of each source: `make compile_commands.json`.

Each source is checked once, with the flags that make would compile it with: as part of the hosted
program, else of the kernel, else of the race replay on fibers.  A clean result is recorded in
BUILD/lint/clean under a hash of tool, flags, source and all headers, and the check is not repeated.

tests/lint/ has faults that each tool must find: lines marked "finds: REGEX".
"""
import glob
import hashlib
import json
import os
import re
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import needs
import qemu
import outer_make
from rooms import read

ROOT = qemu.ROOT
jobs = check.jobs()  # programs at a time
TOGETHER = 12  # files that one process checks
PLANTS = "tests/lint/"
# Not checked: functions that are pasted into other files, a module that needs Linux's headers, and
# a kernel that needs quarry.h.
NOT_OURS = ("labs/right/", "labs/wrong/", "labs/planted/", "bench/peers/pages.c")
NOT_OURS += ("examples/mini/",)
MACROS = ("sys/queue.h", "bsd/sys/tree.h")  # system headers that define code
SETTINGS = (".clang-tidy", "tools/lint/cppcheck.xml", "tools/lint/analyse.py")
# Sources outside of make's lists: path prefixes, the program whose flags they take, more flags.
ELSEWHERE = [
    ("tests/fuzz/", "host", "-Itests/fuzz"),
    ("arch/fiber/fiber_hooks.c labs/grade/each.c", "fiber", ""),
    ("labs/grade/stores.c", "fiber", "-Itests/races"),
    ("arch/host/ tests/host/ tests/porting/ tests/qemu/ tests/model/ tests/states/", "host", ""),
    ("labs/0/ labs/grade/ labs/model/", "host", ""),
    ("examples/arena/ examples/plugin/ bench/peers/", "host", ""),
    ("examples/port-template/", "port", ""),
    ("labs/P/", "user", "-Iuser"),
    ("tools/bench/qemu_count.c", "host", "-Itools/lib"),
    ("tools/lib/qemu_yield.c", "host", ""),
    ("bench/time/", "time", ""),
    ("web/wasm/", "host", "-Iweb/wasm/include -Wno-unknown-attributes"),
    ("tests/races/race_boot.c tests/races/waiters.c", "kernel", "-DRACE_BUILD"),
    (PLANTS, "host", ""),
]
LOCK_FLAGS = "-DLOCK_ANALYSIS -fsyntax-only -Wthread-safety -Wthread-safety-beta".split()
LOCK_FLAGS.append("-Wno-gcc-compat")
MESSAGE = re.compile(
    r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?(?:error|warning|performance|portability): (.*)$"
)


# {program: (its compiler, flags, sources)}, as the Makefile has them.
PROGRAMS = {
    "host": (
        "$(HOSTCC)",
        "$(HFLAGS) $(WATCH) $(HFLAGS_plain)",
        "$(call host_srcs,port) $(SHARED_SRCS)",
    ),
    "time": ("$(HOSTCC)", "-Iexamples/plugin -Ibench/time $(COMMON)", ""),
    "kernel": ("$(CC)", "$(KFLAGS)", "$(KSRCS)"),
    "fiber": ("$(HOSTCC)", "$(FIBER_FLAGS)", "$(FIBER_SRCS) $(THREAD_SRCS) $(SILENCE_SRCS)"),
    "port": ("$(LIBCC)", "$(TEMPLATE_FLAGS)", ""),
    "user": ("$(CC)", "$(USER_FLAGS)", "$(PROGRAM_SRCS) $(HOSTILE_SRCS) user/lib.c"),
}
FOR_X86 = ("time", "kernel", "user", "port")


@lru_cache(None)
def programs(build):
    """{program: (compiler, flags, sources)}, from the Makefile."""
    wanted = {f"{n}-{i}": word for n, words in PROGRAMS.items() for i, word in enumerate(words)}
    said = outer_make.values(build, wanted)
    return {name: tuple(said[f"{name}-{i}"] for i in range(3)) for name in PROGRAMS}


@lru_cache(None)
def configurations(build):
    """{program: (flags for clang, sources)}"""
    # Without the compiler's warnings: other tests check these, and versions of clang differ.
    return {
        name: (
            ["--target=x86_64-linux-gnu"] * (name in FOR_X86)
            + [f for f in flags if not f.startswith(("-W", "-g"))],
            set(sources),
        )
        for name, (_, flags, sources) in programs(build).items()
    }


def flags_of(path, build):
    known = configurations(build)
    for flags, sources in known.values():
        if path in sources:
            return flags
    for prefixes, name, more in ELSEWHERE:
        if path.startswith(tuple(prefixes.split())):
            return known[name][0] + more.split()
    return None


def compile_commands(build):
    """The compile command of each source, as editors read it: once, as a part of the kernel if
    possible, else of the hosted program."""
    found = {}
    for name in ("user", "kernel", "host", "fiber"):
        compiler, flags, sources = programs(build)[name]
        for source in sources:
            words = [*compiler, *flags, "-c", source]
            found.setdefault(source, {"directory": ROOT, "file": source, "arguments": words})
    return list(found.values())


def main():
    """`make compile_commands.json`: clangd finds it with --compile-commands-dir=DIR."""
    args = rooms.parser(main.__doc__).parse_args()
    path = os.path.join(args.build, "compile_commands.json")
    rooms.write(os.path.abspath(path), json.dumps(compile_commands(args.build), indent=1))
    print(path)


# ---- the tools -----------------------------------------------------------------------------------


@lru_cache(None)
def compiler_proper(*flags):
    """The command that clang's driver starts for /dev/null.  It takes several files, for each of
    which the driver would start it anew: that takes longer than to check most files."""
    said = rooms.call(["clang", *flags, "-###", "-xc", os.devnull]).stdout
    found = re.search(r'^ "\S+" "-cc1" .*$', said, re.MULTILINE)
    if not found:
        raise ValueError(f"clang -### names no command: {said}")
    return shlex.split(found[0])


def locks_command(path, build):
    words = compiler_proper(*flags_of(path, build), *LOCK_FLAGS)
    return [path if word == os.devnull else word for word in words]


def tidy_command(path, build):
    # With max-nodes a quarter of the default, the analyzer finds the same in a quarter of the time.
    # It leaves out suites: they run under the sanitizers in every `make check`, and the analyzer
    # does not know that the number of CPUs, which their loops read, is constant.
    less = path.startswith(("tests/suites/", "tests/host/", "tests/fiber/test_"))
    words = ["clang-tidy", "--quiet", *(["--checks=-clang-analyzer-*"] if less else []), path, "--"]
    nodes = "-Xclang -analyzer-config -Xclang max-nodes=50000".split()
    return [*words, *flags_of(path, build), *nodes]


# normalCheckLevelMaxBranches only says that a check stops early.  __asm__(name) is an object's own
# symbol or register, which cppcheck cannot parse.
CPPCHECK = "cppcheck --quiet --enable=warning,performance,portability --std=c11 --platform=unix64"
CPPCHECK += " --suppress-xml=tools/lint/cppcheck.xml --suppress=normalCheckLevelMaxBranches"
CPPCHECK += " --error-exitcode=1 -D__x86_64__=1 -D__asm__(name)="


def cppcheck_command(path, build):
    words = [*CPPCHECK.split(), "--template={file}:{line}: {severity}: {message} [{id}]"]
    flags = [f for f in flags_of(path, build) if f.startswith(("-I", "-D"))]
    return [*words, "-I" + own_headers(build), *flags, path]


@lru_cache(None)
def own_headers(build):
    """Make a folder with the headers that cppcheck needs: the system headers whose macros it
    must know, and types.h with MIN and MAX as expressions, because cppcheck cannot follow
    statements within an expression."""
    folder = os.path.join(ROOT, build, "lint", "include")
    text = "".join(f"#include <{h}>\n" for h in MACROS)
    words = [*programs(build)["host"][0], "-M", "-E", "-xc", "-"]
    found = rooms.call(words, input=text, stderr=None, check=True).stdout
    for name in MACROS:
        header = re.search(r"\S+/" + re.escape(name), found).group(0)
        rooms.write(os.path.join(folder, name), read(header))
    types = re.sub(
        r"(#define (MIN|MAX)\(a, b\)).*",
        lambda m: f"{m[1]} ((a) {'<' if m[2] == 'MIN' else '>'} (b) ? (a) : (b))",
        read("include/quarry/types.h"),
    )
    rooms.write(os.path.join(folder, "quarry", "types.h"), types)
    return os.path.join(build, "lint", "include")


TOOLS = {"locks": locks_command, "tidy": tidy_command, "cppcheck": cppcheck_command}


@lru_cache(None)
def common_hash(tool):
    """A hash of the tool's version, its settings, and every header of the tree."""
    version = rooms.call([tool, "--version"], stderr=None, check=True).stdout
    text = version + "".join(p + read(p) for p in [*SETTINGS, *rooms.all_files(".h")])
    return hashlib.sha256(text.encode()).hexdigest()


def clean_file(command, path, build):
    """The file whose existence says that this command found nothing in this text."""
    text = "\0".join([*command, read(path), common_hash(command[0])])
    key = hashlib.sha256(text.encode()).hexdigest()
    return os.path.join(ROOT, build, "lint", "clean", key)


def note_clean(command, path, build):
    rooms.write(clean_file(command, path, build), "")


def run(command, path, build):
    """The tool's findings in @path, or "".  The tool does not run again on a text in which it
    found nothing."""
    if os.path.exists(clean_file(command, path, build)):
        return ""
    said = findings(command)
    if not said:
        note_clean(command, path, build)
    return "\n".join(said)


def findings(command):
    """The lines of a tool's findings; if it failed without any, a line that says so."""
    done = rooms.call(command)
    said = list(filter(MESSAGE.match, done.stdout.replace(ROOT + "/", "").split("\n")))
    if done.returncode and not said:
        said = [f"{command[0]} ended with {done.returncode}: {done.stdout.strip()}"]
    return said


def batches(command, paths, build):
    """Lists of paths that are not known to be clean and have the same flags.  One process checks a
    list, so that the tool is loaded once for all of its files."""
    same = {}
    for path in paths:
        words = command(path, build)
        if not os.path.exists(clean_file(words, path, build)):
            same.setdefault(tuple("" if w == path else w for w in words), []).append(path)
    for mine in same.values():
        yield from (mine[at : at + TOGETHER] for at in range(0, len(mine), TOGETHER))


def for_all(words, paths):
    """@words, a command for the first of @paths, changed to name all @paths."""
    at = words.index(paths[0])
    return words[:at] + paths + words[at + 1 :]


def run_together(command, paths, build):
    """The findings in @paths.  One process checks all; if it finds any, one for each path runs."""
    if len(paths) > 1 and not findings(for_all(command(paths[0], build), paths)):
        for path in paths:
            note_clean(command(path, build), path, build)
        return ""
    return "\n".join(filter(None, (run(command(path, build), path, build) for path in paths)))


def over_all(name, build, left_out=()):
    """Run one tool over all sources; yields its findings."""
    command = TOOLS[name]
    paths = [p for p in rooms.all_files(".c") if not p.startswith((PLANTS, *NOT_OURS, *left_out))]
    for path in (p for p in paths if flags_of(p, build) is None):
        yield f"{path}: not in any files.mk, nor in ELSEWHERE of tools/lint/analyse.py"
    paths = [p for p in paths if flags_of(p, build) is not None]
    some_each = list(batches(command, paths, build))
    with ThreadPoolExecutor(jobs) as pool:
        said = set()
        for text in pool.map(lambda some: run_together(command, some, build), some_each):
            said.update(text.split("\n") if text else ())
        yield from sorted(said)


# ---- the checks ----------------------------------------------------------------------------------


def check_locks(build):
    """fields are accessed under their lock; locks are taken in order (clang -Wthread-safety)"""
    # Tests are left out: they plant faults, and read fields where no other CPU runs.
    yield from over_all("locks", build, ("tests/", "labs/"))


def check_tidy(build):
    """clang-tidy, with the checks of .clang-tidy"""
    yield from over_all("tidy", build)


def check_cppcheck(build):
    """cppcheck, except the findings excused in cppcheck.xml"""
    yield from over_all("cppcheck", build)


def foreign_headers(text):
    """The headers in the text of a .d file that mm/ and arch/host must not include."""
    words = re.sub(r"\\\n", " ", text).split("\n")[0].split()[1:]
    return [w for w in words if not w.startswith(("/", "mm/", "arch/host/", "include/quarry/"))]


def made_alone(build, name):
    return glob.glob(os.path.join(ROOT, build, "alone", "**", name), recursive=True)


def check_alone(build):
    """mm/ and arch/host make a program without kernel/ and its headers"""
    program = os.path.join(build, "alone", "alone")
    if not check.make(build, program):
        yield f"make {program} failed: see above"
        return
    done = rooms.call([os.path.join(ROOT, program)], timeout=qemu.WATCHDOG)
    if done.returncode:
        yield f"{program} ended with {done.returncode}: {done.stdout.strip()}"
    for path in made_alone(build, "*.d"):
        name = os.path.basename(path)[:-2]
        yield from (f"{name} needs {w}" for w in foreign_headers(read(path)))


def expected(path):
    """{line: regex} of the comments "finds:"; a comment alone on its line is about the next."""
    return {
        nr + (not m.group(1).strip()): m.group(2)
        for nr, line in enumerate(read(path).split("\n"), 1)
        if (m := re.match(r"(.*)/\* finds: (.*) \*/", line))
    }


def check_plants(build):
    """each tool finds the faults planted for it in tests/lint/, and no others"""
    for name, command in TOOLS.items():
        if needs.why(name):
            continue
        path = f"{PLANTS}{name}.c"
        wanted, found = expected(path), set()
        for line in run(command(path, build), path, build).split("\n"):
            match = MESSAGE.match(line)
            nr = int(match.group(2)) if match else 0
            if match and nr in wanted and re.search(wanted[nr], match.group(3)):
                found.add(nr)
            elif nr not in wanted:
                yield f"{name}: not expected: {line}"
        missed = {nr: want for nr, want in wanted.items() if nr not in found}
        yield from (f"{path}:{nr}: {name} does not find /{want}/" for nr, want in missed.items())
        together = [f"{PLANTS}alone.c", path]
        if not findings(for_all(command(together[0], build), together)):
            yield f"{path}: {name} finds nothing where it is not the first of several files"
    yield from plant_alone(build)


def plant_alone(build):
    """Check that a file that calls kernel/ does not link with mm/ and arch/host."""
    objects = [o for o in made_alone(build, "*.o") if not o.endswith("/host_alone.c.o")]
    words = [*programs(build)["host"][0], *configurations(build)["host"][0], PLANTS + "alone.c"]
    done = rooms.call([*words, *objects, "-o", os.path.join(build, "lint", "alone")])
    if done.returncode == 0 or not re.search("undefined.*sched_tick", done.stdout):
        yield "alone: a program that needs kernel/ links"
    if foreign_headers("x.o: mm/x.c include/quarry/mm.h kernel/thread.h") != ["kernel/thread.h"]:
        yield "alone: a header of kernel/ is not seen"


CHECKS = [check_locks, check_tidy, check_cppcheck, check_alone, check_plants]

if __name__ == "__main__":
    rooms.run(main)
