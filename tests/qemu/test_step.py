# SPDX-License-Identifier: MIT
"""`make race STEP=1 ENGINE=qemu`: a race stepped through by keys on the live machine, forwards and
back; and orders that derive from seeds.  test_step_screen.py has the rest of the stepper."""
import glob
import os
import re
import subprocess

import pexpect
import pytest
import qemu
import race
import race_engine
from conftest import full, spawn
from test_make import running, wait_until


@pytest.fixture(scope="module")
def program():
    """program("fiber" or "icount", variant) -> path of the program, which is built."""

    def built(engine, ident="none"):
        programs = race.build_one(qemu.BUILD, ident, [engine])
        assert programs, f"{ident} does not build for {engine}"
        return programs[engine]

    return built


def race_child(name, *words, **options):
    """`make race STEP=1` on a terminal."""
    make = ["make", "--no-print-directory", f"B={os.path.relpath(qemu.BUILD, qemu.ROOT)}"]
    return spawn([*make, "race", f"NAME={name}", "STEP=1", *words], **options)


@pytest.fixture
def keys():
    """keys("R-S0A") -> `make race STEP=1 ENGINE=qemu` on a terminal on which it does not draw."""
    children = []

    def start(name):
        child = race_child(name, "ENGINE=qemu", log=qemu.log_path("step-" + name), TERM="dumb")
        children.append(child)
        child.expect(PROMPT)
        return child

    yield start
    for child in children:
        child.close(force=True)


PROMPT = r"\r\n(?:\x1b\[J)?([a-h](?: or [a-h])*)\? \(.*?\) |u undo, \? help, q leave: "


def press(child, key):
    """Press @key; returns the output up to the next prompt."""
    child.send(key)
    child.expect(PROMPT)
    return child.before


def rows(text):
    """[(number, key, text)] of the moves in @text."""
    return [
        (int(m.group(1)), m.group(2), m.group(3))
        for m in re.finditer(r"^ {0,3}(\d+) ([a-h])  (.*?)\r?$", text, re.MULTILINE)
    ]


def leave(child):
    """Press q; returns the script that is printed."""
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return script_of(child.before)


def script_of(text):
    return re.search(
        r"^race: mine\n.*?^expect: .*?\n", text.replace("\r", ""), re.MULTILINE | re.DOTALL
    ).group(0)


def ended(command, keys=None):
    """The result of a command."""
    limit = qemu.WATCHDOG
    return subprocess.run(command, input=keys, capture_output=True, text=True, timeout=limit)


def outcome_of(fiber, text_file, script):
    """Run a script on fibers, with random delays; returns the outcome, which must be the expected
    one."""
    done = ended([fiber, "--jitter=20", text_file("mine.race", script)])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{script}"
    return re.search(r"^race: end mine (.*)$", done.stdout, re.MULTILINE).group(1)


@pytest.mark.full
def test_to_the_hang_and_back_on_the_live_machine(keys, program, text_file):
    """Step through a wrong variant up to its failure, two steps back, and to the failure again."""
    child = keys("R-S0A")
    text = press(child, "a")
    assert rows(text)[-1][2] == "A at free.prep; P is being freed"
    went = rows(press(child, "B"))
    assert went[-1][2] == "B waits for an answer from CPU 0" and went[-2][0] == 12
    press(child, "A")
    number, _, last = rows(press(child, "B"))[-1]
    assert number > 12
    while "STUCK" not in text:
        text = press(child, "B")
    assert re.search(r"STUCK after \d+ moves:\s+B waits in a loop for the range to be free", text)
    assert "The cache of CPU 0 holds P since move" in text and "it is over" in press(child, "b")
    end = int(re.search(r"STUCK after (\d+) moves", text).group(1))
    for number in (end - 1, end - 2):
        assert f"undone: back after {number} moves" in press(child, "u")
    while "STUCK" not in (text := press(child, "B")):
        pass
    assert f"STUCK after {end} moves" in text
    script = leave(child)
    assert outcome_of(program("fiber", "M02"), text_file, script) == "STUCK"
    with open(os.path.join(qemu.BUILD, "race", "mine.race"), encoding="utf-8") as f:
        assert f.read() == script


