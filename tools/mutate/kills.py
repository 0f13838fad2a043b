#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which suites notice which edits, and which may go?  `make kills N=300 SEED=s ROOM=mm`

Edits of the directory ROOM are drawn as mutate.py draws them.  With each, all suites of
tests/suites/ROOM run in the build host-plain, to their end: a test that panics counts as failed,
and the run goes on with the next suite.

DIR/kills/ROOM-SEED.jsonl has a line for each edit, and a repeated run continues where it stopped.
The report, of all seeds, has a line for each suite: its lines, the edits that it notices and those
that no other suite does; and a set of suites without which each edit is still noticed, found by
leaving out the longest first.

--without asks what would live: with each edit the other suites run, up to the first failure.  If
they do not notice it, the named suites run, and what searches: all states, then the race scripts
and the explorer.  The report lists the tests that alone notice an edit.
Exit status 0 if all ran: what goes is for the reader to judge.
"""
import collections
import glob
import os
import re
import sys
import zlib
from functools import partial

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import mutate
import mutate_run
import qemu
import suites
import variant
import variant_build

BUILD = "host-plain"
SEARCHES = [mutate_run.STATES, mutate_run.RACES]
MANY = 3  # suites that end by a panic or a hang: the others need not run
START = "program.start"  # stands for a test: the program ends before its first one
FAILED = re.compile(r"^  # begin (\S+)\n(?:(?!  # begin |  ok ).*\n)*?  not ok ", re.MULTILINE)


def suites_of(build, room):
    """The suites of tests/suites/@room that the program has, in the order in which they run."""
    program = variant_build.program_of(build, BUILD)
    if not check.make(build, program):
        sys.exit("kills: this tree does not build")
    found, names = suites.suites(), check.all_suites(program)
    folder = f"tests/suites/{room.split('/')[0]}/"
    return [n for n in names if n in found and found[n].path.startswith(folder)]


def failing(bench, program, names):
    """The tests that fail: SUITE.TEST, in the suites @names.  After a panic or a hang the run goes
    on with the next suite."""
    failed, left, ended = [], names, 0
    while left:
        words = [program, "--cpus=4", ",".join(left)]
        limit = 3 * bench.cpu[BUILD]
        outcome = mutate_run.run(words, limit, whole=True)
        failed += FAILED.findall(outcome.text)
        crashed = None if outcome.how == "passed" else qemu.ktap_running(outcome.text)
        if not crashed:  # a program that does not get to its first test needs no suite
            return failed if failed or outcome.how == "passed" else [START]
        failed.append(crashed)
        ended += 1
        if ended == MANY:
            break
        left = left[left.index(crashed.split(".")[0]) + 1 :]
    return failed


def file_of(args, seed):
    folder = os.path.join(args.build, "kills")
    if args.without:
        folder = os.path.join(folder, f"without-{zlib.crc32(args.without.encode()):08x}")
    return os.path.join(folder, f"{args.room.replace('/', '-')}-{seed}.jsonl")


class Run(mutate.Trial):
    """One seed's edits."""

    def __init__(self, args, sites):
        super().__init__(args, sites, file_of(args, args.seed))
        self.names = suites_of(args.build, args.room)
        self.without = [n for n in self.names if n in args.without.split(",")]

    def said(self, row):
        return f"{row['verdict']}, {len(row['tests'])} tests of {len(suites_in(row))} suites"

    def tried(self, worker, site):
        verdict, tests = worker.try_one(site, partial(judge, worker.bench, worker, self))
        return {"verdict": verdict, "tests": sorted(set(tests))}


def suites_in(row):
    return {test.split(".")[0] for test in row["tests"]}


def judge(bench, worker, run, site):
    """(verdict, tests that fail)"""
    base = bench.bases[BUILD]
    if not any(site.path in needs for needs in base.needs.values()):
        return "in no build", []
    try:
        objects = base.compile(worker.tree, [site.path])
        if worker.same(BUILD, site.path, base):
            return "same code", []
        program = base.link(worker.tree, objects)
    except variant_build.BuildError:
        return "does not compile", []
    if run.without:
        return alone(bench, worker, run, site, program)
    tests = failing(bench, program, run.names)
    return "killed" if tests else "survived", tests


