# SPDX-License-Identifier: MIT
"""`make run` with no terminal, its exit status, and its messages about faults before QEMU
starts."""
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import conftest
import pexpect
import pytest

import outer_make
import qemu
import rooms
import soak

BOOTS = "single"  # the tests judge only make's output and exit status

QUICK = "selftest=buddy tour=off"


@pytest.fixture
def log(name, monkeypatch):
    """A function that reads the log of this test's last run; runs of other tests share one log."""
    path = os.path.join(qemu.BUILD, "qemu", f"{name}.run.log")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    monkeypatch.setenv("RUN_LOG", path)

    def read():
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    return read


def last_line(out):
    return [line for line in out.split("\n") if line.strip()][-1]


@pytest.mark.parametrize("path", ["grub", "uefi", "pvh"])
def test_run_passes(make, log, path):
    status, out = make("run", BOOT=path, CMDLINE=QUICK)
    assert status == 0, out[-3000:]
    assert last_line(out) == "quarry: PASS"
    assert "4 CPUs online of 4, 2 nodes" in out
    assert "quarry: PASS" in log() and "error:" not in out


def test_selftest_runs_suites_and_ends(make):
    status, out = make("selftest", BOOT="pvh", SUITE="buddy,drain", CMDLINE="seed=0x77")
    assert status == 0 and last_line(out) == "quarry: PASS", out[-3000:]
    assert "ok 2 drain" in out and "# selftest: 2 suites, " in out and "(seed 0x77)" in out
    status, out = make("selftest", BOOT="pvh", SUITE="nosuch")
    assert status != 0 and 'run: not a pass: no suite or test "nosuch" (log: ' in out, out[-3000:]


def test_run_fails(make):
    """A failing selftest makes `make run` fail."""
    status, out = make("run", CMDLINE="selftest=fail tour=off")
    assert status != 0
    assert "quarry: FAIL" in out and "run: not a pass: the kernel said that it failed" in out, out[
        -3000:
    ]


def test_status_0_is_no_pass(make, text_file):
    """With -no-reboot a reset, and so a triple fault, ends QEMU with status 0. Here the firmware
    resets the machine."""
    reset = bytes([0xB0, 0x06, 0xBA, 0xF9, 0x0C, 0xEE])  # mov $6,%al; mov $0xcf9,%dx; out %al,(%dx)
    firmware = text_file("reset.bin", b"\xf4" * 0xFFF0 + reset + b"\xf4" * 10)
    status, out = make("run", BOOT="pvh", CMDLINE=QUICK, QEMU_FLAGS=f"-bios {firmware}")
    assert status != 0 and "run: not a pass: QEMU ended with status 0" in out, out[-3000:]


def test_hang_is_ended(make):
    """A machine that never starts: make times out, QEMU is ended, and the run is no pass."""
    status, out = make("run", BOOT="pvh", CMDLINE=QUICK, QEMU_FLAGS="-S", TIMEOUT="2")
    assert status != 0 and "run: not a pass: no end within 2 s" in out, out[-3000:]