def test_wrong_names(make):
    for names, message in (
        ("R-S9Z", "STEP=1 needs one script"),
        ("", "STEP=1 needs one script"),
        ("R-S0A M98", "no variant M98; R-S0A names M01"),
        ("R-S0A R-S1 none", "STEP=1 needs one script"),
    ):
        status, out = make("race", NAME=names, STEP=1)
        assert status != 0 and message in out, out
    status, out = make("race", NAME="R-S0A", STEP=1, ENGINE="bochs")
    assert status != 0 and "no engine bochs to step with; ENGINE is one of: fiber, qemu" in out
    status, out = make("race", NAME="R-S0A", STEP=1, MODEL="arm")
    assert status != 0 and "no model arm; --model (MODEL=) is sc or tso" in out
    status, out = make("race", NAME="R-S0A", STEP=1, ENGINE="qemu", MODEL="tso")
    assert status != 0 and "MODEL=tso needs ENGINE=fiber" in out


@pytest.mark.parametrize("engine", ["fiber", "icount"])
def test_repeats_of_a_script_count_alike(program, engine):
    """The counts of a run do not carry over to the next run."""
    runs = race.run_scripts(program(engine, "M80"), engine, "repeat", ["R-S3A"], 3)["R-S3A"]
    assert [outcome for _, outcome, _ in runs] == ["COUNT(offline_cpu)"] * 3
    assert len({trace for trace, _, _ in runs}) == 1


def kernels_of(ident, session):
    """The kernels with this wrong variant that run in processes of @session."""
    folder = os.path.join(qemu.BUILD, "mutant", f"race-{ident}-").encode()
    found = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
            if os.getsid(int(path.split("/")[2])) == session:
                found |= {word for word in words if word.startswith(folder)}
        except OSError:
            continue
    return [word.decode() for word in found]


def test_interrupt_leaves_no_machine(keys):
    child = keys("R-S0A")
    (kernel,) = kernels_of("M02", child.pid)
    assert running(kernel)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus != 0
    assert wait_until(lambda: not running(kernel)), "QEMU is still there"
    assert not os.path.exists(kernel), "the variant's tree is still there"


def test_back_on_a_new_machine(program):
    """To go back when a role cannot end, the moves are made again on another machine, and lead to
    the same state."""
    script = next(s for s in race.scripts() if s.name == "R-S0A")
    stepper = race_engine.Stepper(program("icount"), script, "qemu")
    stepper.boot("abbbbbbbbba")
    first = stepper.engine
    stepper.goes_back = False
    assert stepper.back()
    assert first.proc.poll() is not None and stepper.engine is not first
    stepper.end()
    assert stepper.moves == "abbbbbbbbb"


def test_same_as_on_fibers(program):
    """The machine and fibers show the same states, up to the timeout of an offline whose page never
    gets free. The timeout comes after a number of moves, not after a time."""
    out = ended([program("fiber", "M01"), "--step", "R-S0A"], "a" + "b" * 99).stdout
    fibers = re.findall(r"^step: A (.*)\nstep: B (.*)\nstep: (P .*)$", out, re.MULTILINE)
    gave_up = fibers.index(("at free.prep", "offline(P) returned -EBUSY", "P is being freed"))
    assert gave_up > 20, out
    script = next(s for s in race.scripts() if s.name == "R-S0A")
    stepper = race_engine.Stepper(program("icount", "M01"), script, "qemu")
    stepper.boot("a" + "b" * (gave_up - 1))
    stepper.end()
    assert fibers[: gave_up + 1] == [(p.roles["A"], p.roles["B"], p.page) for p in stepper.pictures]


# ---- seeds ---------------------------------------------------------------------------------------


def played(text):
    """The lines about races, from the first "begin" on."""
    lines = text.replace("\r", "").split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("race: begin"))
    return [line for line in lines[first:] if line and not line.startswith("quarry: ")]


@pytest.fixture
def seeds(boot, program):
    def run(name, which, engine):
        if engine == "fiber":
            return played(ended([program("fiber"), f"--schedule={which}", name]).stdout)
        run = boot(
            f"selftest=none race={name} race_seed={which}", kernel=program("icount"),
            icount=engine == "icount",
        )
        assert run.passed, run.story()
        return played(run.text)

    return run


