# SPDX-License-Identifier: MIT
"""Build a variant that mutate.py drew, and run the tests in the order of their cost.

Hosted programs end early at their first failed test.  A run is limited by its processor time, five
times that of the unmodified tree, so that a busy machine changes no verdict; a run that sleeps for
ever reaches a limit in seconds.
"""
import os
import re
import resource
import signal
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import analyse
import bench_report
import check
import mutants
import qemu
import race
import rooms
import states
import suites
import variant
import variant_build
import watchdog

HOSTED = ["host-" + name for name in "port order3 plain threads silence asan tsan".split()]
RACES = "fiber"
STATES = "states"  # the search of all states of small memories
KERNEL = "kernel"
LOCKS = "locks"  # the stage that runs clang -Wthread-safety on the file, as lint does
OUTSIDE = "tests"  # the stage with the files of tests/qemu/ that a source's head names, and bench
STAGES = [*HOSTED, STATES, RACES, KERNEL, LOCKS, OUTSIDE]
# Stages by what they are: BY=suites.
GROUPS = {"suites": HOSTED, "explorer": [RACES]}
FIRST = ("host-port", "host-plain")  # builds in which the suites of the changed file run first
# The machine of a boot: under icount, with every program of ring 3.
BOOT = {"cpus": 4, "mem": 256, "icount": True, "programs": True}
BOOT_LINE = "selftest=most tour=off monitor=off user=init"
MORE_CPU, MORE_SECONDS = 5, 20
IDLE = 25  # a program that runs for IDLE hundredths of a second in IDLE seconds, or less, hangs
SILENT = 30  # seconds of CPU time without output: a hang, for a kernel prints every second or two


@dataclass
class Outcome:
    """A program's end and its output."""

    text: str
    how: str  # "passed", or the failed check
    cpu: float  # seconds of processor time


def suites_of(path):
    """The suites that the head of a source names: (hosted, in the kernel)."""
    both, hosted = suites.listed("TEST_SRCS"), suites.listed("HOST_TEST_SRCS")
    host, kernel = both | hosted, both | suites.listed("KTEST_SRCS")
    known = suites.suites()
    named = [name for name in suites.named_in(path) if name in known]
    return tuple([n for n in named if known[n].path in files] for files in (host, kernel))


def judges_of(path):
    """The files of tests/qemu/ that the head of a source names, and the gate of the figures: of all
    for the allocator and for what measures it, else of those that take seconds."""
    head = rooms.read(path)[:4000].split("*/\n#")[0]
    files = re.findall(r"tests/qemu/test_\w+\.py", head)
    groups = ",".join(name for name in bench_report.ROWS if not name.startswith("hosted"))
    figures = f"--only {groups}" if path.startswith(("mm/", "bench/")) else "--quick"
    return [*files, f"bench.py {figures}"]


class Ends:
    """Called with a run's output: may the run end, because of a failed test, a panic or a hang?"""

    def __init__(self):
        self.said, self.dog, self.silent = "", None, False

    def __call__(self, text, pid):
        if not self.dog:
            self.dog = watchdog.Watchdog(pid, SILENT)
        if text != self.said:
            self.said = text
            self.dog.again()
        self.silent = bool(self.dog.why())
        return self.silent or mutants.FAILED.search(text) or "PANIC" in text


