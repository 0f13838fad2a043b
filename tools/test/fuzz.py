#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fuzz mm/ against a model, and the parsers of external data; `make fuzz`.

Two targets run at a time.  --smoke replays the corpus, then fuzzes each target for 5 s; --planted
says how long until each planted bug is found (tests/fuzz/planted/bugs.mut); --merge adds the useful
findings of the last runs to tests/fuzz/corpus/.

Exit status: 0 without a finding; 1 with one, or if fewer than 3 planted bugs are found.
"""
import functools
import glob
import os
import re
import shutil
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import qemu
import variant

ROOT = qemu.ROOT
HERE = "tests/fuzz"
MODEL = sorted(glob.glob("tests/model/*.c", root_dir=ROOT))
HOST = ["arch/host/host_lock.c", "arch/host/host_format.c", "tests/fuzz/host_fuzz.c"]
FLAGS = (
    "-std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-strict-aliasing -fwrapv "
    "-fno-common "
    "-fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
).split() + [f"-fsanitize-coverage-ignorelist={ROOT}/{HERE}/uncovered.txt"]
ON_HOST = ["-DPAGEBLOCK_ORDER=3", "-Iarch/host"]
ON_X86 = ["-Iarch/x86_64"]
TRACE = ["demo/handle.c", "demo/trace_parse.c", "tests/model/arena.c"]
ACPI = [f"arch/x86_64/acpi_{part}.c" for part in ("table", "numa", "region")]
PCI = ["drivers/pci.c", "drivers/virtio_cap.c", "tests/lib/pretend_pci.c"]
# {target: (its share of the time, sources besides its own, flags, bytes of its longest input)}
TARGETS = {
    "mm": (6, ["MM", *HOST, "demo/handle.c", *MODEL, f"{HERE}/fuzz_range.c"], ON_HOST, 768),
    "trace": (1, ["MM", *HOST, *TRACE], ON_HOST, 1024),
    "cmdline": (1, [*HOST, "kernel/cmdline.c"], ON_HOST, 4096),
    "acpi": (1, ACPI, ON_X86, 1024),
    "multiboot2": (1, ["boot/bootinfo.c", "boot/framebuffer.c"], ON_X86, 1024),
    "pci": (1, PCI, ON_X86, 1024),
    "screen": (1, ["drivers/psf.c", "drivers/text.c"], ON_X86, 4096),
}
KEEP_FILES, KEEP_BYTES = 40, 4096
# Targets in which it says nothing how often an input takes a branch, only whether it does.
ONCE_IS_ENOUGH = ("cmdline",)
PLANTED_SECONDS, PLANTED_NEEDED = 60, 3
ENV = dict(
    os.environ, ASAN_OPTIONS="detect_stack_use_after_return=0:abort_on_error=0",
    UBSAN_OPTIONS="print_stacktrace=1",
)


def mm_sources(root):
    text = rooms.read(os.path.join(root, "mm/files.mk")).replace("\\\n", "")
    return " ".join(re.findall(r"^MM_SRCS \+= (.+)$", text, re.MULTILINE)).split()


def compile_target(name, build, root=ROOT):
    """Build build/fuzz/NAME from the sources below @root: (path, or None; the compiler's
    output)."""
    out = os.path.join(os.path.abspath(build), "fuzz", name)
    os.makedirs(os.path.dirname(out), exist_ok=True)
    _, parts, flags, _ = TARGETS[name]
    sources = [s for part in parts for s in (mm_sources(root) if part == "MM" else [part])]
    command = [os.environ.get("FUZZ_CC", "clang"), *FLAGS, *flags, "-Iinclude", "-I."]
    command += [f"-I{HERE}", *sources, f"{HERE}/fuzz_{name}.c", "-o", out]
    command += ["-w"] if root != ROOT else []  # a planted bug may leave a function unused
    done = rooms.call(command, cwd=root)
    return (out, "") if done.returncode == 0 else (None, done.stdout[-4000:])


def corpus_file(name):
    return os.path.join(ROOT, HERE, "corpus", f"{name}.zip")


@functools.cache
def corpus(name, build):
    """The folder below @build with the corpus' inputs, unpacked once: two runs of a target may read
    it at a time.  None: the target has none."""
    folder = os.path.join(build, "fuzz", f"{name}.corpus")
    if not os.path.exists(corpus_file(name)):
        return None
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(corpus_file(name)) as packed:
        packed.extractall(folder)
    return folder


class Result:
    """A run of a target's program: its output, what it executed, what it found."""

    def __init__(self, name, command=None):
        self.name, start, self.text, self.found = name, time.monotonic(), "", False
        if command:
            done = rooms.call(command, env=ENV, cwd=None)
            self.text, self.found = done.stdout, done.returncode != 0
        self.seconds = time.monotonic() - start
        # The last line of progress has the coverage; the number of runs is in a line of its own.
        progress = re.findall(r"^#(\d+)\s.*?\bcov: (\d+) ft: (\d+)", self.text, re.MULTILINE)
        execs, self.cov, self.ft = progress[-1] if progress else (0, "?", "?")
        total = re.search(r"Done (\d+) (?:runs|in)|number_of_executed_units: (\d+)", self.text)
        self.execs = int(total.group(1) or total.group(2)) if total else int(execs)
        artifact = re.search(r"Test unit written to (\S+)", self.text)
        self.artifact = artifact.group(1) if artifact else None

    def why(self):
        line = re.search(
            r"^PANIC.*|.*runtime error:.*|.*ERROR: \w+Sanitizer:.*|.*libFuzzer: "
            r"(?:timeout|out-of-memory).*",
            self.text,
            re.MULTILINE,
        )
        return line.group(0).strip() if line else self.text[-300:].strip()


