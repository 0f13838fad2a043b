# SPDX-License-Identifier: MIT
"""The checks of lint.py that run other tools over the sources: clang, clang-tidy, cppcheck, and one
link.

Each source is checked once, with the flags that make would compile it with: as part of the hosted
program, else of the kernel, else of the race replay on fibers.  A clean result is recorded in
BUILD/lint/clean under a hash of tool, flags, source and all headers, and the check is not repeated.

tests/lint/ has faults that each tool must find: lines marked "finds: REGEX".
"""
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import check
import needs
import qemu
import variant_build
from rooms import read

ROOT = qemu.ROOT
jobs = check.jobs()  # programs at a time
TOGETHER = 12  # files that one process checks
PLANTS = "tests/lint/"
# Not checked: functions that are pasted into other files, and a module that needs Linux's headers.
NOT_OURS = ("labs/right/", "labs/wrong/", "labs/planted/", "bench/peers/pages.c")
MACROS = ("sys/queue.h", "bsd/sys/tree.h")  # system headers that define code
SETTINGS = (".clang-tidy", "tools/lint/cppcheck.xml", "tools/lint/analyse.py")
# Sources outside of make's lists: (path prefix, the program whose flags they take, more flags).
ELSEWHERE = [
    ("tests/fuzz/", "host", ["-Itests/fuzz"]),
    ("arch/host/", "host", []),
    ("arch/fiber/fiber_hooks.c", "fiber", []),
    ("tests/host/", "host", []),
    ("tests/porting/", "host", []),
    ("examples/arena/", "host", []),
    ("examples/plugin/", "host", []),
    ("examples/port-template/", "port", []),
    ("tests/qemu/", "host", []),
    ("labs/0/", "host", []),
    ("labs/P/", "user", ["-Iuser"]),
    ("labs/grade/each.c", "fiber", []),
    ("labs/grade/stores.c", "fiber", ["-Itests/races"]),
    ("labs/grade/", "host", []),
    ("labs/model/", "host", []),
    ("tests/model/", "host", []),
    ("tests/states/", "host", []),
    ("tools/bench/qemu_count.c", "host", ["-Itools/lib"]),
    ("tools/lib/qemu_yield.c", "host", []),
    ("bench/peers/", "host", []),
    ("bench/time/", "time", []),
    ("web/wasm/", "host", ["-Iweb/wasm/include", "-Wno-unknown-attributes"]),
    ("tests/races/race_boot.c", "kernel", ["-DRACE_BUILD"]),
    ("tests/races/waiters.c", "kernel", ["-DRACE_BUILD"]),
    (PLANTS, "host", []),
]
LOCK_FLAGS = [
    "-DLOCK_ANALYSIS",
    "-fsyntax-only",
    "-Wthread-safety",
    "-Wthread-safety-beta",
    "-Wno-gcc-compat",
]
MESSAGE = re.compile(
    r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?(?:error|warning|performance|portability): (.*)$"
)


def in_tree(*endings):
    for folder, folders, files in os.walk(ROOT):
        rel = os.path.relpath(folder, ROOT)
        folders[:] = [
            d
            for d in folders
            if not d.startswith(".") and not (rel == "." and d.startswith("build"))
        ]
        yield from (
            os.path.normpath(os.path.join(rel, f)) for f in sorted(files) if f.endswith(endings)
        )


@lru_cache(None)
def configurations(build):
    """{name: (flags, sources)}, from the Makefile."""
    said = variant_build.ask_make(
        build,
        {
            "host": "$(HFLAGS) $(HFLAGS_plain)",
            "host_srcs": "$(call host_srcs,port) $(SHARED_SRCS)",
            "time": "--target=x86_64-linux-gnu -Iexamples/plugin -Ibench/time $(COMMON)",
            "time_srcs": "",
            "kernel": "--target=x86_64-linux-gnu $(KFLAGS)",
            "kernel_srcs": "$(KSRCS)",
            "fiber": "$(FIBER_FLAGS)",
            "fiber_srcs": "$(FIBER_SRCS) $(THREAD_SRCS) $(SILENCE_SRCS)",
            "port": "--target=x86_64-linux-gnu $(TEMPLATE_FLAGS)",
            "port_srcs": "",
            "user": "--target=x86_64-linux-gnu $(USER_FLAGS)",
            "user_srcs": "$(PROGRAM_SRCS) $(HOSTILE_SRCS) user/lib.c",
        },
    )
    # Without the compiler's warnings: other tests check these, and versions of clang differ.
    return {
        name: ([f for f in said[name] if not f.startswith(("-W", "-g"))], set(said[name + "_srcs"]))
        for name in ("host", "time", "kernel", "fiber", "user", "port")
    }


@lru_cache(None)
def host_compiler(build):
    return variant_build.ask_make(build, {"cc": "$(HOSTCC)"})["cc"]


def flags_of(path, build):
    known = configurations(build)
    for flags, sources in known.values():
        if path in sources:
            return flags
    for prefix, name, more in ELSEWHERE:
        if path.startswith(prefix):
            return known[name][0] + more
    return None


def options(parser):
    """The arguments of lint.py that are about these checks."""
    parser.add_argument("--jobs", type=int, default=jobs, help="programs at a time")


def take(args):
    global jobs
    jobs = args.jobs


# ---- the tools -----------------------------------------------------------------------------------