def searched(bench, worker, site):
    """The search that notices the edit, or None."""
    for name in SEARCHES:
        base = bench.bases[name]
        if not any(site.path in needs for needs in base.needs.values()):
            continue
        try:
            program = base.link(worker.tree, base.compile(worker.tree, [site.path]))
        except variant_build.BuildError:
            continue
        if (how := bench.ask(name, program, "all").how) != "passed":
            return f"{name} {how}"
    return None


def alone(bench, worker, run, site, program):
    """(verdict, tests of the suites in question that alone notice the edit)"""
    near = set(mutate_run.suites_of(site.path)[0])
    others = [n for n in run.names if n not in run.without]
    for names in ([n for n in others if n in near], [n for n in others if n not in near]):
        limit = 3 * bench.cpu[BUILD]
        words = [program, "--cpus=4", ",".join(names)]
        if names and mutate_run.run(words, limit).how != "passed":
            return "killed", []
    tests = failing(bench, program, run.without)
    if not tests:
        return "survived", []
    how = searched(bench, worker, site)
    return (how, []) if how else ("would live", tests)


def report(rows, names, keep):
    """Print a line for each suite, those first that may go, the longest first."""
    rows = [suites_in(r) for r in rows if r["verdict"] == "killed" and r["tests"] != [START]]
    of = collections.Counter(name for found in rows for name in found)
    alone = collections.Counter(name for found in rows if len(found) == 1 for name in found)
    lines = {n: variant.text_of(suites.suites()[n].path).count("\n") for n in names}
    left, go = rows, set()
    for name in sorted(set(names) - keep, key=lambda n: -lines[n]):
        if {name} not in left:
            left = [found - {name} for found in left]
            go.add(name)
    print(f"{len(rows)} edits; of {len(names)} suites in {sum(lines.values())} lines,")
    print(f"{len(go)} in {sum(lines[n] for n in go)} lines may go:")
    for name in sorted(names, key=lambda n: (n not in go, -lines[n])):
        print(
            f"{'may go' if name in go else 'stays':7}{name:22} {lines[name]:4} lines, "
            f"notices {of[name]:4}, alone {alone[name]:3}"
        )


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--room", default="mm", choices=mutate.AREAS)
    parser.add_argument("--keep", default="", help="suites that stay, with commas")
    parser.add_argument("--without", default="", help="suites, with commas: what would live?")
    args = mutate.arguments(parser)
    keep = set(args.keep.split(","))
    if args.report:
        found = glob.glob(file_of(args, "*"))
        rows = [row for path in found for row in mutate.read(path).values()]
        report(rows, suites_of(args.build, args.room), keep)
        return 0
    sites = mutate.all_sites(args.build, args.files, [args.room])
    if args.room not in sites:
        parser.error(f"no site of {args.room}/ in {','.join(args.files) or 'the tree'}")
    stages = [BUILD, *SEARCHES] if args.without else [BUILD]
    run = Run(args, sites)
    if not run.names:
        parser.error(f"no suite of {args.room}/ is in {BUILD}")
    if unknown := set(filter(None, args.without.split(","))) - set(run.names):
        parser.error(f"--without: no suite of {args.room}/ is called {', '.join(sorted(unknown))}")
    if wrong := run.run(mutate_run.Bench(args.build, stages), args.jobs):
        print(f"kills: {wrong}")
        return 1
    if args.without:
        only = [row for row in run.rows.values() if row["verdict"] == "would live"]
        for row in only:
            print(f"{row['path']}:{row['line']} {row['operator']}: {' '.join(row['tests'])}")
        print(f"{len(only)} of {len(run.chosen)} edits would live")
    else:
        report(run.rows.values(), run.names, keep)
    return 0


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted; the same command continues from here")
