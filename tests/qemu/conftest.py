# SPDX-License-Identifier: MIT
"""Shared by the tests in this directory, which boot the real image and judge it from outside.

`make test` runs them. To run one alone: make && QUARRY_BUILD=build /usr/bin/python3 -m pytest
tests/qemu -k NAME"""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pexpect
import ptyprocess
import pytest
from _pytest.runner import runtestprotocol

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools", "lib"))
sys.dont_write_bytecode = True
import rooms  # noqa: E402
import needs  # noqa: E402
import outer_make  # noqa: E402
import qemu  # noqa: E402

# What run.sh takes from the environment.
RUN_VARIABLES = "CPUS MEM NODES BOOT CMDLINE TRACE SCRIPT TIMEOUT QEMU_FLAGS THREADS".split()
# Suites that show in a second or two that a machine is complete and its memory right.
SMALL = "selftest=init,buddy,zone,drain,isolation,offline"
# Suites in which CPUs affect each other: cross-calls, waits, drains, offlines.
CROWD = "selftest=smp,lock,drain,disable,isolation,isolation_race,offline,tick"


def end_child(self, force=False):
    """As ptyprocess's terminate(), but a killed process may take as long as it needs to end."""
    for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGINT, signal.SIGKILL)[: 3 + force]:
        if not self.isalive():
            return True
        self.kill(number)
        time.sleep(self.delayafterterminate)
    while force and self.isalive():
        time.sleep(self.delayafterterminate)
    return not self.isalive()


ptyprocess.PtyProcess.terminate = end_child


def spawn(command, log=None, cwd=ROOT, timeout=qemu.WATCHDOG, echo=True, **environment):
    """@command on a terminal of 24 rows and 80 columns; pexpect reads its output, and copies it to
    the file @log."""
    child = pexpect.spawn(
        command[0],
        command[1:],
        cwd=cwd,
        env=outer_make.env(**environment),
        timeout=timeout,
        encoding="utf-8",
        codec_errors="replace",
        echo=echo,
        # Tests may run in the background, where SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    child.logfile_read = log and open(log, "w", encoding="utf-8")
    return child


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "long: ten seconds or more; make mutate asks its own long boot instead"
    )
    config.addinivalue_line("markers", "full: runs only with FULL=1")


def full(*values):
    """A value for parametrize that runs only with FULL=1: a further combination of parts that other
    values test."""
    return pytest.param(*values, marks=pytest.mark.full)


def needs_tool(what):
    """The mark of a test that is left out if a tool that it needs cannot be had."""
    return pytest.mark.skipif(bool(needs.why(what)), reason=needs.line(what, needs.why(what)))


def pytest_runtest_setup(item):
    """A test with "uefi" in its name boots by UEFI."""
    if "uefi" in item.nodeid and needs.why("uefi"):
        pytest.skip(needs.line("uefi", needs.why("uefi")))


def numbers(run, pattern):
    """The numbers in the groups of @pattern, which the run's console has."""
    run.says(pattern)
    return [int(n) for n in re.search(pattern, run.text, re.MULTILINE).groups()]


def whole():
    """True with FULL=1; otherwise a test may take fewer rounds."""
    return bool(os.environ.get("FULL"))


def copy_tree(into):
    """Copy the tree's files to the directory @into; they keep their times."""
    for path in rooms.all_files():
        new = os.path.join(into, path)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.copy2(os.path.join(qemu.ROOT, path), new)


def without_exit(command):
    """QEMU's command without the device that ends QEMU, which no real machine has."""
    at = command.index("isa-debug-exit,iobase=0xf4,iosize=4")
    return command[: at - 1] + command[at + 1 :]


def threads_of(module):
    """The host's threads for machines of a file of tests. One thread for all CPUs costs a third of
    a thread for each CPU. A file with claims about CPUs that compute at the same time says BOOTS =
    "multi". A file with claims about a text, or about firmware, says "single". With FULL=1 in the
    environment all other files get "multi"."""
    return getattr(module, "BOOTS", "multi" if whole() else "single")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A test that failed because QEMU itself ended with SIGSEGV is run once more, and this is
    reported. QEMU 7.2 crashes so once in some thousand boots with a host thread for each CPU: one
    CPU writes to a device by a memory map that another has just replaced
    (memory_region_dispatch_write gets a wild pointer). No other failure is tried twice."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    qemu.crashes.clear()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if qemu.crashes and any(report.failed for report in reports):
        say = item.config.pluginmanager.getplugin("terminalreporter")
        say.write_line(
            f"\n    QEMU itself crashed ({', '.join(qemu.crashes)}): {item.name} once more"
        )
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture
def name(request):
    """A name for the logs of this test, which differs even if two files have a test of the same
    name."""
    module = request.module.__name__.split(".")[-1].replace("test_", "", 1)
    return f"{module}-" + request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def drawn():
    """A random seed; a failed run is repeated with the seed in its command line."""
    return f"{random.SystemRandom().getrandbits(32):#x}"