@lru_cache(None)
def compiler_proper(*flags):
    """The command that clang's driver starts for /dev/null.  It takes several files, for each of
    which the driver would start it anew: that takes longer than to check most files."""
    said = subprocess.run(
        ["clang", *flags, "-###", "-xc", os.devnull], cwd=ROOT, capture_output=True, text=True
    ).stderr
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
    less = (
        ["--checks=-clang-analyzer-*"]
        if path.startswith(("tests/suites/", "tests/host/", "tests/fiber/test_"))
        else []
    )
    return [
        "clang-tidy",
        "--quiet",
        *less,
        path,
        "--",
        *flags_of(path, build),
        "-Xclang",
        "-analyzer-config",
        "-Xclang",
        "max-nodes=50000",
    ]


def cppcheck_command(path, build):
    return [
        "cppcheck",
        "--quiet",
        "--enable=warning,performance,portability",
        "--std=c11",
        "--platform=unix64",
        "--suppress-xml=tools/lint/cppcheck.xml",
        "--suppress=normalCheckLevelMaxBranches",  # only says that it stops early
        "--template={file}:{line}: {severity}: {message} [{id}]",
        "--error-exitcode=1",
        "-D__x86_64__=1",
        "-D__asm__(name)=",  # an object's own symbol or register, which cppcheck cannot parse
        "-I" + own_headers(build),
        *(f for f in flags_of(path, build) if f.startswith(("-I", "-D"))),
        path,
    ]


@lru_cache(None)
def own_headers(build):
    """Make a folder with the headers that cppcheck needs: the system headers whose macros it
    must know, and types.h with MIN and MAX as expressions, because cppcheck cannot follow
    statements within an expression."""
    folder = os.path.join(build, "lint", "include")
    found = subprocess.run(
        [*host_compiler(build), "-M", "-E", "-xc", "-"],
        input="".join(f"#include <{h}>\n" for h in MACROS),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    for name in (*MACROS, "quarry/types.h"):
        os.makedirs(os.path.join(ROOT, folder, os.path.dirname(name)), exist_ok=True)
    for name in MACROS:
        shutil.copy(
            re.search(r"\S+/" + re.escape(name), found).group(0), os.path.join(ROOT, folder, name)
        )
    types = re.sub(
        r"(#define (MIN|MAX)\(a, b\)).*",
        lambda m: f"{m[1]} ((a) {'<' if m[2] == 'MIN' else '>'} (b) ? (a) : (b))",
        read("include/quarry/types.h"),
    )
    with open(os.path.join(ROOT, folder, "quarry", "types.h"), "w", encoding="utf-8") as f:
        f.write(types)
    return folder


TOOLS = {"locks": locks_command, "tidy": tidy_command, "cppcheck": cppcheck_command}


@lru_cache(None)
def common_hash(tool):
    """A hash of the tool's version, its settings, and every header of the tree."""
    version = subprocess.run(
        [tool, "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    text = version + "".join(p + read(p) for p in [*SETTINGS, *in_tree(".h")])
    return hashlib.sha256(text.encode()).hexdigest()


def clean_file(command, path, build):
    """The file whose existence says that this command found nothing in this text."""
    key = hashlib.sha256(
        "\0".join([*command, read(path), common_hash(command[0])]).encode()
    ).hexdigest()
    return os.path.join(ROOT, build, "lint", "clean", key)


def note_clean(command, path, build):
    clean = clean_file(command, path, build)
    os.makedirs(os.path.dirname(clean), exist_ok=True)
    open(clean, "w", encoding="utf-8").close()


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
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said = [
        line
        for line in (done.stdout + done.stderr).replace(ROOT + "/", "").split("\n")
        if MESSAGE.match(line)
    ]
    if done.returncode and not said:
        said = [
            f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}"
        ]
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
    paths = [p for p in in_tree(".c") if not p.startswith((PLANTS, *NOT_OURS, *left_out))]
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


def check_alone(build):
    """mm/ and arch/host make a program without kernel/ and its headers"""
    program = os.path.join(build, "alone", "alone")
    if not check.make(build, program):
        yield f"make {program} failed: see above"
        return
    done = subprocess.run(
        [os.path.join(ROOT, program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=qemu.WATCHDOG,
    )
    if done.returncode:
        yield f"{program} ended with {done.returncode}: {done.stdout.strip()}"
    for folder, _, files in os.walk(os.path.join(ROOT, build, "alone")):
        for name in (f for f in files if f.endswith(".d")):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                yield from (f"{name[:-2]} needs {w}" for w in foreign_headers(f.read()))


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
        yield from (
            f"{path}:{nr}: {name} does not find /{want}/"
            for nr, want in wanted.items()
            if nr not in found
        )
        together = [f"{PLANTS}alone.c", path]
        if not findings(for_all(command(together[0], build), together)):
            yield f"{path}: {name} finds nothing where it is not the first of several files"
    yield from plant_alone(build)


def plant_alone(build):
    """Check that a file that calls kernel/ does not link with mm/ and arch/host."""
    objects = [
        os.path.join(folder, f)
        for folder, _, files in os.walk(os.path.join(ROOT, build, "alone"))
        for f in files
        if f.endswith(".o") and f != "host_alone.c.o"
    ]
    flags, _ = configurations(build)["host"]
    done = subprocess.run(
        [
            *host_compiler(build),
            *flags,
            PLANTS + "alone.c",
            *objects,
            "-o",
            os.path.join(build, "lint", "alone"),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode == 0 or not re.search("undefined.*sched_tick", done.stderr):
        yield "alone: a program that needs kernel/ links"
    if foreign_headers("x.o: mm/x.c include/quarry/mm.h kernel/thread.h") != ["kernel/thread.h"]:
        yield "alone: a header of kernel/ is not seen"


CHECKS = [check_locks, check_tidy, check_cppcheck, check_alone, check_plants]