def test_variables(make):
    status, out = make("run", BOOT="pvh", CPUS=3, MEM="300M", NODES=3, CMDLINE=QUICK + " seed=0x77")
    assert status == 0, out[-3000:]
    assert "3 CPUs online of 3, 3 nodes" in out and "(seed 0x77)" in out


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"CPUS": "many"}, "CPUS=many: wanted a number"),
        ({"CPUS": "0"}, "CPUS=0: wanted a number"),
        ({"NODES": "99"}, "NODES=99: wanted a number"),
        ({"CPUS": "256"}, "CPUS=256: wanted a number from 1 to 255"),
        ({"CPUS": "08"}, "CPUS=08: wanted a number"),
        ({"CPUS": "99999999999999999999"}, "wanted a number from 1 to 255"),
        ({"NODES": "17"}, "NODES=17: wanted a number from 1 to 16"),
        ({"MEM": "lots"}, "MEM=lots: wanted a size"),
        ({"MEM": "2"}, "MEM=2: too little: 4 CPUs and 2 nodes by grub need 76M"),
        ({"MEM": "76M", "CPUS": "5"}, "MEM=76M: too little"),
        ({"MEM": "100M", "BOOT": "uefi"}, "MEM=100M: too little"),
        ({"MEM": "0512M"}, "MEM=0512M: wanted a size"),
        ({"MEM": "1025G"}, "MEM=1025G: too much: at most 1T"),
        ({"MEM": "9999999T"}, "MEM=9999999T: too much"),
        ({"TIMEOUT": "soon"}, "TIMEOUT=soon: wanted a number"),
        ({"CMDLINE": "x" * 65536}, "CMDLINE: longer than 4095 bytes"),
        ({"CMDLINE": "x" * 4090}, "CMDLINE: longer than 4095 bytes"),
        ({"B": "o ut"}, 'B="o ut": wanted one directory'),
        ({"BOOT": "floppy"}, "BOOT=floppy: wanted grub, uefi or pvh"),
        ({"TRACE": "no/such.trace.gz"}, "TRACE=no/such.trace.gz: no such file"),
        ({"TRACE": "tests"}, "TRACE=tests: no such file"),
    ],
)
def test_wrong_variable(make, runs, variables, message):
    """A clear error is printed before QEMU starts.  The first few and B go through make."""
    by_make = "B" in variables or variables.get("CPUS") in ("many", "0")
    status, out = make("run", **variables) if by_make else runs(**variables)
    assert status != 0
    assert message in out and "quarry: boot" not in out, out[-2000:]


def test_trace_that_is_no_gzip(make, text_file):
    status, out = make("run", TRACE=text_file("bad.trace.gz", "this is not gzip"))
    assert status != 0
    assert "gzip cannot unpack it" in out and "quarry: boot" not in out, out[-2000:]


BUILD = os.path.relpath(qemu.BUILD, qemu.ROOT)


@pytest.mark.parametrize(
    "command, how",
    [
        (["sh", "tools/run/run.sh", BUILD], signal.SIGTERM),
        (["sh", "tools/run/run.sh", BUILD], signal.SIGKILL),
        (["make", f"B={BUILD}", "run"], signal.SIGKILL),
    ],
    ids=["term_sh", "kill_sh", "kill_make"],
)
def test_killed_run_leaves_no_qemu(command, how):
    """QEMU ends with its parent, even if the parent is killed."""
    word = f"quarry-killed-{os.getpid()}-{how}"
    env = dict(
        outer_make.env(), BOOT="pvh", CMDLINE="selftest=none tour=off",
        QEMU_FLAGS=f"-S -name {word}",
    )
    proc = subprocess.Popen(
        command, cwd=qemu.ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until(lambda: running(word)), "QEMU did not start"
    finally:
        proc.send_signal(how)
        proc.wait(qemu.WATCHDOG)
    assert wait_until(lambda: not running(word)), "QEMU is still there"


@pytest.mark.parametrize("path", [conftest.full("grub"), "pvh"])
def test_runs_beside_each_other(make, path):
    """Each run has its own image, modules and log. A killed run leaves nothing that disturbs the
    next run."""
    seeds = [f"0xabc{i}" for i in range(3)]
    with ThreadPoolExecutor(len(seeds)) as pool:
        done = [
            pool.submit(make, "run", BOOT=path, CMDLINE=f"{QUICK} seed={seed}") for seed in seeds
        ]
    for seed, run in zip(seeds, done):
        status, out = run.result()
        assert status == 0 and f"(seed {seed})" in out, out[-3000:]


@pytest.mark.parametrize("path", ["grub", "pvh"])
def test_command_line_may_contain_anything(make, path):
    """The command line arrives as typed: make, the shell, the script, GRUB's shell and GRUB's
    loader change nothing in it."""
    odd = r"""@MODULES@ @CMDLINE@ it's "a" '' "" b\c $x $(HOME) ${HOME} `id` {z} ; |& <> # ~ *?
        [x] ! %s -x \' \\""".split()
    status, out = make("run", BOOT=path, CMDLINE=f"{QUICK} seed=0x77 {' '.join(odd)}")
    assert status == 0 and "(seed 0x77)" in out, out[-3000:]
    for word in odd:
        assert f'no option "{word}"\n' in out, f"{word}\n{out[:3000]}"


@pytest.fixture
def terminal(name):
    """terminal(cmdline, verdict) -> `make run` under pexpect, after it has printed the verdict."""
    children = []

    def start(cmdline, verdict=None):
        command = ["make", "--no-print-directory", f"B={BUILD}", "run", "BOOT=pvh"]
        command += [f"THREADS={conftest.threads_of(sys.modules[__name__])}"]
        command += [f"CMDLINE={cmdline} tour=off"]
        child = conftest.spawn(command, qemu.log_path(name))
        children.append(child)
        if verdict:
            child.expect(rf"\nquarry: {verdict}\r")
            child.expect("Type help")
        return child

    yield start
    for child in children:
        child.close(force=True)


ENDS = {"ctrl_c": "\x03", "ctrl_a_x": "\x01x", "ctrl_d": "\x04", "halt": "halt\r"}


@pytest.mark.parametrize(
    "suite, verdict, end",
    [("buddy", "PASS", end) for end in ENDS]
    + [("fail", "FAIL", "halt")]
    + [conftest.full("fail", "FAIL", end) for end in ENDS if end != "halt"],
)
def test_end_at_the_prompt(terminal, end, suite, verdict):
    """The verdict decides the exit status, in whatever way the prompt is left."""
    child = terminal(f"selftest={suite}", verdict)
    child.send(ENDS[end])
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus == 0) == (
        verdict == "PASS"
    ) and child.signalstatus is None, child.before