def children_cpu():
    """The seconds of processor time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(command, cpu_limit=600, whole=False):
    """Run a program that prints KTAP, or races; returns its Outcome.  With @whole a failed test
    does not end the run."""

    def ends(text, _):
        return not whole and mutants.FAILED.search(text)

    before = children_cpu()
    text, status = mutants.run_program(command, cpu_limit, ends, IDLE, IDLE / 100)
    if status == -signal.SIGINT:
        raise KeyboardInterrupt  # it also ends the programs under test: that is no verdict
    return Outcome(text, verdict(text, status), children_cpu() - before)


def verdict(text, status):
    failed = re.search(r"^  not ok \d+ (\S+)", text, re.MULTILINE)
    if failed:
        return failed.group(1)
    story = re.search(
        r"PANIC[^\n]*|(ERROR: \w+|WARNING: Thread)Sanitizer[^\n]*|runtime error:[^\n]*", text
    )
    if story:
        return story.group(0)[:120] + qemu.in_test(text[: story.start()])
    if status == qemu.TIMED_OUT:
        return "hangs" + qemu.in_test(text)
    return "passed" if status == 0 else f"ended with {status}{qemu.in_test(text)}"


def contents(path):
    with open(os.path.join(variant.ROOT, path), "rb") as f:
        return f.read()


class Bench:
    """The unmodified tree's builds, and the time of its runs."""

    def __init__(self, build, stages=None):
        self.build = os.path.abspath(build)
        self.names = [n for n in HOSTED + [STATES, RACES, KERNEL] if not stages or n in stages]
        self.locks = not stages or LOCKS in stages
        self.from_outside = KERNEL in self.names and (not stages or OUTSIDE in stages)
        self.bases, self.cpu = {}, {}
        self.outside_seconds, self.outside_lock = {}, threading.Lock()

    def prepare(self):
        """Build all programs and run each once; returns the first fault of the unmodified tree, or
        None."""
        goals = [variant_build.program_of(self.build, n) for n in self.names]
        goals += [os.path.join(self.build, "bin", "init"), "kernel"] if KERNEL in self.names else []
        if not check.make(self.build, *goals):
            return "the unmodified tree does not build"
        for name in self.names:
            self.bases[name] = variant_build.Base(self.build, name)
        for name in self.names:
            outcome = self.ask(name, variant_build.program_of(self.build, name), "all")
            self.cpu[name] = outcome.cpu
            how = f"{outcome.how} ({outcome.cpu:.0f} s of processor time)"
            print(f"  the unmodified tree, {name}: {how}", flush=True)
            if outcome.how != "passed":
                return f"the unmodified tree, {name}: {outcome.how}\n{outcome.text[-2000:]}"
        return None

    def limit(self, name):
        """The seconds of a CPU that a run may use."""
        return MORE_CPU * self.cpu.get(name, 120) + MORE_SECONDS

    def ask(self, name, program, tests):
        if name == KERNEL:
            return self.boot(program, tests)
        if name == RACES:
            return self.races(program)
        if name == STATES:
            return self.search(program)
        return run([program, "--cpus=4", tests], self.limit(name))

    def search(self, program):
        """Search the scopes of `make test`, up to the first one in which something is wrong."""
        each = [n for n, (when, _) in states.scopes(program).items() if when in states.WHEN[False]]
        outcome = run([program, *each], self.limit(STATES))
        if wrong := re.search(r"^not ok (\w+):", outcome.text, re.MULTILINE):
            outcome.how = f"scope {wrong[1]}"
        return outcome

    def races(self, program):
        """Run all scripts and sets, and an eighth of the matrix: each script must end as on right
        code, the others must find nothing."""
        scripts = {s.name: s.expect["none"] for s in race.scripts()}
        outcome = run([program, *scripts], self.limit(RACES))
        ends = dict(re.findall(r"^race: end (\S+) (.*)$", outcome.text, re.MULTILINE))
        bad = next((name for name in scripts if ends.get(name) != scripts[name]), None)
        if bad:
            outcome.how = f"race {bad}: {ends.get(bad, outcome.how)}"
            return outcome
        cpu = outcome.cpu
        wrong = r'^.*"set": "([^"]*)".*"failed_at": [1-9].*"outcome": "([^"]*)".*$'
        for words in (["--explore", "all"], ["--matrix", "all", "--part=8"]):
            found = run([program, *words, "--json"], self.limit(RACES))
            cpu += found.cpu
            if bad := re.search(wrong, found.text, re.MULTILINE):
                found.how = f"{words[0][2:]} {bad.group(1)}: {bad.group(2)}"
            if found.how != "passed":
                break
        found.cpu = cpu
        return found

    def boot(self, program, tests):
        """The Outcome of a boot with selftests and every program of ring 3."""
        line = BOOT_LINE if tests == "all" else BOOT_LINE.replace("most", tests)
        tag = f"mutate-{os.getpid()}-{threading.get_ident()}"
        machine = qemu.Machine(kernel=program, timeout=self.limit(KERNEL), **BOOT)
        before, ends = children_cpu(), Ends()
        done = machine.run(tag, line, enough=ends)
        for path in (done.log, done.log + ".err", os.path.join(qemu.BUILD, "qemu", tag + ".cpio")):
            if os.path.exists(path):
                os.unlink(path)
        how = "passed" if done.passed else verdict(done.text, 0)
        if not done.passed and (done.status == qemu.TIMED_OUT or ends.silent):
            how = "hangs" + qemu.in_test(done.text)
        if how == "passed" and not done.passed:
            how = f"the boot {'did not end in PASS' if done.booted else 'did not begin'}"
        return Outcome(done.text, how, children_cpu() - before)

    def judge(self, home, program, tests, limit):
        """Run @tests, of pytest or of bench.py, with the kernel @program in the build directory
        @home: the first failure, or None."""
        os.makedirs(home, exist_ok=True)
        for name, target in (("bin", os.path.join(self.build, "bin")), ("quarry.elf", program)):
            if os.path.lexists(os.path.join(home, name)):
                os.unlink(os.path.join(home, name))
            os.symlink(target, os.path.join(home, name))
        words = "-m pytest -x -q -p no:cacheprovider".split() + ["-m", "not long", tests]
        if tests.startswith("bench.py"):
            words = [rooms.tool("bench.py"), *tests.split()[1:], "--build", home]
        command = [sys.executable, *words]
        env = dict(os.environ, QUARRY_BUILD=os.path.relpath(home, variant.ROOT))
        try:
            more = {"env": env, "timeout": limit, "preexec_fn": qemu._die_with_parent}
            done = rooms.call(command, **more)
        except subprocess.TimeoutExpired:
            return f"{tests}: hangs"
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
        named = failed and not tests.startswith("bench.py")
        return None if done.returncode == 0 else failed.group(1) if named else tests

    def seconds_outside(self, home, tests):
        """The seconds of a file of tests with the unmodified kernel; None if it fails."""
        with self.outside_lock:
            if tests not in self.outside_seconds:
                start = time.monotonic()
                bad = self.judge(home, variant_build.program_of(self.build, KERNEL), tests, 3600)
                self.outside_seconds[tests] = None if bad else time.monotonic() - start
                print(f"  the unmodified tree, {tests}: {bad or 'passed'}", flush=True)
            return self.outside_seconds[tests]

    def outside(self, home, program, path):
        """The first test of tests/qemu/ that hangs, or that fails but passes right afterwards with
        the unmodified kernel; or None."""
        plain = variant_build.program_of(self.build, KERNEL)
        for tests in judges_of(path):
            seconds = self.seconds_outside(home, tests)
            if not seconds:
                continue
            limit = 5 * seconds + 60
            bad = self.judge(home, program, tests, limit)
            if bad and (bad.endswith("hangs") or not self.judge(home, plain, bad, limit)):
                return bad
        return None


