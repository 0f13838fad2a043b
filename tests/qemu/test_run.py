# SPDX-License-Identifier: MIT
"""Every variable of `make run` at both ends of its documented range, as typed."""
import os
import pty
import re
import subprocess

import conftest
import pexpect
import pytest
import qemu
from conftest import full, whole

SHORT = "selftest=buddy tour=off"
# Without FULL=1 the tour follows one suite only: test_scale.py runs suites on such machines.
TOUR = {} if whole() else {"CMDLINE": "selftest=buddy"}
QEMU = "qemu-system-x86_64"
CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    "variables, says",
    [
        ({"BOOT": "grub", "CPUS": 1, "NODES": 1, "MEM": "69M"}, "1 CPU online of 1, 1 node,"),
        full({"BOOT": "grub", "MEM": "76"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "pvh", "MEM": "76m"}, "4 CPUs online of 4, 2 nodes,"),
        full({"BOOT": "uefi", "MEM": "140M"}, "4 CPUs online of 4, 2 nodes,"),
        ({"BOOT": "pvh", "NODES": 16, "MEM": "132M"}, "4 CPUs online of 4,"),
        full({"NODES": 8, "MEM": "1g"}, "4 CPUs online of 4, 8 nodes,"),
        full({"BOOT": "pvh", "CPUS": 255, "MEM": "327M"}, "255 CPUs online of 255,"),
        full({"BOOT": "uefi", "CPUS": 255, "NODES": 16, "MEM": "447M"}, "255 CPUs online of 255,"),
        ({"BOOT": "grub", "MEM": "1T"}, "4 CPUs online of 4, 2 nodes,"),
        full({"BOOT": "uefi", "MEM": "1t"}, "4 CPUs online of 4, 2 nodes,"),
    ],
    ids=(
        "least least_grub least_pvh least_uefi nodes_16 nodes_8 cpus_255 cpus_255_uefi most_grub "
        "most_uefi"
    ).split(),
)
def test_range(runs, variables, says):
    status, out = runs(CMDLINE=SHORT, **variables)
    assert status == 0 and says in out, out[-3000:]


@pytest.mark.parametrize(
    "machine",
    [full({"MEM": "64G", "CMDLINE": "selftest=buddy"}), {"MEM": "1T", **TOUR}],
    ids=["64G", "1T"],
)
def test_large_memory_passes_with_the_tour(runs, machine):
    """Standby memory that comes online during the tour does not count as lost. Programs use as much
    memory as on any machine."""
    status, out = runs(BOOT="pvh", **machine)
    assert status == 0 and " pages were mapped; " in out and "act 4 of 4: " in out, out[-3000:]


@pytest.mark.full
def test_many_cpus_pass_with_the_tour(make):
    """test_boot.py boots 64 CPUs.  Here CPUs under stress are halted between bursts."""
    status, out = make("run", BOOT="pvh", CPUS=255, **TOUR)
    assert status == 0 and "255 CPUs online of 255," in out, out[-3000:]
    assert "  redrain drains again; disable costs the caches; precise neither" in out, out[-3000:]
    assert (f"run: 255 CPUs on {CORES} host cores: one host thread runs them all" in out) == (
        255 > 4 * CORES
    ), out[:300]


def put_first(tmp_path, programs):
    """A PATH that begins with a folder with these shell scripts."""
    for tool, does in programs.items():
        path = tmp_path / tool
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.parametrize(
    "environment, asks",
    [
        ({"TERM": "xterm", "LANG": "C"}, "picture=live"),
        ({"TERM": "xterm", "LANG": "de_DE.utf8"}, "charset=utf8 picture=live"),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "LC_CTYPE": "C"}, "picture=live"),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, "charset=utf8 picture=live"),
        ({"TERM": "xterm", "LC_CTYPE": "C.UTF-8", "LC_ALL": "C"}, "picture=live"),
        ({"TERM": "xterm", "LC_CTYPE": "C", "LC_ALL": "C.UTF-8"}, "charset=utf8 picture=live"),
        ({"TERM": "dumb", "LC_ALL": "C.UTF-8"}, "picture=plain"),
        ({"LC_ALL": "C.UTF-8"}, "picture=plain"),
    ],
)
def test_picture_by_terminal_and_locale(tmp_path, environment, asks):
    """tools/run/run.sh on a terminal; no machine is started."""
    says = 'while [ "$1" != -append ]; do shift; done; echo "got $2"'
    path = put_first(tmp_path, {QEMU: says})
    others = ("TERM", "LANG", "LC_CTYPE", "LC_ALL", "CMDLINE")
    env = {k: v for k, v in os.environ.items() if k not in others}
    env.update(environment, PATH=path, BOOT="pvh", CMDLINE="seed=1")
    ours, its = pty.openpty()
    try:
        build = os.path.relpath(qemu.BUILD, qemu.ROOT)
        subprocess.run(
            ["sh", "tools/run/run.sh", build],
            cwd=qemu.ROOT,
            env=env,
            stdin=its,
            stdout=its,
            check=False,
        )
        out = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(its)
    assert f"got {asks} seed=1".replace("  ", " ") in out.split("\r\n"), out


def test_a_guest_that_prints_after_ctrl_a_x(tmp_path):
    """QEMU says that it ends, and then the guest's CPUs stop.  No machine is started."""
    text = "quarry: boot\\nok QEMU: Terminated\\r\\n2"
    says = f'for a; do case $a in stdio,*) printf "{text}" > "${{a##*logfile=}}";; esac; done'
    path = put_first(tmp_path, {QEMU: says})
    child = conftest.spawn(["sh", "tools/run/run.sh", qemu.BUILD], PATH=path, BOOT="pvh")
    child.expect("run: ended by Ctrl-A x before the verdict")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


