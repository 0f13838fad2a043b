# SPDX-License-Identifier: MIT
"""Every variable of `make run` at both ends of its documented range, as typed."""
import os
import pty
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
        full(
            {"BOOT": "uefi", "CPUS": 255, "NODES": 16, "MEM": "447M"}, "255 CPUs online of 255,"
        ),
        ({"BOOT": "grub", "MEM": "1T"}, "4 CPUs online of 4, 2 nodes,"),
        full({"BOOT": "uefi", "MEM": "1t"}, "4 CPUs online of 4, 2 nodes,"),
    ],
    ids=[
        "least",
        "least_grub",
        "least_pvh",
        "least_uefi",
        "nodes_16",
        "nodes_8",
        "cpus_255",
        "cpus_255_uefi",
        "most_grub",
        "most_uefi",
    ],
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
def test_host_threads(tmp_path, cores, cpus, asked, threads):
    """CPUs get threads of their own only if the host has cores for them; no machine is started."""
    path = put_first(tmp_path, {"nproc": f"echo {cores}", QEMU: 'echo "$@" >&2'})
    env = dict(os.environ, PATH=path, BOOT="pvh", CPUS=str(cpus))
    env["THREADS"] = asked
    build = os.path.relpath(qemu.BUILD, qemu.ROOT)
    done = subprocess.run(
        ["sh", "tools/run/run.sh", build],
        cwd=qemu.ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert f"-accel tcg,thread={threads} " in done.stderr, done.stdout + done.stderr


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