@pytest.fixture
def threads(request):
    return threads_of(request.module)


@pytest.fixture
def boot(name, threads):
    """boot(cmdline, **machine) -> Run.  The tour is off and the monitor off unless the test asks
    for them."""

    def run(
        cmdline=SMALL, timeout=qemu.LIMIT, markers=(), talk=None, tour="off", monitor="off",
        **machine,
    ):
        words = (
            [cmdline]
            + ([f"tour={tour}"] if tour else [])
            + ([f"monitor={monitor}"] if monitor else [])
        )
        machine = qemu.Machine(**{"timeout": timeout, "threads": threads, **machine})
        return machine.run(name, " ".join(words).strip(), markers=markers, talk=talk)

    return run


@pytest.fixture
def passes(boot):
    """Like boot, but the run must pass, with at least one test."""

    def run(cmdline=SMALL, **kw):
        result = boot(cmdline, **kw)
        assert result.passed, result.story()
        passed, failed, _, names = result.ktap()
        assert not failed, f"{names} failed, but the kernel said PASS\n{result.story()}"
        assert passed or "selftest=none" in cmdline, f"no test was run\n{result.story()}"
        return result

    return run


@pytest.fixture
def host(name, threads):
    """host(cmdline, **machine) -> slots.Host, a machine at its prompt; it runs until the test is
    over."""
    import slots

    hosts = []

    def start(cmdline="selftest=none", mem=256, room=2048, env=None, **machine):
        machine = qemu.Machine(**{"mem": mem, "room": room, "threads": threads, **machine})
        hosts.append(slots.Host(name, machine, cmdline, env))
        return hosts[-1]

    yield start
    for h in hosts:
        h.close()


def on_threads(request):
    """The variables of a run for the threads of the file of tests."""
    threads = threads_of(request.module)
    plugin = " ".join(qemu.yields()) if threads == "multi" else ""
    return {"THREADS": threads, "QEMU_FLAGS": plugin}


def status_and_output(command, env, timeout, stdin=subprocess.DEVNULL):
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").replace("\r", "")


@pytest.fixture
def runs(request):
    """runs(CPUS=2, ...) -> (status, output) of run.sh, as `make run` calls it when the kernel
    is built."""

    def run(timeout=qemu.WATCHDOG, **variables):
        variables = {**on_threads(request), **variables}
        command = ["sh", "tools/run/run.sh", os.path.relpath(qemu.BUILD, ROOT)]
        env = outer_make.env(*RUN_VARIABLES, **{k: str(v) for k, v in variables.items()})
        return status_and_output(command, env, timeout)

    return run


@pytest.fixture
def make(request):
    """make("run", CPUS=2, ...) -> (status, output), as typed in a shell with no terminal."""

    def run(*goals, timeout=qemu.WATCHDOG, stdin=subprocess.DEVNULL, **variables):
        env = outer_make.env(*RUN_VARIABLES)
        build = os.path.relpath(qemu.BUILD, ROOT)
        if "run" in goals:
            variables = {**on_threads(request), **variables}
        command = ["make", "--no-print-directory", f"B={build}", *goals] + [
            f"{k}={v}" for k, v in variables.items()
        ]
        return status_and_output(command, env, timeout, stdin)

    return run


def gdb_says(script, log, **variables):
    """The text that gdb prints of a @script in `make debug` with these variables; kept as @log."""
    path = os.path.join(qemu.BUILD, "qemu", log + ".gdb")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(script)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = outer_make.env(GDB_FLAGS=f"-batch -x {path}", PORT=port, **variables)
    command = ["sh", "tools/run/debug.sh", os.path.relpath(qemu.BUILD, ROOT)]
    _, said = status_and_output(command, env, qemu.WATCHDOG)
    with open(qemu.log_path(log), "w", encoding="utf-8") as f:
        f.write(said)
    return said


@pytest.fixture
def text_file(name):
    """text_file(file_name, content) -> path, under the build directory."""

    def write(file_name, content):
        folder = os.path.join(qemu.BUILD, "qemu", name + ".d")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, file_name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def report(capsys):
    """report(text): prints a line that is seen even when the test passes."""

    def say(text):
        with capsys.disabled():
            print(f"\n    {text} ", end="", flush=True)

    return say