def run(name, program, build, seconds, seed=0):
    """Fuzz one target; new inputs go below build, never into the tree."""
    home = os.path.join(build, "fuzz", os.path.basename(program))
    os.makedirs(home + ".found", exist_ok=True)
    command = [program, f"-max_total_time={seconds}", f"-max_len={TARGETS[name][3]}"]
    command += [f"-seed={seed}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command += [f"-artifact_prefix={os.path.join(build, 'fuzz', name)}-", home + ".found"]
    words = os.path.join(ROOT, HERE, f"{name}.dict")
    command += [f"-dict={words}"] if os.path.exists(words) else []
    known = corpus(name, build)
    command += [known] if known else []
    result = Result(name, command)
    with open(home + ".log", "w", encoding="utf-8") as f:
        f.write(result.text)
    return result


def replay(name, program, build):
    """Run a target on its corpus."""
    folder = corpus(name, build)
    files = sorted(glob.glob(os.path.join(folder, "*"))) if folder else []
    return Result(name, [program, "-timeout=10", *files] if files else None)


def build_all(names, build):
    with ThreadPoolExecutor(2) as pool:
        built = dict(zip(names, pool.map(lambda n: compile_target(n, build), names)))
    for name, (program, said) in built.items():
        if not program:
            print(f"fuzz: {name} does not build:\n{said}")
    return {n: p for n, (p, _) in built.items() if p}


def tell(result, program):
    speed = result.execs / max(result.seconds, 0.01)
    text = f"{result.seconds:6.1f} s {result.execs:9} execs {speed:8.0f}/s  cov {result.cov:>5} "
    text += f"features {result.ft:>5}  {'FOUND' if result.found else 'nothing found'}"
    print(f"  {result.name:10} {text}", flush=True)
    if result.found:
        how = f"replay: {program} {result.artifact}" if result.artifact else f"see {program}.log"
        print(f"    {result.why()}\n    {how}")


def fuzz(names, build, seconds, smoke=False):
    """Returns the number of findings; targets that do not build count as one each."""
    programs = build_all(names, build)
    parts = sum(TARGETS[n][0] for n in programs)
    jobs = []
    for name in programs:
        # Two targets run at a time, so all targets together get 2 * seconds.  A share longer than
        # the whole time is run on both cores, from two seeds.
        share = 5 if smoke else max(2, round(2 * seconds * TARGETS[name][0] / parts))
        more = 0 if smoke else max(0, share - seconds)
        jobs += [(name, part) for part in (share - more, more) if part]

    def one(job):
        number, (name, part) = job
        return run(name, programs[name], build, part, number + 1 if seconds < 300 else 0)

    results = [first for n in programs if (first := replay(n, programs[n], build)).found]
    with ThreadPoolExecutor(2) as pool:
        results += pool.map(one, enumerate(jobs))
    for result in results:
        tell(result, programs[result.name])
    return len(names) - len(programs) + sum(result.found for result in results)


# ---- planted bugs --------------------------------------------------------------------------------


def plant(ident, build):
    """Build the sources with the bug: (variant, target, program or None, why it failed)."""
    v = variant.read(ident, variant.PLANTED, variant.NEEDED_PLANTED)
    target = variant.Kill(v.get("kill"), "").name
    tree = os.path.join(os.path.abspath(build), "fuzz", "planted", v.id)
    try:
        variant.make_tree(v, tree)
    except variant.BadVariant as e:
        return v, target, None, str(e)
    return v, target, *compile_target(target, os.path.join(tree, "build"), tree)


def planted(build, seconds, only):
    names = sorted(n for n in variant.texts(variant.PLANTED) if not only or n in only)

    def one(name):
        v, target, program, said = plant(name, build)
        if not program:
            return v, None, said
        home = os.path.join(build, "fuzz", "planted", v.id, "build")
        start, how = time.monotonic(), "by the corpus"
        result = replay(target, program, home)
        if not result.found:
            result, how = run(target, program, home, seconds, seed=1), "by fuzzing"
        return v, (result, time.monotonic() - start, how), ""

    found = broken = 0
    with ThreadPoolExecutor(2) as pool:
        for v, outcome, said in pool.map(one, names):
            if outcome is None:
                broken += 1
                print(f"  {v.id:16} cannot be planted: {said}", flush=True)
                continue
            result, after, how = outcome
            found += result.found
            said = "found" if result.found else "NOT FOUND"
            print(f"  {v.id:16} {said} {how} after {after:5.1f} s: {v.title}")
            if result.found:
                print(f"    {result.why()[:110]}", flush=True)
    print(f"fuzz: {found} of {len(names)} planted bugs found")
    return found, broken


# ---- the corpus ----------------------------------------------------------------------------------


def merge(names, build):
    """Reduce the corpus and new inputs to a small set with the same coverage; keep its largest
    KEEP_FILES files in the tree."""
    for name, program in build_all(names, build).items():
        found = os.path.join(build, "fuzz", f"{name}.found")
        fresh = os.path.join(build, "fuzz", f"{name}.merged")
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(fresh)
        os.makedirs(found, exist_ok=True)
        options = ["-set_cover_merge=1", f"-max_len={KEEP_BYTES}"]
        options += ["-use_counters=0"] if name in ONCE_IS_ENOUGH else []
        inputs = [folder for folder in (corpus(name, build), found) if folder]
        rooms.call([program, *options, fresh, *inputs], env=ENV, cwd=None, check=True)
        # Largest first: a long input does the work of many short ones.
        files = sorted(os.listdir(fresh), key=lambda f: -os.path.getsize(os.path.join(fresh, f)))
        kept = files[:KEEP_FILES]
        with zipfile.ZipFile(corpus_file(name), "w", zipfile.ZIP_DEFLATED) as packed:
            for f in sorted(kept):
                with open(os.path.join(fresh, f), "rb") as file:
                    packed.writestr(zipfile.ZipInfo(f[:12]), file.read(), zipfile.ZIP_DEFLATED)
        print(f"  {name:10} {len(files)} inputs cover all, {len(kept)} kept")


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", help="targets, with commas: " + ",".join(TARGETS))
    for option in ("smoke", "planted", "merge"):
        parser.add_argument(f"--{option}", action="store_true")
    args = parser.parse_args()
    if args.planted:
        only = args.only.split(",") if args.only else None
        seconds = args.seconds if args.seconds != parser.get_default("seconds") else PLANTED_SECONDS
        found, broken = planted(args.build, seconds, only)
        return 1 if broken or found < (PLANTED_NEEDED if not only else len(only)) else 0
    names = rooms.chosen(parser, args.only, TARGETS, "target")
    if args.merge:
        merge(names, args.build)
        return 0
    bad = fuzz(names, args.build, args.seconds, args.smoke)
    print(f"fuzz: {bad} finding{'' if bad == 1 else 's'}")
    return 1 if bad else 0


if __name__ == "__main__":
    rooms.run(main)