def test_seed_decides(seeds):
    """The same seed always gives the same moves and the same trace, on every engine; another seed
    gives other moves."""
    first = seeds("R-S0A", 7, "icount")
    assert re.fullmatch(r"race: begin R-S0A seed 7", first[0]) and any(
        "expect: OK" in line for line in first
    )
    assert first == seeds("R-S0A", 7, "icount")
    assert first == seeds("R-S0A", 7, "mttcg")
    assert first == seeds("R-S0A", 7, "fiber")
    moves = {line for line in seeds("R-S1c", "1-6", "icount") if line.startswith("race: moves")}
    assert len(moves) >= 5


@pytest.mark.parametrize(
    "name",
    ["R-S3C", *map(full, ["R-S1c", "R-ISO", "R-OVL", "R-S3A", "R-S3H", "R-S2", "R-S4-busy"])],
)
def test_seeds_same_in_the_kernel(seeds, name):
    """Several seeds run in one boot, with roles that wait for locks and answers, and CPUs that go
    down and come up."""
    assert seeds(name, "1-8", "icount") == seeds(name, "1-8", "fiber")


@pytest.mark.parametrize(
    "ident, name, outcome",
    [
        ("M01", "R-S0A", "STUCK"),
        full("M05", "R-S1", "CHECK(I-P6)"),
        full("M07", "R-S1d", "CHECK(I-P6)"),
        ("M52", "R-ISO", "CHECK(I-I8)"),
        ("none", "R-OVL", "OK"),
    ],
)
def test_scripts_of_seeds(program, text_file, ident, name, outcome):
    """Some random schedule finds the wrong variant's failure. Each printed script leads to the
    outcome of its schedule."""
    fiber = program("fiber", ident)
    found = set()
    for seed in range(1, 41):
        out = ended([fiber, f"--schedule={seed}", name]).stdout
        end = re.search(rf"^race: end {name} seed {seed} (.*)$", out, re.MULTILINE).group(1)
        script = out[out.index(f"race: {name}-") :]
        done = ended([fiber, "--jitter=2", text_file(f"{seed}.race", script)])
        assert done.returncode == 0 and re.search(
            rf"^race: end \S+ {re.escape(end)}$", done.stdout, re.MULTILINE
        ), f"seed {seed}, {end}:\n{out}\n{done.stdout}"
        found.add(end)
    assert outcome in found and found <= {"OK", outcome}, found


def test_seeds_refused(boot, program):
    run = boot("selftest=none race=R-S0A race_seed=4", kernel=program("icount"), cpus=2)
    assert run.failed, run.story()
    run.says(r"R-S0A has 2 roles, on CPUs 0 to 1, and needs one more: this machine has 2 CPUs")


# ---- the monitor's command -----------------------------------------------------------------------


def at_prompt(host, **machine):
    """prompt(keys, until) -> the machine's output up to the text @until."""
    h = host(room=0, **machine)

    def prompt(keys, until):
        h.child.send(keys)
        h.child.expect_exact(until)
        return h.child.before

    return prompt


def test_monitor_command(program, host):
    prompt = at_prompt(host, kernel=program("icount"), icount=True)
    assert "no script R-XX; there are: R-S0A" in prompt("race R-XX\r", "quarry> ")
    prompt("race R-S1b\r", "step: choose ab")
    assert "step: cannot move: C" in prompt("c", "step: choose ab")
    assert "step: A free(P) returned 0" in prompt("A", "step: choose b")
    assert "step: B waits for an answer from CPU 0" in prompt("B", "step: choose a")
    assert "step: A free(P) returned 0" in prompt("A", "step: choose b")
    text = prompt("B", "leave")
    assert "step: B disable returned 0" in text and "step: outcome OK" in text, text
    text = prompt("<", "step: choose b")
    back = "step: back" in text and "step: A free(P) returned 0" in text
    assert back and "step: outcome" not in text, text
    assert "step: outcome QUIT" in prompt("q", "quarry> ")
    assert "every invariant holds" in prompt("check\r", "quarry> ")


def test_monitor_command_in_a_normal_build(host):
    text = at_prompt(host, cpus=2)("race R-S0A\r", "quarry> ")
    assert "no scheduling points: make race NAME=R-S0A STEP=1" in text