@pytest.mark.parametrize("key, name_", [("\x03", "Ctrl-C"), ("\x01x", "Ctrl-A x")], ids=["c", "x"])
def test_end_before_the_verdict(terminal, key, name_):
    """The run neither passes nor fails: make is interrupted, as by Ctrl-C in any recipe."""
    child = terminal("selftest=all")
    child.expect(r"ok 1 \w+ ")
    child.send(key)
    child.expect(f"run: ended by {name_} before the verdict")
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGINT, (child.exitstatus, child.before)
    assert "Error" not in child.before and "wait" not in child.before, child.before


def test_status_of_an_end_before_the_verdict():
    """The script's own exit status is 130."""
    script = ["sh", "tools/run/run.sh", BUILD]
    child = conftest.spawn(script, BOOT="pvh", CMDLINE="selftest=all tour=off")
    child.expect(r"ok 1 \w+ ")
    child.send("\x03")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130 and child.signalstatus is None, child.before


def shown(out):
    """The lines of a run from the kernel's first line on, without firmware and GRUB."""
    return out[out.index("quarry: boot") :].rstrip("\n").split("\n")


@pytest.mark.parametrize("path", [conftest.full("grub"), "pvh"])
def test_selftests_take_a_line_a_suite(make, log, path):
    """The whole report, as KTAP, is in the log."""
    status, out = make("run", BOOT=path, CMDLINE="tour=off")
    lines = shown(out)
    assert status == 0 and lines[-1] == "quarry: PASS", out[-3000:]
    assert len(lines) <= 110 and max(map(len, lines)) <= 80, lines
    nr, tests = re.search(r"^# selftest: (\d+) suites, (\d+) tests, 0 failed", out, re.M).groups()
    assert len([line for line in lines if line.startswith("ok ")]) == int(nr), lines
    assert re.search(r"^# selftest=quick left out \d+ of \d+ tests; selftest=all runs", out, re.M)
    assert "# begin" not in out
    whole = log()
    passed, failed, skipped, _ = qemu.ktap_counts(whole)
    assert failed == 0 and passed + skipped == int(tests)
    assert not [line for line in lines if line not in whole.split("\n")]


def test_failed_test_is_shown_whole(make):
    """The two failing tests show all that they printed; suites whose tests pass show one line."""
    status, out = make("run", BOOT="pvh", CMDLINE="selftest=buddy,fail tour=off")
    lines = shown(out)
    assert status != 0, out[-3000:]
    begun = [line for line in lines if line.startswith("  # begin ")]
    assert begun == [
        "  # begin fail.fails_as_it_should",
        "  # begin fail.leaves_memory_behind",
    ], out
    at = lines.index(begun[0])
    assert re.fullmatch(r"  # test_fail\.c:\d+: expected 1 \+ 1 == 3, got 2", lines[at + 1]), out
    assert lines[at + 2].endswith(": expected 0 == -16, got 0; -16 is -EBUSY"), out
    assert re.match(r"  # seed 0x\w+; run again: selftest=fail\.fails_as_it_should", lines[at + 3])
    assert re.fullmatch(r"  not ok 1 fails_as_it_should # \d+ ms", lines[at + 4]), out
    assert re.search(r"^ok \d buddy ", out, re.M), out
    assert re.search(r"^not ok \d fail +# 2 tests, 2 failed, \d+ ms$", out, re.M), out