@pytest.mark.parametrize(
    "cores, cpus, asked, threads",
    [
        (2, 4, "", "single"),
        (4, 4, "", "multi"),
        (2, 4, "multi", "multi"),
        (1, 5, "multi", "single"),
    ],
)
def test_host_threads(runs, tmp_path, cores, cpus, asked, threads):
    """CPUs get threads of their own only if the host has cores for them; no machine is started."""
    path = put_first(tmp_path, {"nproc": f"echo {cores}", QEMU: 'echo "$@" >&2'})
    _, out = runs(PATH=path, BOOT="pvh", CPUS=cpus, THREADS=asked, QEMU_FLAGS="")
    assert f"-accel tcg,thread={threads} " in out, out


@pytest.mark.parametrize("boot", ["pvh", full("uefi")])
def test_a_build_directory_may_have_a_comma_in_its_name(tmp_path, boot):
    """QEMU's options end at a comma."""
    build = tmp_path / "a,b"
    build.mkdir()
    os.symlink(os.path.join(qemu.BUILD, "quarry.elf"), build / "quarry.elf")
    done = subprocess.run(
        ["sh", "tools/run/run.sh", str(build)],
        cwd=qemu.ROOT,
        env=dict(os.environ, BOOT=boot, CMDLINE=SHORT, CPUS="1", NODES="1", MEM="140M"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "quarry: PASS" in (build / "run.log").read_text()


# ---- the variables of make's targets: tools/run/args.mk ------------------------------------------
@pytest.mark.parametrize(
    "goal, variables, says",
    [
        ("labs-check", {"SUITE": 6}, "SUITE=6: make labs-check does not take SUITE; it takes LAB "),
        ("labs-check", {"LAB": 6, "ONLY": 7}, "LAB=6 ONLY=7: wanted one of them; ONLY=6 is all"),
        ("labs-check", {"LAB": 66}, "66: wanted LAB or LAB.NAME; the labs are 0 1 2 "),
        ("labs-sure", {"MATRIX": 1}, "MATRIX=1: make labs-sure does not take MATRIX; it takes "),
        ("labs-sure", {"PAIRS": "foo"}, "--pairs: invalid choice: 'foo'"),
        ("labs-sure", {"LAB": "2.nosuch"}, "2.nosuch: wanted LAB or LAB.NAME; the labs are "),
        ("labs", {"LAB": 2}, "LAB=2: make labs does not take LAB; it takes no variable"),
        ("grade", {"REPEAT": 2, "LAB": 2}, "REPEAT=2: make grade does not take REPEAT; it takes "),
        ("lint", {"CHECK": "facts"}, "CHECK=facts: make lint does not take CHECK; it takes ONLY"),
        ("run", {"CPU": 2}, "CPU=2: make run does not take CPU; it takes CPUS MEM NODES "),
        ("debug", {"BOOT": "uefi"}, "BOOT=uefi: make debug does not take BOOT; it takes CPUS MEM "),
        ("race", {"NAME": "R-S1", "REPEAT": 0}, "error: --repeat (REPEAT=) is at least 1"),
        ("clean", {"CMDLINE": "a b"}, "CMDLINE=a b: make clean does not take CMDLINE; "),
    ],
)
def test_variables_are_not_ignored(make, goal, variables, says):
    status, out = make(goal, **variables)
    assert status != 0 and says in out, out


def test_one_test_of_a_grade_is_named_shortly(make):
    for variables, words in (
        ({"TEST": "drain.x", "SUB": "a"}, ["--test 'drain.x'", "'5' 'a'"]),
        ({"SET": "free-disable", "GDB": 1}, ["--only 'explorer.free-disable'", "--gdb"]),
    ):
        status, out = make("-n", "grade", LAB=5, **variables)
        assert status == 0 and all(word in out for word in words), out


def test_a_lab_may_be_named_by_either_variable(make):
    for variables in ({"LAB": 2}, {"ONLY": 2}):
        status, out = make("-n", "labs-check", **variables)
        assert status == 0 and "--only '2'" in out, out


def test_help_fits_a_terminal(make):
    """With ALL=1 it has all targets and variables."""
    status, out = make("help")
    lines = out.split("\n")[:-1]
    assert status == 0 and 10 < len(lines) <= 22 and max(map(len, lines)) <= 80, out
    assert "make run" in lines[0] and "make help ALL=1" in lines[-1], out
    status, out = make("help", ALL=1)
    with open(os.path.join(qemu.ROOT, "tools/run/help.txt"), encoding="utf-8") as file:
        assert status == 0 and out == file.read(), out


def test_what_help_documents_is_taken(make):
    with open(os.path.join(qemu.ROOT, "tools/run/help.txt"), encoding="utf-8") as file:
        targets = file.read().split("\n\n")[0]
    rows = re.findall(r"^  ([a-z][\w.-]*) +(.*(?:\n {8,}.*)*)", targets, re.MULTILINE)
    assert len(rows) > 30
    with open(os.path.join(qemu.ROOT, "tools/run/args.mk"), encoding="utf-8") as file:
        takes = dict(re.findall(r"^TAKES_(\S+) *:= *(.*)$", file.read(), re.MULTILINE))
    for target, text in rows:
        documented = set(re.findall(r"\b([A-Z]+)=", text))
        words = takes.get(target, "")
        words = re.sub(r"\$\(TAKES_(\w+)\)", lambda m: takes[m[1]], words)
        assert documented <= set(words.split()) or target not in takes, (target, documented)
    for value in ("-vga none", "a=b c=d $$x"):
        status, out = make("-n", "run", QEMU_FLAGS=value)
        assert status == 0 and "does not take" not in out, out