class Worker:
    """A tree in which one variant after another is built."""

    def __init__(self, bench, number):
        self.bench, self.tree = bench, os.path.join(bench.build, "mutate", f"tree{number}")
        self.plain = {}  # {(build, source): the unmodified object, without debug information}

    def same(self, name, path, base):
        """Is every object that needs @path the same as in the unmodified tree?"""
        sources = [source for source, needs in base.needs.items() if path in needs]
        made = os.path.join(self.tree, "build", name)
        return all(
            contents(f"{made}/{s}.o") == self.plain_object(name, s, base) for s in sources
        )

    def plain_object(self, name, source, base):
        if (name, source) not in self.plain:
            target = os.path.join(self.tree, "build", "plain.o")
            base.compile_one(variant.ROOT, source, target)
            self.plain[name, source] = contents(target)
        return self.plain[name, source]

    def try_one(self, site, judge=None):
        """What judge(site) returns while the tree has the edit.  Without it (verdict, failed
        check): killed, survived, or the reason why it does not count."""
        variant.fill(self.tree, {site.path: site.apply(contents(site.path)).decode()})
        try:
            return (judge or self.stages)(site)
        finally:
            shutil.rmtree(os.path.join(self.tree, "build"), ignore_errors=True)

    def breaks_lock_rules(self, path):
        """Does lint complain about the variant, but not about the unmodified file?"""
        if not self.bench.locks or not path.endswith(".c"):
            return False
        command = analyse.locks_command(path, os.path.relpath(self.bench.build, variant.ROOT))
        said = [rooms.call(command, cwd=tree).stdout for tree in (self.tree, variant.ROOT)]
        return "-Wthread-safety" in said[0] and "-Wthread-safety" not in said[1]

    def stages(self, site):
        bases = self.bench.bases
        names = [n for n in self.bench.names if site.path in set().union(*bases[n].needs.values())]
        if not names:
            return "in no build", ""
        hosted, booted = suites_of(site.path)
        for name in names:
            base, first = self.bench.bases[name], name == names[0]
            try:
                objects = base.compile(self.tree, [site.path])
                if first and self.same(name, site.path, base):
                    return "same code", ""
                program = base.link(self.tree, objects)
            except variant_build.BuildError as e:
                if first:
                    return "does not compile", str(e)[-300:]
                return "killed", f"{name} does not build"
            suites = booted if name == KERNEL else hosted if first and name in FIRST else []
            for tests in ([",".join(suites)] if suites else []) + ["all"]:
                if first and tests == "all" and self.breaks_lock_rules(site.path):
                    return "killed", "locks make lint"
                outcome = self.bench.ask(name, program, tests)
                if outcome.how != "passed":
                    return "killed", f"{name} {outcome.how}"
        if self.bench.from_outside and names[-1] == KERNEL:
            bad = self.bench.outside(os.path.join(self.tree, "build", OUTSIDE), program, site.path)
            if bad:
                return "killed", f"{OUTSIDE} {bad}"
        return "survived", ""

    def who(self, variant_):
        """(the end of the run, all tests that fail) with a hand-written variant."""
        changed = variant.make_tree(variant_, self.tree)
        try:
            for name in self.bench.names:
                base = self.bench.bases[name]
                if any(needs.intersection(changed) for needs in base.needs.values()):
                    program = base.link(self.tree, base.compile(self.tree, changed))
                    break
            else:
                return "in no build", []
            if name == KERNEL:
                outcome = self.bench.boot(program, "all")
            else:
                outcome = run([program, "--cpus=4", "all"], self.bench.limit(name), whole=True)
            failed = re.findall(r"^  not ok \d+ (\S+)", outcome.text, re.MULTILINE)
            crashed = qemu.ktap_running(outcome.text)
            # If no other test has failed, the end of the run names the crashed test.
            failed += [f"{crashed} does not end"] if crashed and failed else []
            return f"{name}: {outcome.how}", failed
        finally:
            shutil.rmtree(os.path.join(self.tree, "build"), ignore_errors=True)


def who(build, variants):
    """Print, for each hand-written variant, which tests fail with it, in the first build that has
    its files."""
    bench = Bench(build, ["host-port", "host-plain", KERNEL])
    wrong = bench.prepare()
    if wrong:
        print(f"mutants: {wrong}")
        return 1
    worker, silent = Worker(bench, "-who"), 0
    for v in variants:
        try:
            how, failed = worker.who(v)
        except variant_build.BuildError:
            how, failed = "does not compile", []
        silent += how.endswith(": passed")
        named = f"{how.split(':')[0]}; named: {'; '.join(k.text for k in v.kills)}"
        print(f"{v.id:6} {', '.join(failed) or how}\n       {named}", flush=True)
    others = "noticed by other builds, race scripts or the explorer only"
    print(f"mutants: {len(variants)} variants; {silent} of them are {others}")
    return 0