@pytest.mark.long
def test_a_pipe_gets_few_lines(make):
    """`make run` without options prints few and short lines into a pipe."""
    status, out = make("run")
    assert status == 0 and last_line(out) == "quarry: PASS", out[-3000:]
    assert out.count("\n") <= 150, out
    assert max(map(len, shown(out))) <= 80, [line for line in shown(out) if len(line) > 80]


def test_steps_of_the_build_are_no_lines_of_the_run():
    """The steps of the build go to stderr, so `make run | ...` gets only the run, even if much is
    built."""
    done = subprocess.run(
        ["make", f"B={os.path.relpath(qemu.BUILD, qemu.ROOT)}", "run", "MAKE=echo a step of"],
        cwd=qemu.ROOT,
        env=dict(outer_make.env(), CMDLINE=QUICK, BOOT="pvh", THREADS="single"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    # If another test is building, make says so first.
    steps = [line for line in done.stderr.splitlines() if not line.startswith("make: another")]
    assert steps[0].startswith("a step of") and "a step of" not in done.stdout, done
    assert last_line(done.stdout) == "quarry: PASS"


def running(word):
    """Does a QEMU run with @word on its command line?"""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"qemu-system-x86_64") and word.encode() in words:
            return True
    return False


def wait_until(condition):
    deadline = time.monotonic() + qemu.WATCHDOG
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def test_help_names_everything(make):
    status, out = make("help", ALL=1)
    assert status == 0
    with open(os.path.join(qemu.ROOT, "Makefile"), encoding="utf-8") as f:
        text = f.read()
    phony = {
        t
        for m in re.findall(r"^(?:\.PHONY|TOOLS) *:=? (.*)$", text, re.MULTILINE)
        for t in m.split()
    }
    phony -= {"help", "kernel", "$(TOOLS)"}
    assert not [t for t in phony if not re.search(rf"^  {t} ", out, re.MULTILINE)], out
    for variable in ("CPUS", "MEM", "NODES", "BOOT", "CMDLINE", "TRACE", "V"):
        assert re.search(rf"^  {variable}=", out, re.MULTILINE), out
    soaks = re.search(r"TARGET=(\S+\|\S+)", out).group(1).split("|")
    assert sorted(soaks) == sorted(soak.TARGETS), out


def test_a_port_is_not_installed(make):
    status, out = make("install", PORT="examples/port-template")
    assert status and "install: a kernel copies " in out, out


@pytest.mark.parametrize("given", ["a,b", "a b", " a,  b ", "a,b,"])
@pytest.mark.parametrize("target", [["model"], ["grade", "LAB=2"]])
def test_names_in_only_have_commas_or_blanks(target, given):
    make = [os.environ.get("MAKE", "make"), "-n", "--no-print-directory", *target]
    done = rooms.call(
        [*make, f"ONLY={given}"], env=outer_make.env(), stderr=subprocess.PIPE, check=True
    )
    assert re.search(r" --only '?a,b'? ", done.stdout), done.stdout


def test_each_tool_has_the_cross_prefix():
    words = ("-n", "CROSS_COMPILE=x86_64-linux-gnu-", "kernel")
    command = outer_make.command(f"{qemu.BUILD}-dry", *words)
    out = subprocess.run(command, env=outer_make.env(), capture_output=True, text=True).stdout
    found = re.findall(r"(?:^|&&)[ ]*(?:ccache +)?(\S*\b(?:gcc|clang|ld|nm)) +-.*", out, re.M)
    assert set(found) == {f"x86_64-linux-gnu-{tool}" for tool in ("gcc", "ld", "nm")}
